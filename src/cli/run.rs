//! `run`: the sidecar.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::{Outcome, configuration::ConfigurationArgs, signals};
use crate::{
    app::{Addresses, App},
    telemetry,
};

/// Takes plain requests on loopback, signs them and forwards them to Wonder.
#[derive(Debug, clap::Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    configuration: ConfigurationArgs,
    /// Writes the bound addresses here, as JSON, once ready.
    #[arg(long, value_name = "PATH")]
    ready_file: Option<PathBuf>,
}
