//! Where each credential's AppID and keys are. [`crate::credentials`] reads them, together and as one unit.

use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

use serde_json::json;
use zeroize::Zeroizing;

use super::{
    Application, ConfigError, DAY, Environment, ListenTls, Origin, Rotate, Upstream,
    field::Shown,
    keys::{self, Key},
    layers::Layers,
    shapes, upstream, values,
};
use crate::{policy::Name, signing::AppId};

/// How long the old unit is kept by default.
const KEEP_OLD: Duration = Duration::from_mins(10);

/// The text that replaces a secret.
const MASKED: &str = "(secret)";

/// One credential.
#[derive(Debug, Clone)]
pub(crate) struct CredentialConfig {
    /// The unit that signs.
    pub(crate) unit: UnitConfig,
    /// The unit to sign with next, default none; from `[credentials.NAME.next]`.
    pub(crate) next: Option<UnitConfig>,
    /// What switches to the next unit, default manual.
    pub(crate) rotate: Rotate,
    /// How long the old unit is kept after a switch, default 10 min.
    pub(crate) keep_old: Duration,
    /// Which Wonder it is for, default `upstream.environment`.
    pub(crate) environment: Environment,
    /// The origin of that Wonder.
    pub(crate) origin: Origin,
    /// The callers that may use it, by the name in their certificates, default every caller.
    pub(crate) callers: Option<Vec<Name>>,
    /// The application that receives the webhooks of its AppID, default `webhook.forward_to`.
    pub(crate) webhook_forward_to: Option<Application>,
}

/// AppID and keys that belong together.
#[derive(Debug, Clone)]
pub(crate) struct UnitConfig {
    /// Names the application to Wonder; from `app_id` or `app_id_file`.
    pub(crate) app_id: AppIdSource,
    /// Where the private key is; from `private_key_file` or, in the environment only, `private_key`.
    pub(crate) private_key: KeySource,
    /// The file whose first line is the passphrase of the private key, default none.
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Where the key is that verifies Wonder's webhooks, default none; from `webhook_public_key_file` or, in the environment only,
    /// `webhook_public_key`.
    pub(crate) webhook_public_key: Option<KeySource>,
}

/// The source of an AppID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AppIdSource {
    /// In the configuration itself.
    Value(AppId),
    /// In a text file.
    File(PathBuf),
}

/// The source of a key.
#[derive(Debug, Clone)]
pub(crate) enum KeySource {
    /// In a file.
    File(PathBuf),
    /// In an environment variable, as text.
    Inline(Secret),
}

/// Text that is wiped when dropped and never printed.
#[derive(Clone)]
pub(crate) struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps `text`.
    #[must_use]
    pub(crate) fn new(text: Zeroizing<String>) -> Self {
        Self(text)
    }

    /// The text, for the code that reads the key.
    #[must_use]
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl CredentialConfig {
    /// The keys of every credential. No error repeats a value of a unit: each may be a key in the wrong place.
    pub(super) fn keys(all: &mut Vec<Key>) {
        let file = values::path().schema;
        let unit = |names: [&'static str; 7]| {
            let schemas = [
                shapes::uuid(),
                file.clone(),
                file.clone(),
                shapes::not_in_a_file(),
                file.clone(),
                file.clone(),
                shapes::not_in_a_file(),
            ];
            names.into_iter().zip(schemas).map(|(name, schema)| Key { name, secret: true, schema })
        };
        all.extend(unit([
            "credentials.*.app_id",
            "credentials.*.app_id_file",
            "credentials.*.private_key_file",
            "credentials.*.private_key",
            "credentials.*.private_key_passphrase_file",
            "credentials.*.webhook_public_key_file",
            "credentials.*.webhook_public_key",
        ]));
        let others = [
            ("credentials.*.webhook_forward_to", shapes::application()),
            ("credentials.*.environment", values::word::<Environment>().schema),
            ("credentials.*.origin", shapes::origin()),
            ("credentials.*.callers", values::callers().schema),
            ("credentials.*.rotate", values::word::<Rotate>().schema),
            ("credentials.*.keep_old", shapes::duration()),
        ];
        all.extend(others.map(|(name, schema)| Key { name, secret: name.ends_with("webhook_forward_to"), schema }));
        all.extend(unit([
            "credentials.*.next.app_id",
            "credentials.*.next.app_id_file",
            "credentials.*.next.private_key_file",
            "credentials.*.next.private_key",
            "credentials.*.next.private_key_passphrase_file",
            "credentials.*.next.webhook_public_key_file",
            "credentials.*.next.webhook_public_key",
        ]));
    }

    pub(super) fn show(&self, name: &str, shown: &mut Shown<'_>) {
        let Self { unit, next, rotate, keep_old, environment, origin, callers, webhook_forward_to } = self;
        let key = |last: &str| format!("credentials.{name}.{last}");
        unit.show(&key(""), shown);
        if let Some(application) = webhook_forward_to {
            shown.add(key("webhook_forward_to"), json!(application.to_string()));
        }
        if shown.sources.has(&key("environment")) {
            shown.add(key("environment"), json!(environment.to_string()));
            shown.add(key("origin"), json!(origin.to_string()));
        }
        if let Some(callers) = callers {
            shown.add(key("callers"), (values::callers().show)(callers));
        }
        if let Some(next) = next {
            shown.add(key("rotate"), json!(rotate.to_string()));
            shown.add(key("keep_old"), json!(values::duration_text(*keep_old)));
            next.show(&key("next."), shown);
        }
    }

    /// `upstream` is what a credential without an environment of its own is for.
    pub(super) fn read_all(layers: &Layers, upstream: &Upstream) -> Result<BTreeMap<String, Self>, ConfigError> {
        let read = |name: String| Ok((name.clone(), Self::read(layers, &name, upstream)?));
        layers.credential_names().into_iter().map(read).collect()
    }

    fn read(layers: &Layers, name: &str, upstream: &Upstream) -> Result<Self, ConfigError> {
        let key = |last: &str| format!("credentials.{name}.{last}");
        let is_next = |key: &String| key.starts_with(&format!("credentials.{name}.next."));
        let next = keys::with_credential(name).filter(is_next).any(|key| layers.has(&key));
        let rotate = layers.read_optional(&key("rotate"), values::parse_word)?;
        let keep_old = layers.read_optional(&key("keep_old"), values::duration(Duration::ZERO..=DAY).parse)?;
        for given in [("rotate", rotate.is_some()), ("keep_old", keep_old.is_some())] {
            if let (last, true) = given
                && !next
            {
                let reason = format!("has no effect without a next unit; set credentials.{name}.next");
                return Err(layers.refuse(&key(last), reason));
            }
        }
        let environment: Option<Environment> = layers.read_optional(&key("environment"), values::parse_word)?;
        let (environment, origin) = match environment {
            None if layers.has(&key("origin")) => {
                let reason = format!("is allowed only with credentials.{name}.environment = \"custom\"; set it");
                return Err(layers.refuse(&key("origin"), reason));
            }
            None => (upstream.environment, upstream.origin.clone()),
            Some(environment) => {
                (environment, upstream::origin_of(layers, environment, &key("environment"), &key("origin"))?)
            }
        };
        Ok(Self {
            unit: UnitConfig::read(layers, &format!("credentials.{name}"))?,
            next: next.then(|| UnitConfig::read(layers, &key("next"))).transpose()?,
            rotate: rotate.unwrap_or(Rotate::Manual),
            keep_old: keep_old.unwrap_or(KEEP_OLD),
            environment,
            origin,
            callers: layers.read_optional(&key("callers"), values::callers().parse)?,
            webhook_forward_to: layers.read_optional(&key("webhook_forward_to"), values::parse_word)?,
        })
    }

    /// Rejects credentials of several environments at one listener, unless `mixed` allows it, because a wrong name in one request would
    /// move real money instead of a test's.
    pub(super) fn check_environments(
        credentials: &BTreeMap<String, Self>,
        mixed: bool,
        layers: &Layers,
    ) -> Result<(), ConfigError> {
        let mut others = credentials.iter();
        let Some((first, of_first)) = others.next() else { return Ok(()) };
        let other =
            others.find(|(_, other)| other.environment != of_first.environment || other.origin != of_first.origin);
        let Some((name, other)) = other.filter(|_| !mixed) else { return Ok(()) };
        let named = if layers.has(&format!("credentials.{name}.environment")) { name } else { first };
        let reason = format!(
            "credentials.{first} is for {} ({}) and credentials.{name} for {} ({}); run a sidecar for each, or set \
             listen.mixed_environments = true",
            of_first.environment, of_first.origin, other.environment, other.origin
        );
        Err(layers.refuse(&format!("credentials.{named}.environment"), reason))
    }
}

impl CredentialConfig {
    /// Rejects callers that cannot connect: a certificate names the caller, and `listen.tls.callers` may admit only some.
    pub(super) fn check_callers(
        credentials: &BTreeMap<String, Self>,
        tls: Option<&ListenTls>,
        layers: &Layers,
    ) -> Result<(), ConfigError> {
        for (name, credential) in credentials {
            let Some(callers) = &credential.callers else { continue };
            let refused = |reason: String| Err(layers.refuse(&format!("credentials.{name}.callers"), reason));
            let Some(tls) = tls else {
                return refused("needs [listen.tls], because only a certificate names a caller".to_owned());
            };
            let admitted = |caller: &&Name| tls.callers.is_empty() || tls.callers.contains(caller);
            if let Some(caller) = callers.iter().find(|caller| !admitted(caller)) {
                return refused(format!("names {:?}, which listen.tls.callers does not admit", caller.as_str()));
            }
        }
        Ok(())
    }
}

impl UnitConfig {
    /// `prefix` ends with a dot.
    fn show(&self, prefix: &str, shown: &mut Shown<'_>) {
        let Self { app_id, private_key, passphrase_file, webhook_public_key } = self;
        let path = |path: &PathBuf| (values::path().show)(path);
        match app_id {
            AppIdSource::Value(app_id) => shown.add(format!("{prefix}app_id"), json!(app_id.as_str())),
            AppIdSource::File(file) => shown.add(format!("{prefix}app_id_file"), path(file)),
        }
        let key = |last: &str, source: &KeySource, shown: &mut Shown<'_>| match source {
            KeySource::File(file) => shown.add(format!("{prefix}{last}_file"), path(file)),
            KeySource::Inline(_) => shown.add(format!("{prefix}{last}"), json!(MASKED)),
        };
        key("private_key", private_key, shown);
        if let Some(file) = passphrase_file {
            shown.add(format!("{prefix}private_key_passphrase_file"), path(file));
        }
        if let Some(source) = webhook_public_key {
            key("webhook_public_key", source, shown);
        }
    }

    /// The unit in the table `table`.
    fn read(layers: &Layers, table: &str) -> Result<Self, ConfigError> {
        let key = |last: &str| format!("{table}.{last}");
        one_of(layers, table, "app_id", "app_id_file")?;
        one_of(layers, table, "private_key_file", "private_key")?;
        let app_id = match layers.read_optional(&key("app_id"), values::parse_word)? {
            Some(app_id) => AppIdSource::Value(app_id),
            None => AppIdSource::File(layers.read(&key("app_id_file"), values::path().parse)?),
        };
        let private_key = match layers.secret(&key("private_key")) {
            Some(secret) => KeySource::Inline(secret.clone()),
            None => KeySource::File(layers.read(&key("private_key_file"), values::path().parse)?),
        };
        let passphrase_file = layers.read_optional(&key("private_key_passphrase_file"), |value| {
            let is_path = |text: &str| ["/", "./", "../"].iter().any(|start| text.starts_with(start));
            // Errors name the file, and must not repeat a passphrase that is here by mistake.
            match value.as_str() {
                Some(text) if !is_path(text) => {
                    Err("is not the path of a file that begins with \"/\" or \"./\"; put the passphrase into a file and its path here".to_owned())
                }
                _ => (values::path().parse)(value),
            }
        })?;
        not_both(layers, table, "webhook_public_key_file", "webhook_public_key")?;
        let webhook_public_key = match layers.secret(&key("webhook_public_key")) {
            Some(secret) => Some(KeySource::Inline(secret.clone())),
            None => layers.read_optional(&key("webhook_public_key_file"), values::path().parse)?.map(KeySource::File),
        };
        Ok(Self { app_id, private_key, passphrase_file, webhook_public_key })
    }
}

/// Rejects none and both, because a guess between the two could sign for the wrong business.
fn one_of(layers: &Layers, table: &str, one: &str, other: &str) -> Result<(), ConfigError> {
    let [one_key, other_key] = [one, other].map(|last| format!("{table}.{last}"));
    if layers.has(&one_key) || layers.has(&other_key) {
        return not_both(layers, table, one, other);
    }
    let layer = layers.table_source(table);
    let reason = format!("has neither {one} nor {other}; set {one_key}");
    Err(ConfigError::Value { key: table.to_owned(), value: None, layer, reason })
}

fn not_both(layers: &Layers, table: &str, one: &str, other: &str) -> Result<(), ConfigError> {
    let [one_key, other_key] = [one, other].map(|last| format!("{table}.{last}"));
    if layers.has(&one_key) && layers.has(&other_key) {
        let reason =
            format!("cannot be set together with {one_key} (from {}); set only one of them", layers.source(&one_key));
        return Err(layers.refuse(&other_key, reason));
    }
    Ok(())
}
