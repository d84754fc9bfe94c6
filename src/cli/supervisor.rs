//! Tells systemd how we are (`sd_notify(3)`): ready, alive, stopping. Without a `NOTIFY_SOCKET` it says nothing.
//!
//! One datagram with one word is all there is to it, so it is written here and not a dependency.

use std::{
    convert::Infallible,
    env, io,
    os::unix::{ffi::OsStrExt as _, net::UnixDatagram},
    time::Duration,
};

/// The supervisor that started us, if it wants to be told.
pub(super) struct Supervisor {
    socket: Option<UnixDatagram>,
    watchdog: Option<Duration>,
}

impl Supervisor {
    /// The one that the environment names; none when it names none or cannot be reached.
    pub(super) fn from_environment() -> Self {
        let socket = env::var_os("NOTIFY_SOCKET").filter(|path| !path.is_empty()).and_then(|path| {
            let connected = connect(path.as_bytes());
            connected.inspect_err(|error| tracing::warn!(%error, "cannot reach the supervisor at NOTIFY_SOCKET")).ok()
        });
        let number = |name| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        // Meant for us, not for a program that we were started by.
        let ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|microseconds| ours && *microseconds > 0);
        Self { socket, watchdog: watchdog.map(Duration::from_micros) }
    }

    /// We take requests.
    pub(super) fn ready(&self) {
        self.tell("READY=1");
        // That it must hear. From here on it is the workers who tell it, and requests are not to wait for one that is stuck.
        let _ = self.socket.as_ref().map(|socket| socket.set_nonblocking(true));
    }

    /// We finish what is under way.
    pub(super) fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    /// Says that we are alive, twice in the time after which silence means that we are not. Never ends.
    pub(super) async fn keep_alive(&self) -> Infallible {
        let Some(patience) = self.watchdog else { return std::future::pending().await };
        loop {
            self.tell("WATCHDOG=1");
            tokio::time::sleep(patience / 2).await;
        }
    }

    fn tell(&self, word: &str) {
        // A supervisor that does not listen is no reason to stop.
        let _ = self.socket.as_ref().map(|socket| socket.send(word.as_bytes()));
    }
}

/// A path, or a name in the abstract namespace, which begins with `@`.
fn connect(name: &[u8]) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    match name.strip_prefix(b"@") {
        Some(name) => connect_abstract(&socket, name)?,
        None => socket.connect(std::ffi::OsStr::from_bytes(name))?,
    }
    Ok(socket)
}

#[cfg(target_os = "linux")]
fn connect_abstract(socket: &UnixDatagram, name: &[u8]) -> io::Result<()> {
    use std::os::{linux::net::SocketAddrExt as _, unix::net::SocketAddr};
    socket.connect_addr(&SocketAddr::from_abstract_name(name)?)
}

#[cfg(not(target_os = "linux"))]
fn connect_abstract(_: &UnixDatagram, _: &[u8]) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> String {
        let mut word = [0; 64];
        let length = socket.recv(&mut word).unwrap();
        String::from_utf8_lossy(&word[..length]).into_owned()
    }

    #[tokio::test(start_paused = true)]
    async fn systemd_hears_that_we_are_ready_alive_and_stopping() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let systemd = UnixDatagram::bind(&path).unwrap();
        let socket = connect(path.as_os_str().as_bytes()).unwrap();
        let supervisor = Supervisor { socket: Some(socket), watchdog: Some(Duration::from_secs(30)) };
        supervisor.ready();
        assert_eq!(heard(&systemd), "READY=1");
        // Three in half a minute: at once, after 15 s, after 30 s.
        let _ = tokio::time::timeout(Duration::from_secs(31), supervisor.keep_alive()).await;
        assert_eq!([heard(&systemd), heard(&systemd), heard(&systemd)], ["WATCHDOG=1"; 3]);
        supervisor.stopping();
        assert_eq!(heard(&systemd), "STOPPING=1");
    }

    #[test]
    fn a_supervisor_that_is_stuck_holds_nobody_up() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let systemd = UnixDatagram::bind(&path).unwrap();
        let socket = connect(path.as_os_str().as_bytes()).unwrap();
        let supervisor = Supervisor { socket: Some(socket), watchdog: None };
        supervisor.ready();
        // Far more than wait in its queue.
        for _ in 0..100_000 {
            supervisor.stopping();
        }
        assert_eq!(heard(&systemd), "READY=1");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_name_in_the_abstract_namespace_is_understood() {
        use std::os::{linux::net::SocketAddrExt as _, unix::net::SocketAddr};
        let name = format!("wonder-signer-test-{}", std::process::id());
        let systemd = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        connect(format!("@{name}").as_bytes()).unwrap().send(b"READY=1").unwrap();
        assert_eq!(heard(&systemd), "READY=1");
    }
}
