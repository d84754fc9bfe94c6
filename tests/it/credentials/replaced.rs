//! The order in which an operator replaces the files of a credential whose next unit signs.

use std::fs;

use super::{
    RELOADED,
    proof::{call, counted, forget, learn, rotate, wonder},
    reached, signs_with,
};
use crate::support::{
    sidecar::{Sidecar, until},
    upstream::Recorder,
    volume::{UNITS, Unit, Volume},
    webhooks::{Delivery, PAID, WONDER, key_file, now},
};

const OUTDATED: &str = r#"wonder_signer_credential_outdated{credential="default"}"#;
const REJECTED: &str = r#"wonder_signer_credential_responses_total{credential="default",result="rejected"}"#;

/// The status of a webhook for the AppID of `unit`.
async fn webhook(sidecar: &Sidecar, unit: &Unit) -> u16 {
    let delivery = Delivery::signed(&WONDER, &unit.app_id, now(), "/hooks/wonder", PAID);
    delivery.send(sidecar.webhook.unwrap()).await.status()
}

#[tokio::test]
async fn a_reload_after_keep_old_does_not_return_to_the_unit_that_wonder_has_deactivated() {
    let (world, application) = (wonder(&[&UNITS[0], &UNITS[1]]).await, Recorder::start().await);
    let (main, next, key) = (Volume::of(&UNITS[0]), Volume::of(&UNITS[1]), key_file());
    let key = format!("webhook_public_key_file = {:?}", key.path());
    let toml = format!(
        "webhook.address = \"127.0.0.1:0\"\nwebhook.forward_to = \"{}\"\n[credentials.default]\n{}{key}\nrotate = \"when_proven\"\n\
         keep_old = \"0s\"\n[credentials.default.next]\n{}{key}\n",
        application.origin(),
        main.toml(),
        next.toml()
    );
    let sidecar = Sidecar::with_credentials(&world.origin, &toml).await.unwrap();
    signs_with(&sidecar, &UNITS[1]).await;
    forget(&world, &UNITS[0]);
    while webhook(&sidecar, &UNITS[0]).await != 401 {}
    for reload in 1..=2 {
        sidecar.reload.now();
        reached(&sidecar, RELOADED, f64::from(2 * reload)).await;
        assert_eq!((webhook(&sidecar, &UNITS[0]).await, webhook(&sidecar, &UNITS[1]).await), (401, 200));
        assert_eq!(call(&sidecar, &[]).await, 200);
    }
    // The next files are gone: the unit that Wonder accepts signs, and an alert shows that a restart would not have it.
    fs::remove_file(next.path("..data")).unwrap();
    sidecar.reload.now();
    until(sidecar.admin, OUTDATED, 1.0).await;
    assert_eq!(call(&sidecar, &[]).await, 200);
    assert_eq!((webhook(&sidecar, &UNITS[0]).await, webhook(&sidecar, &UNITS[1]).await), (401, 200));
    // The main files get it: the rotation is over.
    main.swap_to(&UNITS[1]);
    sidecar.reload.now();
    reached(&sidecar, RELOADED, 6.0).await;
    assert_eq!(call(&sidecar, &[]).await, 200);
    counted(&sidecar, REJECTED, 0.0).await;
}

#[tokio::test]
async fn a_third_unit_in_the_main_files_signs_once_the_next_files_are_gone() {
    let world = wonder(&[&UNITS[0], &UNITS[1], &UNITS[2]]).await;
    let (main, next) = (Volume::of(&UNITS[0]), Volume::of(&UNITS[1]));
    let toml = format!(
        "[credentials.default]\n{}rotate = \"when_proven\"\n[credentials.default.next]\n{}",
        main.toml(),
        next.toml()
    );
    let sidecar = Sidecar::with_credentials(&world.origin, &toml).await.unwrap();
    signs_with(&sidecar, &UNITS[1]).await;
    // Both at once.
    main.swap_to(&UNITS[2]);
    fs::remove_file(next.path("..data")).unwrap();
    sidecar.reload.now();
    signs_with(&sidecar, &UNITS[2]).await;
    until(sidecar.admin, OUTDATED, 1.0).await;
    assert_eq!(call(&sidecar, &[]).await, 200);
    counted(&sidecar, REJECTED, 0.0).await;
}

#[tokio::test]
async fn a_unit_that_wonder_rejects_in_both_files_is_left_for_the_old_one_and_a_reload_keeps_that() {
    let world = wonder(&[&UNITS[0], &UNITS[1]]).await;
    let (main, next) = (Volume::of(&UNITS[0]), Volume::of(&UNITS[1]));
    let toml = format!(
        "[credentials.default]\n{}rotate = \"when_proven\"\n[credentials.default.next]\n{}[admin]\nrotate = true\n",
        main.toml(),
        next.toml()
    );
    let sidecar = Sidecar::with_credentials(&world.origin, &toml).await.unwrap();
    signs_with(&sidecar, &UNITS[1]).await;
    main.swap_to(&UNITS[1]);
    sidecar.reload.now();
    reached(&sidecar, RELOADED, 2.0).await;
    forget(&world, &UNITS[1]);
    assert_eq!(call(&sidecar, &[]).await, 401);
    signs_with(&sidecar, &UNITS[0]).await;
    sidecar.reload.now();
    reached(&sidecar, RELOADED, 4.0).await;
    assert_eq!(call(&sidecar, &[]).await, 200);
    assert_eq!(rotate(&sidecar).await.0, 409);
    learn(&world, &UNITS[1]);
    assert_eq!(rotate(&sidecar).await.0, 200);
    assert_eq!(call(&sidecar, &[]).await, 200);
}
