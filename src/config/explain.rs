//! Every effective value and where it came from, secrets masked: for `check --print-config` and the admin page.

use std::{collections::BTreeMap, io};

use serde_json::{Value, json};

use super::{
    Config, KeySource, ListenAddress,
    layers::DEFAULT,
    proxy,
    values::{duration_text, size_text},
};

/// What stands in place of a secret.
const MASKED: &str = "(secret)";

/// Where each key's value came from: `default`, `file /x`, `environment variable …`, `flag …`.
#[derive(Debug, Clone, Default)]
pub struct Sources(BTreeMap<String, String>);

impl Sources {
    /// The layer that `key` (`limits.body`) came from.
    #[must_use]
    pub fn of(&self, key: &str) -> &str {
        self.0.get(key).map_or(DEFAULT, String::as_str)
    }

    /// The layer that set `key` set it for others than us.
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
pub fn explain(config: &Config, out: &mut dyn io::Write) -> io::Result<()> {
    for (key, value) in config.entries() {
        let source = match config.sources.0.get(&key) {
            Some(source) => source.clone(),
            None if key == "upstream.origin" => "upstream.environment".to_owned(),
            // An AppID shows as such, also when it came from `app_id_file`.
            None => config.sources.of(&format!("{key}_file")).to_owned(),
        };
        writeln!(out, "{key} = {value}  # {source}")?;
    }
    Ok(())
}

impl Config {
    /// The effective values as nested objects, in the words of the file; an inline key is `"(secret)"`.
    #[must_use]
    pub fn to_masked_json(&self) -> Value {
        let mut root = json!({});
        for (key, value) in self.entries() {
            let place = key.split('.').fold(&mut root, |table, part| &mut table[part]);
            *place = value;
        }
        root
    }

    /// Keys and values in the order of `config/default.toml`.
    fn entries(&self) -> Vec<(String, Value)> {
        let duration = |duration| Value::from(duration_text(duration));
        let size = |size| Value::from(size_text(size as u64));
        let path = |path: &std::path::Path| Value::from(path.display().to_string());
        let (listen, upstream, limits, timeouts) = (&self.listen, &self.upstream, &self.limits, &self.timeouts);

        let mut entries = vec![
            ("listen.address".to_owned(), json!(one_or_all(&listen.addresses))),
            ("listen.socket_mode".to_owned(), json!(format!("{:04o}", listen.socket_mode))),
            ("listen.allowed_hosts".to_owned(), json!(listen.allowed_hosts)),
            ("listen.dangerous_allow_non_loopback".to_owned(), json!(listen.dangerous_allow_non_loopback)),
        ];
        if let Some(tls) = &listen.tls {
            entries.push(("listen.tls.certificate_file".to_owned(), path(&tls.certificate_file)));
            entries.push(("listen.tls.key_file".to_owned(), path(&tls.key_file)));
            entries.push(("listen.tls.client_ca_file".to_owned(), path(&tls.client_ca_file)));
            entries.push(("listen.tls.callers".to_owned(), json!(tls.callers)));
        }
        entries.extend([
            ("admin.address".to_owned(), json!(self.admin.address.to_string())),
            ("upstream.environment".to_owned(), json!(upstream.environment.as_str())),
            ("upstream.origin".to_owned(), json!(upstream.origin.to_string())),
        ]);
        entries.extend(upstream.ca_file.as_deref().map(|file| ("upstream.ca_file".to_owned(), path(file))));
        entries.extend([("upstream.ca_mode".to_owned(), json!(upstream.ca_mode.as_str()))]);
        if let Some(ours) = &upstream.client_certificate {
            entries.push(("upstream.client_certificate_file".to_owned(), path(&ours.certificate_file)));
            entries.push(("upstream.client_key_file".to_owned(), path(&ours.key_file)));
        }
        entries.extend([
            ("upstream.min_tls_version".to_owned(), json!(upstream.min_tls_version.as_str())),
            ("upstream.http_version".to_owned(), json!(upstream.http_version.as_str())),
        ]);
        match &upstream.proxy {
            Some(proxy) => entries.push((proxy::KEY.to_owned(), json!(proxy.to_string()))),
            None if self.sources.0.contains_key(proxy::KEY) => entries.push((proxy::KEY.to_owned(), json!("off"))),
            None => {}
        }
        entries.extend([
            ("upstream.pool_idle".to_owned(), duration(upstream.pool_idle)),
            ("upstream.pool_max_idle".to_owned(), json!(upstream.pool_max_idle)),
            ("upstream.max_connection_age".to_owned(), duration(upstream.max_connection_age)),
        ]);
        for (name, credential) in &self.credentials {
            entries.push((format!("credentials.{name}.app_id"), json!(credential.app_id.as_str())));
            entries.push(match &credential.private_key {
                KeySource::File(file) => (format!("credentials.{name}.private_key_file"), path(file)),
                KeySource::Inline(_) => (format!("credentials.{name}.private_key"), json!(MASKED)),
            });
        }
        entries.extend([
            ("limits.body".to_owned(), size(limits.body)),
            ("limits.requests_in_flight".to_owned(), json!(limits.requests_in_flight)),
            ("limits.connections".to_owned(), json!(limits.connections)),
            ("limits.headers".to_owned(), json!(limits.headers)),
            ("limits.header_bytes".to_owned(), size(limits.header_bytes)),
            ("limits.buffered".to_owned(), size(limits.buffered)),
            ("timeouts.request_head".to_owned(), duration(timeouts.request_head)),
            ("timeouts.idle".to_owned(), duration(timeouts.idle)),
            ("timeouts.body".to_owned(), duration(timeouts.body)),
            ("timeouts.queue".to_owned(), duration(timeouts.queue)),
            ("timeouts.sign".to_owned(), duration(timeouts.sign)),
            ("timeouts.connect".to_owned(), duration(timeouts.connect)),
            ("timeouts.tls_handshake".to_owned(), duration(timeouts.tls_handshake)),
            ("timeouts.response_head".to_owned(), duration(timeouts.response_head)),
            ("timeouts.response_idle".to_owned(), duration(timeouts.response_idle)),
            ("timeouts.request".to_owned(), duration(timeouts.request)),
            ("shutdown.grace".to_owned(), duration(self.shutdown.grace)),
            ("shutdown.drain_delay".to_owned(), duration(self.shutdown.drain_delay)),
            ("log.level".to_owned(), json!(self.log.level.as_str())),
            ("log.format".to_owned(), json!(self.log.format.as_str())),
            ("log.make_traceparent".to_owned(), json!(self.log.make_traceparent)),
            ("log.sample_success".to_owned(), json!(self.log.sample_success)),
            ("log.slow_request".to_owned(), duration(self.log.slow_request)),
        ]);
        entries
    }
}

/// One address as a text, several as a list.
fn one_or_all(addresses: &[ListenAddress]) -> Value {
    match addresses {
        [one] => json!(one.to_string()),
        all => all.iter().map(ToString::to_string).collect(),
    }
}
