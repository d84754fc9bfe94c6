//! `dev`: simulator and sidecar in one process, to try everything out without configuration.

use std::{io::Write, net::SocketAddr};

use anyhow::{Context as _, Result, bail};
use rand::rngs::OsRng;
use tokio::sync::oneshot;

use super::{Outcome, runtime, signals};
use crate::{
    app::{Addresses, App},
    config::{Config, Flags},
    signing::SigningKey,
    simulator::{Options, Simulator},
    telemetry,
};

/// An AppID for trying out: it means nothing to Wonder.
const APP_ID: &str = "00000000-0000-4000-8000-00000000d0e5";

/// Runs a simulated Wonder and a sidecar before it, with a key made on the spot; needs no configuration
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  wonder-signer dev
  wonder-signer dev --listen 127.0.0.1:0 --admin 127.0.0.1:0")]
pub(super) struct DevArgs {
    /// Address of the signing listener
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Address of the admin listener
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9090")]
    admin: SocketAddr,
    /// Address of the simulated Wonder
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    simulator: SocketAddr,
}

impl DevArgs {
    pub(super) fn run(self, out: &mut dyn Write) -> Outcome {
        Ok(runtime::block_on(serve(&self, out))??)
    }
}

async fn serve(args: &DevArgs, out: &mut dyn Write) -> Result<()> {
    let shutdown = signals::shutdown().context("signals")?;
    let (key, pem) = SigningKey::generate(&mut OsRng, 2048).context("key")?;
    let options = Options {
        listen: args.simulator,
        apps: vec![(APP_ID.parse().context("AppID")?, key.verifying_key().clone())],
        ..Options::default()
    };
    let simulator =
        Simulator::bind(options).await.with_context(|| format!("start: simulator on {}", args.simulator))?;
    let mut trusted = tempfile::NamedTempFile::new().context("start: certificate of the simulator")?;
    trusted
        .write_all(simulator.ca_pem().unwrap_or_default().as_bytes())
        .context("start: certificate of the simulator")?;
    let environment = [
        ("WONDER_SIGNER_UPSTREAM__CA_MODE", "replace"),
        ("WONDER_SIGNER_CREDENTIALS__DEFAULT__PRIVATE_KEY", pem.as_str()),
    ];
    let flags = Flags {
        app_id: Some(APP_ID.to_owned()),
        environment: Some("custom".to_owned()),
        origin: Some(simulator.origin()),
        ca_file: Some(trusted.path().to_owned()),
        listen: Some(args.listen.to_string()),
        admin: Some(args.admin.to_string()),
        ..Flags::default()
    };
    let environment = environment.map(|(name, value)| (name.into(), value.into()));
    let config = Config::load(&[], environment, &flags).context("configuration")?;
    let _telemetry = telemetry::init(config.log.level, config.log.format).context("log")?;
    let app = App::start(config).await.context("start")?;
    drop(trusted);
    greet(app.addresses(), &simulator, out)?;

    // The simulator goes last: requests that are being drained still need it.
    let (drained, simulator_may_stop) = oneshot::channel::<()>();
    let simulator = tokio::spawn(async { simulator.run(async { simulator_may_stop.await.unwrap_or_default() }).await });
    let cut = app.run(shutdown).await.cut.len();
    drop(drained);
    simulator.await.context("simulator")?;
    if cut > 0 {
        bail!("shutdown: {cut} requests were cut")
    }
    Ok(())
}

/// What a newcomer needs to see, and a line to paste.
fn greet(addresses: &Addresses, simulator: &Simulator, out: &mut dyn Write) -> Result<()> {
    let (listen, admin) = (&addresses.listen[0], addresses.admin);
    let origin = simulator.origin();
    writeln!(
        out,
        "\
wonder-signer dev: everything below is on this machine only, with a key made just now

  signing listener   http://{listen}   plain requests go in here
  admin listener     http://{admin}   /livez /readyz /metrics
  simulated Wonder   {origin}   verifies what arrives, over TLS

Create a customer, unsigned; the sidecar signs it:

  curl -sS http://{listen}/svc/payment/api/v1/openapi/customers -H 'Content-Type: application/json' \\
    -d '{{\"customer\":{{\"name\":\"Kestrel Tea Room\",\"phone\":\"55501234\",\"reference_number\":\"KTR-0042\"}}}}'

Ctrl-C ends it."
    )
    .and_then(|()| out.flush())
    .context("standard output")
}
