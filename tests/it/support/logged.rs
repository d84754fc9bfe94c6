//! The built program, run as it is deployed, its log read line by line while the doubles around it work on the same thread.

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::Mutex,
};

use serde_json::Value;
use tokio::sync::mpsc;

use super::{
    patience::soon,
    sidecar::{APP_ID, KEY_PEM},
};

/// `wonder-signer run`. Dropping it kills it; [`stop`](Self::stop) has it drain.
pub(crate) struct Logged {
    pub(crate) listen: SocketAddr,
    pub(crate) admin: SocketAddr,
    /// The webhook listener, if there is one.
    pub(crate) webhook: Option<SocketAddr>,
    child: Child,
    lines: Mutex<mpsc::UnboundedReceiver<String>>,
    heard: Mutex<String>,
}

impl Logged {
    /// Before `origin`, with more variables; ready.
    pub(crate) async fn before(origin: &str, variables: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_wonder-signer"))
            .arg("run")
            .env_clear()
            .env("WONDER_SIGNER_LISTEN__ADDRESS", "127.0.0.1:0")
            .env("WONDER_SIGNER_SHUTDOWN__DRAIN_DELAY", "0s")
            .env("WONDER_SIGNER_ADMIN__ADDRESS", "127.0.0.1:0")
            .env("WONDER_SIGNER_UPSTREAM__ENVIRONMENT", "custom")
            .env("WONDER_SIGNER_UPSTREAM__ORIGIN", origin)
            .env("WONDER_SIGNER_CREDENTIALS__DEFAULT__APP_ID", APP_ID)
            .env("WONDER_SIGNER_CREDENTIALS__DEFAULT__PRIVATE_KEY", KEY_PEM.as_str())
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = mpsc::unbounded_channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let unbound = SocketAddr::from(([0; 4], 0));
        let mut program = Self {
            listen: unbound,
            admin: unbound,
            webhook: None,
            child,
            lines: Mutex::new(lines),
            heard: Mutex::default(),
        };
        let ready = program.line("ready").await;
        // Of several addresses the first.
        let address = |name: &str| ready[name].as_str().unwrap().split(',').next().unwrap().parse().unwrap();
        (program.listen, program.admin) = (address("listen"), address("admin"));
        program.webhook = ready["webhook"].as_str().map(|address| address.parse().unwrap());
        program
    }

    /// The next line with this message, waiting for it.
    pub(crate) async fn line(&self, message: &str) -> Value {
        while let Some(line) = self.next().await {
            if line["message"] == message {
                return line;
            }
        }
        panic!("no {message:?} in\n{}", self.heard());
    }

    pub(crate) async fn next(&self) -> Option<Value> {
        let line = soon(std::future::poll_fn(|cx| self.lines.lock().unwrap().poll_recv(cx))).await?;
        let value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line}"));
        let mut heard = self.heard.lock().unwrap();
        heard.push_str(&line);
        heard.push('\n');
        Some(value)
    }

    /// Everything that was read so far.
    pub(crate) fn heard(&self) -> String {
        self.heard.lock().unwrap().clone()
    }

    /// Sends it a signal, such as `USR1`.
    pub(crate) fn signal(&self, name: &str) {
        // The shell's own, which is there where the program of that name is not.
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Has it drain and gives its whole log.
    pub(crate) async fn stop(mut self) -> String {
        self.signal("TERM");
        while self.next().await.is_some() {}
        assert!(self.child.wait().unwrap().success());
        self.heard()
    }
}

impl Drop for Logged {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
