//! `send-webhook`: sends a handler one signed webhook, or a deliberately forged one. `--probe` sends a series that finds the faults of a handler.
//!
//! It belongs to the feature `simulator`, because it acts as Wonder, as `simulate` does: the sidecar of a production pod cannot sign
//! webhooks. `verify --webhook`, which explains a received webhook, is in every build.

use std::{io::Write, path::PathBuf, sync::Arc};

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use http::HeaderMap;
use rand::rngs::OsRng;

use super::{Failure, Outcome, input, runtime};
use crate::{
    clock,
    config::values::path_text,
    signing::{AppId, SigningKey},
    simulator::webhooks::{
        Callback, Client, Settings,
        probe::{self, Finding, Line, Sender, Tamper, order},
    },
};

/// The size of a generated key, in bits.
const BITS: usize = 2048;
/// An answer's body is printed up to this many characters.
const SHOWN: usize = 2000;

/// Sends a signed webhook, or a forged one, to a URL and prints the answer.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Without --key, the command signs with a new key, and a handler that verifies signatures rejects the webhook. Without --body-file, \
the body is an order in the state of the action.

The exit code is 0 if the endpoint answers 2xx to a valid webhook, or another status to one that --tamper forged. It is 1 if the
endpoint answers otherwise or does not answer.

Example:
  wonder-signer send-webhook --to http://127.0.0.1:3000/hook --action order.paid --key webhook_private_key.pem
  wonder-signer send-webhook --to http://127.0.0.1:3000/hook --action order.paid --key webhook_private_key.pem --tamper body
  wonder-signer send-webhook --to http://127.0.0.1:3000/hook --key webhook_private_key.pem --reference-number INV-7781 --probe

To a handler in the same Compose file:
  wonder-signer send-webhook --to http://shop:3000/hook --allow-host shop --action order.created"
)]
pub(super) struct SendWebhookArgs {
    /// URL of the handler, http or https
    #[arg(long, value_name = "URL")]
    to: Callback,
    /// Value of X-Action
    #[arg(long, default_value = "order.paid", value_parser = action)]
    action: String,
    /// File with the exact body, or - for standard input [default: an order]
    #[arg(long, value_name = "FILE", value_parser = path_text)]
    body_file: Option<PathBuf>,
    /// Reference number of the order that is sent without --body-file
    #[arg(long, value_name = "TEXT", default_value = "INV-7781", conflicts_with = "body_file")]
    reference_number: String,
    /// Webhook private key, as PEM [default: a new key]
    #[arg(long, value_name = "FILE", value_parser = path_text)]
    key: Option<PathBuf>,
    /// AppID in the Credential header
    #[arg(long, value_name = "UUID", default_value = super::dev::APP_ID)]
    app_id: AppId,
    /// What to change after the webhook is signed
    #[arg(long, value_enum, conflicts_with = "probe")]
    tamper: Option<Tamper>,
    /// Send a series of valid, forged and repeated webhooks and report each fault of the handler
    #[arg(long)]
    probe: bool,
    /// Host other than loopback that --to may name; may be repeated
    #[arg(long = "allow-host", value_name = "HOST")]
    allowed_hosts: Vec<String>,
    /// Root certificates (PEM) for an https URL, in addition to the built-in ones
    #[arg(long, value_name = "FILE", value_parser = path_text)]
    ca_file: Option<PathBuf>,
}

impl SendWebhookArgs {
    pub(super) fn run(self, out: &mut dyn Write) -> Outcome {
        let allowed = Settings { allowed_hosts: self.allowed_hosts.clone(), ..Settings::default() };
        if !allowed.allow(&self.to) {
            let host = self.to.origin.host();
            return Err(Failure::usage(anyhow!(
                "usage: --to: {host} is not loopback; allow it with --allow-host {host}"
            )));
        }
        let key = match &self.key {
            Some(path) => input::key("--key", path, SigningKey::from_pem)?,
            None => SigningKey::generate(&mut OsRng, BITS).context("send-webhook: key")?.0,
        };
        let body = match &self.body_file {
            Some(path) => Bytes::from(input::whole("--body-file", path)?),
            None => order::body(&self.action, &self.reference_number),
        };
        let sender = Sender {
            via: self.to.clone(),
            to: self.to,
            app_id: self.app_id,
            key: Arc::new(key),
            client: Client::new(self.ca_file),
            clock: Arc::new(clock::request_time),
        };
        runtime::block_on(async {
            if self.probe {
                probe(&sender, &self.action, &body, out).await
            } else {
                send(&sender, &self.action, body, self.tamper, out).await
            }
        })?
    }
}

/// Sends one webhook and prints it with its answer.
async fn send(sender: &Sender, action: &str, body: Bytes, tamper: Option<Tamper>, out: &mut dyn Write) -> Outcome {
    let webhook = match tamper {
        Some(tamper) => sender.forged(action, &body, tamper)?,
        None => sender.signed(action, &body)?,
    };
    writeln!(out, "POST {} HTTP/1.1\nHost: {}", sender.to.target, sender.to.origin.authority())?;
    show(out, &webhook.headers, &webhook.body)?;
    writeln!(out)?;
    let reply =
        sender.send(&webhook).await.map_err(|error| Failure::no(anyhow!("send-webhook: {}: {error}", sender.to)))?;
    writeln!(out, "{} in {} ms", reply.status, reply.took.as_millis())?;
    show(out, &reply.headers, &reply.body)?;
    match (tamper, reply.status.is_success()) {
        (None, true) | (Some(_), false) => Ok(()),
        (None, false) => Err(Failure::no(anyhow!(
            "send-webhook: your endpoint rejected a valid webhook (HTTP {})",
            reply.status.as_u16()
        ))),
        (Some(tamper), true) => Err(Failure::no(anyhow!(
            "send-webhook: your endpoint accepted a forged webhook ({tamper}; HTTP {})",
            reply.status.as_u16()
        ))),
    }
}

/// Prints headers and body as on the wire, with control characters replaced, because a terminal might execute them.
fn show(out: &mut dyn Write, headers: &HeaderMap, body: &[u8]) -> std::io::Result<()> {
    for (name, value) in headers {
        writeln!(out, "{name}: {}", printable(&String::from_utf8_lossy(value.as_bytes())))?;
    }
    let text = String::from_utf8_lossy(body);
    let shown: String = text.chars().take(SHOWN).collect();
    let rest = if text.chars().nth(SHOWN).is_some() { "…" } else { "" };
    if shown.is_empty() { Ok(()) } else { writeln!(out, "\n{}{rest}", printable(&shown)) }
}

fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c }).collect()
}

/// Sends the series of `--probe`, and prints a line for each webhook.
async fn probe(sender: &Sender, action: &str, body: &Bytes, out: &mut dyn Write) -> Outcome {
    if order::refunded(body).is_none() {
        return Err(Failure::usage(anyhow!(
            "usage: --probe needs the JSON of an order in --body-file; it changes the order to a refunded one"
        )));
    }
    let mut mistakes = 0;
    probe::run(sender, action, body, |Line { what, answer, finding }| {
        let finding = match finding {
            Finding::Right(why) => format!("ok:    {why}"),
            Finding::Note(note) => format!("note:  {note}"),
            Finding::Wrong(wrong) => {
                mistakes += 1;
                format!("WRONG: {wrong}")
            }
        };
        writeln!(out, "{what:<52} {answer:<9} {finding}")?;
        Ok::<_, Failure>(out.flush()?)
    })
    .await?;
    match mistakes {
        0 => Ok(writeln!(out, "\nthe answers show no fault in your endpoint")?),
        1 => Err(Failure::no(anyhow!("probe: your endpoint failed 1 check"))),
        mistakes => Err(Failure::no(anyhow!("probe: your endpoint failed {mistakes} checks"))),
    }
}

/// A name such as `order.paid`.
fn action(text: &str) -> Result<String, &'static str> {
    let is_name = !text.is_empty() && text.len() <= 128 && text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_name { Ok(text.to_owned()) } else { Err("must be a name such as order.paid, without spaces") }
}
