//! `verify --webhook`: checks whether a captured delivery is what Wonder sent. If not, it finds the change that a proxy or a framework made.

use std::{io::Write, path::PathBuf, time::Duration};

use anyhow::anyhow;
use http::Uri;

use super::{Failure, Outcome, VerifyArgs};
use crate::{
    cli::{
        capture::Capture,
        input,
        target::{Method, Target},
    },
    clock,
    config::values::{duration_of, path_text},
    signing::{
        Credential, KeyError, Nonce, SigningKey, VerifyingKey,
        diagnosis::Claim,
        headers::{Header, Headers},
        webhook::{self, Accepted, Candidate, Delivery, DeliveryError, Explanation},
        window::Window,
    },
};

/// `webhook.tolerance` by default: Wonder retries for 24 hours.
const TOLERANCE: &str = "24h 30m";

/// Headers in which proxies keep the target that they rewrote, the first found wins.
const ORIGINAL_TARGET: [&str; 6] = [
    "X-Original-URI",
    "X-Original-URL",
    "X-Rewrite-URL",
    "X-Forwarded-URI",
    "X-Envoy-Original-Path",
    "X-Waws-Unencoded-URL",
];
/// Headers in which proxies keep the prefix that they stripped.
const ORIGINAL_PREFIX: [&str; 2] = ["X-Forwarded-Prefix", "X-Script-Name"];

/// Options of `--webhook`.
#[derive(Debug, clap::Args)]
pub(super) struct WebhookArgs {
    /// The request is a webhook: --public-key-file is the webhook public key, the method is POST, the tolerance is that of webhooks
    #[arg(long)]
    pub(super) webhook: bool,
    /// The callback URL as Wonder has it, to find a query or path that a proxy changed.
    #[arg(long, value_name = "URL", requires = "webhook", value_parser = callback)]
    callback_url: Option<String>,
    /// Your own request key, private or public; the command reports if it is used as the webhook key.
    #[arg(long, value_name = "FILE", requires = "webhook", value_parser = path_text)]
    request_key_file: Option<PathBuf>,
    /// How old a webhook may be; a retry may carry its first signature.
    #[arg(long, value_name = "DURATION", requires = "webhook", default_value = TOLERANCE, value_parser = duration_of)]
    tolerance: Duration,
}

impl VerifyArgs {
    pub(super) fn run_webhook(&self, out: &mut dyn Write) -> Outcome {
        let own = self.webhook.request_key()?;
        let key = input::key_text("--public-key-file", &self.public_key_file)?;
        let key = webhook::public_key(&key, &own).map_err(|reason| {
            Failure::usage(anyhow!("--public-key-file {}: {reason}", self.public_key_file.display()))
        })?;
        let captured = self.captured()?;
        let headers = self.headers(&captured);
        let target = self.webhook_target(&captured)?;
        let method = self.method.as_ref().or(captured.line.as_ref().map(|line| &line.0));
        let method = method.map_or(webhook::METHOD, Method::as_str);
        let body = self.body(captured.body.clone(), captured.announces_body())?;
        let collected = Headers::collect(headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())));
        let delivery = Delivery { method, target: target.as_bytes(), headers: collected, body: &[&body] };

        // The time is checked separately, so that the signature is checked in any case.
        let sent: Option<Credential> =
            collected.one(Header::Credential).ok().and_then(|credential| credential.parse().ok());
        let now = self.at.unwrap_or_else(clock::request_time);
        let signed_at = sent.as_ref().map_or(now, |credential| credential.request_time);
        let window = Window::webhook(self.webhook.tolerance);
        let anyone = sent.as_ref().map(|credential| &credential.app_id);
        let accepted = self.app_id.as_ref().or(anyone).map(|app_id| Accepted { name: "", app_id, key: &key });
        let verdict = webhook::verify(&delivery, accepted, signed_at, window).map(drop);
        let late = DeliveryError::of_time(window, signed_at, now).err().filter(|_| !self.ignore_time).map(|refusal| {
            let remedy = if self.at.is_some() {
                ""
            } else {
                " (--at sets another time to compare with, --ignore-time skips the check)"
            };
            format!("{refusal}: {}{remedy}", refusal.likely_cause())
        });
        let nonce: Option<Nonce> = collected.one(Header::Nonce).ok().and_then(|nonce| nonce.parse().ok());
        let signature = collected.one(Header::Signature).unwrap_or_default();
        let explained = verdict.err().map(|refusal| match (refusal, &sent, &nonce) {
            (DeliveryError::SignatureMismatch, Some(credential), Some(nonce)) => {
                let claim = Claim { credential, nonce, method, target: &target, body: &body, signature, host: None };
                self.explained(&key, own.as_ref(), &claim, &headers)
            }
            _ => format!("{refusal}; {}", refusal.likely_cause()),
        });
        match (explained, late) {
            (None, None) => Ok(writeln!(out, "signature is valid ({key})")?),
            (None, Some(late)) => Err(Failure::no(anyhow!("signature is valid, but {late}"))),
            (Some(reason), None) => Err(Failure::no(anyhow!("signature is not valid: {reason}"))),
            (Some(reason), Some(late)) => Err(Failure::no(anyhow!("signature is not valid: {reason}; also, {late}"))),
        }
    }

    fn explained(
        &self,
        key: &VerifyingKey,
        own: Option<&VerifyingKey>,
        claim: &Claim<'_>,
        headers: &[(String, String)],
    ) -> String {
        let candidates = self.webhook.candidates(claim.target, headers);
        let explanation = webhook::explain(key, claim, &candidates).unwrap_or(Explanation::Unknown);
        let by_own = |own: &&VerifyingKey| webhook::explain(own, claim, &candidates) != Some(Explanation::AnotherKey);
        match (explanation, own.filter(by_own)) {
            (Explanation::AnotherKey, Some(own)) => format!(
                "your own request key made the signature ({own}), with which Wonder does not sign webhooks: sign your own tests with the webhook \
                 private key, as wonder-signer send-webhook does"
            ),
            (Explanation::AnotherKey, None) => format!("{} (checked with {key})", Explanation::AnotherKey),
            (other, _) => other.to_string(),
        }
    }

    /// The headers of the capture, each replaced by its option where that is given.
    fn headers(&self, captured: &Capture) -> Vec<(String, String)> {
        let options = [("credential", &self.credential), ("nonce", &self.nonce), ("signature", &self.signature)];
        let given = options.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
        let is_given = |name: &str| given.clone().any(|(other, _)| other == name);
        let kept = captured.headers_as_sent().filter(|(name, _)| !is_given(name));
        kept.chain(given.clone()).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    fn webhook_target(&self, captured: &Capture) -> Result<String, Failure> {
        let target = self.target.as_ref().or(captured.line.as_ref().map(|line| &line.1)).map(Target::as_str);
        target.or(self.webhook.callback_url.as_deref()).map(str::to_owned).ok_or_else(|| {
            Failure::usage(anyhow!(
                "usage: --target is missing; give it, a captured request with --request-file, or --callback-url"
            ))
        })
    }
}

impl WebhookArgs {
    fn request_key(&self) -> Result<Option<VerifyingKey>, Failure> {
        let Some(path) = &self.request_key_file else { return Ok(None) };
        let read = |text: &[u8]| match VerifyingKey::read(text) {
            Err(KeyError::PrivateKey) => SigningKey::from_pem(text).map(|key| key.verifying_key().clone()),
            other => other,
        };
        input::key("--request-key-file", path, read).map(Some)
    }

    /// The targets that Wonder may have signed: that of the callback URL, and those that proxies keep in headers.
    fn candidates(&self, target: &str, headers: &[(String, String)]) -> Vec<Candidate> {
        let value = |wanted: &str| {
            let found = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
            found.map(|(_, value)| &value[..]).filter(|value| value.starts_with('/'))
        };
        let callback = self.callback_url.iter().map(|url| ("--callback-url", url.clone()));
        let originals = ORIGINAL_TARGET.into_iter().filter_map(|name| Some((name, value(name)?.to_owned())));
        let prefixed = ORIGINAL_PREFIX.into_iter().filter_map(|name| {
            let prefix = value(name)?.trim_end_matches('/');
            Some((name, format!("{prefix}{target}")))
        });
        let all = callback.chain(originals).chain(prefixed);
        all.map(|(source, target)| Candidate { source, target }).collect()
    }
}

/// Path and query of a URL, or a target by itself.
fn callback(text: &str) -> Result<String, &'static str> {
    const WRONG: &str = "is not a URL such as https://shop.example/hooks/wonder?src=w";
    let uri: Uri = text.parse().map_err(|_| WRONG)?;
    match (uri.scheme_str(), uri.path_and_query()) {
        (Some("http" | "https") | None, Some(target)) if target.as_str().starts_with('/') => Ok(target.to_string()),
        _ => Err(WRONG),
    }
}
