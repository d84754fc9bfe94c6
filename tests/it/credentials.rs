//! Credentials that change while the sidecar runs, and credentials that cannot be used.

mod confused;
mod files;
mod load;
mod proof;
mod reload;
mod replaced;
mod rotation;
mod several;

use wonder_signer::signing::{Credential, Nonce, Stamp, verify};

use crate::support::{
    patience::soon,
    sidecar::Sidecar,
    volume::{UNITS, Unit},
    wire::{Message, exchange, request},
};

const RELOADED: &str = r#"wonder_signer_credential_reloads_total{credential="default",result="ok"}"#;
const FAILED: &str = r#"wonder_signer_credential_reloads_total{credential="default",result="failed"}"#;
const OUTDATED: &str = r#"wonder_signer_credential_outdated{credential="default"}"#;

/// Waits until a series of the sidecar has reached a value.
async fn reached(sidecar: &Sidecar, series: &str, least: f64) {
    soon(async {
        while sidecar.metric(series).await < least {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Waits until the sidecar signs with `unit`.
async fn signs_with(sidecar: &Sidecar, unit: &Unit) {
    let labels = format!(r#"credential="default",fingerprint="{}""#, unit.public.fingerprint());
    let series = format!("wonder_signer_key_loaded_timestamp_seconds{{{labels}}}");
    soon(async {
        while !exchange(sidecar.admin, &request("GET", "/metrics", &[], b"")).await.text().contains(&series) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// The unit named by a recorded request, whose key also verifies its signature.
fn signed_by(request: &Message) -> &'static Unit {
    verified_unit(request).expect("the key of that AppID")
}

/// The same, or `None` if the signature does not verify.
fn verified_unit(request: &Message) -> Option<&'static Unit> {
    let mut words = request.start_line().split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let credential: Credential = request.value("credential").unwrap().parse().unwrap();
    let nonce: Nonce = request.value("nonce").unwrap().parse().unwrap();
    let stamp = Stamp { request_time: credential.request_time, nonce };
    let unit = UNITS.iter().find(|unit| unit.app_id == credential.app_id.as_str()).expect("a known AppID");
    let signature = request.value("signature").unwrap();
    verify(&unit.public, &stamp, method, target, &[&request.body], signature).ok().map(|()| unit)
}
