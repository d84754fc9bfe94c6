use std::fs;

use super::{FAILED, OUTDATED, RELOADED, reached, signed_by};
use crate::support::{
    logged::Logged,
    sidecar::{Sidecar, until},
    upstream::Recorder,
    volume::{UNITS, Volume},
    wire::{exchange, request},
};

async fn sidecar(origin: &str, volume: &Volume) -> Sidecar {
    let toml = format!("[credentials.default]\n{}", volume.toml());
    Sidecar::with_credentials(origin, &toml).await.unwrap()
}

/// The AppID for which a request is signed now.
async fn app_id(sidecar: &Sidecar, upstream: &Recorder) -> String {
    assert_eq!(exchange(sidecar.listen, &request("POST", "/svc/a", &[], b"{}")).await.status(), 200);
    signed_by(&upstream.next().await).app_id.clone()
}

#[tokio::test]
async fn a_swapped_volume_is_used_without_a_restart_or_a_signal() {
    let (upstream, volume) = (Recorder::start().await, Volume::of(&UNITS[0]));
    let sidecar = sidecar(&upstream.origin(), &volume).await;
    assert_eq!(app_id(&sidecar, &upstream).await, UNITS[0].app_id);
    volume.swap_to(&UNITS[1]);
    until(sidecar.admin, RELOADED, 1.0).await;
    assert_eq!(app_id(&sidecar, &upstream).await, UNITS[1].app_id);
    let loaded = |fingerprint| {
        format!(r#"wonder_signer_key_loaded_timestamp_seconds{{credential="default",fingerprint="{fingerprint}"}}"#)
    };
    assert!(sidecar.metric(&loaded(UNITS[1].public.fingerprint())).await > 0.0);
}

#[tokio::test]
async fn replaced_and_overwritten_files_are_read_again() {
    let upstream = Recorder::start().await;
    let directory = tempfile::tempdir().unwrap();
    let [app_id_file, key_file] = ["app_id", "key.pem"].map(|name| directory.path().join(name));
    let put = |unit: usize| {
        fs::write(&app_id_file, &UNITS[unit].app_id).unwrap();
        fs::write(&key_file, &UNITS[unit].pem).unwrap();
    };
    put(0);
    let toml = format!(
        "[credentials.default]\napp_id_file = \"{}\"\nprivate_key_file = \"{}\"",
        app_id_file.display(),
        key_file.display()
    );
    let sidecar = Sidecar::with_credentials(&upstream.origin(), &toml).await.unwrap();
    put(1);
    reached(&sidecar, RELOADED, 1.0).await;
    assert_eq!(app_id(&sidecar, &upstream).await, UNITS[1].app_id);
    // A new file under the old name, as editors and Vault's agent write it.
    for (path, content) in [(&app_id_file, &UNITS[2].app_id), (&key_file, &UNITS[2].pem)] {
        let new = path.with_extension("new");
        fs::write(&new, content).unwrap();
        fs::rename(&new, path).unwrap();
    }
    reached(&sidecar, RELOADED, 2.0).await;
    assert_eq!(app_id(&sidecar, &upstream).await, UNITS[2].app_id);
    // The whole directory is removed and made again, and a new watch finds it.
    fs::remove_dir_all(directory.path()).unwrap();
    reached(&sidecar, FAILED, 1.0).await;
    fs::create_dir(directory.path()).unwrap();
    put(0);
    reached(&sidecar, RELOADED, 3.0).await;
    assert_eq!(app_id(&sidecar, &upstream).await, UNITS[0].app_id);
}

#[tokio::test]
async fn a_bad_unit_is_ignored_and_the_next_good_one_is_used() {
    let (upstream, volume) = (Recorder::start().await, Volume::of(&UNITS[0]));
    let sidecar = sidecar(&upstream.origin(), &volume).await;
    let (app, key) = (UNITS[1].app_id.as_str(), UNITS[1].pem.as_str());
    let public = UNITS[1].public.to_pem().unwrap();
    let bad = [
        (app, &key[..key.len() / 2]),
        (app, ""),
        (app, public.as_str()),
        ("", key),
        ("shop", key),
        (app, "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"),
    ];
    let mut failed = 0.0;
    for (app, key) in bad {
        volume.swap(app, key);
        sidecar.reload.now();
        failed += 1.0;
        until(sidecar.admin, FAILED, failed).await;
        until(sidecar.admin, OUTDATED, 1.0).await;
        assert_eq!(app_id(&sidecar, &upstream).await, UNITS[0].app_id);
    }
    volume.swap_to(&UNITS[1]);
    sidecar.reload.now();
    until(sidecar.admin, RELOADED, 1.0).await;
    until(sidecar.admin, OUTDATED, 0.0).await;
    assert_eq!(app_id(&sidecar, &upstream).await, UNITS[1].app_id);
}

#[tokio::test]
async fn a_request_in_flight_keeps_the_unit_that_it_began_with() {
    let ((upstream, permits), volume) = (Recorder::holding().await, Volume::of(&UNITS[0]));
    let sidecar = sidecar(&upstream.origin(), &volume).await;
    let call = async || exchange(sidecar.listen, &request("POST", "/svc/a", &[], b"{}")).await;
    let (under_way, swap) = tokio::join!(call(), async {
        let began = upstream.next().await;
        assert_eq!(signed_by(&began).app_id, UNITS[0].app_id);
        volume.swap_to(&UNITS[1]);
        sidecar.reload.now();
        until(sidecar.admin, RELOADED, 1.0).await;
        permits.add_permits(2);
    });
    assert_eq!((under_way.status(), swap), (200, ()));
    assert_eq!(call().await.status(), 200);
    assert_eq!(signed_by(&upstream.next().await).app_id, UNITS[1].app_id);
}

#[tokio::test]
async fn without_a_key_requests_get_no_key_and_readyz_fails_until_the_files_are_readable() {
    let (upstream, missing, shop) = (Recorder::start().await, Volume::empty(), Volume::of(&UNITS[1]));
    let toml = format!("[credentials.default]\n{}[credentials.shop]\n{}", missing.toml(), shop.toml());
    let sidecar = Sidecar::with_credentials(&upstream.origin(), &toml).await.unwrap();
    let ready = async || exchange(sidecar.admin, &request("GET", "/readyz", &[], b"")).await;
    let (status, text) = (ready().await.status(), ready().await.text());
    assert_eq!((status, text.as_str()), (503, "no_key\n"));
    let got = exchange(sidecar.listen, &request("POST", "/svc/a", &[], b"{}")).await;
    assert_eq!(got.contract(), (503, "no_key".to_owned(), "no".to_owned()));
    assert!(got.value("retry-after").is_some());
    // The other business is still served.
    let other = [("X-Wonder-Signer-Credential", "shop")];
    assert_eq!(exchange(sidecar.listen, &request("POST", "/svc/a", &other, b"{}")).await.status(), 200);
    assert_eq!(signed_by(&upstream.next().await).app_id, UNITS[1].app_id);
    until(sidecar.admin, r#"wonder_signer_credential_usable{credential="default"}"#, 0.0).await;
    missing.swap_to(&UNITS[0]);
    until(sidecar.admin, RELOADED, 1.0).await;
    let (status, text) = (ready().await.status(), ready().await.text());
    assert_eq!((status, text.as_str()), (200, "ready\n"));
    assert_eq!(app_id(&sidecar, &upstream).await, UNITS[0].app_id);
    until(sidecar.admin, r#"wonder_signer_credential_usable{credential="default"}"#, 1.0).await;
}

#[tokio::test]
async fn sighup_reloads_at_once_and_the_log_names_file_and_remedy() {
    let (upstream, volume) = (Recorder::start().await, Volume::of(&UNITS[0]));
    let [app_id, key] = ["app_id", "key.pem"].map(|name| volume.path(name));
    let (app_id, key) = (app_id.to_str().unwrap(), key.to_str().unwrap());
    let variables = [
        ("WONDER_SIGNER_CREDENTIALS__SHOP__APP_ID_FILE", app_id),
        ("WONDER_SIGNER_CREDENTIALS__SHOP__PRIVATE_KEY_FILE", key),
    ];
    let program = Logged::before(&upstream.origin(), &variables).await;
    volume.swap(&UNITS[1].app_id, &UNITS[1].pem[..300]);
    program.signal("HUP");
    let line = program.line("credential cannot be reloaded; the one read before stays in use").await;
    let cut = format!(
        "credentials.shop.private_key_file {key}: is cut short: the PEM block has no \"-----END\" line; copy the whole file"
    );
    assert_eq!((line["credential"].as_str(), line["error"].as_str()), (Some("shop"), Some(cut.as_str())));
    assert_eq!(line["level"], "error");
    volume.swap_to(&UNITS[2]);
    program.signal("HUP");
    let line = program.line("credential reloaded").await;
    assert_eq!((line["credential"].as_str(), line["app_id"].as_str()), (Some("shop"), Some(UNITS[2].app_id.as_str())));
    let log = program.stop().await;
    for unit in UNITS.iter() {
        for secret in unit.pem.lines().filter(|line| !line.starts_with("-----")) {
            assert!(!log.contains(secret), "the log has a part of a key");
        }
    }
}
