//! The JSON Schema of a configuration file. Editors complete and check TOML with it.
//!
//! Names and values come from the table of keys, descriptions and defaults from `config/default.toml`. `config/schema.json` is this
//! schema as a file; a test compares the two.

use std::{collections::BTreeMap, mem};

use figment::{
    providers::{Format as _, Toml},
    value::Dict,
};
use serde_json::{Value as Json, json};

use super::{keys::KEYS, layers::DEFAULTS};

/// The schema (JSON Schema draft 7, which editors support).
#[must_use]
pub(crate) fn schema() -> Json {
    let notes = Notes::of(DEFAULTS);
    let mut root = table();
    root["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    root["title"] = json!("Configuration of wonder-signer");
    for key in KEYS.iter() {
        let (tables, last) = key.name.rsplit_once('.').unwrap_or(("", key.name));
        let mut place = &mut root;
        for (end, _) in tables.match_indices('.').chain([(tables.len(), "")]) {
            place = inner(place, &tables[..end]);
            notes.describe(place, &tables[..end]);
        }
        let mut value = key.schema.json().clone();
        notes.describe(&mut value, key.name);
        place["properties"][last] = value;
    }
    root
}

/// A table without keys. It accepts only the keys that are added to it.
fn table() -> Json {
    json!({ "type": "object", "additionalProperties": false, "properties": {} })
}

/// The table at `path` within the one above it; made when it is not there.
fn inner<'a>(above: &'a mut Json, path: &str) -> &'a mut Json {
    let place = match path.rsplit('.').next() {
        Some("*") => &mut above["patternProperties"]["^[a-z0-9_-]{1,64}$"],
        last => &mut above["properties"][last.unwrap_or_default()],
    };
    if place.is_null() {
        *place = table();
    }
    place
}

/// The documentation of each key and table in `config/default.toml`, by its name in the table of keys.
struct Notes(BTreeMap<String, Note>);

#[derive(Default)]
struct Note {
    /// The comment above it.
    text: String,
    /// `default` or, for a key that is commented out, `examples`, with its value.
    value: Option<(&'static str, Json)>,
}

impl Notes {
    fn of(file: &str) -> Self {
        let (mut notes, mut name, mut comment) = (BTreeMap::new(), String::new(), Vec::new());
        for line in file.lines() {
            let bare = line.trim_start_matches("# ");
            let mut note = || Note { text: mem::take(&mut comment).join(" "), value: None };
            if let Some(table) = bare.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                table.replace("credentials.default", "credentials.*").clone_into(&mut name);
                notes.insert(name.clone(), note());
            } else if let Some(key) = key_of(bare, &name) {
                let kind = if bare == line { "default" } else { "examples" };
                let value = value(bare).map(|value| (kind, value));
                notes.insert(key, Note { value, ..note() });
            } else if line.is_empty() {
                comment.clear();
            } else {
                comment.push(bare);
            }
        }
        Self(notes)
    }

    fn describe(&self, schema: &mut Json, name: &str) {
        let Some(Note { text, value }) = self.0.get(name) else { return };
        if !text.is_empty() {
            schema["description"] = json!(text);
        }
        match value {
            // A key that a file may not set has no example for a file.
            _ if schema.get("not").is_some() => {}
            Some(("default", value)) => schema["default"] = value.clone(),
            Some((kind, value)) => schema[*kind] = json!([value]),
            None => {}
        }
    }
}

/// The name of the key that `line` sets within `table`. A sentence with an equals sign in it sets none.
fn key_of(line: &str, table: &str) -> Option<String> {
    let name = format!("{table}.{}", line.split_once(" = ")?.0);
    KEYS.iter().any(|key| key.name == name).then_some(name)
}

fn value(line: &str) -> Option<Json> {
    let dict: Dict = Toml::from_str(line).ok()?;
    serde_json::to_value(dict.into_values().next()?).ok()
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    #[test]
    fn the_file_is_as_the_keys_and_their_documentation_make_it() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/schema.json");
        let made = format!("{:#}\n", schema());
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            fs::write(&path, &made).unwrap();
        }
        let same = fs::read_to_string(&path).is_ok_and(|file| file == made);
        assert!(same, "config/schema.json is old; renew it: UPDATE_SCHEMA=1 cargo test --lib config::schema");
    }

    #[test]
    fn every_key_has_a_description_and_a_default_or_an_example() {
        for key in KEYS.iter() {
            let place = key.name.replace('*', "^[a-z0-9_-]{1,64}$");
            let (tables, last) = place.rsplit_once('.').unwrap();
            let mut table = &schema();
            for part in tables.split('.') {
                let kind = if part.starts_with('^') { "patternProperties" } else { "properties" };
                table = &table[kind][part];
                assert_eq!(table["additionalProperties"], json!(false), "{}", key.name);
            }
            let value = &table["properties"][last];
            assert!(value["description"].as_str().is_some_and(|text| text.len() > 15), "{}: {value}", key.name);
            let shown = !value["default"].is_null() || !value["examples"][0].is_null() || !value["not"].is_null();
            assert!(shown, "{}: {value}", key.name);
        }
    }
}
