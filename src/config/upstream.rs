//! How the `[upstream]` table is read: what its keys mean together.

use super::{
    CaMode, ClientCertificate, ConfigError, DAY, Environment, HOUR, MILLISECOND, Origin, Proxy, Upstream,
    layers::Layers,
    origin,
    proxy::{self, Wanted},
    values,
};

impl Upstream {
    pub(super) fn read(layers: &Layers) -> Result<Self, ConfigError> {
        let environment = layers.read("upstream.environment", values::word)?;
        let given: Option<Origin> = layers.read_optional("upstream.origin", values::origin)?;
        let fixed = match environment {
            Environment::Staging => Some("https://gateway-stg.wonder.today"),
            Environment::Production => Some("https://gateway.wonder.today"),
            Environment::Custom => None,
        };
        let origin = match (fixed, given) {
            (None, Some(origin)) => origin,
            (None, None) => {
                return Err(layers.refuse(
                    "upstream.environment",
                    "needs upstream.origin; write for example origin = \"https://127.0.0.1:4443\"",
                ));
            }
            (Some(_), Some(_)) => {
                let (word, source) = (environment, layers.source("upstream.environment"));
                return Err(layers.refuse(
                    "upstream.origin",
                    format!(
                        "goes only with upstream.environment = \"custom\", which is \"{word}\" (from {source}); \
                         set it to \"custom\" (flag --environment custom)"
                    ),
                ));
            }
            (Some(fixed), None) => fixed
                .parse()
                .map_err(|error: origin::OriginError| layers.refuse("upstream.environment", error.to_string()))?,
        };
        let upstream = Self {
            environment,
            proxy: proxy(layers, &origin)?,
            origin,
            ca_file: layers.read_optional("upstream.ca_file", values::path)?,
            ca_mode: layers.read("upstream.ca_mode", values::word)?,
            client_certificate: client_certificate(layers)?,
            min_tls_version: layers.read("upstream.min_tls_version", values::word)?,
            http_version: layers.read("upstream.http_version", values::word)?,
            pool_idle: layers.read("upstream.pool_idle", values::duration(MILLISECOND..=HOUR))?,
            pool_max_idle: layers.read("upstream.pool_max_idle", values::count(0..=1024))?,
            max_connection_age: layers.read("upstream.max_connection_age", values::duration(MILLISECOND..=DAY))?,
        };
        if upstream.ca_mode == CaMode::Replace && upstream.ca_file.is_none() {
            return Err(layers.refuse("upstream.ca_mode", "needs upstream.ca_file, or nothing would be trusted"));
        }
        Ok(upstream)
    }
}

/// Refuses half of the pair: a certificate without its key proves nothing, and a key alone is most likely a slip.
fn client_certificate(layers: &Layers) -> Result<Option<ClientCertificate>, ConfigError> {
    let (certificate, key) = ("upstream.client_certificate_file", "upstream.client_key_file");
    match (layers.read_optional(certificate, values::path)?, layers.read_optional(key, values::path)?) {
        (None, None) => Ok(None),
        (Some(certificate_file), Some(key_file)) => Ok(Some(ClientCertificate { certificate_file, key_file })),
        (Some(_), None) => Err(layers.refuse(certificate, format!("needs {key}; set both or none"))),
        (None, Some(_)) => Err(layers.refuse(key, format!("needs {certificate}; set both or none"))),
    }
}

/// The proxy that holds for `origin`. One that was set for every program on the machine does not hold for loopback, nor for
/// what `NO_PROXY` names, and is not even looked at there; one that was set for us always holds.
fn proxy(layers: &Layers, origin: &Origin) -> Result<Option<Proxy>, ConfigError> {
    if layers.proxy_is_for_everyone() && (origin.is_loopback() || proxy::exempts(layers.no_proxy(), origin)) {
        return Ok(None);
    }
    let wanted = layers.read_optional(proxy::KEY, values::word::<Wanted>)?;
    Ok(wanted.and_then(|Wanted(proxy)| proxy))
}
