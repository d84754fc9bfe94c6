//! Every effective value and its origin, secrets masked, for `check --print-config` and the admin page.

use std::{collections::BTreeMap, io};

use serde_json::{Value, json};

use super::{
    Config,
    field::{Section as _, Shown},
    layers::DEFAULT,
};

/// The layer that set each key: `default`, `file /x`, `environment variable …`, `flag …`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sources(BTreeMap<String, String>);

impl Sources {
    /// The layer that `key` (`limits.body`) came from.
    #[cfg(any(feature = "simulator", test))]
    #[must_use]
    pub(crate) fn of(&self, key: &str) -> &str {
        self.0.get(key).map_or(DEFAULT, String::as_str)
    }

    /// Whether a layer above the defaults, or the defaults, set `key`.
    pub(super) fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// Removes the layer of `key`, because the value is for other programs.
    pub(super) fn forget(&mut self, key: &str) {
        self.0.remove(key);
    }
}

impl FromIterator<(String, String)> for Sources {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(pairs: T) -> Self {
        Self(pairs.into_iter().collect())
    }
}

/// Writes one line per effective value: `limits.body = "1MiB"  # default`.
///
/// # Errors
/// Those of `out`.
pub(crate) fn explain(config: &Config, out: &mut dyn io::Write) -> io::Result<()> {
    for (key, value) in config.entries() {
        let source = match config.sources.0.get(&key) {
            Some(source) => source.clone(),
            None if key == "upstream.origin" => "upstream.environment".to_owned(),
            None => DEFAULT.to_owned(),
        };
        writeln!(out, "{key} = {value}  # {source}")?;
    }
    Ok(())
}

impl Config {
    /// The effective values as nested objects, in the words of the file; an inline key is `"(secret)"`.
    #[must_use]
    pub(crate) fn to_masked_json(&self) -> Value {
        let mut root = json!({});
        for (key, value) in self.entries() {
            let place = key.split('.').fold(&mut root, |table, part| &mut table[part]);
            *place = value;
        }
        root
    }

    /// Keys and values in the order of `config/default.toml`.
    fn entries(&self) -> Vec<(String, Value)> {
        let Self { listen, admin, upstream, credentials, webhook, limits, timeouts, shutdown, log, process, sources } =
            self;
        let mut shown = Shown { sources, entries: Vec::new() };
        listen.show(&mut shown);
        admin.show(&mut shown);
        upstream.show(&mut shown);
        for (name, credential) in credentials {
            credential.show(name, &mut shown);
        }
        webhook.show(&mut shown);
        limits.show(&mut shown);
        timeouts.show(&mut shown);
        shutdown.show(&mut shown);
        log.show(&mut shown);
        process.show(&mut shown);
        shown.entries
    }
}
