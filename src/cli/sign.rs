//! `sign`: the signature headers of one request, to paste or to compare.

use std::{io::Write, path::PathBuf};

use anyhow::anyhow;
use rand::{SeedableRng as _, rngs::StdRng};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{
    Failure, Outcome,
    input::{self, RequestArgs},
    shell::word,
};
use crate::{
    clock,
    config::{Origin, values::path_text},
    signing::{
        AppId, Nonce, RequestTime, Signed, SigningKey, Stamp, is_ambiguous, message::pre_sign, sign, signature_message,
    },
};

/// Prints the three signature headers of one request.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  wonder-signer sign --app-id 844bcde8-3a40-4b0f-8ec5-4cb7ef621538 --private-key-file private_key.pem \\
    --method POST --target /svc/payment/api/v1/openapi/echo --body-file body.json --format curl")]
pub(super) struct SignArgs {
    /// The AppID from Wonder's portal.
    #[arg(long, value_name = "UUID")]
    app_id: AppId,
    /// The RSA private key as PEM, PKCS#8 or PKCS#1.
    #[arg(long, value_name = "FILE", value_parser = path_text)]
    private_key_file: PathBuf,
    /// The file whose first line is the passphrase of the private key.
    #[arg(long, value_name = "FILE", value_parser = path_text)]
    passphrase_file: Option<PathBuf>,
    #[command(flatten)]
    request: RequestArgs,
    /// Nonce, 16 letters and digits; random if left out. A given one makes the signature repeatable.
    #[arg(long, allow_hyphen_values = true)]
    nonce: Option<Nonce>,
    /// Request time in UTC; now if left out. A given one makes the signature repeatable.
    #[arg(long, value_name = "YYYYMMDDhhmmss")]
    request_time: Option<RequestTime>,
    /// Output format.
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
    /// Origin to which the curl command sends the request.
    #[arg(long, default_value = "https://gateway-stg.wonder.today")]
    origin: Origin,
    /// Also print the result of each step, to compare with another implementation; the body is not printed.
    #[arg(long)]
    explain: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Format {
    /// One JSON object on one line.
    Json,
    /// A curl command that sends the request.
    Curl,
    /// One header per line.
    Text,
}

impl SignArgs {
    fn key(&self) -> Result<SigningKey, Failure> {
        let (option, path) = ("--private-key-file", &self.private_key_file);
        let Some(passphrase) = &self.passphrase_file else { return input::key(option, path, SigningKey::from_pem) };
        let passphrase = input::passphrase("--passphrase-file", passphrase)?.bytes;
        let key = SigningKey::from_encrypted_pem(&input::key_text(option, path)?, &passphrase);
        key.map_err(|reason| Failure::usage(anyhow!("{option} {}: {reason}", path.display())))
    }

    pub(super) fn run(self, out: &mut dyn Write) -> Outcome {
        let key = self.key()?;
        let body = self.request.body()?;
        if is_ambiguous(&[&body]) {
            return Err(Failure::no(anyhow!(
                "ambiguous body: it is only white space, which some of Wonder's own SDKs sign and others omit; \
                 leave out --body-file to send no body"
            )));
        }
        let stamp = Stamp {
            request_time: self.request_time.unwrap_or_else(clock::request_time),
            nonce: self.nonce.unwrap_or_else(|| Nonce::generate(&mut StdRng::from_entropy())),
        };
        let (method, target) = (self.request.method.as_str(), self.request.target.as_str());
        let signed = sign(&key, &self.app_id, &stamp, method, target, &[&body])?;
        let steps = self.explain.then(|| Steps::of(&stamp, method, target, &body));
        match self.format {
            Format::Json => print_json(out, &signed, steps),
            Format::Text => {
                print_headers(out, &signed)?;
                steps.map_or(Ok(()), |steps| steps.print(out, &key, target, &body))
            }
            Format::Curl => {
                steps.map_or(Ok(()), |steps| steps.print(out, &key, target, &body))?;
                self.print_curl(out, &signed, &body)
            }
        }
    }

    /// The target is in `--request-target`, because curl rewrites the path of a URL: it resolves dot segments and drops fragments.
    fn print_curl(&self, out: &mut dyn Write, signed: &Signed, body: &[u8]) -> Outcome {
        let method = match (self.request.method.as_str(), body) {
            // With `--request HEAD` curl would wait for a response body.
            ("HEAD", []) => "--head".to_owned(),
            (method, _) => format!("--request {}", word(method)),
        };
        write!(out, "curl {method} --request-target {}", word(self.request.target.as_str()))?;
        for (name, value) in headers(signed) {
            write!(out, " \\\n  --header {}", word(&format!("{name}: {value}")))?;
        }
        write!(out, " \\\n  --header 'Content-Type: application/json'")?;
        if let Some(path) = self.request.body_file.as_deref().filter(|_| !body.is_empty()) {
            write!(out, " \\\n  --data-binary {}", word(&format!("@{}", path.display())))?;
        }
        Ok(writeln!(out, " \\\n  {}", word(&self.origin.to_string()))?)
    }
}

/// The result of each step, without the body.
#[derive(Serialize)]
struct Steps {
    /// Length of the pre-sign string.
    pre_sign_bytes: usize,
    /// SHA-256 of the pre-sign string, lower-case hex.
    pre_sign_sha256: String,
    /// The 64 hex characters that RSA signs.
    signature_message: String,
}

impl Steps {
    fn of(stamp: &Stamp, method: &str, target: &str, body: &[u8]) -> Self {
        let (mut bytes, mut digest) = (0, Sha256::new());
        pre_sign(method, target, &[body], |piece| {
            bytes += piece.len();
            digest.update(piece);
        });
        Self {
            pre_sign_bytes: bytes,
            pre_sign_sha256: format!("{:x}", digest.finalize()),
            signature_message: signature_message(stamp, method, target, &[body]).as_str().to_owned(),
        }
    }

    /// Prints comment lines, so that the whole output can be pasted into a shell.
    fn print(&self, out: &mut dyn Write, key: &SigningKey, target: &str, body: &[u8]) -> Outcome {
        let body = match body.len() {
            0 => "no body".to_owned(),
            bytes => format!("line feed, {bytes} bytes of body"),
        };
        writeln!(out, "# key: {}", key.verifying_key())?;
        writeln!(
            out,
            "# pre-sign string: method, line feed, {} bytes of target, {body}: {} bytes",
            target.len(),
            self.pre_sign_bytes
        )?;
        writeln!(out, "# SHA-256 of the pre-sign string: {}", self.pre_sign_sha256)?;
        writeln!(
            out,
            "# signature message, its HMAC as 64 hex characters, which RSA signs: {}",
            self.signature_message
        )?;
        Ok(())
    }
}

fn headers(signed: &Signed) -> [(&'static str, &str); 3] {
    [("Credential", &signed.credential), ("Nonce", &signed.nonce), ("Signature", &signed.signature)]
}

fn print_headers(out: &mut dyn Write, signed: &Signed) -> Outcome {
    for (name, value) in headers(signed) {
        writeln!(out, "{name}: {value}")?;
    }
    Ok(())
}

fn print_json(out: &mut dyn Write, signed: &Signed, steps: Option<Steps>) -> Outcome {
    #[derive(Serialize)]
    struct Answer<'a> {
        credential: &'a str,
        nonce: &'a str,
        signature: &'a str,
        #[serde(flatten)]
        steps: Option<Steps>,
    }
    let Signed { credential, nonce, signature } = signed;
    Ok(writeln!(out, "{}", serde_json::to_string(&Answer { credential, nonce, signature, steps })?)?)
}
