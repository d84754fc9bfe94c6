//! `simulate`: the simulated Wonder alone.

use std::{
    collections::HashSet,
    io::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, anyhow};
use tempfile::NamedTempFile;

use super::{
    Failure, Outcome, address, input, local::LocalArgs, merchant::MerchantArgs, runtime, shell, signals,
    webhooks::WebhookArgs,
};
use crate::{
    config::{Config, Flags, ListenAddress, Made, values::path_text},
    files::{Fingerprint, Subject, Watch},
    signing::{AppId, VerifyingKey},
    simulator::{Apps, Options, Simulator},
    telemetry,
};

/// Runs a strict local simulation of Wonder until it is interrupted.
///
/// It verifies the signature of every request, names the step that failed and its usual cause, and keeps customers,
/// payment tokens and orders in memory or, with --state, in a file. It uses only the sections [listen] and [log] of the configuration.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  wonder-signer keygen --out keys
  wonder-signer simulate --app-id 1f0e5b52-6c0a-4a55-9a0e-2f6b8d0c7e11 \\
      --public-key-file keys/public_key.pem --ca-out simulator-ca.pem

Send signed webhooks to a handler, and shorten an hour between Wonder's retries to a second:
  wonder-signer simulate --app-id 1f0e5b52-6c0a-4a55-9a0e-2f6b8d0c7e11 --public-key-file keys/public_key.pem \\
      --webhook-url http://127.0.0.1:3000/hook --webhook-public-key-out webhook_key.pem --time-scale 3600

Keep customers, orders and webhooks across a restart:
  wonder-signer simulate --app-id 1f0e5b52-6c0a-4a55-9a0e-2f6b8d0c7e11 --public-key-file keys/public_key.pem --state wonder.state

Start each test run with the same customers and orders, and derive the same ids for the same calls:
  wonder-signer simulate --app-id 1f0e5b52-6c0a-4a55-9a0e-2f6b8d0c7e11 --public-key-file keys/public_key.pem \
      --seed seed.json --deterministic my-tests

Serve a program with an unchanged Wonder SDK; /etc/hosts maps gateway-stg.wonder.today to 127.0.0.1:
  wonder-signer simulate --listen 127.0.0.1:443 --tls-name gateway-stg.wonder.today \\
      --app-id 1f0e5b52-6c0a-4a55-9a0e-2f6b8d0c7e11 --public-key-file keys/public_key.pem --ca-out simulator-ca.pem")]
pub(super) struct SimulateArgs {
    /// Address to listen on; the system chooses the port for port 0 [default: 127.0.0.1:4443]
    #[arg(long, value_name = "ADDRESS", value_parser = address::simulator)]
    listen: Option<SocketAddr>,
    /// Serve plain HTTP instead of HTTPS
    #[arg(long)]
    plain: bool,
    /// AppID whose requests are accepted; may be repeated
    #[arg(long, value_name = "UUID", required = true)]
    app_id: Vec<AppId>,
    /// PEM file with the public key that verifies the AppID's signatures; one for each --app-id, in the same order. The
    /// simulator reads a changed file again, so that you can give it a key late
    #[arg(long, value_name = "FILE", required = true, value_parser = path_text)]
    public_key_file: Vec<PathBuf>,
    #[command(flatten)]
    merchant: MerchantArgs,
    #[command(flatten)]
    webhooks: WebhookArgs,
    #[command(flatten)]
    local: LocalArgs,
}

impl SimulateArgs {
    pub(super) fn run(self, out: &mut dyn Write) -> Outcome {
        let (ids, keys) = (self.app_id.len(), self.public_key_file.len());
        if ids != keys {
            return Err(Failure::usage(anyhow!(
                "usage: --app-id is given {ids} times and --public-key-file {keys} times; give each --app-id its --public-key-file"
            )));
        }
        let mut seen = HashSet::new();
        if let Some(twice) = self.app_id.iter().find(|app_id| !seen.insert(*app_id)) {
            return Err(Failure::usage(anyhow!(
                "usage: --app-id {twice} is given twice; give each AppID once, with its key"
            )));
        }
        if self.plain {
            self.local.without_tls()?;
        }
        let flags = Flags { listen: self.listen.map(|address| address.to_string()), ..Flags::default() };
        let made = Made { defaults: vec![("listen.address", "127.0.0.1:4443".to_owned())], ..Made::default() };
        let config = self.local.load(flags, made)?;
        let options = self.options(&config)?;
        let _telemetry = telemetry::init(config.log.level, config.log.format).context("start")?;
        runtime::block_on(self.serve(options, out))?
    }

    fn options(&self, config: &Config) -> Result<Options, Failure> {
        let [ListenAddress::Tcp(listen)] = config.listen.addresses[..] else {
            let source = config.sources.of("listen.address");
            return Err(Failure::usage(anyhow!(
                "configuration: listen.address (from {source}): simulate listens on one IP address; set it with --listen"
            )));
        };
        let state = self.local.state()?;
        let apps = self.app_id.iter().cloned().zip(&self.public_key_file);
        let apps =
            apps.map(|(app_id, file)| Ok((app_id, input::key("--public-key-file", file, VerifyingKey::from_pem)?)));
        Ok(self.merchant.apply(Options {
            listen,
            allow_non_loopback: config.listen.dangerous_allow_non_loopback,
            tls: !self.plain,
            tls_names: self.local.names(),
            apps: apps.collect::<Result<_, Failure>>()?,
            webhooks: self.webhooks.settings(&self.app_id, false, state.as_deref())?,
            state,
            seed: self.local.seed()?,
            deterministic: self.local.deterministic(),
            ..Options::default()
        }))
    }

    async fn serve(&self, options: Options, out: &mut dyn Write) -> Outcome {
        // The handlers come before the ready file, so that no signal that follows it is lost.
        let signals = signals::shutdown().context("signals")?;
        for (app_id, key) in &options.apps {
            tracing::info!(%app_id, key = key.fingerprint(), "AppID may call");
        }
        let webhooks = options.webhooks.clone();
        let simulator = self.local.bind("listen.address", options).await?;
        self.webhooks.write_public_keys(&webhooks)?;
        let _watching = self.watch(&simulator.apps()).start();
        let trusted = Trusted::written(&self.local, &simulator)?;
        self.greet(&simulator, trusted.path(), out)?;
        self.local.write_ready(&serde_json::json!({ "listen": simulator.address() }))?;
        tracing::info!(origin = simulator.origin(), "simulator ready");
        let stopping = async {
            signals.first.await;
            tracing::info!("simulator stopping");
        };
        tokio::select! {
            () = simulator.run(stopping) => {}
            // The simulator moves no money, so the second signal needs no drain.
            () = signals.second => {}
        }
        Ok(())
    }

    /// Has the simulator learn the keys that the files hold later.
    fn watch(&self, apps: &Apps) -> Watch {
        let files = self.app_id.iter().zip(&self.public_key_file);
        Watch::new(files.map(|(app_id, path)| learning(apps.clone(), app_id.clone(), path.clone())).collect())
    }

    /// Prints a command for each AppID that runs a sidecar against this simulator.
    fn greet(&self, simulator: &Simulator, ca_file: Option<&Path>, out: &mut dyn Write) -> anyhow::Result<()> {
        let program = std::env::args_os().next().map(PathBuf::from);
        let program = program.map_or_else(|| "wonder-signer".to_owned(), |path| word(&path));
        let origin = simulator.origin();
        let mut show = || -> std::io::Result<()> {
            writeln!(out, "wonder-signer simulate: a simulated Wonder at {origin}\n\nRun a sidecar that calls it:\n")?;
            for (app_id, public) in self.app_id.iter().zip(&self.public_key_file) {
                write!(out, "  {program} run --environment custom --origin {origin}")?;
                if let Some(path) = ca_file {
                    write!(out, " --ca-file {}", word(path))?;
                }
                // The file that keygen writes. If there is none, a name in capitals marks the place for it.
                let private = public.with_file_name("private_key.pem");
                let private = if private.is_file() { &private } else { Path::new("PRIVATE_KEY.pem") };
                writeln!(out, " \\\n    --app-id {app_id} --private-key-file {}\n", word(private))?;
            }
            writeln!(out, "Ctrl-C stops it.").and_then(|()| out.flush())
        };
        show().context("standard output")
    }
}

fn learning(apps: Apps, app_id: AppId, path: PathBuf) -> Subject {
    let paths = vec![path.clone()];
    let read_at = Fingerprint::of(&paths);
    Subject::new(paths, read_at, move || {
        let (apps, app_id) = (apps.clone(), app_id.clone());
        let key = input::key("--public-key-file", &path, VerifyingKey::from_pem);
        Box::new(move || match key {
            Ok(key) => {
                tracing::info!(%app_id, key = key.fingerprint(), "AppID may call");
                apps.learn(app_id, key);
            }
            Err(failure) => {
                tracing::error!(%app_id, error = %failure.error, "public key cannot be read; the one read before stays in use");
            }
        })
    })
}

/// A path as one word of a shell.
fn word(path: &Path) -> String {
    shell::word(&path.display().to_string())
}

/// The file with the authority's certificate: the one that `--ca-out` names, or a temporary one.
enum Trusted {
    Asked(PathBuf),
    Temporary(NamedTempFile),
    /// Plain HTTP.
    None,
}

impl Trusted {
    fn written(local: &LocalArgs, simulator: &Simulator) -> Result<Self, Failure> {
        if let Some(path) = local.write_ca(simulator)? {
            return Ok(Self::Asked(path.clone()));
        }
        let Some(ca) = simulator.ca_pem() else { return Ok(Self::None) };
        let named = || -> std::io::Result<NamedTempFile> {
            let mut file = tempfile::Builder::new().prefix("simulator-ca-").suffix(".pem").tempfile()?;
            file.write_all(ca.as_bytes())?;
            Ok(file)
        };
        Ok(Self::Temporary(named().context("start: certificate of the simulator")?))
    }

    fn path(&self) -> Option<&Path> {
        match self {
            Self::Asked(path) => Some(path),
            Self::Temporary(file) => Some(file.path()),
            Self::None => None,
        }
    }
}
