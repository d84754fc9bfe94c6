//! `verify`: checks a signature and, if it is wrong, names the mistake that explains it.

mod webhook;

use std::{io::Write, path::PathBuf};

use anyhow::{Context as _, anyhow};

use self::webhook::WebhookArgs;
use super::{
    Failure, Outcome,
    capture::Capture,
    input,
    target::{Method, Target},
};
use crate::clock;
use crate::config::values::path_text;
use crate::signing::{
    AppId, Credential, Nonce, RequestTime, Stamp, VerifyingKey,
    diagnosis::{Claim, Clock, Mistake, diagnose},
    is_ambiguous, verify,
};

/// Checks a signature and, if it is wrong, names the likely cause.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The request comes from options, from a file with header lines, or from a file with the whole request as it was \
sent. An option overrides a file.

With --webhook, the request is one that Wonder sent and the key is the webhook public key. The command then searches for changes that a
proxy or a framework made to target and body.

The exit code is 0 if signature, request time and AppID are right, 1 if one of them is wrong, 64 if a file cannot be read.

Example:
  wonder-signer verify --webhook --public-key-file webhook_key.pem --request-file captured.http \\
    --callback-url 'https://shop.example/hooks/wonder?src=w' --request-key-file private_key.pem
  wonder-signer verify --public-key-file public_key.pem --request-file captured.http
  wonder-signer verify --public-key-file public_key.pem --headers-file headers.txt \\
    --method POST --target /svc/payment/api/v1/openapi/echo --body-file body.json --ignore-time
  wonder-signer verify --public-key-file public_key.pem --at 20240501120500 \\
    --method POST --target /svc/payment/api/v1/openapi/echo --body-file body.json \\
    --credential 844bcde8-3a40-4b0f-8ec5-4cb7ef621538/20240501120123/Wonder-RSA-SHA256 \\
    --nonce E3oJ6Ny2AlO5B6eg --signature 'Fgbsk4Yz...'"
)]
pub(super) struct VerifyArgs {
    /// RSA public key as PEM, DER, or base64 or hex of either; for a webhook, the webhook public key from Wonder's portal.
    #[arg(long, value_name = "FILE", value_parser = path_text)]
    public_key_file: PathBuf,
    /// The whole request in HTTP/1.1, head and body, or - for standard input.
    #[arg(long, value_name = "FILE", value_parser = path_text, conflicts_with = "headers_file")]
    request_file: Option<PathBuf>,
    /// The request's header lines, or - for standard input.
    #[arg(long, value_name = "FILE", value_parser = path_text)]
    headers_file: Option<PathBuf>,
    /// Method; the signature covers it in upper case.
    #[arg(long)]
    method: Option<Method>,
    /// Path and query exactly as sent, percent-encoding included: /svc/...
    #[arg(long)]
    target: Option<Target>,
    /// File with the exact body, or - for standard input; leave it out for a request without a body.
    #[arg(long, value_name = "FILE", value_parser = path_text)]
    body_file: Option<PathBuf>,
    /// The Credential header.
    #[arg(long, allow_hyphen_values = true)]
    credential: Option<String>,
    /// The Nonce header.
    #[arg(long, allow_hyphen_values = true)]
    nonce: Option<String>,
    /// The Signature header.
    #[arg(long, allow_hyphen_values = true)]
    signature: Option<String>,
    /// The Host header; needed to recognise that a full URL was signed.
    #[arg(long)]
    host: Option<String>,
    /// The AppID that the credential must have.
    #[arg(long, value_name = "UUID")]
    app_id: Option<AppId>,
    /// Time, in UTC, with which the request time is compared; now if left out.
    #[arg(long, value_name = "YYYYMMDDhhmmss", conflicts_with = "ignore_time")]
    at: Option<RequestTime>,
    /// Do not check the request time.
    #[arg(long)]
    ignore_time: bool,
    #[command(flatten)]
    webhook: WebhookArgs,
}

/// The request to verify.
struct Asked {
    method: Method,
    target: Target,
    body: Vec<u8>,
    credential: String,
    nonce: String,
    signature: String,
    host: Option<String>,
}

impl VerifyArgs {
    pub(super) fn run(mut self, out: &mut dyn Write) -> Outcome {
        if self.webhook.webhook {
            return self.run_webhook(out);
        }
        let key = input::key("--public-key-file", &self.public_key_file, VerifyingKey::read)?;
        let asked = self.asked()?;
        // A malformed header is a failed check (1), not bad usage (64).
        let credential: Credential = asked.credential.parse().context("signature is not valid")?;
        let nonce: Nonce = asked.nonce.parse().context("signature is not valid")?;
        let (method, target) = (asked.method.as_str(), asked.target.as_str());

        let stamp = Stamp { request_time: credential.request_time, nonce };
        let signature = verify(&key, &stamp, method, target, &[&asked.body], &asked.signature).err().map(|reason| {
            let claim = Claim {
                credential: &credential,
                nonce: &nonce,
                method,
                target,
                body: &asked.body,
                signature: &asked.signature,
                host: asked.host.as_deref(),
            };
            match diagnose(&key, &claim) {
                Some(Mistake::AnotherKey) => format!("{} (checked with {key})", Mistake::AnotherKey),
                Some(mistake) => mistake.to_string(),
                None => reason.to_string(),
            }
        });
        let others: Vec<String> = self.wrong_app(&credential).into_iter().chain(self.wrong_time(&credential)).collect();
        match (signature, &others[..]) {
            (None, []) => {}
            (None, others) => return Err(Failure::no(anyhow!("signature is valid, but {}", others.join("; and ")))),
            (Some(mistake), others) => {
                let also = others.iter().fold(String::new(), |also, other| also + "; also, " + other);
                return Err(Failure::no(anyhow!("signature is not valid: {mistake}{also}")));
            }
        }

        writeln!(out, "signature is valid ({key})")?;
        if is_ambiguous(&[&asked.body]) {
            writeln!(out, "note: the body is only white space, which some of Wonder's own SDKs sign and others omit")?;
        }
        Ok(())
    }

    fn wrong_app(&self, credential: &Credential) -> Option<String> {
        let wanted = self.app_id.as_ref().filter(|wanted| **wanted != credential.app_id)?;
        let only = if wanted.as_str().eq_ignore_ascii_case(credential.app_id.as_str()) {
            "; only their case differs"
        } else {
            ""
        };
        Some(format!("the credential is that of AppID {}, not {wanted}{only}", credential.app_id))
    }

    fn wrong_time(&self, credential: &Credential) -> Option<String> {
        let clock = Clock::judge(credential.request_time, self.at.unwrap_or_else(clock::request_time));
        let remedy = if self.at.is_some() {
            ""
        } else {
            " (--at sets another time to compare with, --ignore-time skips the check)"
        };
        (!self.ignore_time && clock != Clock::Right).then(|| format!("{clock}{remedy}"))
    }

    /// What the file with the request, or with its header lines, holds; nothing without one.
    fn captured(&self) -> Result<Capture, Failure> {
        let (option, path, read) = match (&self.request_file, &self.headers_file) {
            (Some(path), _) => ("--request-file", path, Capture::request as fn(&[u8]) -> anyhow::Result<Capture>),
            (None, Some(path)) => ("--headers-file", path, Capture::headers as _),
            (None, None) => return Ok(Capture::default()),
        };
        let bytes = input::whole(option, path)?;
        read(&bytes).with_context(|| format!("{option} {}", path.display())).map_err(Failure::usage)
    }

    /// The body: that of `--body-file`, else the captured one.
    fn body(&self, captured: Option<Vec<u8>>, is_announced: bool) -> Result<Vec<u8>, Failure> {
        match (&self.body_file, captured) {
            (Some(path), _) => input::whole("--body-file", path),
            (None, None) if is_announced => Err(Failure::usage(anyhow!(
                "usage: --body-file is missing; the head announces a body, which this file does not contain"
            ))),
            (None, captured) => Ok(captured.unwrap_or_default()),
        }
    }

    /// Builds the request: options first, then files.
    fn asked(&mut self) -> Result<Asked, Failure> {
        let from_file = self.request_file.is_some() || self.headers_file.is_some();
        let mut capture = self.captured()?;
        let header = |given: Option<String>, name: &'static str, option: &str| match (
            given,
            capture.header(name).map_err(|reason| Failure::no(anyhow!("signature is not valid: {reason}")))?,
        ) {
            (Some(given), _) => Ok(given),
            (None, Some(found)) => Ok(found.to_owned()),
            (None, None) if from_file => {
                Err(Failure::no(anyhow!("signature is not valid: the request has no {name} header")))
            }
            (None, None) => Err(missing(option)),
        };
        let credential = header(self.credential.take(), "credential", "--credential")?;
        let nonce = header(self.nonce.take(), "nonce", "--nonce")?;
        let signature = header(self.signature.take(), "signature", "--signature")?;
        let host = self.host.take().or_else(|| capture.header("host").ok().flatten().map(str::to_owned));
        let (method, target) = capture.line.take().unzip();
        let body = self.body(capture.body.take(), capture.announces_body())?;
        Ok(Asked {
            method: self.method.take().or(method).ok_or_else(|| missing("--method"))?,
            target: self.target.take().or(target).ok_or_else(|| missing("--target"))?,
            body,
            credential,
            nonce,
            signature,
            host,
        })
    }
}

fn missing(option: &str) -> Failure {
    Failure::usage(anyhow!("usage: {option} is missing; set it, or pass a captured request with --request-file"))
}
