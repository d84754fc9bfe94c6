//! The command-line options of the configuration. They override files and environment.

use std::{convert::Infallible, path::PathBuf};

use anyhow::Context as _;

use super::{Failure, process};
use crate::config::{Config, Flags, values::path_text};

/// The configuration files and options of a command.
#[derive(Debug, clap::Args)]
pub(super) struct ConfigurationArgs {
    /// Configuration file (TOML); may be repeated, later files override earlier ones
    #[arg(long = "config", value_name = "FILE", value_parser = path_text)]
    files: Vec<PathBuf>,
    /// AppID of credentials.default, a UUID
    #[arg(long, value_name = "ID")]
    app_id: Option<String>,
    /// Private key of credentials.default, a PEM file
    #[arg(long, value_name = "FILE", value_parser = unchecked)]
    private_key_file: Option<PathBuf>,
    /// Wonder environment: staging, production or custom
    #[arg(long, value_name = "NAME")]
    environment: Option<String>,
    /// Origin that receives the requests, with --environment custom
    #[arg(long, value_name = "URL")]
    origin: Option<String>,
    /// Additional root certificates for the origin, a PEM file
    #[arg(long, value_name = "FILE", value_parser = unchecked)]
    ca_file: Option<PathBuf>,
    /// Address of the signing listener
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Address of the admin listener
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<String>,
    /// Host name that callers may use in addition to the loopback names; may be repeated
    #[arg(long = "allowed-host", value_name = "NAME")]
    allowed_hosts: Vec<String>,
    /// Allow a signing listener on an address other than loopback: every program that reaches it can have requests signed
    #[arg(long)]
    allow_non_loopback: bool,
}

impl ConfigurationArgs {
    /// Reads every layer, and applies the settings of `[process]`.
    pub(super) fn load(&self) -> Result<Config, Failure> {
        let flags = Flags {
            app_id: self.app_id.clone(),
            private_key_file: self.private_key_file.clone(),
            environment: self.environment.clone(),
            origin: self.origin.clone(),
            ca_file: self.ca_file.clone(),
            listen: self.listen.clone(),
            admin: self.admin.clone(),
            allowed_hosts: self.allowed_hosts.clone(),
            allow_non_loopback: self.allow_non_loopback,
        };
        let config =
            Config::load(&self.files, std::env::vars_os(), &flags).context("configuration").map_err(Failure::usage)?;
        process::obey(config.process);
        Ok(config)
    }
}

/// Accepts any text. The configuration checks the value when it reads the key, by the same rules for every layer.
#[expect(clippy::unnecessary_wraps, reason = "the form of a parser")]
fn unchecked(text: &str) -> Result<PathBuf, Infallible> {
    Ok(text.into())
}
