//! Wonder's side of webhooks: a webhook key, and deliveries signed with it.

use std::{io::Write as _, net::SocketAddr, sync::LazyLock, time::SystemTime};

use tempfile::NamedTempFile;
use wonder_signer::signing::{Nonce, RequestTime, SigningKey, Stamp, webhook};

use super::{
    sidecar::{APP_ID, Sidecar},
    upstream::Recorder,
    wire::{Message, exchange, request},
};

/// Wonder's private key, one of the published vectors' keys.
pub(crate) static WONDER: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::from_pem(WONDER_PEM.as_bytes()).unwrap());

/// The same as a file has it.
pub(crate) static WONDER_PEM: LazyLock<String> = LazyLock::new(|| {
    let text = include_str!("../../vectors/wonder-rsa-sha256.json");
    let vectors: serde_json::Value = serde_json::from_str(text).unwrap();
    vectors["keys"]["rsa2048-pkcs1"]["private_key_pem"].as_str().unwrap().to_owned()
});

/// The body of a paid order.
pub(crate) const PAID: &str = r#"{"number":"93000120417","state":"completed","correspondence_state":"paid"}"#;

/// The file with Wonder's webhook public key.
pub(crate) fn key_file() -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(WONDER.verifying_key().to_pem().unwrap().as_bytes()).unwrap();
    file
}

/// A sidecar that forwards verified webhooks to `application` (`http://…`), with more configuration (TOML).
pub(crate) async fn receiver(application: &str, toml: &str) -> (Sidecar, SocketAddr) {
    let file = key_file();
    let toml = format!(
        "webhook.address = \"127.0.0.1:0\"\nwebhook.forward_to = \"{application}\"\n\
         credentials.default.webhook_public_key_file = \"{}\"\n{toml}",
        file.path().display()
    );
    let sidecar = Sidecar::with("http://127.0.0.1:9", &toml).await;
    let address = sidecar.webhook.unwrap();
    (sidecar, address)
}

/// The same before a recorder.
pub(crate) async fn receiver_of(application: &Recorder, toml: &str) -> (Sidecar, SocketAddr) {
    receiver(&application.origin(), toml).await
}

/// Now, in seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

/// One delivery before it is sent. Tests change a part of it.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Delivery {
    /// Signed by Wonder at the current time.
    pub(crate) fn of(target: &str, body: &str) -> Self {
        Self::at(now(), target, body)
    }

    /// A paid order.
    pub(crate) fn paid() -> Self {
        Self::of("/hooks/wonder?src=w", PAID)
    }

    /// Signed by Wonder at the given time.
    pub(crate) fn at(unix_seconds: u64, target: &str, body: &str) -> Self {
        Self::signed(&WONDER, APP_ID, unix_seconds, target, body)
    }

    pub(crate) fn signed(key: &SigningKey, app_id: &str, unix_seconds: u64, target: &str, body: &str) -> Self {
        let stamp = Stamp {
            request_time: RequestTime::from_unix_seconds(unix_seconds),
            nonce: Nonce::generate(&mut rand::thread_rng()),
        };
        let signed = webhook::sign(key, &app_id.parse().unwrap(), &stamp, target, &[body]).unwrap();
        Self {
            method: "POST".to_owned(),
            target: target.to_owned(),
            headers: [
                ("Content-Type", "application/json".to_owned()),
                ("Credential", signed.credential),
                ("Nonce", signed.nonce),
                ("Signature", signed.signature),
                ("X-Action", "order.paid".to_owned()),
            ]
            .map(|(name, value)| (name.to_owned(), value))
            .to_vec(),
            body: body.as_bytes().to_vec(),
        }
    }

    /// With one more header.
    pub(crate) fn and(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Without that header.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self
    }

    /// With another value of that header.
    pub(crate) fn with(self, name: &str, value: &str) -> Self {
        self.without(name).and(name, value)
    }

    pub(crate) fn value(&self, name: &str) -> &str {
        &self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).unwrap().1
    }

    /// The bytes of the request.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let headers: Vec<(&str, &str)> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        request(&self.method, &self.target, &headers, &self.body)
    }

    pub(crate) async fn send(&self, address: SocketAddr) -> Message {
        exchange(address, &self.bytes()).await
    }
}
