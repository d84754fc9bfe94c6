//! Keys that are no webhook keys: private keys, and the public halves of request keys, of whichever credential.

use std::{fs, path::PathBuf};

use tempfile::TempDir;

use crate::support::{
    patience::soon,
    program::{Program, environment},
    sidecar::{Sidecar, verifying_key},
    volume::{UNITS, Unit},
    webhooks::{WONDER, WONDER_PEM},
};

const REQUEST_KEY: &str = "with which Wonder does not sign webhooks; the webhook key is the one that Wonder's portal shows as \"Webhook Public Key\" when \
                           the AppID is created";

/// An RSA public key of 1024 bits.
const SMALL: &str = "\
-----BEGIN PUBLIC KEY-----\n\
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCaLAMhcMe9D7Si5t8wTPoDTJim\n\
pQiD+SCnRaYG52DYqCtfwbqbKgG2yXRk6+catMpxCdUWKeQzIlrB64SXeMIcRcYc\n\
IhwufZkr6S3hqlYUWVTWAIqOxLD8o4Wn1Ckyf+bmrT83aFQqQ85ntn8RqkzOjcE1\n\
Nc5gh/iZcZdWrZlX6QIDAQAB\n\
-----END PUBLIC KEY-----\n\
";

/// A public key on the curve P-256.
const EC: &str = "\
-----BEGIN PUBLIC KEY-----\n\
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEmmcHWCUoLYvArdGpk269y6oBDeJr\n\
wUzeJx3cs+SrxiMMT+Eh7nCDMeuFDNlMRHUcFs0VRgcj0veA0cislO5gcg==\n\
-----END PUBLIC KEY-----\n\
";

/// A directory with the files of two credentials, `a` and `b`, the second with a next unit.
struct Files(TempDir);

impl Files {
    /// The request keys are those of [`UNITS`]; each webhook key is Wonder's.
    fn new() -> Self {
        let files = Self(TempDir::new().unwrap());
        for (name, unit) in ["a", "b", "c"].iter().zip(&*UNITS) {
            fs::write(files.path(&format!("{name}.key")), &unit.pem).unwrap();
            files.set_webhook_key(name, &WONDER.verifying_key().to_pem().unwrap());
        }
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn set_webhook_key(&self, name: &str, pem: &str) {
        fs::write(self.path(&format!("{name}.pub")), pem).unwrap();
    }

    fn toml(&self) -> String {
        let unit = |table: &str, name: &str, unit: &Unit| {
            let [key, webhook] = ["key", "pub"].map(|last| self.path(&format!("{name}.{last}")).display().to_string());
            format!(
                "[credentials.{table}]\napp_id = \"{}\"\nprivate_key_file = \"{key}\"\nwebhook_public_key_file = \"{webhook}\"\n",
                unit.app_id
            )
        };
        [unit("a", "a", &UNITS[0]), unit("b", "b", &UNITS[1]), unit("b.next", "c", &UNITS[2])].concat()
    }

    /// What `check` prints on standard error, without our name.
    fn refused(&self) -> String {
        let file = self.path("sidecar.toml");
        fs::write(&file, self.toml()).unwrap();
        let ended =
            Program::run(&["check", "--config", file.to_str().unwrap()], &environment("http://127.0.0.1:9")[..5], b"");
        ended.refused(64).to_owned()
    }
}

#[test]
fn the_public_half_of_any_request_key_is_refused_as_a_webhook_key() {
    for (name, table) in [("a", "credentials.a"), ("b", "credentials.b"), ("c", "credentials.b.next")] {
        for unit in &*UNITS {
            let files = Files::new();
            files.set_webhook_key(name, &unit.public.to_pem().unwrap());
            let expected = format!(
                "check: {table}.webhook_public_key_file {}: is the public half of your own request key (fingerprint {}), {REQUEST_KEY}",
                files.path(&format!("{name}.pub")).display(),
                unit.public.fingerprint()
            );
            assert_eq!(files.refused(), expected);
        }
    }
}

#[test]
fn a_private_key_is_refused_as_a_webhook_key() {
    for unit in &*UNITS {
        let files = Files::new();
        files.set_webhook_key("a", &unit.pem);
        let refused = files.refused();
        let expected =
            format!("check: credentials.a.webhook_public_key_file {}: is a private key", files.path("a.pub").display());
        assert!(refused.starts_with(&expected) && refused.contains("shows as \"Webhook Public Key\""), "{refused}");
    }
}

#[test]
fn a_file_with_a_private_key_is_refused_even_if_it_has_the_public_one_too() {
    let public = WONDER.verifying_key().to_pem().unwrap();
    for text in [format!("{public}{}", *WONDER_PEM), format!("{}{public}", *WONDER_PEM)] {
        let files = Files::new();
        files.set_webhook_key("a", &text);
        assert!(files.refused().contains(": is a private key, which cannot verify webhooks;"), "{}", files.refused());
    }
}

#[test]
fn the_remedy_for_what_is_no_webhook_key_is_the_key_of_the_portal() {
    let block = |label: &str| format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n");
    for (text, said) in [
        ("\n".to_owned(), "is empty"),
        ("<html>".to_owned(), "holds no key in PEM, DER, or base64 or hex of either"),
        (block("CERTIFICATE"), "holds a PEM block \"CERTIFICATE\", which is no public key"),
        (SMALL.to_owned(), "has a modulus of 1024 bits, 2048 to 4096 are accepted"),
        (EC.to_owned(), "is no RSA key for PKCS#1 v1.5, which Wonder's webhook keys are"),
    ] {
        let files = Files::new();
        files.set_webhook_key("a", &text);
        let expected = format!(
            "{}: {said}; copy the whole key that Wonder's portal shows as \"Webhook Public Key\" when the AppID is created",
            files.path("a.pub").display()
        );
        assert!(files.refused().ends_with(&expected), "{}", files.refused());
    }
}

#[test]
fn a_key_from_the_environment_stops_the_start() {
    let files = Files::new();
    let file = files.path("sidecar.toml");
    fs::write(&file, files.toml()).unwrap();
    // The default credential comes after `a` and `b`, and has no files.
    let key = UNITS[0].public.to_pem().unwrap();
    let environment = environment("http://127.0.0.1:9");
    let environment = [&environment[..], &[("WONDER_SIGNER_CREDENTIALS__DEFAULT__WEBHOOK_PUBLIC_KEY", &key)]].concat();
    for command in ["run", "check"] {
        let ended = Program::run(&[command, "--config", file.to_str().unwrap()], &environment, b"");
        let line = ended.err.lines().last().unwrap();
        let key =
            "credentials.default.webhook_public_key (from the environment): is the public half of your own request key";
        assert!(ended.code() == Some(64) && line.contains(key), "{ended:?}");
    }
}

#[tokio::test]
async fn a_reload_that_mixes_keys_up_is_refused_and_the_keys_before_stay_in_use() {
    // A rejected unit is read once more when another one has been read, so a result may be counted twice.
    let counted = async |sidecar: &Sidecar, name: &str, result: &str| {
        let series = format!("wonder_signer_credential_reloads_total{{credential=\"{name}\",result=\"{result}\"}}");
        soon(async { while sidecar.metric(&series).await < 1.0 {} }).await;
    };
    let files = Files::new();
    for name in ["b", "c"] {
        files.set_webhook_key(name, &verifying_key().to_pem().unwrap());
    }
    let sidecar = Sidecar::with_credentials("http://127.0.0.1:9", &files.toml()).await.unwrap();
    files.set_webhook_key("a", &UNITS[1].public.to_pem().unwrap());
    sidecar.reload.now();
    counted(&sidecar, "a", "failed").await;
    files.set_webhook_key("a", &WONDER.verifying_key().to_pem().unwrap());
    sidecar.reload.now();
    counted(&sidecar, "a", "ok").await;
    // The other way round: a new request key whose public half is a webhook key.
    fs::write(files.path("b.key"), WONDER_PEM.as_str()).unwrap();
    sidecar.reload.now();
    counted(&sidecar, "b", "failed").await;
    sidecar.stop().await;
}
