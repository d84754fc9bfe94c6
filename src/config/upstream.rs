//! The rules between the keys of `[upstream]`.

use serde_json::json;

use super::{
    CaMode, ConfigError, Environment, Origin, Proxy, Upstream,
    field::{Field, Shown},
    keys::Key,
    layers::Layers,
    origin,
    proxy::{self, Wanted},
    shapes, values,
};

impl Upstream {
    /// Rejects keys that contradict each other.
    pub(super) fn checked(self, layers: &Layers) -> Result<Self, ConfigError> {
        if self.ca_mode == CaMode::Replace && self.ca_file.is_none() {
            return Err(layers
                .refuse("upstream.ca_mode", "needs upstream.ca_file, because without it no certificate is trusted"));
        }
        Ok(self)
    }
}

/// The origin: fixed by `upstream.environment`, or `upstream.origin` with `custom`.
pub(super) struct OfEnvironment;

impl Field<Origin> for OfEnvironment {
    fn keys(&self, own: &'static str, all: &mut Vec<Key>) {
        all.push(Key { name: own, secret: false, schema: shapes::origin() });
    }

    fn read(&self, own: &'static str, layers: &Layers) -> Result<Origin, ConfigError> {
        const ENVIRONMENT: &str = "upstream.environment";
        origin_of(layers, layers.read(ENVIRONMENT, values::parse_word)?, ENVIRONMENT, own)
    }

    fn show(&self, own: &'static str, origin: &Origin, shown: &mut Shown<'_>) {
        shown.add(own, json!(origin.to_string()));
    }
}

/// The origin of `environment`, which the key `of_environment` has set: fixed, or the one of the key `own`.
pub(super) fn origin_of(
    layers: &Layers,
    environment: Environment,
    of_environment: &str,
    own: &str,
) -> Result<Origin, ConfigError> {
    let given: Option<Origin> = layers.read_optional(own, values::parse_word)?;
    let fixed = match environment {
        Environment::Staging => Some("https://gateway-stg.wonder.today"),
        Environment::Production => Some("https://gateway.wonder.today"),
        Environment::Custom => None,
    };
    match (fixed, given) {
        (None, Some(origin)) => Ok(origin),
        (None, None) => {
            let reason = format!("needs {own}; write for example origin = \"https://127.0.0.1:4443\"");
            Err(layers.refuse(of_environment, reason))
        }
        (Some(_), Some(_)) => {
            let (word, source) = (environment, layers.source(of_environment));
            let flag = if own == "upstream.origin" { " (flag --environment custom)" } else { "" };
            Err(layers.refuse(
                own,
                format!(
                    "is allowed only with {of_environment} = \"custom\", but that is \"{word}\" (from {source}); set it to \"custom\"{flag}"
                ),
            ))
        }
        (Some(fixed), None) => {
            fixed.parse().map_err(|error: origin::OriginError| layers.refuse(of_environment, error.to_string()))
        }
    }
}

/// The egress proxy for the origin. It may have a password. `upstream.proxy` always applies. `HTTPS_PROXY` does not apply to loopback
/// and to the hosts of `NO_PROXY`, and is not parsed there.
pub(super) struct WayOut;

impl Field<Option<Proxy>> for WayOut {
    fn keys(&self, own: &'static str, all: &mut Vec<Key>) {
        all.push(Key { name: own, secret: true, schema: shapes::proxy() });
    }

    fn read(&self, own: &'static str, layers: &Layers) -> Result<Option<Proxy>, ConfigError> {
        if layers.proxy_is_for_everyone() {
            let origin = OfEnvironment.read("upstream.origin", layers)?;
            if origin.is_loopback() || proxy::exempts(layers.no_proxy(), &origin) {
                return Ok(None);
            }
        }
        let wanted = layers.read_optional(own, values::parse_word::<Wanted>)?;
        Ok(wanted.and_then(|Wanted(proxy)| proxy))
    }

    fn show(&self, own: &'static str, proxy: &Option<Proxy>, shown: &mut Shown<'_>) {
        match proxy {
            Some(proxy) => shown.add(own, json!(proxy.to_string())),
            None if shown.sources.has(own) => shown.add(own, json!("off")),
            None => {}
        }
    }
}
