//! TLS on the webhook listener.

use std::path::PathBuf;

use super::super::{
    ConfigError,
    field::{Field, Kind, Shown},
    keys::Key,
    layers::Layers,
    values,
};

/// `[webhook.tls]`: TLS on the webhook listener. Both files are PEM, and are read again when they change. A sender needs no
/// certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WebhookTls {
    /// The certificate of the listener, with its chain.
    pub(crate) certificate_file: PathBuf,
    /// Its private key.
    pub(crate) key_file: PathBuf,
}

/// The two keys are valid only together.
pub(super) struct TlsFiles;

pub(super) const TLS_FILES: [&str; 2] = ["webhook.tls.certificate_file", "webhook.tls.key_file"];

impl Field<Option<WebhookTls>> for TlsFiles {
    fn keys(&self, _: &'static str, all: &mut Vec<Key>) {
        all.extend(TLS_FILES.map(|name| Key { name, secret: false, schema: values::path().schema }));
    }

    fn read(&self, _: &'static str, layers: &Layers) -> Result<Option<WebhookTls>, ConfigError> {
        let Kind { parse, .. } = values::path();
        let [certificate, key] = TLS_FILES;
        match (layers.read_optional(certificate, &parse)?, layers.read_optional(key, &parse)?) {
            (None, None) => Ok(None),
            (Some(certificate_file), Some(key_file)) => Ok(Some(WebhookTls { certificate_file, key_file })),
            (Some(_), None) => Err(layers.refuse(certificate, format!("needs {key}; set both or none"))),
            (None, Some(_)) => Err(layers.refuse(key, format!("needs {certificate}; set both or none"))),
        }
    }

    fn show(&self, _: &'static str, value: &Option<WebhookTls>, shown: &mut Shown<'_>) {
        let Some(WebhookTls { certificate_file, key_file }) = value else { return };
        let Kind { show, .. } = values::path();
        for (key, file) in TLS_FILES.into_iter().zip([certificate_file, key_file]) {
            shown.add(key, show(file));
        }
    }
}
