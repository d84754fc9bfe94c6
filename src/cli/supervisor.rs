//! Notifies systemd of the state of the sidecar (`sd_notify(3)`): ready, alive, stopping. Without `NOTIFY_SOCKET` it does nothing.
//!
//! The protocol is one datagram with one word, so no dependency is worth it.

use std::{
    convert::Infallible,
    env, io,
    os::unix::{ffi::OsStrExt as _, net::UnixDatagram},
    time::Duration,
};

/// The supervisor that started the sidecar and expects notifications, if any.
pub(super) struct Supervisor {
    socket: Option<UnixDatagram>,
    watchdog: Option<Duration>,
}

impl Supervisor {
    /// The supervisor that the environment names; none if it names none or cannot be reached.
    pub(super) fn from_environment() -> Self {
        let socket = env::var_os("NOTIFY_SOCKET").filter(|path| !path.is_empty()).and_then(|path| {
            let connected = connect(path.as_bytes());
            connected.inspect_err(|error| tracing::warn!(%error, "cannot reach the supervisor at NOTIFY_SOCKET")).ok()
        });
        let number = |name| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        // Another id means that the watchdog is for a parent of this process.
        let ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|microseconds| ours && *microseconds > 0);
        Self { socket, watchdog: watchdog.map(Duration::from_micros) }
    }

    /// The sidecar accepts requests.
    pub(super) fn ready(&self) {
        self.notify("READY=1");
        // This notification may block. Later ones are sent by worker threads, and requests must not wait for a stuck supervisor.
        let _ = self.socket.as_ref().map(|socket| socket.set_nonblocking(true));
    }

    /// The sidecar drains.
    pub(super) fn stopping(&self) {
        self.notify("STOPPING=1");
    }

    /// Sends the watchdog notification twice per watchdog interval. Never returns.
    pub(super) async fn keep_alive(&self) -> Infallible {
        let Some(patience) = self.watchdog else { return std::future::pending().await };
        loop {
            self.notify("WATCHDOG=1");
            tokio::time::sleep(patience / 2).await;
        }
    }

    fn notify(&self, word: &str) {
        // A supervisor that cannot be notified is no reason to stop.
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

    fn received(socket: &UnixDatagram) -> String {
        let mut word = [0; 64];
        let length = socket.recv(&mut word).unwrap();
        String::from_utf8_lossy(&word[..length]).into_owned()
    }

    #[tokio::test(start_paused = true)]
    async fn notifies_systemd_of_ready_alive_and_stopping() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let systemd = UnixDatagram::bind(&path).unwrap();
        let socket = connect(path.as_os_str().as_bytes()).unwrap();
        let supervisor = Supervisor { socket: Some(socket), watchdog: Some(Duration::from_secs(30)) };
        supervisor.ready();
        assert_eq!(received(&systemd), "READY=1");
        // Three in half a minute: at once, after 15 s, after 30 s.
        let _ = tokio::time::timeout(Duration::from_secs(31), supervisor.keep_alive()).await;
        assert_eq!([received(&systemd), received(&systemd), received(&systemd)], ["WATCHDOG=1"; 3]);
        supervisor.stopping();
        assert_eq!(received(&systemd), "STOPPING=1");
    }

    #[test]
    fn a_stuck_supervisor_does_not_block_the_sidecar() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let systemd = UnixDatagram::bind(&path).unwrap();
        let socket = connect(path.as_os_str().as_bytes()).unwrap();
        let supervisor = Supervisor { socket: Some(socket), watchdog: None };
        supervisor.ready();
        // Far more than the socket's queue holds.
        for _ in 0..100_000 {
            supervisor.stopping();
        }
        assert_eq!(received(&systemd), "READY=1");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn connects_to_a_name_in_the_abstract_namespace() {
        use std::os::{linux::net::SocketAddrExt as _, unix::net::SocketAddr};
        let name = format!("wonder-signer-test-{}", std::process::id());
        let systemd = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        connect(format!("@{name}").as_bytes()).unwrap().send(b"READY=1").unwrap();
        assert_eq!(received(&systemd), "READY=1");
    }
}
