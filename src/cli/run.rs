//! `run`: the sidecar.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    pin::pin,
};

use anyhow::{Context as _, anyhow};
use futures_util::FutureExt as _;

use super::{
    Failure, Outcome, configuration::ConfigurationArgs, runtime, signals, supervisor::Supervisor, traces, whole,
};
use crate::{
    app::{Addresses, App},
    config::Config,
    config::values::path_text,
    telemetry::{self, Telemetry},
};

/// Accepts plain HTTP requests on loopback, signs them and forwards them to Wonder.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  wonder-signer run --config /etc/wonder-signer/sidecar.toml
  wonder-signer run --environment staging --app-id 1f0e5b52-6c0a-4a55-9a0e-2f6b8d0c7e11 --private-key-file key.pem")]
pub(super) struct RunArgs {
    #[command(flatten)]
    configuration: ConfigurationArgs,
    /// Write the bound addresses to this file as JSON when ready
    #[arg(long, value_name = "PATH", value_parser = path_text)]
    ready_file: Option<PathBuf>,
}

impl RunArgs {
    pub(super) fn run(self) -> Outcome {
        let config = self.configuration.load()?;
        config.require_credential().context("configuration").map_err(Failure::usage)?;
        let telemetry = telemetry::init(config.log.level, config.log.format).context("start")?;
        // On the heap, because the pages of the stack that copies of it touch would stay resident.
        runtime::block_on(Box::pin(serve(config, telemetry, self.ready_file.as_deref())))?
    }
}

async fn serve(config: Config, telemetry: Telemetry, ready_file: Option<&Path>) -> Outcome {
    let signals = signals::shutdown().context("signals")?;
    signals::levels(telemetry).context("signals")?;
    let app = App::start(config).await.map_err(Failure::start)?;
    signals::reload(app.reload()).context("signals")?;
    let (app, traces) = traces::of(app);
    let supervisor = Supervisor::from_environment();
    let (mut ready, addresses) = (pin!(app.ready()), app.addresses().clone());
    let announce = || {
        if let Some(path) = ready_file {
            write_ready_file(path, &addresses).with_context(|| format!("start: --ready-file {}", path.display()))?;
        }
        supervisor.ready();
        anyhow::Ok(())
    };
    let is_ready = ready.as_mut().now_or_never().is_some();
    if is_ready {
        announce()?;
    }
    // Without a key it serves its 503 meanwhile.
    let becomes_ready = async {
        if !is_ready {
            ready.await;
            announce()?;
        }
        std::future::pending().await
    };
    let shutdown = async {
        let stop = signals.first.await;
        supervisor.stopping();
        stop
    };
    let receipt = tokio::select! {
        receipt = app.hurried_by(signals.second).run(shutdown) => receipt,
        failed = becomes_ready => return failed,
        never = supervisor.keep_alive() => match never {},
    };
    traces.finish().await;
    match receipt.cut.len() {
        0 => Ok(()),
        cut => Err(Failure::no(anyhow!(
            "shutdown: {cut} requests were still in flight at the end of shutdown.grace and were cut"
        ))),
    }
}

/// The content of the ready file.
#[derive(serde::Serialize)]
struct Ready<'a> {
    listen: &'a str,
    admin: SocketAddr,
    /// Of the webhook listener, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook: Option<String>,
    /// Every address, if there is more than one.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    listeners: &'a [String],
}

fn write_ready_file(path: &Path, addresses: &Addresses) -> std::io::Result<()> {
    let listeners: Vec<String> = addresses.listen.iter().map(ToString::to_string).collect();
    let ready = Ready {
        listen: listeners.first().map_or("", String::as_str),
        admin: addresses.admin,
        webhook: addresses.webhook.as_ref().map(ToString::to_string),
        listeners: if listeners.len() > 1 { &listeners } else { &[] },
    };
    let mut text = serde_json::to_vec(&ready)?;
    text.push(b'\n');
    whole::write(path, &text)
}
