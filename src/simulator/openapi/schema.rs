//! The vocabulary of the schemas (JSON Schema 2020-12). `null` counts as absent in a body, as `fields` reads it.

use serde_json::{Map, Value, json};

use crate::simulator::fields::{TEXT, URL};

/// Named schemas.
pub(super) type Schemas = Map<String, Value>;

pub(super) fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

pub(super) fn text() -> Value {
    json!({ "type": "string" })
}

pub(super) fn number() -> Value {
    json!({ "type": "number" })
}

pub(super) fn flag() -> Value {
    json!({ "type": "boolean" })
}

pub(super) fn null_or(schema: &Value) -> Value {
    json!({ "anyOf": [schema, { "type": "null" }] })
}

pub(super) fn list(schema: &str) -> Value {
    json!({ "type": "array", "items": reference(schema) })
}

pub(super) fn uuid() -> Value {
    json!({ "type": "string", "format": "uuid" })
}

/// An object with required members.
#[expect(clippy::needless_pass_by_value, reason = "made for each call")]
pub(super) fn object(required: &[&str], properties: Value) -> Value {
    json!({ "type": "object", "required": required, "properties": properties })
}

/// An object in a body without other fields than these.
pub(super) fn closed(mut object: Value) -> Value {
    object["additionalProperties"] = json!(false);
    object
}

/// An optional object in a body. An empty array counts as absent too, because PHP encodes an empty object as one.
#[expect(clippy::needless_pass_by_value, reason = "made for each call")]
pub(super) fn optional_object(required: &[&str], properties: Value) -> Value {
    json!({ "type": ["object", "null", "array"], "maxItems": 0, "required": required, "properties": properties })
}

/// An optional text in a body, of at most `limit` characters.
pub(super) fn optional_text(limit: usize) -> Value {
    json!({ "type": ["string", "null"], "maxLength": limit })
}

pub(super) fn short() -> Value {
    optional_text(TEXT)
}

/// A text with a visible character.
pub(super) fn required_text(limit: usize) -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": limit, "pattern": "\\S" })
}

/// A value of `schema`, an empty text, or absent.
pub(super) fn or_empty(schema: &Value) -> Value {
    json!({ "anyOf": [schema, { "enum": ["", null] }] })
}

pub(super) fn one_of(words: &str) -> Value {
    json!({ "enum": words.split(", ").collect::<Vec<_>>() })
}

/// A uuid in a body: 36 characters.
pub(super) fn written_uuid() -> Value {
    json!({ "type": "string", "format": "uuid", "pattern": UUID, "not": { "const": "00000000-0000-0000-0000-000000000000" } })
}

pub(super) const UUID: &str = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$";

pub(super) fn url() -> Value {
    json!({
        "type": "string", "maxLength": URL,
        "pattern": "^https?://[A-Za-z0-9-]+(\\.[A-Za-z0-9-]+)*(:[0-9]{1,4})?(/[A-Za-z0-9._~%/-]*)?(\\?[A-Za-z0-9._~%=&/-]*)?$",
    })
}

/// A day that exists, from 1970 on.
pub(super) fn date() -> Value {
    json!({ "type": "string", "format": "date", "pattern": "^(19[7-9][0-9]|[2-9][0-9]{3})-[0-9]{2}-[0-9]{2}$" })
}

/// The amounts that a field accepts.
#[derive(Clone, Copy)]
pub(super) enum Sign {
    Positive,
    PositiveOrZero,
    Any,
}

/// An amount in major units, as a number or a text.
pub(super) fn amount(sign: Sign) -> Value {
    let digits = "0*[0-9]{1,9}(\\.[0-9]{1,2}0*)?$";
    let (pattern, number) = match sign {
        Sign::Positive => (format!("^(?!0*(\\.0*)?$){digits}"), json!({ "exclusiveMinimum": 0, "maximum": MOST })),
        Sign::PositiveOrZero => (format!("^{digits}"), json!({ "minimum": 0, "maximum": MOST })),
        Sign::Any => (format!("^-?{digits}"), json!({ "minimum": -MOST, "maximum": MOST })),
    };
    let mut number = number;
    number["type"] = "number".into();
    number["multipleOf"] = 0.01.into();
    json!({
        "description": "major units with at most two decimals, or none for a currency that has none: \"120.00\" or 120",
        "anyOf": [{ "type": "string", "maxLength": 24, "pattern": pattern }, number],
    })
}

const MOST: f64 = 999_999_999.99;
