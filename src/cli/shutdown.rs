//! `shutdown`: makes the sidecar of the same pod drain and exit, for the last line of a Job.

use std::{io::Write, net::SocketAddr, time::Duration};

use anyhow::anyhow;

use super::{Failure, Outcome, address, wait};
use crate::{admin::shutdown::HEADER, config::values::duration_of};

/// Makes the sidecar drain and exit, if it allows that with admin.shutdown = true.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The exit code is 0 if the sidecar begins to drain, otherwise 1. The command does not wait for the end of the drain.

Example:
  wonder-signer shutdown --admin 127.0.0.1:9090"
)]
pub(super) struct ShutdownArgs {
    /// Admin address of the sidecar; for 0.0.0.0 or [::] the command connects to loopback.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9090", value_parser = address::admin)]
    admin: SocketAddr,
    /// Longest time to wait for the response.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration_of)]
    timeout: Duration,
}

impl ShutdownArgs {
    pub(super) fn run(self, out: &mut dyn Write) -> Outcome {
        let admin = wait::reachable(self.admin);
        let refused = |reason: String| Failure::no(anyhow!("not shut down: {admin}: {reason}"));
        let request = format!("POST /shutdown HTTP/1.1\r\n{HEADER}: yes\r\nContent-Length: 0");
        match wait::ask(admin, &request, self.timeout).map_err(|reason| refused(reason.to_string()))? {
            202 => Ok(writeln!(out, "draining")?),
            404 | 405 => Err(refused(self.why_not(admin))),
            403 => Err(refused("the sidecar accepts this from loopback only".to_owned())),
            status => Err(refused(format!("unexpected status {status}; is this the admin address?"))),
        }
    }

    /// Why there is no such page. Only the admin listener serves `/livez`, so its response tells the two reasons apart.
    fn why_not(&self, admin: SocketAddr) -> String {
        match wait::ask(admin, "GET /livez HTTP/1.1", self.timeout) {
            Ok(200) => "the sidecar does not allow this; set admin.shutdown = true".to_owned(),
            _ => {
                "this is not the admin listener; set --admin to its address (admin.address, 127.0.0.1:9090 by default)"
                    .to_owned()
            }
        }
    }
}
