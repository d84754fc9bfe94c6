//! The rules between the keys of `[listen]`, its TLS files, and the addresses of all listeners.

use super::{
    ConfigError, Listen, ListenTls,
    address::ListenAddress,
    field::{Field, Kind, Shown},
    keys::Key,
    layers::Layers,
    values,
};

impl Listen {
    /// Rejects a listener that other machines can reach, unless the configuration allows it explicitly.
    pub(super) fn checked(self, layers: &Layers) -> Result<Self, ConfigError> {
        if self.addresses.iter().all(ListenAddress::is_local) {
            return Ok(self);
        }
        if !self.dangerous_allow_non_loopback {
            return Err(layers.refuse(
                "listen.address",
                "is not a loopback address, and every program that reaches it can have requests signed; \
                 to allow it set listen.dangerous_allow_non_loopback = true (flag --allow-non-loopback)",
            ));
        }
        if self.tls.is_some() && self.allowed_hosts.is_empty() {
            return Err(layers.refuse(
                "listen.allowed_hosts",
                "must name this service as its callers do; write for example [\"wonder-signer.payments.svc\"]",
            ));
        }
        Ok(self)
    }
}

/// The TLS files of the listener. The first three keys must be set together.
pub(super) struct TlsFiles;

/// Rejects two listeners at one address. The second bind would fail, and the system's error would blame another program.
pub(super) fn check_distinct(all: &[(&'static str, &ListenAddress)], layers: &Layers) -> Result<(), ConfigError> {
    for (number, (key, address)) in all.iter().enumerate() {
        if let Some((other, _)) = all[..number].iter().find(|(_, other)| address.overlaps(other)) {
            return Err(layers.refuse(key, format!("{address} is already set in {other}; choose another")));
        }
    }
    Ok(())
}

const FILES: [&str; 3] = ["listen.tls.certificate_file", "listen.tls.key_file", "listen.tls.client_ca_file"];
const CALLERS: &str = "listen.tls.callers";

impl Field<Option<ListenTls>> for TlsFiles {
    fn keys(&self, _: &'static str, all: &mut Vec<Key>) {
        all.extend(FILES.map(|name| Key { name, secret: false, schema: values::path().schema }));
        all.push(Key { name: CALLERS, secret: false, schema: values::callers().schema });
    }

    fn read(&self, _: &'static str, layers: &Layers) -> Result<Option<ListenTls>, ConfigError> {
        let callers = layers.read_optional(CALLERS, values::callers().parse)?;
        let Kind { parse, .. } = values::path();
        let [certificate, key, client_ca] = FILES.map(|key| layers.read_optional(key, &parse));
        match (certificate?, key?, client_ca?) {
            (Some(certificate_file), Some(key_file), Some(client_ca_file)) => {
                let callers = callers.unwrap_or_default();
                Ok(Some(ListenTls { certificate_file, key_file, client_ca_file, callers }))
            }
            (None, None, None) if callers.is_none() => Ok(None),
            _ => {
                let (given, missing): (Vec<&str>, Vec<&str>) = FILES.into_iter().partition(|key| layers.has(key));
                let given = given.first().unwrap_or(&CALLERS);
                Err(layers.refuse(given, format!("needs {}; set all three or none", missing.join(" and "))))
            }
        }
    }

    fn show(&self, _: &'static str, value: &Option<ListenTls>, shown: &mut Shown<'_>) {
        let Some(ListenTls { certificate_file, key_file, client_ca_file, callers }) = value else { return };
        let Kind { show, .. } = values::path();
        for (key, file) in FILES.into_iter().zip([certificate_file, key_file, client_ca_file]) {
            shown.add(key, show(file));
        }
        shown.add(CALLERS, (values::callers().show)(callers));
    }
}
