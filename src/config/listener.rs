//! Where plain requests are taken: an IP address with port, or a Unix socket.

use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr};

use super::{
    ConfigError, Listen, ListenTls,
    field::{Field, Key, Kind, Shown},
    layers::Layers,
    values,
};

/// One address of the signing listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    /// `127.0.0.1:8080`, `[::1]:8080`. Port 0 lets the system choose one.
    Tcp(SocketAddr),
    /// `unix:/run/wonder-signer/signer.sock`: who may connect is decided by the file's mode and directory.
    Unix(PathBuf),
}

impl ListenAddress {
    /// Whether only processes on this machine (or in this pod) can reach it.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

impl FromStr for ListenAddress {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        // The longest path that fits the system's structure for socket addresses.
        const LONGEST: usize = 107;
        match text.strip_prefix("unix:") {
            Some(path) if path.starts_with('/') && path.len() <= LONGEST && !path.ends_with('/') => {
                Ok(Self::Unix(path.into()))
            }
            Some(_) => {
                Err(NotAnAddress("not a socket; write for example \"unix:/run/signer.sock\", 107 bytes at most"))
            }
            None => text
                .parse()
                .map(Self::Tcp)
                .map_err(|_| NotAnAddress("not an IP address with port; write for example \"127.0.0.1:8080\"")),
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Neither address nor socket; says what is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotAnAddress(&'static str);

impl Listen {
    /// Refuses a listener that other machines reach without an explicit word.
    pub(super) fn checked(self, layers: &Layers) -> Result<Self, ConfigError> {
        if self.addresses.iter().all(ListenAddress::is_local) {
            return Ok(self);
        }
        if !self.dangerous_allow_non_loopback {
            return Err(layers.refuse(
                "listen.address",
                "is not a loopback address, and whoever reaches it can have requests signed; \
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

/// The files of TLS on the listener. A part of the first three is refused: TLS without one of them is not what was meant.
pub(super) struct TlsFiles;

const FILES: [&str; 3] = ["listen.tls.certificate_file", "listen.tls.key_file", "listen.tls.client_ca_file"];
const CALLERS: &str = "listen.tls.callers";

impl Field<Option<ListenTls>> for TlsFiles {
    fn keys(&self, _: &'static str, all: &mut Vec<Key>) {
        all.extend(FILES.into_iter().chain([CALLERS]).map(|name| Key { name, secret: false }));
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
