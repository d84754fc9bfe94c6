//! The addresses of the signing listener, an IP address with port or a Unix socket, and the header that requests must have.

use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr};

use http::{HeaderName, HeaderValue};

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
    /// `unix:/run/wonder-signer/signer.sock`. The mode of the file and its directory decide which users may connect.
    Unix(PathBuf),
}

impl ListenAddress {
    /// Whether no two sockets can be bound to both.
    fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Tcp(one), Self::Tcp(other)) => {
                // Whether [::] takes the addresses of IPv4 too is a setting of the system.
                let is_wide = one.ip().is_unspecified() || other.ip().is_unspecified();
                let is_same = one.ip() == other.ip() || is_wide && one.is_ipv4() == other.is_ipv4();
                one.port() != 0 && one.port() == other.port() && is_same
            }
            (Self::Unix(one), Self::Unix(other)) => one == other,
            _ => false,
        }
    }

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
        const LONGEST: usize = if cfg!(target_os = "linux") { 107 } else { 103 };
        match text.strip_prefix("unix:") {
            Some(path) if path.starts_with('/') && path.len() <= LONGEST && !path.ends_with('/') => {
                Ok(Self::Unix(path.into()))
            }
            Some(_) => Err(NotAnAddress(format!(
                "not a socket; write for example \"unix:/run/signer.sock\", {LONGEST} bytes at most"
            ))),
            None => text.parse().map(Self::Tcp).map_err(|_| {
                NotAnAddress("not an IP address with port; write for example \"127.0.0.1:8080\"".to_owned())
            }),
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

/// The text is neither an address nor a socket. The error names the expected form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotAnAddress(String);

/// A header that every request must have: `X-Wonder-Signer-Request: true`.
///
/// It stops a program that can be made to fetch a URL (SSRF) but not to add a header. It is no password: the configuration shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequiredHeader {
    /// Its name.
    pub(crate) name: HeaderName,
    /// Its value, which is compared byte for byte.
    pub(crate) value: HeaderValue,
}

impl FromStr for RequiredHeader {
    type Err = NotARequiredHeader;

    fn from_str(text: &str) -> Result<Self, NotARequiredHeader> {
        // The space distinguishes a header from a URL, which may contain a password.
        let (name, value) = text.split_once(": ").ok_or(NotARequiredHeader::Form)?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let name = Some(name).filter(|name| name.bytes().all(plain)).and_then(|name| name.parse::<HeaderName>().ok());
        let name = name.ok_or(NotARequiredHeader::Form)?;
        if has_a_meaning(&name) {
            return Err(NotARequiredHeader::Name);
        }
        let value = value.trim();
        let visible = !value.is_empty() && value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        let value = Some(value).filter(|_| visible).and_then(|value| value.parse().ok());
        Ok(Self { name, value: value.ok_or(NotARequiredHeader::Form)? })
    }
}

/// Whether clients or we ourselves set the header. Such a header proves nothing, and removing it would change the request.
pub(super) fn has_a_meaning(name: &HeaderName) -> bool {
    const OTHERS: &[&str] = &[
        "host",
        "connection",
        "content-length",
        "content-type",
        "transfer-encoding",
        "expect",
        "upgrade",
        "origin",
        "referer",
        "cookie",
        "credential",
        "nonce",
        "signature",
        "x-request-id",
        "x-wonder-signer-credential",
    ];
    OTHERS.contains(&name.as_str())
}

/// As in the configuration.
impl fmt::Display for RequiredHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.value.to_str().unwrap_or_default())
    }
}

/// Why a text is no header that can be required.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotARequiredHeader {
    /// Not name and value.
    #[error(
        "not a header; write its name (letters, digits, \"-\") and its value (visible ASCII), for example \
         \"X-Wonder-Signer-Request: true\""
    )]
    Form,
    /// A header with a meaning of its own.
    #[error("names a header with a meaning of its own; choose another, for example \"X-Wonder-Signer-Request: true\"")]
    Name,
}

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
pub(super) fn check_distinct(
    listen: &[ListenAddress],
    admin: SocketAddr,
    webhook: Option<&ListenAddress>,
    layers: &Layers,
) -> Result<(), ConfigError> {
    let admin = ListenAddress::Tcp(admin);
    let of_listen = listen.iter().map(|address| ("listen.address", address));
    let of_webhook = webhook.map(|address| ("webhook.address", address));
    let all: Vec<_> = of_listen.chain([("admin.address", &admin)]).chain(of_webhook).collect();
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
