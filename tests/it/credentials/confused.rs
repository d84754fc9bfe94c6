//! Keys in the wrong places: the request key of one credential as the webhook key of another.

use std::fs;

use super::reached;
use crate::support::{
    sidecar::{Sidecar, until},
    upstream::Recorder,
    volume::{UNITS, Volume},
    webhooks::key_file,
};

const USABLE: &str = r#"wonder_signer_credential_usable{credential="default"}"#;

/// Two credentials, and `webhook_key` for the one named `default`.
async fn sidecar(volumes: &[Volume; 2], webhook_key: &std::path::Path) -> Sidecar {
    let upstream = Recorder::start().await;
    let toml = format!(
        "[credentials.default]\n{}webhook_public_key_file = \"{}\"\n[credentials.shop]\n{}",
        volumes[0].toml(),
        webhook_key.display(),
        volumes[1].toml()
    );
    Sidecar::with_credentials(&upstream.origin(), &toml).await.unwrap()
}

#[tokio::test]
async fn the_correction_of_either_file_is_enough_without_a_signal() {
    let file = tempfile::NamedTempFile::new().unwrap();
    // In turn: the file with the webhook key was wrong, and the file with the request key was.
    for is_webhook_key in [true, false] {
        fs::write(file.path(), UNITS[1].public.to_pem().unwrap()).unwrap();
        let volumes = [Volume::of(&UNITS[0]), Volume::of(&UNITS[1])];
        let sidecar = sidecar(&volumes, file.path()).await;
        until(sidecar.admin, USABLE, 0.0).await;
        if is_webhook_key {
            fs::copy(key_file().path(), file.path()).unwrap();
        } else {
            volumes[1].swap_to(&UNITS[2]);
        }
        until(sidecar.admin, USABLE, 1.0).await;
        reached(&sidecar, r#"wonder_signer_credential_reloads_total{credential="default",result="ok"}"#, 1.0).await;
    }
}
