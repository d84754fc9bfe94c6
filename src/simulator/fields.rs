//! Reads JSON bodies field by field, so that each refusal names the field at fault. Unknown fields are ignored, and
//! `null` counts as absent.

use serde_json::{Map, Value};

use super::refusal::{JsonType, Refusal, Rule};

/// The longest text a field takes, in characters (`deploy/docs/wonder.md` §5.1).
pub(super) const TEXT: usize = 255;
/// The longest URL a field takes, in characters; Wonder documents none.
pub(super) const URL: usize = 2048;

/// Reads a body as JSON.
pub(super) fn json(body: &[u8]) -> Result<Value, Refusal> {
    serde_json::from_slice(body).map_err(|_| Refusal::NotJson)
}

/// A JSON object and where in the body it is.
pub(super) struct Fields<'a> {
    path: String,
    members: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    /// The whole body.
    pub(super) fn of(body: &'a Value) -> Result<Self, Refusal> {
        match body {
            Value::Object(members) => Ok(Self { path: String::new(), members }),
            _ => Err(Refusal::FieldType("body".to_owned(), JsonType::Object)),
        }
    }

    /// The dotted name of a field, as refusals give it.
    pub(super) fn name(&self, field: &str) -> String {
        if self.path.is_empty() { field.to_owned() } else { format!("{}.{field}", self.path) }
    }

    /// The refusal of a field whose value breaks `rule`.
    pub(super) fn broken(&self, field: &str, rule: Rule) -> Refusal {
        Refusal::FieldValue(self.name(field), rule)
    }

    /// A field of any type.
    pub(super) fn value(&self, field: &str) -> Result<&'a Value, Refusal> {
        self.members.get(field).ok_or_else(|| Refusal::FieldMissing(self.name(field)))
    }

    /// An object, if it is there.
    pub(super) fn object(&self, field: &str) -> Result<Option<Self>, Refusal> {
        match self.members.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(members)) => Ok(Some(Self { path: self.name(field), members })),
            Some(_) => Err(Refusal::FieldType(self.name(field), JsonType::Object)),
        }
    }

    /// An object that must be there.
    pub(super) fn required_object(&self, field: &str) -> Result<Self, Refusal> {
        self.object(field)?.ok_or_else(|| Refusal::FieldMissing(self.name(field)))
    }

    /// A text of at most `limit` characters, if it is there; may be empty.
    pub(super) fn text(&self, field: &str, limit: usize) -> Result<Option<&'a str>, Refusal> {
        match self.members.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.chars().count() > limit => {
                Err(Refusal::FieldTooLong(self.name(field), limit))
            }
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Refusal::FieldType(self.name(field), JsonType::Text)),
        }
    }

    /// A text that must be there and have a visible character.
    pub(super) fn required(&self, field: &str, limit: usize) -> Result<&'a str, Refusal> {
        let text = self.text(field, limit)?.filter(|text| !text.trim().is_empty());
        text.ok_or_else(|| Refusal::FieldMissing(self.name(field)))
    }

    /// A text that must be there and satisfy `holds`, which is what `rule` says.
    pub(super) fn ruled(&self, field: &str, rule: Rule, holds: impl Fn(&str) -> bool) -> Result<&'a str, Refusal> {
        let text = self.required(field, URL)?;
        if holds(text) { Ok(text) } else { Err(self.broken(field, rule)) }
    }
}
