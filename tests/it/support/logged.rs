//! The built program, run as it is deployed. The test reads its log line by line while its doubles run on the same thread.

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

const BINARY: &str = env!("CARGO_BIN_EXE_wonder-signer");

/// `wonder-signer run`. Dropping it kills it; [`stop`](Self::stop) drains it.
pub(crate) struct Logged {
    pub(crate) listen: SocketAddr,
    pub(crate) admin: SocketAddr,
    /// The webhook listener, if there is one.
    pub(crate) webhook: Option<SocketAddr>,
    child: Child,
    lines: Mutex<mpsc::UnboundedReceiver<String>>,
    log_so_far: Mutex<String>,
}

impl Logged {
    /// Starts it in front of `origin`, with more variables, and waits until it is ready.
    pub(crate) async fn before(origin: &str, variables: &[(&str, &str)]) -> Self {
        Self::started(Command::new(BINARY), origin, variables).await
    }

    /// The same with a limit of open files.
    pub(crate) async fn with_open_files(limit: u32, origin: &str, variables: &[(&str, &str)]) -> Self {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "ulimit -n \"$0\" && exec \"$@\"", &limit.to_string(), BINARY]);
        Self::started(shell, origin, variables).await
    }

    async fn started(mut command: Command, origin: &str, variables: &[(&str, &str)]) -> Self {
        let mut child = command
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
            log_so_far: Mutex::default(),
        };
        let ready = program.line("ready").await;
        // The first of several addresses.
        let address = |name: &str| ready[name].as_str().unwrap().split(',').next().unwrap().parse().unwrap();
        (program.listen, program.admin) = (address("listen"), address("admin"));
        program.webhook = ready["webhook"].as_str().map(|address| address.parse().unwrap());
        program
    }

    /// Waits for the next line with this message.
    pub(crate) async fn line(&self, message: &str) -> Value {
        while let Some(line) = self.next().await {
            if line["message"] == message {
                return line;
            }
        }
        panic!("no {message:?} in\n{}", self.log_so_far());
    }

    pub(crate) async fn next(&self) -> Option<Value> {
        let line = soon(std::future::poll_fn(|cx| self.lines.lock().unwrap().poll_recv(cx))).await?;
        let value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line}"));
        let mut log_so_far = self.log_so_far.lock().unwrap();
        log_so_far.push_str(&line);
        log_so_far.push('\n');
        Some(value)
    }

    /// Every line read so far.
    pub(crate) fn log_so_far(&self) -> String {
        self.log_so_far.lock().unwrap().clone()
    }

    /// Sends it a signal, such as `USR1`.
    pub(crate) fn signal(&self, name: &str) {
        // `kill` of the shell, because some images have no program of that name.
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Drains it and returns its whole log.
    pub(crate) async fn stop(mut self) -> String {
        self.signal("TERM");
        while self.next().await.is_some() {}
        assert!(self.child.wait().unwrap().success());
        self.log_so_far()
    }
}

impl Drop for Logged {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
