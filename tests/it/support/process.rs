//! The built program in a process of its own, for tests of memory, descriptors, exit code and log.

use std::{collections::BTreeMap, net::SocketAddr, process::Stdio};

use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    sync::oneshot,
    task::JoinHandle,
};

use super::{
    patience::soon,
    sidecar::{APP_ID, KEY_PEM},
};

/// One line of the log about one request.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) error: Option<String>,
    pub(crate) sent: String,
}

/// `wonder-signer run`. Killed when dropped; [`stop`](Self::stop) drains it.
pub(crate) struct Process {
    pub(crate) listen: SocketAddr,
    pub(crate) admin: SocketAddr,
    child: Child,
    log: JoinHandle<BTreeMap<String, Line>>,
}

/// The resources of a process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    /// Resident memory in KiB.
    pub(crate) memory: usize,
    /// Peak resident memory in KiB.
    pub(crate) peak: usize,
    pub(crate) descriptors: usize,
    pub(crate) threads: usize,
}

impl Process {
    /// Starts it in front of `origin` and waits until it is ready. `SIGNER_BINARY` names another build than the
    /// tests' own, such as the release.
    pub(crate) async fn start(origin: &str, toml: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (config, ready) = (directory.path().join("config.toml"), directory.path().join("ready.json"));
        std::fs::write(&config, toml).unwrap();
        let binary = std::env::var("SIGNER_BINARY");
        let mut child = Command::new(binary.unwrap_or_else(|_| env!("CARGO_BIN_EXE_wonder-signer").to_owned()))
            .args(["run", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--environment", "custom"])
            .args(["--origin", origin, "--app-id", APP_ID])
            .arg("--config")
            .arg(&config)
            .arg("--ready-file")
            .arg(&ready)
            .env_clear()
            .env("WONDER_SIGNER_CREDENTIALS__DEFAULT__PRIVATE_KEY", &*KEY_PEM)
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (announce, ready_seen) = oneshot::channel();
        let log = tokio::spawn(async move {
            let (mut announce, mut requests) = (Some(announce), BTreeMap::new());
            while let Ok(Some(line)) = lines.next_line().await {
                let Ok(fields) = serde_json::from_str::<serde_json::Value>(&line) else {
                    eprintln!("{line}");
                    continue;
                };
                let text = |name: &str| fields[name].as_str().map(str::to_owned);
                match text("message").as_deref() {
                    Some("ready") => drop(announce.take().map(|announce| announce.send(()))),
                    Some("request") => {
                        let line = Line { error: text("error"), sent: text("sent").unwrap_or_default() };
                        requests.insert(text("request_id").unwrap_or_default(), line);
                    }
                    _ => {}
                }
            }
            requests
        });
        soon(ready_seen).await.expect("the program starts");
        let addresses: BTreeMap<String, SocketAddr> = serde_json::from_slice(&std::fs::read(&ready).unwrap()).unwrap();
        Self { listen: addresses["listen"], admin: addresses["admin"], child, log }
    }

    pub(crate) fn held(&self) -> Held {
        let process = format!("/proc/{}", self.child.id().expect("it runs"));
        let status = std::fs::read_to_string(format!("{process}/status")).unwrap();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap()
        };
        let descriptors = std::fs::read_dir(format!("{process}/fd")).unwrap().count();
        Held { memory: field("VmRSS"), peak: field("VmHWM"), descriptors, threads: field("Threads") }
    }

    /// The value of one series of `/metrics`.
    pub(crate) async fn metric(&self, series: &str) -> f64 {
        super::sidecar::metric(self.admin, series).await
    }

    /// Drains it without its delay; returns its exit code and the log line of each request.
    pub(crate) async fn stop(self) -> (Option<i32>, BTreeMap<String, Line>) {
        self.end("INT").await
    }

    /// Drains it, including its delay.
    pub(crate) async fn terminate(self) -> (Option<i32>, BTreeMap<String, Line>) {
        self.end("TERM").await
    }

    async fn end(mut self, signal: &str) -> (Option<i32>, BTreeMap<String, Line>) {
        let kill = format!("kill -{signal} {}", self.child.id().expect("it runs"));
        assert!(Command::new("sh").args(["-c", &kill]).status().await.unwrap().success());
        let status = soon(self.child.wait()).await.unwrap();
        (status.code(), self.log.await.unwrap())
    }
}
