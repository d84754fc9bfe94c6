//! A certificate and its key: two files, of which neither is of use without the other.

use std::path::PathBuf;

use super::{
    ConfigError,
    field::{Field, Kind, Shown},
    keys::Key,
    layers::Layers,
    values,
};

/// A certificate and its key, both PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate and its chain.
    pub(crate) certificate_file: PathBuf,
    /// Its private key.
    pub(crate) key_file: PathBuf,
}

/// The names of the two keys. One without the other is rejected.
pub(super) struct CertificateAndKey {
    pub(super) certificate: &'static str,
    pub(super) key: &'static str,
}

impl Field<Option<CertificateFiles>> for CertificateAndKey {
    fn keys(&self, _: &'static str, all: &mut Vec<Key>) {
        all.extend([self.certificate, self.key].map(|name| Key { name, secret: false, schema: values::path().schema }));
    }

    fn read(&self, _: &'static str, layers: &Layers) -> Result<Option<CertificateFiles>, ConfigError> {
        let Self { certificate, key } = *self;
        let Kind { parse, .. } = values::path();
        match (layers.read_optional(certificate, &parse)?, layers.read_optional(key, &parse)?) {
            (None, None) => Ok(None),
            (Some(certificate_file), Some(key_file)) => Ok(Some(CertificateFiles { certificate_file, key_file })),
            (Some(_), None) => Err(layers.refuse(certificate, format!("needs {key}; set both or none"))),
            (None, Some(_)) => Err(layers.refuse(key, format!("needs {certificate}; set both or none"))),
        }
    }

    fn show(&self, _: &'static str, value: &Option<CertificateFiles>, shown: &mut Shown<'_>) {
        let Some(CertificateFiles { certificate_file, key_file }) = value else { return };
        let Kind { show, .. } = values::path();
        shown.add(self.certificate, show(certificate_file));
        shown.add(self.key, show(key_file));
    }
}
