//! `verify`: whether a signature is right, and if not, which mistake explains it.

use std::{io::Write, path::PathBuf};

use anyhow::{Context as _, anyhow};

use super::{
    Failure, Outcome,
    input::{self, RequestArgs},
};
use crate::config::values::path_text;
use crate::signing::{
    Credential, Nonce, RequestTime, Stamp, VerifyingKey,
    diagnosis::{Claim, Clock, Mistake, diagnose},
    is_ambiguous, verify,
};

/// Says whether a signature is right and, if not, the likely cause.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exits 0 when the signature is right, 1 when it is not.

Example:
  wonder-signer verify --public-key-file public_key.pem \\
    --method POST --target /svc/payment/api/v1/openapi/echo --body-file body.json \\
    --credential 844bcde8-3a40-4b0f-8ec5-4cb7ef621538/20240501120123/Wonder-RSA-SHA256 \\
    --nonce E3oJ6Ny2AlO5B6eg --signature 'Fgbsk4Yz...'")]
pub(super) struct VerifyArgs {
    /// The RSA public key as PEM; for a webhook, the webhook public key from Wonder's portal.
    #[arg(long, value_name = "FILE", value_parser = path_text)]
    public_key_file: PathBuf,
    #[command(flatten)]
    request: RequestArgs,
    /// The Credential header.
    #[arg(long, allow_hyphen_values = true)]
    credential: String,
    /// The Nonce header.
    #[arg(long, allow_hyphen_values = true)]
    nonce: String,
    /// The Signature header.
    #[arg(long, allow_hyphen_values = true)]
    signature: String,
    /// The Host header, to recognise a full URL that was signed.
    #[arg(long)]
    host: Option<String>,
    /// The time to judge the request time by, UTC; now when left out.
    #[arg(long, value_name = "YYYYMMDDhhmmss")]
    at: Option<RequestTime>,
}

impl VerifyArgs {
    pub(super) fn run(self, out: &mut dyn Write) -> Outcome {
        let key = input::key("--public-key-file", &self.public_key_file, VerifyingKey::from_pem)?;
        let body = self.request.body()?;
        // A malformed header is what is being asked about: the answer is no, the usage is right.
        let credential: Credential = self.credential.parse().context("signature is not right: --credential")?;
        let nonce: Nonce = self.nonce.parse().context("signature is not right: --nonce")?;
        let (method, target) = (self.request.method.as_str(), self.request.target.as_str());

        let stamp = Stamp { request_time: credential.request_time, nonce };
        if let Err(reason) = verify(&key, &stamp, method, target, &[&body], &self.signature) {
            let claim = Claim {
                credential: &credential,
                nonce: &nonce,
                method,
                target,
                body: &body,
                signature: &self.signature,
                host: self.host.as_deref(),
            };
            return Err(Failure::no(match diagnose(&key, &claim) {
                Some(Mistake::AnotherKey) => {
                    anyhow!("signature is not right: {} (checked with {key})", Mistake::AnotherKey)
                }
                Some(mistake) => anyhow!("signature is not right: {mistake}"),
                None => anyhow!("signature is not right: {reason}"),
            }));
        }

        writeln!(out, "signature is right ({key})")?;
        let clock = Clock::judge(credential.request_time, self.at.unwrap_or_else(input::now));
        if clock != Clock::Right {
            writeln!(out, "note: {clock}")?;
        }
        if is_ambiguous(&[&body]) {
            writeln!(
                out,
                "note: the body is white space alone, which some of Wonder's own SDKs sign and others leave out"
            )?;
        }
        Ok(())
    }
}
