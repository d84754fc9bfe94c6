//! The options of `dev` and `simulate` for webhooks: where they go, their keys, and when failed ones are sent again.

use std::{path::PathBuf, sync::Arc};

use anyhow::{Context as _, anyhow};
use rand::rngs::OsRng;

use super::{Failure, Outcome, input, whole};
use crate::{
    config::values::path_text,
    signing::{AppId, SigningKey},
    simulator::{
        StateFile,
        webhooks::{Callback, RetryCredential, RetryOn, Settings, TimeScale},
    },
};

/// The size of a webhook key that is made here.
const BITS: usize = 2048;

/// The options.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Webhooks")]
pub(super) struct WebhookArgs {
    /// URL that receives the webhooks of all orders; an order's own callback URL also receives those of that order
    #[arg(long, value_name = "URL")]
    webhook_url: Option<Callback>,
    /// Host other than loopback that webhooks may go to, such as shop in a Compose file; may be repeated
    #[arg(long = "webhook-allow", value_name = "HOST")]
    webhook_allow: Vec<String>,
    /// Root certificates (PEM) for https URLs of webhooks, in addition to the built-in ones
    #[arg(long, value_name = "FILE", value_parser = path_text)]
    webhook_ca_file: Option<PathBuf>,
    /// Private key that signs webhooks, as PEM; one for each AppID, in the same order [default: that of the state file, or a new key]
    #[arg(long, value_name = "FILE", value_parser = path_text)]
    webhook_key_file: Vec<PathBuf>,
    /// Write the public key that verifies webhooks to this file, as PEM; one for each AppID, in the same order
    #[arg(long, value_name = "FILE", value_parser = path_text)]
    webhook_public_key_out: Vec<PathBuf>,
    /// Retry failed webhooks this many times faster than Wonder; 3600 shortens an hour to a second
    #[arg(long, value_name = "FACTOR", default_value = "1")]
    time_scale: TimeScale,
    /// Answers that cause a retry: all but 200 in Wonder's newest documents, 5xx in older ones
    #[arg(long, value_enum, default_value_t = On::Not200)]
    webhook_retry_on: On,
    /// Credential of a retry: that of the first attempt or a new one; Wonder does not document which
    #[arg(long, value_enum, default_value_t = Retried::First)]
    webhook_retry_credential: Retried,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum On {
    /// Every answer but 200, and no answer
    #[value(name = "not-200")]
    Not200,
    /// 5xx, and no answer; another 2xx acknowledges, a 4xx is final
    #[value(name = "5xx")]
    ServerError,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Retried {
    /// Time, nonce and signature of the first attempt
    First,
    /// A new time, nonce and signature for each attempt
    Fresh,
}

impl WebhookArgs {
    /// The settings for these AppIDs. Keys are made only if they are needed at once, or a file is to be written, because making one takes
    /// longer than the start.
    pub(super) fn settings(
        &self,
        app_ids: &[AppId],
        needs_keys: bool,
        state: Option<&StateFile>,
    ) -> Result<Settings, Failure> {
        for (option, given) in [
            ("--webhook-key-file", self.webhook_key_file.len()),
            ("--webhook-public-key-out", self.webhook_public_key_out.len()),
        ] {
            if given > 0 && given != app_ids.len() {
                let ids = app_ids.len();
                return Err(Failure::usage(anyhow!(
                    "usage: {option} is given {given} times for {ids} AppIDs; give it once for each, in the same order"
                )));
            }
        }
        let mut keys = Vec::new();
        for (at, app_id) in app_ids.iter().enumerate() {
            let kept = state.map(|state| state.webhook_key(app_id)).transpose().context("start: --state")?.flatten();
            let key = match (self.webhook_key_file.get(at), kept) {
                (Some(path), _) => input::key("--webhook-key-file", path, SigningKey::from_pem)?,
                (None, Some(kept)) => kept,
                (None, None) if self.webhook_public_key_out.is_empty() && !needs_keys => continue,
                (None, None) => {
                    let (key, pem) = SigningKey::generate(&mut OsRng, BITS).context("webhook key")?;
                    let keep = state.map(|state| state.keep_webhook_key(app_id, &pem));
                    keep.transpose().context("start: --state")?;
                    key
                }
            };
            keys.push((app_id.clone(), Arc::new(key)));
        }
        let settings = Settings {
            url: self.webhook_url.clone(),
            allowed_hosts: self.webhook_allow.clone(),
            ca_file: self.webhook_ca_file.clone(),
            keys,
            time_scale: self.time_scale,
            retry_on: match self.webhook_retry_on {
                On::Not200 => RetryOn::Not200,
                On::ServerError => RetryOn::ServerError,
            },
            retry_credential: match self.webhook_retry_credential {
                Retried::First => RetryCredential::First,
                Retried::Fresh => RetryCredential::Fresh,
            },
        };
        match self.webhook_url.as_ref().filter(|url| !settings.allow(url)) {
            Some(url) => Err(not_allowed("--webhook-url", url)),
            None => Ok(settings),
        }
    }

    /// Writes the public keys to the files that are named for them.
    pub(super) fn write_public_keys(&self, settings: &Settings) -> Outcome {
        for (path, (_, key)) in self.webhook_public_key_out.iter().zip(&settings.keys) {
            let pem = key.verifying_key().to_pem().context("webhook key")?;
            whole::write(path, pem.as_bytes())
                .with_context(|| format!("start: --webhook-public-key-out {}", path.display()))?;
        }
        Ok(())
    }
}

/// The error for a URL with a host that no webhook may go to.
pub(super) fn not_allowed(option: &str, url: &Callback) -> Failure {
    let host = url.origin.host();
    Failure::usage(anyhow!("usage: {option}: {host} is not loopback; allow it with --webhook-allow {host}"))
}
