//! Rotation against the simulator, which verifies every signature and learns keys while it runs.

use std::{sync::Arc, time::SystemTime};

use wonder_signer::signing::RequestTime;

use super::{reached, signs_with};
use crate::{
    simulator::world::{Call, World},
    support::{
        closed::Closed,
        logged::Logged,
        patience::soon,
        sidecar::{Sidecar, metric},
        volume::{UNITS, Unit, Volume},
        wire::{exchange, request},
    },
};

const ECHO: &str = "/svc/payment/api/v1/openapi/echo";
const WHEN_PROVEN: &str = "rotate = \"when_proven\"\nkeep_old = \"1h\"";

/// A simulator on the system's clock that accepts these units alone.
pub(super) async fn wonder(known: &[&Unit]) -> World {
    let world = World::with(|options| {
        options.tls = false;
        options.clock = Arc::new(|| {
            let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
            RequestTime::from_unix_seconds(since.as_secs())
        });
        options.apps.clear();
    })
    .await;
    for unit in known {
        learn(&world, unit);
    }
    world
}

pub(super) fn learn(world: &World, unit: &Unit) {
    world.apps.learn(unit.app_id.parse().unwrap(), unit.public.clone());
}

pub(super) fn forget(world: &World, unit: &Unit) {
    world.apps.forget(&unit.app_id.parse().unwrap());
}

fn toml(main: &Volume, next: &Volume, more: &str) -> String {
    format!(
        "[credentials.default]\n{}{more}\n[credentials.default.next]\n{}\n[admin]\nrotate = true\n",
        main.toml(),
        next.toml()
    )
}

async fn sidecar(world: &World, main: &Volume, next: &Volume, more: &str) -> Sidecar {
    Sidecar::with_credentials(&world.origin, &toml(main, next, more)).await.unwrap()
}

/// The status of a call through the sidecar.
pub(super) async fn call(sidecar: &Sidecar, headers: &[(&str, &str)]) -> u16 {
    exchange(sidecar.listen, &request("POST", ECHO, headers, br#"{"message":"m"}"#)).await.status()
}

pub(super) async fn rotate(sidecar: &Sidecar) -> (u16, String) {
    let yes = [("X-Wonder-Signer-Rotate", "yes")];
    let answer = exchange(sidecar.admin, &request("POST", "/rotate/default", &yes, b"")).await;
    (answer.status(), answer.text())
}

fn proofs(unit: &str, result: &str) -> String {
    format!(r#"wonder_signer_credential_proofs_total{{credential="default",result="{result}",unit="{unit}"}}"#)
}

pub(super) async fn counted(sidecar: &Sidecar, series: &str, expected: f64) {
    let value = metric(sidecar.admin, series).await;
    assert!((value - expected).abs() < f64::EPSILON, "{series}: {value}");
}

const REJECTED: &str = r#"wonder_signer_credential_responses_total{credential="default",result="rejected"}"#;

#[tokio::test]
async fn the_next_unit_signs_when_wonder_has_learnt_its_key_without_a_signal_or_a_failed_request() {
    let world = wonder(&[&UNITS[0]]).await;
    let (main, next) = (Volume::of(&UNITS[0]), Volume::of(&UNITS[1]));
    let sidecar = sidecar(&world, &main, &next, WHEN_PROVEN).await;
    reached(&sidecar, &proofs("next", "rejected"), 1.0).await;
    assert_eq!(call(&sidecar, &[]).await, 200);
    signs_with(&sidecar, &UNITS[0]).await;
    learn(&world, &UNITS[1]);
    signs_with(&sidecar, &UNITS[1]).await;
    // Wonder accepts the new one alone.
    forget(&world, &UNITS[0]);
    assert_eq!(call(&sidecar, &[]).await, 200);
    counted(&sidecar, REJECTED, 0.0).await;
}

#[tokio::test]
async fn a_restart_whose_old_unit_wonder_no_longer_accepts_fails_no_request() {
    let world = wonder(&[&UNITS[1]]).await;
    let (main, next) = (Volume::of(&UNITS[0]), Volume::of(&UNITS[1]));
    let sidecar = sidecar(&world, &main, &next, WHEN_PROVEN).await;
    // The very first request waits for the proof.
    assert_eq!(call(&sidecar, &[]).await, 200);
    counted(&sidecar, REJECTED, 0.0).await;
    counted(&sidecar, &proofs("next", "accepted"), 1.0).await;
}

#[tokio::test]
async fn a_restart_without_the_files_of_the_old_unit_signs_with_the_next_one() {
    let world = wonder(&[&UNITS[1]]).await;
    let (main, next) = (Volume::empty(), Volume::of(&UNITS[1]));
    let sidecar = sidecar(&world, &main, &next, WHEN_PROVEN).await;
    assert_eq!(call(&sidecar, &[]).await, 200);
}

#[tokio::test]
async fn a_start_while_wonder_is_away_is_ready_with_the_unit_of_the_configuration() {
    let (main, next) = (Volume::of(&UNITS[0]), Volume::of(&UNITS[1]));
    let away = Closed::port();
    let sidecar = Sidecar::with_credentials(&away.origin(), &toml(&main, &next, WHEN_PROVEN)).await.unwrap();
    let ready = async || exchange(sidecar.admin, &request("GET", "/readyz", &[], b"")).await.text();
    assert_eq!(ready().await, "starting\n");
    soon(async {
        while ready().await != "ready\n" {
            tokio::task::yield_now().await;
        }
    })
    .await;
    reached(&sidecar, &proofs("next", "unknown"), 2.0).await;
    signs_with(&sidecar, &UNITS[0]).await;
}

#[tokio::test]
async fn key_and_app_id_of_different_moments_are_not_switched_to() {
    let world = wonder(&[&UNITS[0], &UNITS[1], &UNITS[2]]).await;
    let (main, next) = (Volume::of(&UNITS[0]), Volume::empty());
    next.swap(&UNITS[1].app_id, &UNITS[2].pem);
    let sidecar = sidecar(&world, &main, &next, WHEN_PROVEN).await;
    reached(&sidecar, &proofs("next", "rejected"), 1.0).await;
    let (status, text) = rotate(&sidecar).await;
    assert_eq!(status, 409, "{text}");
    let fingerprint = UNITS[2].public.fingerprint();
    let key = format!("key: the public key in Wonder's portal for this AppID must have the fingerprint {fingerprint}");
    assert!(text.contains(&UNITS[1].app_id) && text.contains(&key), "{text}");
    assert_eq!(call(&sidecar, &[]).await, 200);
    next.swap_to(&UNITS[1]);
    signs_with(&sidecar, &UNITS[1]).await;
    assert_eq!(call(&sidecar, &[]).await, 200);
    counted(&sidecar, REJECTED, 0.0).await;
}

#[tokio::test]
async fn after_401_both_units_are_proved_and_the_old_one_signs_if_wonder_accepts_it_alone() {
    let world = wonder(&[&UNITS[0], &UNITS[1]]).await;
    let (main, next) = (Volume::of(&UNITS[0]), Volume::of(&UNITS[1]));
    let sidecar = sidecar(&world, &main, &next, WHEN_PROVEN).await;
    signs_with(&sidecar, &UNITS[1]).await;
    forget(&world, &UNITS[1]);
    // The answer is the caller's: a payment is never sent again.
    assert_eq!(call(&sidecar, &[]).await, 401);
    signs_with(&sidecar, &UNITS[0]).await;
    assert_eq!(call(&sidecar, &[]).await, 200);
    counted(&sidecar, REJECTED, 1.0).await;
    counted(&sidecar, &proofs("main", "accepted"), 1.0).await;
    counted(&sidecar, &proofs("next", "rejected"), 1.0).await;
}

#[tokio::test]
async fn after_a_403_with_another_cause_the_unit_that_wonder_accepts_stays() {
    let world = wonder(&[&UNITS[0], &UNITS[1]]).await;
    let (main, next) = (Volume::of(&UNITS[0]), Volume::of(&UNITS[1]));
    let sidecar = sidecar(&world, &main, &next, WHEN_PROVEN).await;
    signs_with(&sidecar, &UNITS[1]).await;
    assert_eq!(call(&sidecar, &[("X-Simulator-Fault", "status=403")]).await, 403);
    reached(&sidecar, &proofs("main", "accepted"), 1.0).await;
    reached(&sidecar, &proofs("next", "accepted"), 2.0).await;
    signs_with(&sidecar, &UNITS[1]).await;
    counted(&sidecar, REJECTED, 1.0).await;
}

#[tokio::test]
async fn sixty_four_rejected_requests_are_sent_once_each_and_have_both_units_proved_once() {
    let world = wonder(&[&UNITS[0], &UNITS[1]]).await;
    let (main, next) = (Volume::of(&UNITS[0]), Volume::of(&UNITS[1]));
    let sidecar = sidecar(&world, &main, &next, WHEN_PROVEN).await;
    signs_with(&sidecar, &UNITS[1]).await;
    forget(&world, &UNITS[0]);
    forget(&world, &UNITS[1]);
    let began = std::time::Instant::now();
    let statuses = futures_util::future::join_all((0..64).map(|_| call(&sidecar, &[]))).await;
    assert!(statuses.iter().all(|status| *status == 401), "{statuses:?}");
    counted(&sidecar, REJECTED, 64.0).await;
    reached(&sidecar, &proofs("main", "rejected"), 1.0).await;
    reached(&sidecar, &proofs("next", "rejected"), 1.0).await;
    // Both work again, and both are proved again after another rejection, but not at once.
    learn(&world, &UNITS[0]);
    learn(&world, &UNITS[1]);
    assert_eq!(call(&sidecar, &[("X-Simulator-Fault", "status=401")]).await, 401);
    reached(&sidecar, &proofs("main", "accepted"), 1.0).await;
    let rounds = metric(sidecar.admin, &proofs("main", "rejected")).await + 1.0;
    assert!(rounds <= 2.0 + began.elapsed().as_secs_f64() / 10.0, "{rounds} in {:?}", began.elapsed());
    signs_with(&sidecar, &UNITS[1]).await;
}

#[tokio::test]
async fn a_unit_that_wonder_restricts_to_other_addresses_is_not_switched_to() {
    let world = wonder(&[&UNITS[0], &UNITS[1]]).await;
    let (main, next) = (Volume::of(&UNITS[0]), Volume::of(&UNITS[1]));
    let sidecar = sidecar(&world, &main, &next, "").await;
    for (status, first) in
        [(403, "check in this order: IP restriction: "), (401, "check in this order: AppID and environment: ")]
    {
        let fault = format!(r#"{{"fault":"status={status}","app_id":"{}"}}"#, UNITS[1].app_id);
        assert_eq!(world.send(&Call::unsigned("POST", "/simulator/faults", &fault)).await.status, 200);
        let (code, text) = rotate(&sidecar).await;
        assert_eq!(code, 409, "{text}");
        assert!(text.contains(&status.to_string()) && text.contains(first), "{text}");
        assert!(text.contains("the public IPv4 address of this machine's egress"), "{text}");
        signs_with(&sidecar, &UNITS[0]).await;
    }
    assert_eq!(world.send(&Call::unsigned("DELETE", "/simulator/faults", "")).await.status, 200);
    assert_eq!(rotate(&sidecar).await.0, 200);
    signs_with(&sidecar, &UNITS[1]).await;
}

#[tokio::test]
async fn a_401_before_the_switch_has_the_next_unit_proved_at_once() {
    let world = wonder(&[&UNITS[0]]).await;
    let (main, next) = (Volume::of(&UNITS[0]), Volume::of(&UNITS[1]));
    let sidecar = sidecar(&world, &main, &next, WHEN_PROVEN).await;
    reached(&sidecar, &proofs("next", "rejected"), 3.0).await;
    forget(&world, &UNITS[0]);
    learn(&world, &UNITS[1]);
    let status = call(&sidecar, &[]).await;
    signs_with(&sidecar, &UNITS[1]).await;
    assert!([200, 401].contains(&status), "{status}");
    assert_eq!(call(&sidecar, &[]).await, 200);
}

#[tokio::test]
async fn a_second_rotation_is_proved_like_the_first() {
    let world = wonder(&[&UNITS[0], &UNITS[1]]).await;
    let (main, next) = (Volume::of(&UNITS[0]), Volume::of(&UNITS[1]));
    let sidecar = sidecar(&world, &main, &next, WHEN_PROVEN).await;
    signs_with(&sidecar, &UNITS[1]).await;
    let rejected = metric(sidecar.admin, &proofs("next", "rejected")).await;
    // The files of the unit that signs hold another one, whose key Wonder does not have yet.
    next.swap_to(&UNITS[2]);
    sidecar.reload.now();
    reached(&sidecar, &proofs("next", "rejected"), rejected + 1.0).await;
    assert_eq!(call(&sidecar, &[]).await, 200);
    signs_with(&sidecar, &UNITS[1]).await;
    learn(&world, &UNITS[2]);
    signs_with(&sidecar, &UNITS[2]).await;
    assert_eq!(call(&sidecar, &[]).await, 200);
    counted(&sidecar, REJECTED, 0.0).await;
}

#[tokio::test]
async fn a_rotation_ends_when_the_main_files_hold_the_unit_that_signs() {
    let world = wonder(&[&UNITS[0], &UNITS[1], &UNITS[2]]).await;
    let (main, next) = (Volume::of(&UNITS[0]), Volume::of(&UNITS[1]));
    let sidecar = sidecar(&world, &main, &next, WHEN_PROVEN).await;
    signs_with(&sidecar, &UNITS[1]).await;
    main.swap_to(&UNITS[1]);
    sidecar.reload.now();
    let reloaded = r#"wonder_signer_credential_reloads_total{credential="default",result="ok"}"#;
    reached(&sidecar, reloaded, 2.0).await;
    assert_eq!(call(&sidecar, &[]).await, 200);
    assert_eq!(rotate(&sidecar).await.0, 200, "nothing is left to do");
    counted(&sidecar, &proofs("next", "accepted"), 1.0).await;
    // From now on a plain reload of the main files is used at once.
    main.swap_to(&UNITS[2]);
    next.swap_to(&UNITS[2]);
    sidecar.reload.now();
    signs_with(&sidecar, &UNITS[2]).await;
}

#[tokio::test]
async fn a_next_unit_whose_files_go_bad_is_not_switched_to() {
    let world = wonder(&[&UNITS[0]]).await;
    let (main, next) = (Volume::of(&UNITS[0]), Volume::of(&UNITS[1]));
    let sidecar = sidecar(&world, &main, &next, WHEN_PROVEN).await;
    reached(&sidecar, &proofs("next", "rejected"), 1.0).await;
    next.swap(&UNITS[1].app_id, &UNITS[1].pem[..500]);
    sidecar.reload.now();
    reached(&sidecar, r#"wonder_signer_credential_outdated{credential="default"}"#, 1.0).await;
    learn(&world, &UNITS[1]);
    let (status, text) = rotate(&sidecar).await;
    assert_eq!(status, 409, "{text}");
    assert!(text.contains("has no next unit that can be used; the log names the file and the remedy"), "{text}");
    assert_eq!(call(&sidecar, &[]).await, 200);
    signs_with(&sidecar, &UNITS[0]).await;
    // The status page has it too.
    let page = exchange(sidecar.admin, &request("GET", "/status.json", &[], b"")).await.text();
    assert!(page.contains("signs with what was read before; the log names the file"), "{page}");
    next.swap_to(&UNITS[1]);
    sidecar.reload.now();
    signs_with(&sidecar, &UNITS[1]).await;
    counted(&sidecar, r#"wonder_signer_credential_outdated{credential="default"}"#, 0.0).await;
}

#[tokio::test]
async fn two_rotate_commands_at_once_switch_once() {
    let world = wonder(&[&UNITS[0], &UNITS[1]]).await;
    let (main, next) = (Volume::of(&UNITS[0]), Volume::of(&UNITS[1]));
    let sidecar = sidecar(&world, &main, &next, "").await;
    let (one, other) = tokio::join!(rotate(&sidecar), rotate(&sidecar));
    assert_eq!((one.0, other.0), (200, 200), "{one:?} {other:?}");
    counted(&sidecar, &proofs("next", "accepted"), 1.0).await;
    signs_with(&sidecar, &UNITS[1]).await;
}

#[tokio::test]
async fn a_next_unit_with_the_same_app_id_and_another_key_is_named() {
    let world = wonder(&[&UNITS[0]]).await;
    let (main, next) = (Volume::of(&UNITS[0]), Volume::empty());
    next.swap(&UNITS[0].app_id, &UNITS[1].pem);
    let sidecar = sidecar(&world, &main, &next, "").await;
    let (status, text) = rotate(&sidecar).await;
    assert_eq!(status, 409, "{text}");
    assert!(
        text.ends_with(
            "it has the AppID of the unit that signs and another key, and at Wonder a new key needs a new AppID\n"
        ),
        "{text}"
    );
}

#[tokio::test]
async fn two_replicas_come_to_the_same_unit() {
    let world = wonder(&[&UNITS[0]]).await;
    let (main, next) = (Volume::of(&UNITS[0]), Volume::of(&UNITS[1]));
    let (one, other) =
        (sidecar(&world, &main, &next, WHEN_PROVEN).await, sidecar(&world, &main, &next, WHEN_PROVEN).await);
    assert_eq!((call(&one, &[]).await, call(&other, &[]).await), (200, 200));
    learn(&world, &UNITS[1]);
    tokio::join!(signs_with(&one, &UNITS[1]), signs_with(&other, &UNITS[1]));
    forget(&world, &UNITS[0]);
    assert_eq!((call(&one, &[]).await, call(&other, &[]).await), (200, 200));
}

#[tokio::test]
async fn the_old_unit_is_dropped_after_keep_old_and_the_log_has_every_step() {
    let world = wonder(&[&UNITS[0]]).await;
    let (main, next) = (Volume::of(&UNITS[0]), Volume::of(&UNITS[1]));
    let file = |volume: &Volume, name: &str| volume.path(name).display().to_string();
    let values = [file(&main, "app_id"), file(&main, "key.pem"), file(&next, "app_id"), file(&next, "key.pem")];
    let variables = [
        ("WONDER_SIGNER_CREDENTIALS__SHOP__APP_ID_FILE", values[0].as_str()),
        ("WONDER_SIGNER_CREDENTIALS__SHOP__PRIVATE_KEY_FILE", &values[1]),
        ("WONDER_SIGNER_CREDENTIALS__SHOP__NEXT__APP_ID_FILE", &values[2]),
        ("WONDER_SIGNER_CREDENTIALS__SHOP__NEXT__PRIVATE_KEY_FILE", &values[3]),
        ("WONDER_SIGNER_CREDENTIALS__SHOP__ROTATE", "when_proven"),
        ("WONDER_SIGNER_CREDENTIALS__SHOP__KEEP_OLD", "1s"),
    ];
    let program = Logged::before(&world.origin, &variables).await;
    learn(&world, &UNITS[1]);
    let line = program.line("credential switched to its next unit").await;
    assert_eq!((line["credential"].as_str(), line["app_id"].as_str()), (Some("shop"), Some(UNITS[1].app_id.as_str())));
    let line = program.line("old unit of the credential dropped (keep_old)").await;
    assert_eq!(line["credential"], "shop");
    let log = program.stop().await;
    let rejected = log.find("next unit of the credential is not proved; the old one signs").expect("the first proof");
    assert!(rejected < log.find("credential switched to its next unit").unwrap());
    for secret in UNITS.iter().flat_map(|unit| unit.pem.lines()).filter(|line| !line.starts_with("-----")) {
        assert!(!log.contains(secret), "the log has a part of a key");
    }
}
