//! The values that a command sets itself. `dev` makes its own key and upstream, and has its own default addresses.

use super::{DEFAULT, Layer, Layers, environment};
use crate::config::{ConfigError, Secret, proxy};

/// Values that a command sets in place of the user.
#[derive(Debug, Default)]
pub struct Made {
    /// Below files, environment and flags: key and value.
    pub(crate) defaults: Vec<(&'static str, String)>,
    /// Above them: key and value. No other layer may set any key of the same tables.
    pub(crate) fixed: Vec<(&'static str, String)>,
    /// The key of `credentials.default`.
    pub(crate) private_key: Option<Secret>,
    /// Its webhook key.
    pub(crate) webhook_public_key: Option<Secret>,
}

impl Made {
    /// The command's own defaults as layers.
    pub(super) fn below(&self) -> impl Iterator<Item = Layer> {
        self.defaults.iter().map(|(key, value)| Layer::of_one(DEFAULT.to_owned(), key, value))
    }

    /// Adds the fixed values to `layers`, and rejects what another layer has set in their tables.
    pub(super) fn over(self, mut layers: Layers) -> Result<Layers, ConfigError> {
        let secrets = [
            ("credentials.default.private_key", self.private_key),
            ("credentials.default.webhook_public_key", self.webhook_public_key),
        ];
        let secrets: Vec<_> = secrets.into_iter().filter_map(|(key, secret)| Some((key, secret?))).collect();
        let inline = secrets.iter().map(|(key, _)| (*key, environment::INLINE.to_owned()));
        let fixed: Vec<_> = self.fixed.into_iter().chain(inline).collect();
        let table = |key: &str| key.split('.').next().map(str::to_owned);
        for (key, source) in layers.sources() {
            let is_for_everyone = key == proxy::KEY && layers.proxy_is_for_everyone();
            if source != DEFAULT && !is_for_everyone && fixed.iter().any(|(made, _)| table(made) == table(&key)) {
                let reason = "this command makes its own key and its own Wonder; remove it, or use simulate and run";
                return Err(layers.refuse(&key, reason));
            }
        }
        for (key, value) in fixed {
            layers.add(Layer::of_one("this command".to_owned(), key, &value));
        }
        layers.secrets.extend(secrets.into_iter().map(|(key, secret)| (key.to_owned(), secret)));
        Ok(layers)
    }
}
