//! The measured sidecar, as a process of its own.

use std::{
    fmt,
    fs::{self, File},
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use super::{Options, key, load, peers, processor, upstream::Upstream};

/// The kind of sidecar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Kind {
    /// The product.
    Signing,
    /// The same source without the signature; exists in this benchmark only.
    Unsigned,
    /// The minimal signing proxy on the same libraries.
    Bare,
    /// One of the [`peers`], like the next two.
    #[value(skip)]
    Node,
    #[value(skip)]
    Go,
    #[value(skip)]
    Nginx,
    /// nginx without signing: the cost of any proxy on this machine.
    #[value(skip)]
    Plain,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Signing => "signing",
            Self::Unsigned => "signing off",
            Self::Bare => "the bare libraries",
            Self::Node => "Node",
            Self::Go => "Go",
            Self::Nginx => "nginx with njs",
            Self::Plain => "nginx, signing off",
        })
    }
}

/// Measurements of an idle sidecar.
#[derive(Debug, Clone, Copy)]
pub struct Idle {
    pub resident: f64,
    pub anonymous: f64,
    pub wake_ups: f64,
}

pub struct Sidecar {
    kind: Kind,
    child: Child,
    address: SocketAddr,
    admin: SocketAddr,
    started: Duration,
}

impl Sidecar {
    /// Starts it and waits for its first answer. All features are on; the info log goes to a file. The upstream verifies two
    /// signatures, so that none can be a repeated one.
    pub fn start(kind: Kind, workers: usize, upstream: &Upstream, options: &Options) -> Self {
        let (address, admin) = (free_address(), free_address());
        let mut command = match kind {
            Kind::Signing => {
                let built = env!("CARGO_BIN_EXE_wonder-signer").into();
                let mut command = Command::new(options.binary.as_ref().unwrap_or(&built));
                command.env_clear().arg("run");
                command
            }
            Kind::Unsigned | Kind::Bare => {
                let mut command = Command::new(std::env::current_exe().unwrap());
                command.env_clear().arg(if kind == Kind::Bare { "--be-bare" } else { "--be-unsigned" });
                command
            }
            Kind::Node | Kind::Go | Kind::Nginx | Kind::Plain => peers::command(kind, address, upstream, options),
        };
        // Not beside the CA's file, whose directory the sidecar watches.
        let logs = upstream.directory().join("logs");
        fs::create_dir_all(&logs).unwrap();
        let log = File::create(logs.join("log")).unwrap();
        command
            .env("TOKIO_WORKER_THREADS", workers.to_string())
            .env("WONDER_SIGNER_LISTEN__ADDRESS", address.to_string())
            .env("WONDER_SIGNER_ADMIN__ADDRESS", admin.to_string())
            .env("WONDER_SIGNER_UPSTREAM__ENVIRONMENT", "custom")
            .env("WONDER_SIGNER_UPSTREAM__ORIGIN", upstream.origin())
            .env("WONDER_SIGNER_UPSTREAM__HTTP_VERSION", "auto")
            .env("WONDER_SIGNER_UPSTREAM__CA_FILE", upstream.ca_file())
            .env("WONDER_SIGNER_UPSTREAM__CA_MODE", "replace")
            .env("WONDER_SIGNER_CREDENTIALS__DEFAULT__APP_ID", key::APP_ID)
            .env("WONDER_SIGNER_CREDENTIALS__DEFAULT__PRIVATE_KEY", key::pem(&options.key))
            .envs(options.set.iter().filter_map(|set| set.split_once('=')))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let began = Instant::now();
        let child = processor::on_the_sidecars(workers, || command.spawn().unwrap());
        upstream.verifies(!matches!(kind, Kind::Unsigned | Kind::Plain));
        let mut sidecar = Self { kind, child, address, admin, started: Duration::ZERO };
        while !sidecar.answers() {
            assert!(began.elapsed() < Duration::from_secs(10), "the sidecar does not answer");
            thread::sleep(Duration::from_micros(200));
        }
        sidecar.started = began.elapsed();
        assert!(sidecar.answers(), "the sidecar does not answer again");
        upstream.verifies(false);
        sidecar
    }

    fn answers(&mut self) -> bool {
        if let Some(status) = self.child.try_wait().unwrap() {
            panic!("the sidecar ended with {status}");
        }
        let Ok(mut stream) = TcpStream::connect(self.address) else { return false };
        stream.write_all(&load::request("POST", 512, true)).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        true
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// From the start of the process to the end of its first answer, the connection upstream included.
    pub fn start_to_first_answer(&self) -> Duration {
        self.started
    }

    /// Measures the idle sidecar for `time`.
    pub fn idle(&self, time: Duration) -> Idle {
        thread::sleep(time / 10);
        let woken = processor::wake_ups(self.child.id());
        thread::sleep(time);
        let woken = processor::wake_ups(self.child.id()) - woken;
        Idle {
            resident: processor::memory(self.child.id(), "VmRSS"),
            anonymous: processor::memory(self.child.id(), "RssAnon"),
            wake_ups: woken as f64 / time.as_secs_f64(),
        }
    }

    /// Processor time so far.
    pub fn cpu(&self) -> Duration {
        processor::used_by(self.child.id())
    }

    /// Largest resident memory since [`forget_peak`](Self::forget_peak), in MiB.
    pub fn peak(&self) -> f64 {
        processor::memory(self.child.id(), "VmHWM")
    }

    pub fn forget_peak(&self) {
        let _ = std::fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5");
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        if matches!(self.kind, Kind::Nginx | Kind::Plain) {
            // A killed nginx would leave its worker process running.
            let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        } else {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

/// A free address. Port 0 would also work, but reading the chosen port takes longer than the start.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
