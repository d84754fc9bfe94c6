//! The options that `dev` and `simulate` share: configuration, reachable addresses, and files that other programs wait for.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, anyhow};
use rustls::pki_types::ServerName;
use serde::Serialize;

use super::{Failure, Outcome, input, process, whole};
use crate::{
    app::bind_reason,
    config::{Config, Flags, Made, values::path_text},
    simulator::{BindError, Options, Seed, Simulator, StateError, StateFile},
};

/// The shared options.
#[derive(Debug, clap::Args)]
pub(super) struct LocalArgs {
    /// Configuration file (TOML); may be repeated, later files override earlier ones
    #[arg(long = "config", value_name = "FILE", value_parser = path_text)]
    files: Vec<PathBuf>,
    /// Host name by which containers and other machines call this one, such as host.docker.internal; may be repeated
    #[arg(long = "allowed-host", value_name = "NAME", value_parser = name)]
    allowed_hosts: Vec<String>,
    /// Allow addresses that other machines and containers can reach, such as 0.0.0.0
    #[arg(long)]
    allow_non_loopback: bool,
    /// Additional host name in the simulator's certificate, such as gateway-stg.wonder.today with an entry in /etc/hosts;
    /// may be repeated
    #[arg(long = "tls-name", value_name = "NAME", value_parser = name)]
    tls_names: Vec<String>,
    /// Write the certificate of the simulator's authority to this file, as PEM
    #[arg(long, value_name = "FILE", value_parser = path_text)]
    ca_out: Option<PathBuf>,
    /// File that keeps customers, tokens, orders, transactions and webhooks across a restart; created if missing
    #[arg(long, value_name = "FILE", value_parser = path_text)]
    state: Option<PathBuf>,
    /// JSON file with the customers, payment tokens and orders at the start and after a reset; see deploy/docs/simulator.md
    #[arg(long, value_name = "FILE", value_parser = path_text)]
    seed: Option<PathBuf>,
    /// Text from which uuids, order numbers, times of orders and nonces of webhooks are derived: the same calls get the same
    #[arg(long, value_name = "SEED")]
    deterministic: Option<String>,
    /// Write the bound addresses to this file as JSON when ready
    #[arg(long, value_name = "FILE", value_parser = path_text)]
    ready_file: Option<PathBuf>,
}

impl LocalArgs {
    /// Reads every layer, as `run` does. `flags` are the command's own options.
    pub(super) fn load(&self, flags: Flags, made: Made) -> Result<Config, Failure> {
        let flags =
            Flags { allowed_hosts: self.allowed_hosts.clone(), allow_non_loopback: self.allow_non_loopback, ..flags };
        let config = Config::load_with(&self.files, std::env::vars_os(), &flags, made)
            .context("configuration")
            .map_err(Failure::usage)?;
        process::obey(config.process);
        Ok(config)
    }

    /// The names in the simulator's certificate, in addition to the loopback names.
    pub(super) fn names(&self) -> Vec<String> {
        self.tls_names.iter().chain(&self.allowed_hosts).cloned().collect()
    }

    /// Rejects options that need TLS.
    pub(super) fn without_tls(&self) -> Outcome {
        let given = [("--ca-out", self.ca_out.is_some()), ("--tls-name", !self.tls_names.is_empty())];
        match given.into_iter().find(|(_, given)| *given) {
            Some((option, _)) => {
                Err(Failure::usage(anyhow!("usage: {option} needs TLS; leave out --plain, or {option}")))
            }
            None => Ok(()),
        }
    }

    /// Binds the simulator. `option` is the origin of its address, for the error.
    pub(super) async fn bind(&self, option: &str, options: Options) -> Result<Simulator, Failure> {
        let listen = options.listen;
        let bound = Simulator::bind(options).await;
        bound.map_err(|error| match error {
            BindError::Address(error) => {
                let text = anyhow!("start: {option} {listen}: {}", bind_reason(&listen.to_string(), &error));
                if error.kind() == ErrorKind::InvalidInput { Failure::usage(text) } else { Failure::no(text) }
            }
            BindError::State(error) => self.state_failure(&error),
            BindError::Seed(error) => {
                let path = self.seed.as_deref().unwrap_or(Path::new("")).display();
                Failure::usage(anyhow!("start: --seed {path}: {error}"))
            }
        })
    }

    /// The seed of `--seed`, if given.
    pub(super) fn seed(&self) -> Result<Option<Seed>, Failure> {
        self.seed.as_deref().map(|path| input::reading("--seed", path, Seed::read)).transpose()
    }

    /// The seed of `--deterministic`, if given.
    pub(super) fn deterministic(&self) -> Option<String> {
        self.deterministic.clone()
    }

    /// Opens the file of `--state`, if given.
    pub(super) fn state(&self) -> Result<Option<Arc<StateFile>>, Failure> {
        let Some(path) = &self.state else { return Ok(None) };
        StateFile::open(path).map(Arc::new).map(Some).map_err(|error| self.state_failure(&error))
    }

    fn state_failure(&self, error: &StateError) -> Failure {
        let path = self.state.as_deref().unwrap_or(Path::new("")).display();
        let text = anyhow!("start: --state {path}: {error}");
        match error {
            StateError::Io(_) | StateError::InUse => Failure::no(text),
            _ => Failure::usage(text),
        }
    }

    /// Writes the authority's certificate to the file of `--ca-out`, if given, and returns the path.
    pub(super) fn write_ca(&self, simulator: &Simulator) -> Result<Option<&PathBuf>, Failure> {
        if let (Some(path), Some(ca)) = (&self.ca_out, simulator.ca_pem()) {
            whole::write(path, ca.as_bytes()).with_context(|| format!("start: --ca-out {}", path.display()))?;
        }
        Ok(self.ca_out.as_ref())
    }

    /// Writes the bound addresses to the file of `--ready-file`, if given.
    pub(super) fn write_ready(&self, ready: &impl Serialize) -> Outcome {
        let Some(path) = &self.ready_file else { return Ok(()) };
        let mut text = serde_json::to_vec(ready)?;
        text.push(b'\n');
        Ok(whole::write(path, &text).with_context(|| format!("start: --ready-file {}", path.display()))?)
    }
}

/// A name or address that a certificate can have.
fn name(text: &str) -> Result<String, &'static str> {
    match ServerName::try_from(text) {
        Ok(_) => Ok(text.to_ascii_lowercase()),
        Err(_) => Err("not a host name; write for example gateway-stg.wonder.today, without scheme and port"),
    }
}
