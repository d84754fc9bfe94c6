//! A credential with a next unit: Wonder's deliveries and retries are for the AppID of either, and the application receives the AppID that
//! each is for.

use std::fs;

use tempfile::TempDir;
use wonder_signer::signing::SigningKey;

use crate::support::{
    sidecar::APP_ID,
    upstream::Recorder,
    volume::UNITS,
    webhooks::{Delivery, PAID, WONDER, now, receiver_of},
};

#[tokio::test]
async fn deliveries_for_both_units_arrive_with_the_app_id_that_they_are_for() {
    let (application, directory) = (Recorder::start().await, TempDir::new().unwrap());
    let path = |name: &str| directory.path().join(name).display().to_string();
    let (next, its_webhook_key) = (&UNITS[1], SigningKey::from_pem(UNITS[2].pem.as_bytes()).unwrap());
    fs::write(path("next.key"), &next.pem).unwrap();
    fs::write(path("next.pub"), UNITS[2].public.to_pem().unwrap()).unwrap();
    let toml = format!(
        "[credentials.default.next]\napp_id = \"{}\"\nprivate_key_file = {:?}\nwebhook_public_key_file = {:?}",
        next.app_id,
        path("next.key"),
        path("next.pub")
    );
    let (_sidecar, address) = receiver_of(&application, &toml).await;
    let at = |key: &SigningKey, app_id: &str, ago: u64| Delivery::signed(key, app_id, now() - ago, "/", PAID);
    for ago in [0, 24 * 3600] {
        for (key, app_id) in [(&*WONDER, APP_ID), (&its_webhook_key, next.app_id.as_str())] {
            assert_eq!(at(key, app_id, ago).send(address).await.status(), 200, "{app_id} {ago}");
            let received = application.next().await;
            assert_eq!(received.value("x-wonder-signer-app-id"), Some(app_id));
            assert_eq!(received.value("x-wonder-signer-verified"), Some("default"));
        }
    }
    // Each key is for its own AppID.
    for (key, app_id) in [(&*WONDER, next.app_id.as_str()), (&its_webhook_key, APP_ID)] {
        assert_eq!(at(key, app_id, 0).send(address).await.status(), 401, "{app_id}");
    }
    assert_eq!(application.waiting(), 0);
}
