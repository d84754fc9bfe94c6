//! The list of all keys, and the known name most similar to an unknown one.

use std::sync::LazyLock;

use super::shapes::Schema;

/// The properties of a key that do not depend on a configuration.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) name: &'static str,
    /// Whether the value may contain a secret, which no error may repeat.
    pub(super) secret: bool,
    /// The JSON Schema of the value in a file.
    #[cfg_attr(not(test), expect(dead_code, reason = "a test writes and compares `config/schema.json`"))]
    pub(super) schema: Schema,
}

/// Every key, in the order of `config/default.toml`; `*` is the name of a credential.
pub(super) static KEYS: LazyLock<Vec<Key>> = LazyLock::new(super::all_keys);

fn names() -> impl Iterator<Item = &'static str> {
    KEYS.iter().map(|key| key.name)
}

/// The names of all keys of the credential `name`, and of all other keys.
pub(super) fn with_credential(name: &str) -> impl Iterator<Item = String> {
    names().map(move |key| key.replace('*', name))
}

/// What a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PathKind {
    /// A key with a value.
    Key,
    /// A table of keys.
    Table,
    /// Neither.
    Unknown,
}

/// What `path` names. The path is a list of parts, because a quoted TOML key may contain dots.
pub(super) fn kind_of(path: &[&str]) -> PathKind {
    let starts_with_path = |key: &&str| {
        let mut parts = key.split('.');
        path.iter().all(|part| parts.next().is_some_and(|known| known == "*" || known == *part))
    };
    match names().find(starts_with_path) {
        None => PathKind::Unknown,
        Some(key) if key.split('.').count() == path.len() => PathKind::Key,
        Some(_) => PathKind::Table,
    }
}

/// Whether the value of `key` may contain a secret. The value of an unknown key may.
pub(super) fn is_secret(key: &str) -> bool {
    let is_key = |known: &&Key| match known.name.split_once('*') {
        Some((before, after)) => key.starts_with(before) && key.ends_with(after),
        None => known.name == key,
    };
    KEYS.iter().find(is_key).is_none_or(|known| known.secret)
}

/// Whether `name` may name a credential: 1 to 64 of `a-z0-9_-`.
pub(super) fn is_credential_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-')
}

/// The known key or table most like `path` (dotted), when one is like it at all.
pub(super) fn nearest(path: &str) -> Option<String> {
    let credential = path.strip_prefix("credentials.").and_then(|rest| rest.split('.').next());
    let credential = credential.filter(|name| is_credential_name(name)).unwrap_or("default");
    let level = path.split('.').count();
    let known = with_credential(credential);
    let tables = names().filter_map(|key| key.split('.').next()).map(str::to_owned).filter(|_| level == 1);
    let last = |path: &str| path.rsplit('.').next().map(str::to_owned);
    let (distance, best) = known
        .chain(tables)
        .map(|known| (strsim::osa_distance(path, &known), known))
        .min_by_key(|(distance, _)| *distance)?;
    // Below a table that exists only the last name can be a slip.
    let (table, name) = path.rsplit_once('.').unwrap_or(("", path));
    let in_table = kind_of(&table.split('.').collect::<Vec<_>>()) == PathKind::Table;
    let slip = if in_table { name.len() } else { path.len() } / 4;
    if distance <= slip.max(2) {
        return Some(best);
    }
    // The right name in the wrong place, or the beginning or the end of a name.
    let flat = |path: &str| path.replace(['.', '_'], "");
    let wanted = flat(path);
    let is_longer = |known: &String| {
        let known = flat(known);
        level > 1 && name.len() > 3 && (known.starts_with(&wanted) || known.ends_with(&wanted))
    };
    with_credential(credential)
        .find(|known| last(known) == last(path))
        .or_else(|| with_credential(credential).find(is_longer))
}

/// The environment variable that sets `key`.
pub(super) fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").to_ascii_uppercase())
}

/// The prefix of the program's environment variables.
pub(super) const PREFIX: &str = "WONDER_SIGNER_";
