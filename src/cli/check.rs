//! `check`: reports what `run` would reject; with `--echo`, also what Wonder would reject.

use std::{io::Write, sync::Arc};

use anyhow::{Context as _, Result, anyhow};

use super::{Failure, Outcome, configuration::ConfigurationArgs, runtime};
use crate::{
    config::{self, Config},
    credentials::{Entry, Permits, UnitName},
    echo,
    metrics::Metrics,
    net::{
        tls_server::{TlsFiles, TlsServer},
        upstream::{Destination, Upstreams},
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
        let units = config.credentials.iter().flat_map(|(name, credential)| {
            let next = credential.next.iter().map(|next| (UnitName::Next, next));
            let units = std::iter::once((UnitName::Main, &credential.unit)).chain(next);
            units.map(move |(unit, sources)| (name, unit, sources))
        });
        let read = units.clone().map(|(name, unit, sources)| Entry::read(name, unit, sources, &permits));
        let entries = read.collect::<Result<Vec<_>, _>>().context("check").map_err(Failure::usage)?;
        for (entry, (.., sources)) in entries.iter().zip(units) {
            entry.check_webhook_key(sources, &entries).context("check").map_err(Failure::usage)?;
        }
        let destination = Destination::new(&config.upstream, &config.limits, &config.timeouts);
        let origins = config.credentials.iter().map(|(name, credential)| (name.as_str(), &credential.origin));
        let upstreams = Upstreams::new(&destination, origins, &Metrics::new(&[]));
        let upstreams = upstreams.context("check").map_err(Failure::usage)?;
        if let Some(tls) = &config.listen.tls {
            TlsServer::load(TlsFiles::listen(tls), &Metrics::new(&[])).context("check").map_err(Failure::usage)?;
        }
        if let Some(tls) = &config.webhook.tls {
            TlsServer::load(TlsFiles::webhook(tls), &Metrics::new(&[])).context("check").map_err(Failure::usage)?;
        }
        if let Some(redis) = &config.webhook.redis {
            RedisConnections::new(redis).context("check").map_err(Failure::usage)?;
        }
        for entry in &entries {
            writeln!(out, "ok: credential {}: AppID {}, {}", named(entry), entry.app_id, entry.verifying_key)?;
        }
        if self.echo {
            runtime::block_on(echo_all(&config, &entries, &upstreams, out))??;
        }
        Ok(())
    }
}

/// The credential as a person reads it, with the unit that is not the usual one.
fn named(entry: &Entry) -> String {
    match entry.unit {
        UnitName::Main => entry.name.clone(),
        UnitName::Next => format!("{} (next)", entry.name),
    }
}

/// Calls echo with each unit, also after one has failed.
async fn echo_all(config: &Config, entries: &[Entry], upstreams: &Upstreams, out: &mut dyn Write) -> Result<()> {
    let mut failed = Vec::new();
    for entry in entries {
        let credential = config.credentials.get(&entry.name).context("check")?;
        let endpoint = echo::Endpoint {
            environment: credential.environment,
            origin: credential.origin.clone(),
            timeout: config.timeouts.response_head,
        };
        let (name, origin) = (named(entry), &endpoint.origin);
        match echo::echo(&endpoint, entry, upstreams.of(&entry.name)).await {
            Ok(line) => writeln!(out, "ok: echo with credential {name} at {origin}: {line}")?,
            Err(error) => failed.push(format!("echo with credential {name} at {origin}: {error}")),
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(anyhow!("check: {}", failed.join("; and "))) }
}
