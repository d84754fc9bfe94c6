//! The file equals the document, and the document is complete.

use std::fmt::Write as _;

use super::*;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/openapi/wonder.yaml");

/// `UPDATE_OPENAPI=1` writes the file anew.
#[test]
fn the_file_is_the_document() {
    let mut text = String::from("# Generated from src/simulator/openapi: UPDATE_OPENAPI=1 cargo test --lib openapi\n");
    yaml(&document(), 0, &mut text);
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(FILE, &text).unwrap();
    }
    let file = std::fs::read_to_string(FILE).unwrap_or_default();
    assert!(file == text, "{FILE} is old; renew it with UPDATE_OPENAPI=1");
}

#[test]
fn every_name_has_a_path_and_every_reference_a_schema() {
    for call in &CALLS {
        assert!(!call.at().1.is_empty(), "{}", call.name());
    }
    let document = document();
    let text = document.to_string();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let used: Vec<&str> =
        text.split("#/components/schemas/").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    for name in &used {
        assert!(schemas.contains_key(*name), "{name}");
    }
    for name in schemas.keys() {
        assert!(used.contains(&&name[..]), "nothing uses {name}");
    }
}

#[test]
fn operations_parameters_and_answers_are_marked() {
    fn marked(at: &str, value: &Value) {
        assert!(
            ["confirmed", "derived", "chosen"].contains(&value["x-mark"].as_str().unwrap_or_default()),
            "{at}: {value}"
        );
    }
    let document = document();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let parameters = |of: &Value| of["parameters"].as_array().cloned().unwrap_or_default();
        for parameter in parameters(methods) {
            marked(path, &parameter);
        }
        for (method, operation) in
            methods.as_object().unwrap().iter().filter(|(_, value)| value.get("responses").is_some())
        {
            let at = format!("{method} {path}");
            marked(&at, operation);
            for part in parameters(operation).iter().chain(operation["responses"].as_object().unwrap().values()) {
                marked(&at, part);
            }
        }
    }
}

/// The document as YAML (a block style that quotes every text).
fn yaml(value: &Value, indent: usize, out: &mut String) {
    let pad = " ".repeat(indent);
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, value) in members {
                let plain = !name.is_empty()
                    && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
                    && !name.as_bytes()[0].is_ascii_digit();
                let name = if plain { name.clone() } else { json!(name).to_string() };
                if is_block(value) {
                    let _ = writeln!(out, "{pad}{name}:");
                    yaml(value, indent + 2, out);
                } else {
                    let _ = writeln!(out, "{pad}{name}: {value}");
                }
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                if is_block(item) {
                    let mut inner = String::new();
                    yaml(item, indent + 2, &mut inner);
                    let _ = write!(out, "{pad}- {}", inner.trim_start());
                } else {
                    let _ = writeln!(out, "{pad}- {item}");
                }
            }
        }
        other => {
            let _ = writeln!(out, "{pad}{other}");
        }
    }
}

fn is_block(value: &Value) -> bool {
    match value {
        Value::Object(members) => !members.is_empty(),
        Value::Array(items) => !items.is_empty() && items.iter().any(|item| item.is_object() || item.is_array()),
        _ => false,
    }
}
