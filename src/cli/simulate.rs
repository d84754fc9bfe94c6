//! `wonder-signer simulate`: the local stand-in for Wonder, alone.

use std::{fs, io, net::SocketAddr, path::PathBuf};

use anyhow::{Context as _, anyhow};
use tokio::signal::unix::{SignalKind, signal};

use super::{Failure, Outcome, input};
use crate::{
    config::{LogFormat, LogLevel, values::path_text},
    signing::{AppId, VerifyingKey},
    simulator::{Options, Simulator},
    telemetry,
};

/// Runs a strict local stand-in for Wonder, until it is interrupted.
///
/// It verifies the signature of every request, says which step failed and what usually causes it, and keeps customers
/// and payment tokens in memory. It listens on loopback only.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  wonder-signer keygen --out keys
  wonder-signer simulate --app-id 1f0e5b52-6c0a-4a55-9a0e-2f6b8d0c7e11 \\
      --public-key-file keys/public_key.pem --ca-out simulator-ca.pem")]
pub(super) struct SimulateArgs {
    /// Loopback address to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4443", value_parser = loopback)]
    listen: SocketAddr,
    /// Speak plain HTTP instead of TLS.
    #[arg(long)]
    plain: bool,
    /// AppID that may call; may be given more than once.
    #[arg(long, value_name = "UUID", required = true)]
    app_id: Vec<AppId>,
    /// PEM file with the public key that the AppID's signatures are verified with; one for each AppID, in their order.
    #[arg(long, value_name = "FILE", required = true, value_parser = path_text)]
    public_key_file: Vec<PathBuf>,
    /// Write the certificate authority to trust here, as PEM.
    #[arg(long, value_name = "FILE", conflicts_with = "plain", value_parser = path_text)]
    ca_out: Option<PathBuf>,
    /// Write the bound address here once ready, as JSON: {"listen":"127.0.0.1:4443"}.
    #[arg(long, value_name = "FILE", value_parser = path_text)]
    ready_file: Option<PathBuf>,
}

/// Runs until SIGINT or SIGTERM. The caller has set up logging, where the addresses are told.
///
/// # Errors
/// When the key cannot be read, the address not be bound, or a file not be written.
impl SimulateArgs {
    pub(super) fn run(self) -> Outcome {
        let (ids, keys) = (self.app_id.len(), self.public_key_file.len());
        if ids != keys {
            return Err(Failure::usage(anyhow!(
                "usage: {ids} of --app-id and {keys} of --public-key-file; give as many"
            )));
        }
        let _telemetry = telemetry::init(LogLevel::Info, LogFormat::Auto).context("log")?;
        serve(&self)
    }
}

fn serve(args: &SimulateArgs) -> Outcome {
    let apps = args
        .app_id
        .iter()
        .cloned()
        .zip(&args.public_key_file)
        .map(|(app_id, file)| Ok((app_id, input::key("--public-key-file", file, VerifyingKey::from_pem)?)));
    let apps = apps.collect::<Result<Vec<_>, Failure>>()?;
    for (app_id, key) in &apps {
        tracing::info!(%app_id, key = key.fingerprint(), "AppID may call");
    }
    let options = Options { listen: args.listen, tls: !args.plain, apps, ..Options::default() };

    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start the runtime")?;
    runtime.block_on(async {
        // Before anything says that we are ready, so that a signal sent right afterwards is not missed.
        let (mut interrupt, mut terminate) = signal(SignalKind::interrupt())
            .and_then(|interrupt| Ok((interrupt, signal(SignalKind::terminate())?)))
            .context("listen for signals")?;
        let simulator = Simulator::bind(options).await.with_context(|| format!("listen on {}", args.listen))?;
        if let (Some(path), Some(ca)) = (&args.ca_out, simulator.ca_pem()) {
            write_whole(path, ca).with_context(|| format!("certificate file {}", path.display()))?;
        }
        if let Some(path) = &args.ready_file {
            let ready = serde_json::json!({ "listen": simulator.address() }).to_string();
            write_whole(path, &ready).with_context(|| format!("ready file {}", path.display()))?;
        }
        tracing::info!(origin = simulator.origin(), "simulator ready");
        simulator
            .run(async {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                tracing::info!("simulator stopping");
            })
            .await;
        Ok(())
    })
}

/// Writes a file in one step, so that who waits for it never reads half of it.
fn write_whole(path: &std::path::Path, text: &str) -> io::Result<()> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".unfinished");
    fs::write(&unfinished, text)?;
    fs::rename(&unfinished, path)
}

fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|_| "not an address such as 127.0.0.1:4443".to_owned())?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err("not loopback; the simulator listens on 127.0.0.1 or [::1] only".to_owned())
    }
}
