//! Reads JSON bodies field by field, so that each refusal names the field at fault. Unknown fields are ignored, and
//! `null` counts as absent.

use http::Uri;
use serde_json::{Map, Number, Value};
use uuid::Uuid;

use super::{
    ledger::Amount,
    path::parse_uuid,
    refusal::{JsonType, Refusal, Rule},
};

/// The maximum length of a text, in characters (`deploy/docs/wonder.md` §5.1).
pub(super) const TEXT: usize = 255;
/// The maximum length of a URL, in characters; Wonder documents none.
pub(super) const URL: usize = 2048;

/// Reads a body as JSON.
pub(super) fn json(body: &[u8]) -> Result<Value, Refusal> {
    serde_json::from_slice(body).map_err(|_| Refusal::NotJson)
}

/// A JSON object and its place in the body.
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

    /// An object that is at `path`.
    pub(super) fn at(path: String, object: &'a Value) -> Result<Self, Refusal> {
        match object {
            Value::Object(members) => Ok(Self { path, members }),
            _ => Err(Refusal::FieldType(path, JsonType::Object)),
        }
    }

    /// The dotted name of a field, for refusals.
    pub(super) fn name(&self, field: &str) -> String {
        if self.path.is_empty() { field.to_owned() } else { format!("{}.{field}", self.path) }
    }

    /// The refusal of a field whose value breaks `rule`.
    pub(super) fn broken(&self, field: &str, rule: Rule) -> Refusal {
        Refusal::FieldValue(self.name(field), rule)
    }

    /// The first field that is not among `known`.
    pub(super) fn unknown(&self, known: &[&str]) -> Option<&'a str> {
        self.members.keys().map(String::as_str).find(|name| !known.contains(name))
    }

    /// Refuses a field that is not among `known`. For the simulator's own calls: a misspelt one would be carried out in another way.
    pub(super) fn only(&self, known: &'static [&'static str]) -> Result<(), Refusal> {
        self.unknown(known).map_or(Ok(()), |name| Err(self.broken(name, Rule::Unknown(known))))
    }

    /// Whether a field is present and not `null`.
    pub(super) fn has(&self, field: &str) -> bool {
        self.members.get(field).is_some_and(|value| !value.is_null())
    }

    /// A field of any type.
    pub(super) fn value(&self, field: &str) -> Result<&'a Value, Refusal> {
        self.members.get(field).ok_or_else(|| Refusal::FieldMissing(self.name(field)))
    }

    /// An object, if present. An empty array counts as absent, because PHP encodes an empty object as one.
    pub(super) fn object(&self, field: &str) -> Result<Option<Self>, Refusal> {
        match self.members.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Array(elements)) if elements.is_empty() => Ok(None),
            Some(Value::Object(members)) => Ok(Some(Self { path: self.name(field), members })),
            Some(_) => Err(Refusal::FieldType(self.name(field), JsonType::Object)),
        }
    }

    /// A required object.
    pub(super) fn required_object(&self, field: &str) -> Result<Self, Refusal> {
        self.object(field)?.ok_or_else(|| match self.members.get(field) {
            Some(Value::Array(_)) => Refusal::FieldType(self.name(field), JsonType::Object),
            _ => Refusal::FieldMissing(self.name(field)),
        })
    }

    /// A text of at most `limit` characters, if present. It may be empty.
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

    /// A required text with a visible character.
    pub(super) fn required(&self, field: &str, limit: usize) -> Result<&'a str, Refusal> {
        let text = self.text(field, limit)?.filter(|text| !text.trim().is_empty());
        text.ok_or_else(|| Refusal::FieldMissing(self.name(field)))
    }

    /// A required text that satisfies `holds`, the predicate of `rule`.
    pub(super) fn ruled(&self, field: &str, rule: Rule, holds: impl Fn(&str) -> bool) -> Result<&'a str, Refusal> {
        let text = self.required(field, URL)?;
        if holds(text) { Ok(text) } else { Err(self.broken(field, rule)) }
    }

    /// An amount, if present: a JSON number or a text. `accepts` is the condition of `rule` on its sign.
    fn any_amount(
        &self,
        field: &str,
        decimals: u32,
        rule: Rule,
        accepts: fn(Amount) -> bool,
    ) -> Result<Option<Amount>, Refusal> {
        let amount = match self.members.get(field) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) if text.is_empty() => return Ok(None),
            Some(Value::String(text)) => Amount::parse(text),
            Some(Value::Number(number)) => Amount::parse(&plain(number)),
            Some(_) => return Err(Refusal::FieldType(self.name(field), JsonType::Amount)),
        };
        let fits = |amount: &Amount| amount.decimals() <= decimals && amount.is_sane() && accepts(*amount);
        amount.filter(fits).map(Some).ok_or_else(|| self.broken(field, rule))
    }

    /// An amount greater than zero, if present.
    pub(super) fn amount(&self, field: &str, decimals: u32) -> Result<Option<Amount>, Refusal> {
        self.any_amount(field, decimals, Rule::Amount(decimals), Amount::is_positive)
    }

    /// A required amount greater than zero.
    pub(super) fn required_amount(&self, field: &str, decimals: u32) -> Result<Amount, Refusal> {
        self.amount(field, decimals)?.ok_or_else(|| Refusal::FieldMissing(self.name(field)))
    }

    /// An amount of zero or more, if present.
    pub(super) fn amount_or_zero(&self, field: &str, decimals: u32) -> Result<Option<Amount>, Refusal> {
        self.any_amount(field, decimals, Rule::AmountOrZero(decimals), |amount| !amount.is_negative())
    }

    /// An amount of either sign, if present.
    pub(super) fn signed_amount(&self, field: &str, decimals: u32) -> Result<Option<Amount>, Refusal> {
        self.any_amount(field, decimals, Rule::SignedAmount(decimals), |_| true)
    }

    /// `true` or `false`; `false` if absent.
    pub(super) fn flag(&self, field: &str) -> Result<bool, Refusal> {
        match self.members.get(field) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(Refusal::FieldType(self.name(field), JsonType::Flag)),
        }
    }

    /// The objects of an array of at most `most` elements; none if it is absent.
    pub(super) fn objects(&self, field: &str, most: usize) -> Result<Vec<Self>, Refusal> {
        let elements = match self.members.get(field) {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::Array(elements)) if elements.len() > most => return Err(self.broken(field, Rule::AtMost(most))),
            Some(Value::Array(elements)) => elements,
            Some(_) => return Err(Refusal::FieldType(self.name(field), JsonType::List)),
        };
        let objects =
            elements.iter().enumerate().map(|(at, element)| Self::at(format!("{}[{at}]", self.name(field)), element));
        objects.collect()
    }

    /// A text, if present and not empty.
    pub(super) fn filled(&self, field: &str, limit: usize) -> Result<Option<&'a str>, Refusal> {
        Ok(self.text(field, limit)?.filter(|text| !text.is_empty()))
    }

    /// A UUID, if present and not empty; the UUID of zeros is refused.
    pub(super) fn uuid(&self, field: &str) -> Result<Option<Uuid>, Refusal> {
        let Some(text) = self.filled(field, TEXT)? else { return Ok(None) };
        parse_uuid(text).filter(|uuid| !uuid.is_nil()).map(Some).ok_or_else(|| self.broken(field, Rule::Uuid))
    }

    /// An `http` or `https` URL, if present and not empty.
    pub(super) fn url(&self, field: &str) -> Result<Option<&'a str>, Refusal> {
        let Some(text) = self.filled(field, URL)? else { return Ok(None) };
        if is_url(text) { Ok(Some(text)) } else { Err(self.broken(field, Rule::Url)) }
    }
}

/// Whether a text is a complete `http` or `https` URL. A page must not link to a `javascript:` URL, for example.
pub(super) fn is_url(text: &str) -> bool {
    text.parse::<Uri>().is_ok_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some())
}

/// A JSON number without an exponent.
pub(super) fn plain(number: &Number) -> String {
    // Unlike its JSON, the `{}` form of a float never has an exponent.
    if let (None, None, Some(float)) = (number.as_u64(), number.as_i64(), number.as_f64()) {
        return format!("{float}");
    }
    number.to_string()
}
