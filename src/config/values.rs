//! The forms of single values. A parser turns a raw value into the finished one, or into a reason that names the expected form. The
//! reason never repeats the value.
//!
//! The environment has only text, so the parsers also accept numbers and switches as text.

use std::{fmt::Display, net::SocketAddr, ops::RangeInclusive, path::PathBuf, str::FromStr, time::Duration};

use bytesize::ByteSize;
use figment::value::Value;
use serde_json::{Value as Json, json};

use super::{
    GIB, KIB, MIB,
    address::{ListenAddress, NotAnAddress},
    error::hint,
    field::Kind,
    layers::trimmed,
    origin::Host,
    shapes::{self, Schema},
};
use crate::{policy::Name, signing::AppId};

fn kind<T>(parse: impl Fn(&Value) -> Result<T, String> + 'static, show: fn(&T) -> Json, schema: Schema) -> Kind<T> {
    Kind { parse: Box::new(parse), show, schema }
}

/// A duration with its unit, within `bounds`.
pub(super) fn duration(bounds: RangeInclusive<Duration>) -> Kind<Duration> {
    let parse = move |value: &Value| {
        // A number has no unit, as a text of digits has none.
        let text = if matches!(value, Value::Num(..)) { "0" } else { value.as_str().unwrap_or_default() };
        within(duration_of(text)?, &bounds, duration_text)
    };
    kind(parse, |duration| json!(duration_text(*duration)), shapes::duration())
}

/// A duration with its unit, from a text that need not be part of the configuration.
pub(crate) fn duration_of(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("has no unit; write for example \"5s\" or \"250ms\"".to_owned());
    }
    humantime::parse_duration(text).map_err(|_| "not a duration; write for example \"5s\" or \"250ms\"".to_owned())
}

/// A number of bytes with its unit, within `bounds`.
///
/// The units are `B`, `KiB`, `MiB` and `GiB`, in any case, and `Ki`, `Mi` and `Gi` as Kubernetes writes them. `M` and `MB` mean
/// 1,000,000 bytes to some programs and 1,048,576 to others, so they are refused.
pub(super) fn size(bounds: RangeInclusive<u64>) -> Kind<usize> {
    let parse = move |value: &Value| {
        let not_a_size = || "not a size; write for example \"1MiB\"".to_owned();
        let text = match value {
            Value::String(_, text) => text.as_str(),
            Value::Num(..) if unsigned(value).is_some() => "0",
            _ => return Err(not_a_size()),
        };
        let number = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
        let unit = text[number.len()..].to_ascii_lowercase();
        if !number.trim_end().parse::<f64>().is_ok_and(f64::is_finite) {
            return Err(not_a_size());
        }
        match unit.as_str() {
            "b" | "kib" | "mib" | "gib" | "ki" | "mi" | "gi" => {}
            "" => return Err("has no unit, which is B, KiB, MiB or GiB; write for example \"1MiB\"".to_owned()),
            "k" | "kb" => return Err(disagree("KiB", 1000, KIB)),
            "m" | "mb" => return Err(disagree("MiB", 1_000_000, MIB)),
            "g" | "gb" => return Err(disagree("GiB", 1_000_000_000, GIB)),
            _ => return Err(not_a_size()),
        }
        let size = text.parse::<ByteSize>().map_err(|_| not_a_size())?.as_u64();
        usize::try_from(within(size, &bounds, size_text)?).map_err(|_| not_a_size())
    };
    kind(parse, |size| json!(size_text(*size as u64)), shapes::size())
}

fn disagree(unit: &str, decimal: u64, binary: u64) -> String {
    format!(
        "has a unit that is {decimal} bytes to some programs and {binary} to others; write {unit}, which is {binary}"
    )
}

/// A whole number within `bounds`.
pub(super) fn count(bounds: RangeInclusive<u64>) -> Kind<usize> {
    let schema = Schema::of(|| json!({ "type": "integer", "minimum": bounds.start(), "maximum": bounds.end() }));
    let parse = move |value: &Value| {
        let not_a_number = || "not a whole number".to_owned();
        let number = match value {
            Value::String(_, text) => text.parse().map_err(|_| not_a_number())?,
            _ => unsigned(value).ok_or_else(not_a_number)?,
        };
        usize::try_from(within(number, &bounds, |bound| bound.to_string())?).map_err(|_| not_a_number())
    };
    kind(parse, |count| json!(count), schema)
}

/// A part of one.
pub(super) fn share() -> Kind<f64> {
    kind(parse_share, |share| json!(share), Schema::of(|| json!({ "type": "number", "minimum": 0, "maximum": 1 })))
}

fn parse_share(value: &Value) -> Result<f64, String> {
    let number = match value {
        Value::String(_, text) => text.parse().ok(),
        #[expect(clippy::cast_precision_loss, reason = "only 0 and 1 are in bounds")]
        _ => value.to_f64().or_else(|| unsigned(value).map(|number| number as f64)),
    };
    number.filter(|share| (0.0..=1.0).contains(share)).ok_or_else(|| "must be a number from 0 to 1".to_owned())
}

/// `true` or `false`.
pub(super) fn switch() -> Kind<bool> {
    kind(parse_switch, |switch| json!(switch), Schema::of(|| json!({ "type": "boolean" })))
}

fn parse_switch(value: &Value) -> Result<bool, String> {
    match value {
        Value::Bool(_, switch) => Some(*switch),
        Value::String(_, text) => text.parse().ok(),
        _ => None,
    }
    .ok_or_else(|| "must be true or false".to_owned())
}

/// One of a few words.
pub(super) fn word<T: Words + FromStr<Err: Display> + Display + 'static>() -> Kind<T> {
    kind(parse_word, |word: &T| json!(word.to_string()), Schema::of(|| json!({ "enum": T::WORDS })))
}

/// A type whose values are a few words.
pub(super) trait Words {
    /// All of them.
    const WORDS: &'static [&'static str];
}

/// A text with a form of its own, which `schema` describes for editors.
pub(super) fn text<T: FromStr<Err: Display> + Display + 'static>(schema: Schema) -> Kind<T> {
    kind(parse_word, |text: &T| json!(text.to_string()), schema)
}

/// A word or text that is not shown as it was written.
pub(super) fn parse_word<T: FromStr<Err: Display>>(value: &Value) -> Result<T, String> {
    value.as_str().unwrap_or_default().parse().map_err(|error: T::Err| error.to_string())
}

/// The AppID in `text`, white space and byte order marks around it aside; the error repeats no part of the text.
pub(crate) fn app_id_of(text: &str) -> Result<AppId, String> {
    let text = trimmed(text);
    if text.is_empty() {
        return Err("holds no AppID: it is empty; copy the AppID from Wonder's portal into it".to_owned());
    }
    text.parse()
        .map_err(|error| format!("{error}{}", hint(text).unwrap_or_else(|| "; copy it from Wonder's portal".into())))
}

/// An IP address with port.
pub(super) fn address() -> Kind<SocketAddr> {
    kind(parse_address, |address| json!(address.to_string()), shapes::address())
}

fn parse_address(value: &Value) -> Result<SocketAddr, String> {
    value
        .as_str()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| "not an IP address with port; write for example \"127.0.0.1:9090\"".to_owned())
}

/// Addresses of listeners, one or a list; in a text separated by commas.
pub(super) fn listeners() -> Kind<Vec<ListenAddress>> {
    let show = |addresses: &Vec<ListenAddress>| match &addresses[..] {
        [one] => json!(one.to_string()),
        all => all.iter().map(ToString::to_string).collect(),
    };
    kind(parse_listeners, show, shapes::listeners())
}

fn parse_listeners(value: &Value) -> Result<Vec<ListenAddress>, String> {
    let texts: Vec<&str> = match value {
        Value::Array(_, values) => values.iter().map(|value| value.as_str().unwrap_or_default()).collect(),
        _ => separated(value.as_str().unwrap_or_default())?,
    };
    if texts.is_empty() {
        return Err("is empty; write at least one address".to_owned());
    }
    texts.into_iter().map(|text| text.parse().map_err(|error: NotAnAddress| error.to_string())).collect()
}

/// The parts of a text between commas, which is the form of a list in the environment and in flags.
fn separated(text: &str) -> Result<Vec<&str>, String> {
    let is_toml = text.starts_with('[') && (text == "[]" || text.contains(['"', '\'']));
    if is_toml {
        return Err(
            "is a TOML list, which only a file can have; separate the items by commas, without brackets and quotes"
                .to_owned(),
        );
    }
    Ok(text.split(',').map(str::trim).collect())
}

/// Permission bits in octal, as text.
pub(super) fn mode() -> Kind<u32> {
    kind(parse_mode, |mode| json!(format!("{mode:04o}")), shapes::pattern("^0?[0-7]{3}$"))
}

fn parse_mode(value: &Value) -> Result<u32, String> {
    // Digits alone: the language would accept a sign before them.
    let is_octal = |text: &str| (3..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let digits = value.as_str().filter(|text| is_octal(text));
    digits
        .and_then(|text| u32::from_str_radix(text, 8).ok())
        .filter(|mode| *mode <= 0o777)
        .ok_or_else(|| "not the mode of a file; write for example \"0660\"".to_owned())
}

/// A list of host names without port, or such names separated by commas.
pub(super) fn hosts() -> Kind<Vec<String>> {
    kind(parse_hosts, |hosts| json!(hosts), shapes::list(r"(\[[0-9A-Fa-f:.]+\]|[^\s,/?#@:\[\]]+)"))
}

fn parse_hosts(value: &Value) -> Result<Vec<String>, String> {
    let wanted = || "must be a list of host names without port; write for example [\"signer.internal\"]".to_owned();
    texts(value, wanted)?
        .into_iter()
        .map(|name| name.parse().map(|host: Host| host.in_authority()).map_err(|_| wanted()))
        .collect()
}

/// Names of callers in their certificates, as a list or separated by commas. `other` is the metrics' label of all other callers.
pub(super) fn callers() -> Kind<Vec<Name>> {
    let show = |names: &Vec<Name>| names.iter().map(Name::as_str).collect();
    kind(parse_callers, show, shapes::list("[!-+.-~-]{1,253}"))
}

fn parse_callers(value: &Value) -> Result<Vec<Name>, String> {
    let wanted = || {
        "must be a list of names of 1 to 253 visible ASCII characters without commas, none of them \"other\"; \
         write for example [\"shop\"]"
            .to_owned()
    };
    let name = |text: &str| match text.parse::<Name>() {
        Ok(name) if name.as_str() != "other" && !text.contains(',') => Ok(name),
        _ => Err(wanted()),
    };
    texts(value, wanted)?.into_iter().map(name).collect()
}

/// A list of texts with a form of their own, or such texts separated by commas; `schema` describes it for editors.
pub(super) fn items_of<T: FromStr<Err: Display> + Display + 'static>(schema: Schema) -> Kind<Vec<T>> {
    let parse = |value: &Value| {
        let items = texts(value, || "must be a list of texts".to_owned())?;
        items.into_iter().map(|item| item.parse().map_err(|error: T::Err| error.to_string())).collect()
    };
    kind(parse, |items: &Vec<T>| items.iter().map(ToString::to_string).collect(), schema)
}

/// The items of a list; in a text they are separated by commas.
fn texts(value: &Value, wanted: impl Fn() -> String) -> Result<Vec<&str>, String> {
    match value {
        Value::Array(_, values) => values.iter().map(Value::as_str).collect::<Option<_>>().ok_or_else(wanted),
        Value::String(_, text) if text.trim().is_empty() => Ok(Vec::new()),
        Value::String(_, text) => separated(text),
        _ => Err(wanted()),
    }
}

/// A path. That of a key is at times confused with the key itself, which must then not be repeated as if it were a path.
pub(super) fn path() -> Kind<PathBuf> {
    let parse = |value: &Value| path_text(value.as_str().ok_or("not a path")?);
    let schema = Schema::of(|| json!({ "type": "string", "minLength": 1, "maxLength": 1024 }));
    kind(parse, |path| json!(path.display().to_string()), schema)
}

/// The same for a text, such as an argument.
pub(crate) fn path_text(text: &str) -> Result<PathBuf, String> {
    if text.contains("-----BEGIN") {
        return Err("contains PEM text; write the path of a file".to_owned());
    }
    match text {
        "" => Err("is empty; write the path of a file".to_owned()),
        _ if text.len() > 1024 => Err("is too long for a path (1024 bytes)".to_owned()),
        _ if text.contains(char::is_control) => Err("contains control characters; write the path of a file".to_owned()),
        _ => Ok(text.into()),
    }
}

/// `"5m"`, as [`duration`] reads it.
pub(super) fn duration_text(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

/// `"64KiB"`: the largest unit that is exact, as [`size`] reads it.
pub(super) fn size_text(size: u64) -> String {
    match size {
        0 => "0B".to_owned(),
        _ if size.is_multiple_of(MIB) => format!("{}MiB", size / MIB),
        _ if size.is_multiple_of(KIB) => format!("{}KiB", size / KIB),
        _ => format!("{size}B"),
    }
}

fn unsigned(value: &Value) -> Option<u64> {
    value.to_i128().and_then(|number| number.try_into().ok()).or_else(|| value.to_u128()?.try_into().ok())
}

fn within<T: PartialOrd + Copy>(value: T, bounds: &RangeInclusive<T>, text: impl Fn(T) -> String) -> Result<T, String> {
    if bounds.contains(&value) {
        Ok(value)
    } else {
        Err(format!("out of bounds; {} to {} is accepted", text(*bounds.start()), text(*bounds.end())))
    }
}
