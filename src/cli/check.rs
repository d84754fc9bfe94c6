//! `check`: reports what `run` would reject; with `--echo`, also what Wonder would reject.

use std::{io::Write, sync::Arc};

use anyhow::{Context as _, Result, anyhow};

use super::{Failure, Outcome, configuration::ConfigurationArgs, echo, runtime};
use crate::{
    config::{self, Config},
    credentials::{Entry, Permits},
    metrics::Metrics,
    net::{
        tls_server::TlsServer,
        upstream::{Destination, Upstream},
    },
    webhook::RedisConnections,
};

/// Loads configuration and keys as `run` would, and reports what is wrong with them
#[derive(Debug, clap::Args)]
#[command(after_help = format!("A fingerprint is the first 8 digits of:
  {}

With --echo, the exit code is 0 only if Wonder returns the random message of the request. Otherwise it is 1, and the error names
what to check: clock, key, AppID, IP restriction or environment.

Example:
  wonder-signer check --config /etc/wonder-signer/sidecar.toml --echo
  wonder-signer check --print-config", echo::FINGERPRINT))]
pub(super) struct CheckArgs {
    #[command(flatten)]
    configuration: ConfigurationArgs,
    /// Call Wonder's echo with each credential: tests key, AppID, clock, DNS, TLS and egress proxy; changes nothing at Wonder
    #[arg(long)]
    echo: bool,
    /// Print every effective value and its origin; secrets are masked
    #[arg(long)]
    print_config: bool,
}

impl CheckArgs {
    pub(super) fn run(self, out: &mut dyn Write) -> Outcome {
        let config = self.configuration.load()?;
        if self.print_config {
            config::explain(&config, out)?;
        }
        config.require_credential().context("configuration").map_err(Failure::usage)?;
        let permits = Arc::new(Permits::new(1, config.timeouts.sign));
        let read = config.credentials.iter().map(|(name, sources)| Entry::read(name, sources, &permits));
        let entries = read.collect::<Result<Vec<_>, _>>().context("check").map_err(Failure::usage)?;
        let destination = Destination::new(&config.upstream, &config.limits, &config.timeouts);
        let upstream = Upstream::new(&destination, Metrics::new(&[])).context("check").map_err(Failure::usage)?;
        if let Some(tls) = &config.listen.tls {
            TlsServer::load(tls, &Metrics::new(&[])).context("check").map_err(Failure::usage)?;
        }
        if let Some(tls) = &config.webhook.tls {
            TlsServer::load(tls, &Metrics::new(&[])).context("check").map_err(Failure::usage)?;
        }
        if let Some(redis) = &config.webhook.redis {
            RedisConnections::new(redis).context("check").map_err(Failure::usage)?;
        }
        for entry in &entries {
            writeln!(out, "ok: credential {}: AppID {}, {}", entry.name, entry.app_id, entry.verifying_key)?;
        }
        if self.echo {
            runtime::block_on(echo_all(&config, &entries, &upstream, out))??;
        }
        Ok(())
    }
}

/// Calls echo with each credential, also after one has failed.
async fn echo_all(config: &Config, entries: &[Entry], upstream: &Upstream, out: &mut dyn Write) -> Result<()> {
    let origin = &config.upstream.origin;
    let mut failed = Vec::new();
    for entry in entries {
        match echo::echo(&config.upstream, &config.timeouts, entry, upstream).await {
            Ok(line) => writeln!(out, "ok: echo with credential {} at {origin}: {line}", entry.name)?,
            Err(error) => failed.push(format!("echo with credential {} at {origin}: {error:#}", entry.name)),
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(anyhow!("check: {}", failed.join("; and "))) }
}
