//! `dev`: simulator and sidecar in one process, which need no configuration.

use std::{io::Write, net::SocketAddr, sync::Arc};

use anyhow::{Context as _, anyhow};
use rand::rngs::OsRng;
use serde_json::json;
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use super::{
    Failure, Outcome, address,
    local::LocalArgs,
    merchant::MerchantArgs,
    runtime, shell, signals, wait,
    webhooks::{self, WebhookArgs},
};
use crate::{
    app::{Addresses, App},
    config::{Application, Config, Flags, ListenAddress, Made, Secret},
    signing::{AppId, SigningKey},
    simulator::{
        Options, Simulator, StateFile,
        webhooks::{Callback, Settings},
    },
    telemetry,
};

/// The AppID of the sidecar and the simulator. Wonder has no such AppID.
pub(super) const APP_ID: &str = "00000000-0000-4000-8000-00000000d0e5";

/// Runs a simulated Wonder and a sidecar that calls it, with a new key; needs no configuration
///
/// Configuration files and environment apply as for run, except [upstream] and [credentials], which dev sets itself.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  wonder-signer dev
  wonder-signer dev --webhook-to http://127.0.0.1:3000/hook
  wonder-signer dev --state wonder.state
  wonder-signer dev --seed seed.json --deterministic my-tests
  wonder-signer dev --listen 127.0.0.1:0 --admin 127.0.0.1:0 --ready-file ready.json

In a container; other services of the same Compose file call http://wonder-signer:8080:
  wonder-signer dev --listen 0.0.0.0:8080 --allow-non-loopback --allowed-host wonder-signer")]
pub(super) struct DevArgs {
    /// Address of the signing listener [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<ListenAddress>,
    /// Address of the admin listener [default: 127.0.0.1:9090]
    #[arg(long, value_name = "ADDRESS", value_parser = address::admin)]
    admin: Option<SocketAddr>,
    /// Address of the simulated Wonder
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0", value_parser = address::simulator)]
    simulator: SocketAddr,
    #[command(flatten)]
    merchant: MerchantArgs,
    /// URL of your webhook handler, on loopback; it receives the webhooks of all orders through the sidecar, which verifies them
    #[arg(long, value_name = "URL", conflicts_with = "webhook_url")]
    webhook_to: Option<Callback>,
    #[command(flatten)]
    webhooks: WebhookArgs,
    #[command(flatten)]
    local: LocalArgs,
}

impl DevArgs {
    pub(super) fn run(self, out: &mut dyn Write) -> Outcome {
        let (key, pem) = SigningKey::generate(&mut OsRng, 2048).context("key")?;
        // Reports a configuration error before anything starts. The simulator's origin is known only after it has started.
        let state = self.local.state()?;
        let webhooks = self.webhook_settings(state.as_deref())?;
        let keys = Keys { pem, webhook: webhook_pem(&webhooks)? };
        let config = self.load(&keys, "https://127.0.0.1:1", "-")?;
        let _telemetry = telemetry::init(config.log.level, config.log.format).context("start")?;
        runtime::block_on(self.serve(&config, &key, &keys, (webhooks, state), out))?
    }

    /// Where webhooks go. Those for `--webhook-to` go through the sidecar's webhook listener, which then needs their key.
    fn webhook_settings(&self, state: Option<&StateFile>) -> Result<Settings, Failure> {
        let app_id: AppId = APP_ID.parse().context("AppID")?;
        let mut settings = self.webhooks.settings(&[app_id], self.webhook_to.is_some(), state)?;
        if let Some(url) = &self.webhook_to {
            if url.origin.scheme_is_tls() {
                return Err(Failure::usage(anyhow!(
                    "usage: --webhook-to: the sidecar forwards webhooks over plain HTTP; write http://, or use --webhook-url"
                )));
            }
            if !settings.allow(url) {
                return Err(webhooks::not_allowed("--webhook-to", url));
            }
            settings.url = Some(url.clone());
        }
        Ok(settings)
    }

    /// The configuration of the sidecar: the layers, with the key and the upstream that this command makes.
    fn load(&self, keys: &Keys, origin: &str, ca_file: &str) -> Result<Config, Failure> {
        let flags = Flags {
            listen: self.listen.as_ref().map(ToString::to_string),
            admin: self.admin.map(|address| address.to_string()),
            ..Flags::default()
        };
        // No load balancer sends requests to a developer's machine, so a drain needs no delay.
        let mut defaults =
            vec![("admin.address", "127.0.0.1:9090".to_owned()), ("shutdown.drain_delay", "0s".to_owned())];
        let application = self.webhook_to.as_ref().map(|url| url.origin.to_string());
        let fixed = vec![
            ("credentials.default.app_id", APP_ID.to_owned()),
            ("upstream.environment", "custom".to_owned()),
            ("upstream.origin", origin.to_owned()),
            ("upstream.ca_file", ca_file.to_owned()),
            ("upstream.ca_mode", "replace".to_owned()),
        ];
        if application.is_none() {
            self.reject_webhook_listener(&defaults, &fixed)?;
        }
        if let (Some(url), Some(application)) = (&self.webhook_to, &application) {
            defaults.extend([
                ("webhook.address", "127.0.0.1:0".to_owned()),
                ("webhook.forward_to", application.clone()),
                ("webhook.dangerous_allow_non_loopback_forward", (!url.origin.is_loopback()).to_string()),
            ]);
        }
        let made = Made {
            defaults,
            fixed,
            private_key: Some(Secret::new(keys.pem.clone())),
            webhook_public_key: keys.webhook.clone().map(|pem| Secret::new(Zeroizing::new(pem))),
        };
        let config = self.local.load(flags, made)?;
        let configured = config.webhook.forward_to.as_ref().map(ToString::to_string);
        if application.is_some() && application != configured {
            let source = config.sources.of("webhook.forward_to");
            return Err(Failure::usage(anyhow!(
                "usage: --webhook-to and webhook.forward_to (from {source}) name two applications; remove one of them"
            )));
        }
        Ok(config)
    }

    /// Rejects a configured webhook listener without `--webhook-to`: this command makes the key of its webhooks, and without that option
    /// the simulator sends none to it. The usual check of the configuration would require the file of a key.
    fn reject_webhook_listener(
        &self,
        defaults: &[(&'static str, String)],
        fixed: &[(&'static str, String)],
    ) -> Outcome {
        let placeholder = || Some(Secret::new(Zeroizing::new("-".to_owned())));
        let application = ("webhook.forward_to", "http://127.0.0.1:9".to_owned());
        let made = Made {
            defaults: defaults.iter().cloned().chain([application]).collect(),
            fixed: fixed.to_vec(),
            private_key: placeholder(),
            webhook_public_key: placeholder(),
        };
        let config = self.local.load(Flags::default(), made)?;
        if config.webhook.address.is_none() {
            return Ok(());
        }
        let source = config.sources.of("webhook.address");
        let example = match config.webhook.forward_to {
            Some(Application::Http(origin)) if origin.port() != 9 => format!("{origin}/hook"),
            _ => "http://127.0.0.1:3000/hook".to_owned(),
        };
        Err(Failure::usage(anyhow!(
            "usage: webhook.address (from {source}) needs --webhook-to with the URL of your handler, such as {example}"
        )))
    }

    async fn serve(
        &self,
        config: &Config,
        key: &SigningKey,
        keys: &Keys,
        (webhooks, state): (Settings, Option<Arc<StateFile>>),
        out: &mut dyn Write,
    ) -> Outcome {
        let signals = signals::shutdown().context("signals")?;
        let options = self.merchant.apply(Options {
            listen: self.simulator,
            allow_non_loopback: config.listen.dangerous_allow_non_loopback,
            tls_names: self.local.names(),
            apps: vec![(APP_ID.parse().context("AppID")?, key.verifying_key().clone())],
            webhooks: webhooks.clone(),
            state,
            seed: self.local.seed()?,
            deterministic: self.local.deterministic(),
            ..Options::default()
        });
        let simulator = self.local.bind("--simulator", options).await?;
        self.webhooks.write_public_keys(&webhooks)?;
        let mut trusted = tempfile::NamedTempFile::new().context("start: certificate of the simulator")?;
        trusted
            .write_all(simulator.ca_pem().unwrap_or_default().as_bytes())
            .context("start: certificate of the simulator")?;
        let config = self.load(keys, &simulator.origin(), &trusted.path().display().to_string())?;
        let app = App::start(config).await.map_err(Failure::start)?;
        let addresses = app.addresses().clone();
        if let (Some(url), Some(ListenAddress::Tcp(listener))) = (&self.webhook_to, &addresses.webhook) {
            let listener = format!("http://{}", wait::reachable(*listener)).parse().context("webhook.address")?;
            simulator.send_webhooks_through(url.origin.clone(), listener);
        }
        self.local.write_ca(&simulator)?;
        greet(&addresses, &simulator, self.webhook_to.as_ref(), out)?;
        let listen = addresses.listen.first().map(ToString::to_string);
        let mut ready = json!({ "listen": listen, "admin": addresses.admin, "simulator": simulator.address() });
        if let Some(webhook) = &addresses.webhook {
            ready["webhook"] = webhook.to_string().into();
        }
        self.local.write_ready(&ready)?;

        // The simulator stops last, because requests that the sidecar drains still need it.
        let (drained, simulator_may_stop) = oneshot::channel::<()>();
        let simulator =
            tokio::spawn(async { simulator.run(async { simulator_may_stop.await.unwrap_or_default() }).await });
        let cut = app.hurried_by(signals.second).run(signals.first).await.cut.len();
        drop(drained);
        // Kept until now, because the sidecar watches it.
        drop(trusted);
        simulator.await.context("simulator")?;
        match cut {
            0 => Ok(()),
            cut => Err(Failure::no(anyhow!("shutdown: {cut} requests were still in flight at its end and were cut"))),
        }
    }
}

/// The keys that this command makes, as PEM.
struct Keys {
    /// The private key that signs requests.
    pem: Zeroizing<String>,
    /// The public key that verifies webhooks, if the sidecar does.
    webhook: Option<String>,
}

fn webhook_pem(settings: &Settings) -> anyhow::Result<Option<String>> {
    settings.keys.first().map(|(_, key)| key.verifying_key().to_pem()).transpose().context("webhook key")
}

/// Prints the addresses and a command to paste.
fn greet(
    addresses: &Addresses,
    simulator: &Simulator,
    webhook_to: Option<&Callback>,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let origin = simulator.origin();
    // A program cannot connect to an unspecified address.
    let url = |address: SocketAddr| format!("http://{}", wait::reachable(address));
    let (listen, curl) = match &addresses.listen[0] {
        ListenAddress::Tcp(address) => (url(*address), format!("curl -sS {}", url(*address))),
        ListenAddress::Unix(path) => {
            let path = path.display().to_string();
            (format!("unix:{path}"), format!("curl -sS --unix-socket {} http://localhost", shell::word(&path)))
        }
    };
    let admin = url(addresses.admin);
    let reach = reach(addresses, simulator.address());
    let webhooks = match (webhook_to, &addresses.webhook) {
        (Some(to), Some(listener)) => {
            format!("\n  webhook listener   {listener}   forwards verified webhooks to {to}")
        }
        _ => String::new(),
    };
    let order = match webhook_to {
        Some(_) => format!(
            "\
Create an order, and pay it on the page at its payment_link. Your handler receives order.created and order.paid:

  {curl}/svc/payment/api/v1/openapi/orders'?with_payment_link=true' -H 'Content-Type: application/json' \\
    -d '{{\"order\":{{\"reference_number\":\"INV-7781\",\"charge_fee\":\"120.00\",\"currency\":\"HKD\"}}}}'

"
        ),
        None => String::new(),
    };
    // The simulator serves its pages over plain HTTP too. A browser would warn of its certificate.
    let pages = origin.replacen("https://", "http://", 1);
    writeln!(
        out,
        "\
wonder-signer dev: {reach}; the key is new

  signing listener   {listen}   accepts plain requests
  admin listener     {admin}   /livez /readyz /metrics
  simulated Wonder   {origin}   verifies each request, over TLS
  console            {pages}/console   shows each request, and why a signature is wrong{webhooks}

{order}Create a customer. The sidecar signs this request:

  {curl}/svc/payment/api/v1/openapi/customers -H 'Content-Type: application/json' \\
    -d '{{\"customer\":{{\"name\":\"Kestrel Tea Room\",\"phone\":\"55501234\",\"reference_number\":\"KTR-0042\"}}}}'

Ctrl-C stops both."
    )
    .and_then(|()| out.flush())
    .context("standard output")
}

/// Which listeners other machines can reach.
fn reach(addresses: &Addresses, simulator: SocketAddr) -> String {
    let listeners = [
        ("the signing listener", addresses.listen.iter().all(ListenAddress::is_local)),
        ("the admin listener", ListenAddress::Tcp(addresses.admin).is_local()),
        ("the simulated Wonder", ListenAddress::Tcp(simulator).is_local()),
    ];
    let open: Vec<&str> = listeners.into_iter().filter(|(_, is_local)| !is_local).map(|(name, _)| name).collect();
    if open.is_empty() {
        "only this machine can reach the listeners below".to_owned()
    } else {
        format!("other machines can reach {}", open.join(" and "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_listeners_that_other_machines_reach() {
        let reach = |listen: &str, admin: &str, simulator: &str| {
            let addresses =
                Addresses { listen: vec![listen.parse().unwrap()], admin: admin.parse().unwrap(), webhook: None };
            reach(&addresses, simulator.parse().unwrap())
        };
        let local = "127.0.0.1:1";
        for listen in [local, "unix:/run/signer.sock", "[::1]:1", "127.0.0.2:1"] {
            assert_eq!(reach(listen, local, local), "only this machine can reach the listeners below");
        }
        assert_eq!(reach(local, "0.0.0.0:1", local), "other machines can reach the admin listener");
        assert_eq!(
            reach("[::]:1", "192.0.2.1:1", "0.0.0.0:1"),
            "other machines can reach the signing listener and the admin listener and the simulated Wonder"
        );
    }
}
