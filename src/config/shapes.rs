//! JSON Schemas of single values, as a configuration file has them.
//!
//! They describe the documented form. The parsers of [`values`](super::values) also accept numbers and switches as text, because the
//! environment has only text. They also check rules that a pattern cannot express, such as the bounds of a duration.

use serde_json::{Value as Json, json};

/// IP address and port, the address in brackets when it is IPv6.
const ADDRESS: &str = r"([0-9]{1,3}(\.[0-9]{1,3}){3}|\[[0-9A-Fa-f:.]+(%[0-9]+)?\]):[0-9]{1,5}";
/// Host name or IP address, with an optional port.
const AUTHORITY: &str = r"(\[[0-9A-Fa-f:.]+\]|[^\s/?#@:\[\]]+)(:[0-9]{1,5})?";
/// Every unit that the parser of durations has.
const TIME_UNITS: &str = "nanos|nsec|ns|usec|us|\u{b5}s|millis|msec|ms|seconds|second|secs|sec|s|minutes|minute|mins|min|m|\
                          hours|hour|hrs|hr|h|days|day|d|weeks|week|wks|wk|w|months|month|M|years|year|yrs|yr|y";

/// The JSON Schema of a value. Only tests read it, so only they build it.
#[derive(Debug, Clone)]
pub(super) struct Schema(#[cfg(test)] Json);

impl Schema {
    pub(super) fn of(make: impl FnOnce() -> Json) -> Self {
        // Otherwise unused outside tests.
        let _ = &make;
        Self(
            #[cfg(test)]
            make(),
        )
    }

    #[cfg(test)]
    pub(super) fn json(&self) -> &Json {
        &self.0
    }
}

/// A text that matches the regular expression (ECMA 262).
pub(super) fn pattern(pattern: &str) -> Schema {
    Schema::of(|| matching(pattern))
}

fn matching(pattern: &str) -> Json {
    json!({ "type": "string", "pattern": pattern })
}

pub(super) fn duration() -> Schema {
    Schema::of(|| matching(&format!(r"^([0-9]+(\.[0-9]+)?\s*({TIME_UNITS})\s*)+$")))
}

pub(super) fn size() -> Schema {
    pattern(r"^[0-9]+(\.[0-9]+)?\s*([Bb]|[KkMmGg][Ii][Bb]?)$")
}

pub(super) fn address() -> Schema {
    Schema::of(|| matching(&format!("^{ADDRESS}$")))
}

pub(super) fn listener() -> Schema {
    Schema::of(|| matching(&format!("^{}$", one_listener())))
}

fn one_listener() -> String {
    format!("({ADDRESS}|unix:/[^,]*[^,/])")
}

pub(super) fn listeners() -> Schema {
    Schema::of(|| {
        let mut all = items(&one_listener());
        all["anyOf"][0]["minItems"] = json!(1);
        all
    })
}

/// A list of texts that each match the regular expression `item`, or a text with commas between them.
pub(super) fn list(item: &str) -> Schema {
    Schema::of(|| items(item))
}

fn items(item: &str) -> Json {
    json!({ "anyOf": [
        { "type": "array", "items": matching(&format!("^{item}$")) },
        matching(&format!(r"^{item}(\s*,\s*{item})*$")),
    ] })
}

pub(super) fn header() -> Schema {
    pattern("^[A-Za-z0-9-]+: +[!-~]([ -~]*[!-~])?$")
}

pub(super) fn origin() -> Schema {
    Schema::of(|| matching(&format!("^[Hh][Tt][Tt][Pp][Ss]?://{AUTHORITY}/?$")))
}

pub(super) fn application() -> Schema {
    Schema::of(|| matching(&format!("^([Hh][Tt][Tt][Pp]://{AUTHORITY}/?|unix:/[^,]*[^,/])$")))
}

pub(super) fn networks() -> Schema {
    list("[0-9A-Fa-f.:]+(/[0-9]{1,3})?")
}

pub(super) fn redis() -> Schema {
    Schema::of(|| matching(&format!(r"^rediss?://([A-Za-z0-9._-]+@)?{AUTHORITY}(/[0-9]{{0,5}})?$")))
}

pub(super) fn proxy() -> Schema {
    Schema::of(|| matching(&format!(r"^(off|([Hh][Tt][Tt][Pp]://)?([^\s/?#]+@)?{AUTHORITY}/?)$")))
}

pub(super) fn uuid() -> Schema {
    pattern("^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$")
}

/// No value: the key is for the environment alone.
pub(super) fn not_in_a_file() -> Schema {
    Schema::of(|| json!({ "not": {} }))
}
