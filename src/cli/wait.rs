//! `wait`: returns when the sidecar is ready, for start-up scripts and for images without a shell.

use std::{
    io::{self, Read as _, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use anyhow::anyhow;

use super::{Failure, Outcome, address};
use crate::config::values::duration_of;

/// The pause between two probes.
const PAUSE: Duration = Duration::from_millis(50);
/// The time-out of one probe. A ready sidecar responds much faster.
const PATIENCE: Duration = Duration::from_secs(1);

/// Waits until the sidecar is ready.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The exit code is 0 when the sidecar is ready, 1 if it is not ready in time. With --once the command suits a container health check.

Example:
  wonder-signer wait --admin 127.0.0.1:9090 --timeout 10s"
)]
pub(super) struct WaitArgs {
    /// Admin address of the sidecar; for 0.0.0.0 or [::] the command connects to loopback.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9090", value_parser = address::admin)]
    admin: SocketAddr,
    /// Longest time to wait.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration_of)]
    timeout: Duration,
    /// Probe once, and do not wait.
    #[arg(long, conflicts_with = "timeout")]
    once: bool,
}

impl WaitArgs {
    pub(super) fn run(self, out: &mut dyn Write) -> Outcome {
        let admin = reachable(self.admin);
        let started = Instant::now();
        loop {
            let left = self.timeout.saturating_sub(started.elapsed());
            let patience = if self.once { PATIENCE } else { left.min(PATIENCE) };
            let reason = match ask(admin, "GET /readyz HTTP/1.1", patience) {
                Ok(200) => return Ok(writeln!(out, "ready")?),
                Ok(503) => "starting or draining (status 503)".to_owned(),
                Ok(status) => format!("the response has status {status}; is this the admin address?"),
                Err(silence) => silence.to_string(),
            };
            if self.once {
                return Err(Failure::no(anyhow!("not ready: {admin}: {reason}")));
            }
            let left = self.timeout.saturating_sub(started.elapsed());
            if left.is_zero() {
                let waited = humantime::format_duration(self.timeout);
                return Err(Failure::no(anyhow!("not ready after {waited}: {admin}: {reason}")));
            }
            thread::sleep(PAUSE.min(left));
        }
    }
}

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoAnswer {
    #[error("cannot connect; is the sidecar running? ({0})")]
    Connect(#[source] io::Error),
    #[error("no response ({0})")]
    Silent(#[source] io::Error),
    #[error("the response is not HTTP; is this the admin address?")]
    NotHttp,
}

/// Sends one request, whose first lines are `request`, and returns the status of the response.
///
/// It uses a plain socket, because a client with a pool and a runtime would start slower than the sidecar.
pub(super) fn ask(admin: SocketAddr, request: &str, patience: Duration) -> Result<u16, NoAnswer> {
    // A socket rejects a time-out of zero.
    let patience = patience.max(Duration::from_millis(1));
    let mut stream = TcpStream::connect_timeout(&admin, patience).map_err(NoAnswer::Connect)?;
    let text = format!("{request}\r\nHost: {admin}\r\nConnection: close\r\n\r\n");
    exchange(&mut stream, &text, patience).map_err(NoAnswer::Silent)?.ok_or(NoAnswer::NotHttp)
}

/// The same with the text of the response.
pub(super) fn ask_text(admin: SocketAddr, request: &str, patience: Duration) -> Result<(u16, String), NoAnswer> {
    const LONGEST: u64 = 64 * 1024;
    let patience = patience.max(Duration::from_millis(1));
    let mut stream = TcpStream::connect_timeout(&admin, patience).map_err(NoAnswer::Connect)?;
    let text = format!("{request}\r\nHost: {admin}\r\nConnection: close\r\n\r\n");
    let mut read = || {
        stream.set_write_timeout(Some(patience))?;
        stream.set_read_timeout(Some(patience))?;
        stream.write_all(text.as_bytes())?;
        let mut response = Vec::new();
        (&mut stream).take(LONGEST).read_to_end(&mut response)?;
        io::Result::Ok(response)
    };
    let response = String::from_utf8_lossy(&read().map_err(NoAnswer::Silent)?).into_owned();
    let (head, body) = response.split_once("\r\n\r\n").ok_or(NoAnswer::NotHttp)?;
    let status = head.strip_prefix("HTTP/1.1 ").and_then(|head| head.get(..3)?.parse().ok());
    Ok((status.ok_or(NoAnswer::NotHttp)?, body.to_owned()))
}

fn exchange(stream: &mut TcpStream, request: &str, patience: Duration) -> io::Result<Option<u16>> {
    let started = Instant::now();
    stream.set_write_timeout(Some(patience))?;
    stream.write_all(request.as_bytes())?;
    // `HTTP/1.1 200` is all that the caller needs.
    let mut head = [0; 12];
    let mut filled = 0;
    while filled < head.len() {
        let left = patience.saturating_sub(started.elapsed());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut head[filled..])? {
            0 => break,
            more => filled += more,
        }
    }
    let text = std::str::from_utf8(&head[..filled]).unwrap_or_default();
    Ok(text.strip_prefix("HTTP/1.1 ").or_else(|| text.strip_prefix("HTTP/1.0 ")).and_then(|status| status.parse().ok()))
}

/// The address itself, or loopback instead of an unspecified address, to which no program can connect.
pub(super) fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
