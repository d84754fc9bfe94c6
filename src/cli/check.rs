//! `check`: everything that `run` would find wrong, before it does; with `--echo`, everything that Wonder would.

use std::{
    io::Write,
    time::{Instant, SystemTime},
};

use anyhow::{Context as _, Result, anyhow};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use tokio::time::timeout;

use super::{Failure, Outcome, configuration::ConfigurationArgs, runtime};
use crate::{
    config::{self, Config, Origin, Timeouts},
    keystore::{Entry, Keystore},
    metrics::Metrics,
    net::{
        respond,
        tls_server::TlsServer,
        upstream::{Handover, Upstream},
    },
    signing::{self, Nonce, RequestTime, Stamp},
};

/// Wonder's call without side effects (`wonder-api.md` §1).
const ECHO: &str = "/svc/payment/api/v1/openapi/echo";
const MESSAGE: &[u8] = br#"{"message":"wonder-signer check"}"#;

/// Loads configuration and keys as `run` would, and says what is wrong with them
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  wonder-signer check --config /etc/wonder-signer/sidecar.toml --echo
  wonder-signer check --print-config")]
pub(super) struct CheckArgs {
    #[command(flatten)]
    configuration: ConfigurationArgs,
    /// Call Wonder's echo with each credential: proves key, AppID, clock, DNS and TLS, and changes nothing
    #[arg(long)]
    echo: bool,
    /// Show every effective value, secrets masked, and where it came from
    #[arg(long)]
    print_config: bool,
}

impl CheckArgs {
    pub(super) fn run(self, out: &mut dyn Write) -> Outcome {
        let config = self.configuration.load()?;
        if self.print_config {
            config::explain(&config, out)?;
        }
        config.require_credential().context("configuration").map_err(Failure::usage)?;
        let keystore = Keystore::load(&config.credentials).context("check").map_err(Failure::usage)?;
        let upstream = Upstream::new(&config.upstream, &config.timeouts, Metrics::new(&[]));
        let upstream = upstream.context("check").map_err(Failure::usage)?;
        if let Some(tls) = &config.listen.tls {
            TlsServer::load(tls, &Metrics::new(&[])).context("check").map_err(Failure::usage)?;
        }
        for entry in keystore.entries() {
            writeln!(out, "ok: credential {}: AppID {}, {}", entry.name, entry.app_id, entry.key.verifying_key())?;
        }
        if self.echo {
            runtime::block_on(echo_all(&config, &keystore, &upstream, out))??;
        }
        Ok(())
    }
}

async fn echo_all(config: &Config, keystore: &Keystore, upstream: &Upstream, out: &mut dyn Write) -> Result<()> {
    let origin = &config.upstream.origin;
    for entry in keystore.entries() {
        let line = echo(origin, &config.timeouts, entry, upstream)
            .await
            .with_context(|| format!("check: echo with credential {} at {origin}", entry.name))?;
        writeln!(out, "ok: echo with credential {} at {origin}: {line}", entry.name)?;
    }
    Ok(())
}

/// Calls echo once and says how that went, or what is the likely reason that it did not.
async fn echo(origin: &Origin, timeouts: &Timeouts, entry: &Entry, upstream: &Upstream) -> Result<String> {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let stamp = Stamp {
        request_time: RequestTime::from_unix_seconds(since_1970.as_secs()),
        nonce: Nonce::generate(&mut rand::thread_rng()),
    };
    let signed = signing::sign(&entry.key, &entry.app_id, &stamp, "POST", ECHO, &[MESSAGE])?;
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(MESSAGE.len()));
    for (name, value) in [("credential", signed.credential), ("nonce", signed.nonce), ("signature", signed.signature)] {
        headers.insert(name, HeaderValue::try_from(value)?);
    }
    let began = Instant::now();
    let body = std::iter::once(Bytes::from_static(MESSAGE)).collect();
    let (target, handover) = (http::uri::PathAndQuery::from_static(ECHO), Handover::default());
    let sending = upstream.send(Method::POST, target, headers, body, &handover);
    let response = timeout(timeouts.response_head, sending)
        .await
        .map_err(|_| anyhow!("no answer within {:?} (timeouts.response_head)", timeouts.response_head))?
        .map_err(|error| told(&error.into()))?;
    let took = began.elapsed().as_millis();
    let clock = match skew(response.headers(), since_1970.as_secs()) {
        Some(seconds) => format!("clock {seconds:+} s against theirs"),
        None => "no Date header to hold the clock against".to_owned(),
    };
    match response.status() {
        status if status.is_success() => Ok(format!("{status} in {took} ms, {clock}")),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(anyhow!(
            "{} ({clock}): Wonder does not accept the signature; check that AppID {} belongs to this environment \
             ({origin}), that the public key in the portal is the one of key {}, that the clock is right to 30 \
             minutes, and that the AppID's address list includes this machine's egress",
            response.status(),
            entry.app_id,
            entry.key.verifying_key().fingerprint(),
        )),
        status => Err(anyhow!("{status} ({clock}), which says nothing about the signature")),
    }
}

fn told(failure: &respond::Failure) -> anyhow::Error {
    match failure.cause() {
        Some(cause) => anyhow!("{failure}: {cause}"),
        None => anyhow!("{failure}"),
    }
}

/// Our clock less theirs, in seconds.
fn skew(headers: &HeaderMap, ours: u64) -> Option<i64> {
    let theirs = httpdate::parse_http_date(headers.get(header::DATE)?.to_str().ok()?).ok()?;
    let theirs = theirs.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
    Some(i64::try_from(ours).ok()? - i64::try_from(theirs).ok()?)
}
