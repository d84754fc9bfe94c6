//! `run`: the sidecar.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use super::{Failure, Outcome, configuration::ConfigurationArgs, runtime, signals, traces};
use crate::{
    app::{Addresses, App},
    config::Config,
    telemetry::{self, Telemetry},
};

/// Takes plain requests on loopback, signs them and forwards them to Wonder.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  wonder-signer run --config /etc/wonder-signer/sidecar.toml
  wonder-signer run --environment staging --app-id 1f0e5b52-6c0a-4a55-9a0e-2f6b8d0c7e11 --private-key-file key.pem")]
pub(super) struct RunArgs {
    #[command(flatten)]
    configuration: ConfigurationArgs,
    /// Write the bound addresses here as JSON once ready
    #[arg(long, value_name = "PATH")]
    ready_file: Option<PathBuf>,
}

impl RunArgs {
    pub(super) fn run(self) -> Outcome {
        let config = self.configuration.load()?;
        config.require_credential().context("configuration").map_err(Failure::usage)?;
        let telemetry = telemetry::init(config.log.level, config.log.format).context("log")?;
        Ok(runtime()?.block_on(serve(config, telemetry, self.ready_file.as_deref()))?)
    }
}

async fn serve(config: Config, telemetry: Telemetry, ready_file: Option<&Path>) -> Result<()> {
    let shutdown = signals::shutdown().context("signals")?;
    signals::levels(telemetry).context("signals")?;
    let app = App::start(config).await.context("start")?;
    let (app, traces) = traces::of(app);
    if let Some(path) = ready_file {
        write_ready_file(path, app.addresses()).with_context(|| format!("start: --ready-file {}", path.display()))?;
    }
    let cut = app.run(shutdown).await.cut.len();
    traces.finish().await;
    match cut {
        0 => Ok(()),
        cut => bail!("shutdown: {cut} requests were still in flight after shutdown.grace and were cut"),
    }
}

/// Whole or not at all: whoever waits for the file never reads half of it.
fn write_ready_file(path: &Path, addresses: &Addresses) -> std::io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let unfinished = directory.join(format!(".{name}.{}", std::process::id()));
    let mut file = std::fs::File::create(&unfinished)?;
    let mut ready = serde_json::json!({ "listen": addresses.listen[0].to_string(), "admin": addresses.admin });
    if addresses.listen.len() > 1 {
        ready["listeners"] = addresses.listen.iter().map(ToString::to_string).collect();
    }
    serde_json::to_writer(&mut file, &ready)?;
    file.write_all(b"\n")?;
    std::fs::rename(&unfinished, path)
}
