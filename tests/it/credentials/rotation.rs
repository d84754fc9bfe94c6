use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use super::{reached, signed_by, signs_with, verified_unit};
use crate::support::{
    sidecar::Sidecar,
    upstream::{Act, Recorder},
    volume::{UNITS, Unit, Volume},
    wire::{Message, exchange, request},
};

const REJECTED: &str = r#"wonder_signer_credential_proofs_total{credential="default",result="rejected",unit="next"}"#;

/// A Wonder that accepts only the registered units, and echoes the message of an echo call.
#[derive(Clone, Default)]
struct Wonder(Arc<Mutex<BTreeSet<&'static str>>>);

impl Wonder {
    fn registers(&self, unit: &'static Unit) {
        self.0.lock().unwrap().insert(&unit.app_id);
    }

    fn removes(&self, unit: &'static Unit) {
        self.0.lock().unwrap().remove(unit.app_id.as_str());
    }

    async fn start(&self) -> Recorder {
        let this = self.clone();
        Recorder::judging(move |request| this.answer(request)).await
    }

    fn answer(&self, request: &Message) -> Act {
        let known = verified_unit(request).is_some_and(|unit| self.0.lock().unwrap().contains(unit.app_id.as_str()));
        let (status, body) = if known {
            ("200 OK", format!("{{\"code\":200,\"data\":{}}}", String::from_utf8_lossy(&request.body)))
        } else {
            ("401 Unauthorized", r#"{"code":401,"message":"invalid signature"}"#.to_owned())
        };
        let head =
            format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
        Act::Answer([head.into_bytes(), body.into_bytes()].concat())
    }
}

fn toml(main: &Volume, next: &Volume, more: &str) -> String {
    format!("[credentials.default]\n{}{more}\n[credentials.default.next]\n{}", main.toml(), next.toml())
}

fn is_echo(request: &Message) -> bool {
    request.start_line().contains("/openapi/echo ")
}

/// Sends a request; returns its status and the AppID that it was signed for.
async fn call(sidecar: &Sidecar, wonder: &Recorder) -> (u16, String) {
    let status = exchange(sidecar.listen, &request("POST", "/svc/a", &[], b"{}")).await.status();
    loop {
        let request = wonder.next().await;
        if !is_echo(&request) {
            return (status, signed_by(&request).app_id.clone());
        }
    }
}

#[tokio::test]
async fn the_next_key_signs_once_wonder_accepts_it_and_not_before() {
    let wonder = Wonder::default();
    wonder.registers(&UNITS[0]);
    let upstream = wonder.start().await;
    let (main, next) = (Volume::of(&UNITS[0]), Volume::of(&UNITS[1]));
    let toml = toml(&main, &next, "rotate = \"when_proven\"\nkeep_old = \"1h\"");
    let sidecar = Sidecar::with_credentials(&upstream.origin(), &toml).await.unwrap();
    reached(&sidecar, REJECTED, 1.0).await;
    assert_eq!(call(&sidecar, &upstream).await, (200, UNITS[0].app_id.clone()));
    wonder.registers(&UNITS[1]);
    // Proves the next unit at once.
    sidecar.reload.now();
    signs_with(&sidecar, &UNITS[1]).await;
    assert_eq!(call(&sidecar, &upstream).await, (200, UNITS[1].app_id.clone()));
}

#[tokio::test]
async fn a_half_replaced_unit_is_never_used() {
    let wonder = Wonder::default();
    UNITS.iter().for_each(|unit| wonder.registers(unit));
    let upstream = wonder.start().await;
    let (main, next) = (Volume::of(&UNITS[0]), Volume::empty());
    // The AppID has been replaced, its key has not.
    next.swap(&UNITS[1].app_id, &UNITS[2].pem);
    let toml = toml(&main, &next, "rotate = \"when_proven\"");
    let sidecar = Sidecar::with_credentials(&upstream.origin(), &toml).await.unwrap();
    reached(&sidecar, REJECTED, 1.0).await;
    assert_eq!(call(&sidecar, &upstream).await, (200, UNITS[0].app_id.clone()));
    next.swap_to(&UNITS[1]);
    sidecar.reload.now();
    signs_with(&sidecar, &UNITS[1]).await;
    assert_eq!(call(&sidecar, &upstream).await, (200, UNITS[1].app_id.clone()));
}

#[tokio::test]
async fn after_a_rejected_signature_both_units_are_proved_and_the_accepted_one_signs() {
    let wonder = Wonder::default();
    wonder.registers(&UNITS[0]);
    wonder.registers(&UNITS[1]);
    let upstream = wonder.start().await;
    let (main, next) = (Volume::of(&UNITS[0]), Volume::of(&UNITS[1]));
    let toml = toml(&main, &next, "rotate = \"when_proven\"\nkeep_old = \"1h\"");
    let sidecar = Sidecar::with_credentials(&upstream.origin(), &toml).await.unwrap();
    signs_with(&sidecar, &UNITS[1]).await;
    assert_eq!(call(&sidecar, &upstream).await, (200, UNITS[1].app_id.clone()));
    wonder.removes(&UNITS[1]);
    // It reaches Wonder once, and its answer is the caller's.
    assert_eq!(call(&sidecar, &upstream).await, (401, UNITS[1].app_id.clone()));
    signs_with(&sidecar, &UNITS[0]).await;
    assert_eq!(call(&sidecar, &upstream).await, (200, UNITS[0].app_id.clone()));
    let of_main = r#"wonder_signer_credential_proofs_total{credential="default",result="accepted",unit="main"}"#;
    assert!((sidecar.metric(of_main).await - 1.0).abs() < f64::EPSILON);
    let rejected = r#"wonder_signer_credential_responses_total{credential="default",result="rejected"}"#;
    assert!((sidecar.metric(rejected).await - 1.0).abs() < f64::EPSILON, "no request was sent again");
}

#[tokio::test]
async fn rotate_by_hand_switches_only_to_a_unit_that_wonder_accepts() {
    let wonder = Wonder::default();
    wonder.registers(&UNITS[0]);
    let upstream = wonder.start().await;
    let (main, next) = (Volume::of(&UNITS[0]), Volume::of(&UNITS[1]));
    let toml = format!("{}\n[admin]\nrotate = true", toml(&main, &next, ""));
    let sidecar = Sidecar::with_credentials(&upstream.origin(), &toml).await.unwrap();
    let rotate = async |headers: &[(&str, &str)], name: &str| {
        let answer = exchange(sidecar.admin, &request("POST", &format!("/rotate/{name}"), headers, b"")).await;
        (answer.status(), answer.text())
    };
    let yes = [("X-Wonder-Signer-Rotate", "yes")];
    assert_eq!(rotate(&[], "default").await.0, 403);
    assert_eq!(rotate(&[yes[0], ("Origin", "http://evil.example")], "default").await.0, 403);
    assert_eq!(rotate(&yes, "other").await.0, 404);
    let (status, text) = rotate(&yes, "default").await;
    assert_eq!(status, 409, "{text}");
    assert!(text.contains(&UNITS[1].app_id) && text.contains("401 Unauthorized"), "{text}");
    assert_eq!(call(&sidecar, &upstream).await, (200, UNITS[0].app_id.clone()));
    wonder.registers(&UNITS[1]);
    let (status, text) = rotate(&yes, "default").await;
    assert_eq!(status, 200, "{text}");
    assert_eq!(call(&sidecar, &upstream).await, (200, UNITS[1].app_id.clone()));
    assert_eq!(rotate(&yes, "default").await.0, 200, "it signs with that already");
}

#[tokio::test]
async fn rotation_over_the_admin_listener_is_off_by_default() {
    let wonder = Wonder::default();
    let upstream = wonder.start().await;
    let (main, next) = (Volume::of(&UNITS[0]), Volume::of(&UNITS[1]));
    let sidecar = Sidecar::with_credentials(&upstream.origin(), &toml(&main, &next, "")).await.unwrap();
    let asked = request("POST", "/rotate/default", &[("X-Wonder-Signer-Rotate", "yes")], b"");
    assert_eq!(exchange(sidecar.admin, &asked).await.status(), 404);
}
