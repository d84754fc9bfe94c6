//! `rotate`: makes the sidecar prove the next unit of a credential at Wonder and sign with it.

use std::{io::Write, net::SocketAddr, time::Duration};

use anyhow::anyhow;

use super::{Failure, Outcome, address, wait};
use crate::{admin::rotate::HEADER, config::values::duration_of};

/// Makes the sidecar prove the next unit of a credential at Wonder and sign with it; needs admin.rotate = true
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The sidecar signs Wonder's echo call, which changes nothing, with [credentials.NAME.next]. If Wonder accepts it, the
sidecar signs with that unit from then on. Exits 0 when it does, 1 when not.

Example:
  wonder-signer rotate --credential default --admin 127.0.0.1:9090"
)]
pub(super) struct RotateArgs {
    /// The credential's name in the configuration
    #[arg(long, value_name = "NAME", default_value = "default")]
    credential: String,
    /// Admin address of the sidecar; for 0.0.0.0 or [::] the command connects to loopback
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9090", value_parser = address::admin)]
    admin: SocketAddr,
    /// How long to wait for the proof
    #[arg(long, value_name = "DURATION", default_value = "35s", value_parser = duration_of)]
    timeout: Duration,
}

impl RotateArgs {
    pub(super) fn run(self, out: &mut dyn Write) -> Outcome {
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-';
        if self.credential.is_empty() || !self.credential.bytes().all(is_name) {
            return Err(Failure::usage(anyhow!(
                "--credential: a credential's name is 1 to 64 of a-z, 0-9, \"_\" and \"-\""
            )));
        }
        let admin = wait::reachable(self.admin);
        let refused = |reason: String| Failure::no(anyhow!("not rotated: {admin}: {reason}"));
        let request = format!("POST /rotate/{} HTTP/1.1\r\n{HEADER}: yes\r\nContent-Length: 0", self.credential);
        let (status, text) =
            wait::ask_text(admin, &request, self.timeout).map_err(|reason| refused(reason.to_string()))?;
        let text = text.trim_end().to_owned();
        match status {
            200 => Ok(writeln!(out, "{text}")?),
            403 | 409 | 503 => Err(refused(text)),
            404 if text.starts_with("there is no such credential") => Err(refused(text)),
            404 | 405 => Err(refused("the sidecar does not allow this; set admin.rotate = true".to_owned())),
            status => Err(refused(format!("the response has status {status}; is this the admin address?"))),
        }
    }
}
