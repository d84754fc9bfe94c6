//! The built binary as a process: its input, its output and its exit.
//!
//! Its environment has only the variables that a test sets. Every wait has a deadline, after which the test fails.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread::{self, JoinHandle},
    time::Instant,
};

use tempfile::TempDir;

use super::{
    patience::{HANG, soon},
    sidecar::{APP_ID, KEY_PEM},
};

/// How a process ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Asserts the exit code, an empty standard output and one line on standard error; returns the line without the program's name.
    #[track_caller]
    pub(crate) fn refused(&self, code: i32) -> &str {
        assert_eq!((self.code(), self.out.as_str(), self.err.lines().count()), (Some(code), "", 1), "{self:?}");
        self.err.trim_end().strip_prefix("wonder-signer: ").unwrap_or_else(|| panic!("{self:?}"))
    }
}

/// A process of the built binary. Dropping it kills it.
pub(crate) struct Program {
    child: Child,
    /// Standard error, line by line.
    lines: Receiver<String>,
    seen: Vec<String>,
    out: Option<JoinHandle<String>>,
}

impl Program {
    pub(crate) fn start(arguments: &[&str], environment: &[(&str, &str)], input: &[u8]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_wonder-signer"))
            .args(arguments)
            .env_clear()
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // The program may end without reading its input.
        let _ = child.stdin.take().unwrap().write_all(input);
        let (sender, lines) = channel();
        let mut err = BufReader::new(child.stderr.take().unwrap());
        thread::spawn(move || {
            let mut line = Vec::new();
            while err.read_until(b'\n', &mut line).is_ok_and(|bytes| bytes > 0) {
                if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    return;
                }
                line.clear();
            }
        });
        let mut out = child.stdout.take().unwrap();
        let out = thread::spawn(move || {
            let mut text = Vec::new();
            out.read_to_end(&mut text).unwrap();
            String::from_utf8_lossy(&text).into_owned()
        });
        Self { child, lines, seen: Vec::new(), out: Some(out) }
    }

    /// Runs it to its end.
    pub(crate) fn run(arguments: &[&str], environment: &[(&str, &str)], input: &[u8]) -> Ended {
        Self::start(arguments, environment, input).end()
    }

    /// Waits for the next line of standard error that contains `text`.
    pub(crate) fn line_with(&mut self, text: &str) -> String {
        self.line_that(text, |line| line.contains(text))
    }

    fn line_that(&mut self, wanted: &str, is_it: impl Fn(&str) -> bool) -> String {
        let until = Instant::now() + HANG;
        loop {
            match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if is_it(&line) {
                        return line;
                    }
                }
                Err(error) => panic!("no {wanted} ({error}) in\n{}", self.seen.concat()),
            }
        }
    }

    /// Sends a signal by its name: `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    /// Waits until it ends; the test causes the end by other means.
    pub(crate) fn end(mut self) -> Ended {
        let until = Instant::now() + HANG;
        loop {
            match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("still running; said\n{}", self.seen.concat()),
            }
        }
        // Standard error is closed, so the process has ended or is about to.
        let status = self.child.wait().unwrap();
        let out = self.out.take().unwrap().join().unwrap();
        Ended { status, out, err: self.seen.concat() }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A process started without [`Program`]. Dropping it kills it.
pub(crate) struct Alive(pub(crate) Child);

impl Alive {
    /// Drains it, waits for its end and returns its exit code.
    pub(crate) async fn terminate(mut self) -> Option<i32> {
        signal(&self.0, "TERM");
        let ended = soon(async {
            loop {
                match self.0.try_wait().unwrap() {
                    Some(status) => return status,
                    None => tokio::task::yield_now().await,
                }
            }
        });
        ended.await.code()
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Sends a signal by its name: `TERM`. The standard library cannot send signals.
fn signal(child: &Child, name: &str) {
    let command = format!("kill -{name} {}", child.id());
    assert!(Command::new("sh").args(["-c", &command]).status().unwrap().success(), "{command}");
}

/// `run` on free ports, ready.
pub(crate) struct Running {
    pub(crate) program: Program,
    pub(crate) listen: SocketAddr,
    pub(crate) admin: SocketAddr,
    /// The webhook listener, if there is one.
    pub(crate) webhook: Option<SocketAddr>,
    pub(crate) ready_file: PathBuf,
    directory: TempDir,
}

impl Running {
    /// In front of `origin`, with more variables.
    pub(crate) fn before(origin: &str, more: &[(&str, &str)]) -> Self {
        Self::after(origin, more, |program, _| {
            // The program writes the file before the line.
            program.line_that("ready line", |line| {
                line.contains("\"message\":\"ready\"") || line.contains(" ready listen=")
            });
        })
    }

    /// The same at a level of the log that lacks the line of its readiness.
    pub(crate) fn before_ready_file(origin: &str, more: &[(&str, &str)]) -> Self {
        Self::after(origin, more, |_, ready_file| {
            let until = Instant::now() + HANG;
            while !ready_file.exists() {
                assert!(Instant::now() < until, "no {}", ready_file.display());
                thread::yield_now();
            }
        })
    }

    fn after(origin: &str, more: &[(&str, &str)], ready: impl FnOnce(&mut Program, &Path)) -> Self {
        let directory = TempDir::new().unwrap();
        let ready_file = directory.path().join("ready.json");
        let environment = [&environment(origin)[..], more].concat();
        let arguments = ["run", "--ready-file", ready_file.to_str().unwrap()];
        let mut program = Program::start(&arguments, &environment, b"");
        ready(&mut program, &ready_file);
        let ready: serde_json::Value = serde_json::from_str(&fs::read_to_string(&ready_file).unwrap()).unwrap();
        let address = |key: &str| ready[key].as_str().map(|address| address.parse().unwrap());
        Self {
            program,
            listen: address("listen").unwrap(),
            admin: address("admin").unwrap(),
            webhook: address("webhook"),
            ready_file,
            directory,
        }
    }

    /// Drains it and waits for its end.
    pub(crate) fn terminate(self) -> Ended {
        self.program.signal("TERM");
        let Self { program, directory, .. } = self;
        let ended = program.end();
        drop(directory);
        ended
    }
}

/// The environment in which `run` starts in front of `origin` on free ports, and drains without a delay.
pub(crate) fn environment(origin: &str) -> [(&str, &str); 7] {
    [
        ("WONDER_SIGNER_SHUTDOWN__DRAIN_DELAY", "0s"),
        ("WONDER_SIGNER_LISTEN__ADDRESS", "127.0.0.1:0"),
        ("WONDER_SIGNER_ADMIN__ADDRESS", "127.0.0.1:0"),
        ("WONDER_SIGNER_UPSTREAM__ENVIRONMENT", "custom"),
        ("WONDER_SIGNER_UPSTREAM__ORIGIN", origin),
        ("WONDER_SIGNER_CREDENTIALS__DEFAULT__APP_ID", APP_ID),
        ("WONDER_SIGNER_CREDENTIALS__DEFAULT__PRIVATE_KEY", &KEY_PEM),
    ]
}
