//! Every key is documented, read and shown. These tests follow the table of keys, so a new key needs no change here.

use serde_json::{Value as Json, json};

use super::*;
use crate::config::keys::{KEYS, Key, with_credential};

/// Keys that exclude another one of the example. An AppID is shown as such, also from a file; an inline key has no place in a file.
const EXCLUDED: [&str; 4] = ["app_id_file", "private_key", "webhook_public_key", "original_target_prefix"];

fn is_excluded(key: &str) -> bool {
    key.rsplit('.').next().is_some_and(|last| EXCLUDED.contains(&last))
}

/// A row of the defaults file: the key with `*` for a credential's name, its value, and the comment line above it.
struct Row {
    key: String,
    value: String,
    is_default: bool,
    comment: String,
}

fn rows() -> Vec<Row> {
    let (mut table, mut above, mut rows) = (String::new(), "", Vec::new());
    for line in include_str!("../../../config/default.toml").lines() {
        let bare = line.strip_prefix("# ").unwrap_or(line);
        if let Some(name) = bare.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            table = name.replace("credentials.default", "credentials.*");
        } else if let Some((key, value)) = bare.split_once(" = ").filter(|(key, _)| !key.contains([' ', '`'])) {
            rows.push(Row {
                key: format!("{table}.{key}"),
                value: value.to_owned(),
                is_default: bare == line,
                comment: above.strip_prefix("# ").unwrap_or_default().to_owned(),
            });
        }
        above = line;
    }
    rows
}

/// The value of each key as `--print-config` shows it, with its source.
fn shown(config: &Config) -> BTreeMap<String, (String, String)> {
    let line = |line: &str| {
        let (key, rest) = line.split_once(" = ").unwrap();
        let (value, source) = rest.rsplit_once("  # ").unwrap();
        let source = source.split(' ').next().unwrap();
        (key.to_owned(), (value.to_owned(), source.to_owned()))
    };
    explained(config).lines().map(line).collect()
}

/// A file that sets every key to its default, or to the example of a key without a default.
fn example() -> BTreeMap<String, String> {
    let rows = rows().into_iter().filter(|row| !is_excluded(&row.key));
    let mut all: BTreeMap<_, _> = rows.map(|row| (row.key.replace('*', "default"), row.value)).collect();
    // The example has their origins.
    for environment in ["upstream.environment", "credentials.default.environment"] {
        all.insert(environment.to_owned(), "\"custom\"".to_owned());
    }
    all
}

fn load(file: &BTreeMap<String, String>) -> Result<Config, ConfigError> {
    let lines: Vec<_> = file.iter().map(|(key, value)| format!("{key} = {value}")).collect();
    Given::new().file(&lines.join("\n")).load()
}

/// Values to try for a key. Bounds and words come from its schema; the texts have the form of each kind of value.
fn candidates(key: &Key) -> Vec<Json> {
    let words = key.schema.json()["enum"].as_array().cloned().unwrap_or_default();
    let bounds = ["minimum", "maximum"].map(|bound| key.schema.json()[bound].clone());
    let texts = [
        "7s",
        "9KiB",
        "3MiB",
        "0640",
        "127.0.0.1:7",
        "127.0.0.1:8",
        "other.example",
        "X-Other: yes",
        "X-Other",
        "/other",
        "10.7.0.0/16",
        "http://127.0.0.1:7",
    ];
    let texts = texts.map(Json::from);
    words
        .into_iter()
        .chain(bounds)
        .chain([json!(true), json!(false)])
        .chain(texts)
        .filter(|value| !value.is_null())
        .collect()
}

#[test]
fn every_key_stands_in_the_defaults_file_under_a_comment_of_its_own() {
    let rows = rows();
    for Row { key, comment, .. } in &rows {
        assert!(comment.len() > 10 && !comment.contains(" = "), "{key} has no comment above it");
    }
    let documented: Vec<&str> = rows.iter().map(|row| row.key.as_str()).collect();
    assert_eq!(documented, KEYS.iter().map(|key| key.name).collect::<Vec<_>>());
}

#[test]
fn every_key_is_shown_in_the_order_of_the_defaults_file() {
    let text = explained(&load(&example()).unwrap());
    let shown: Vec<&str> = text.lines().map(|line| line.split_once(" = ").unwrap().0).collect();
    let known: Vec<String> = with_credential("default").filter(|key| !is_excluded(key)).collect();
    assert_eq!(shown, known);
}

#[test]
fn a_key_that_is_set_in_the_defaults_file_has_that_default() {
    let shown = shown(&Given::new().config());
    for Row { key, value, .. } in rows().into_iter().filter(|row| row.is_default) {
        // The keys of [webhook.redis] are shown only with its url.
        let Some((default, source)) = shown.get(&key) else { continue };
        assert_eq!(source, "default", "{key}");
        // The file may spell a value in another way than it is shown: 24h 30m is 1day 30m.
        let (again, _) = &self::shown(&Given::new().file(&format!("{key} = {value}")).config())[&key];
        assert_eq!(again, default, "{key}");
    }
}

/// Another value than the default is read and shown for every key, and changes no other key.
#[test]
fn every_key_is_read() {
    let mut file = example();
    let of_example = shown(&load(&file).unwrap());
    for (key, row) in KEYS.iter().zip(rows()) {
        let name = key.name.replace('*', "default");
        let before = shown(&load(&file).unwrap());
        // The example sets a key to its default, if it has one; the environment alone is another.
        let default = (row.is_default && row.key != "upstream.environment").then(|| &of_example[&name].0);
        let is_read = |shown: &BTreeMap<String, (String, String)>| {
            let (value, source) = &shown[&name];
            source == "file" && default != Some(value)
        };
        if is_excluded(&name) || is_read(&before) {
            continue;
        }
        let read = candidates(key).into_iter().find_map(|value| {
            let mut changed = file.clone();
            changed.insert(name.clone(), value.to_string());
            let after = shown(&load(&changed).ok()?);
            is_read(&after).then_some((changed, after))
        });
        let (changed, after) = read.unwrap_or_else(|| panic!("no candidate changes {name}: its value is not read"));
        for (other, value) in before.iter().filter(|(other, _)| **other != name) {
            assert_eq!(&after[other], value, "{other} follows {name}");
        }
        file = changed;
    }
    let config = load(&file).unwrap();
    // The printed configuration is itself a configuration.
    let text = explained(&config);
    assert_eq!(Given::new().file(&text).config().to_masked_json(), config.to_masked_json());
    // Without one of its lines it is another one, so that the configuration's hash differs. Some keys need one another.
    let lines: Vec<&str> = text.lines().collect();
    let mut without = 0;
    for left_out in 0..lines.len() {
        let rest = [&lines[..left_out], &lines[left_out + 1..]].concat().join("\n");
        if let Ok(other) = Given::new().file(&rest).load() {
            assert_ne!(other.to_masked_json(), config.to_masked_json(), "{}", lines[left_out]);
            without += 1;
        }
    }
    assert!(without > lines.len() / 2, "{without}");
}

/// A change of one of these defaults moves money, opens a listener or exposes a key, so it takes a change here too.
#[test]
fn the_defaults_are_safe() {
    let config = Given::new().config();
    assert_eq!(config.upstream.environment, Environment::Staging);
    assert_eq!(config.upstream.http_version, HttpVersion::Http1);
    assert!(config.listen.addresses.iter().all(ListenAddress::is_local));
    assert!(config.listen.browser_guard && !config.listen.dangerous_allow_non_loopback);
    assert_eq!((config.listen.socket_mode, config.webhook.socket_mode), (0o600, 0o600));
    assert!(config.webhook.address.is_none() && !config.webhook.dangerous_allow_non_loopback_forward);
    assert!(!config.admin.shutdown && !config.process.dumpable);
    assert!(config.credentials.is_empty());
    // Wonder's own clients give up after 30 s, and Kubernetes kills 30 s after SIGTERM.
    assert!(config.timeouts.response_head < config.timeouts.request);
    assert!(config.timeouts.request < Duration::from_secs(30));
    assert!(config.shutdown.drain_delay + config.shutdown.grace < Duration::from_secs(28));
}
