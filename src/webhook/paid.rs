//! Whether the order in a webhook's body is paid: a hint for handlers that treat `completed` as paid, although an order is also `completed`
//! after a full refund. Pure; the body is read in place and not changed.
//!
//! The hint is the order's `correspondence_state` alone, in the three shapes that occur: the order at the top, in `order`, and in
//! `data.order` (`deploy/docs/wonder.md` §3.4).

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The value of `X-Wonder-Signer-Paid`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Paid {
    /// `paid`, `over_paid`.
    Yes,
    /// `unpaid`, `authorized`.
    No,
    /// `partial_paid`: also after a refund of a part.
    Partial,
    /// `refunded`.
    Refunded,
    /// `voided`: paid once, and voided since.
    Voided,
    /// An order whose state is none of these, or that has it in two ways.
    Unknown,
}

impl Paid {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::Partial => "partial",
            Self::Refunded => "refunded",
            Self::Voided => "voided",
            Self::Unknown => "unknown",
        }
    }

    /// The hint for `body`; `None` if it is no order.
    pub(super) fn of(body: &[u8]) -> Option<Self> {
        let mut found = None;
        let mut json = serde_json::Deserializer::from_slice(body);
        Search { level: Level::Top, found: &mut found }.deserialize(&mut json).ok()?;
        json.end().ok()?;
        found
    }

    fn of_state(state: &serde_json::Value) -> Self {
        match state.as_str() {
            Some("paid" | "over_paid") => Self::Yes,
            Some("unpaid" | "authorized") => Self::No,
            Some("partial_paid") => Self::Partial,
            Some("refunded") => Self::Refunded,
            Some("voided") => Self::Voided,
            _ => Self::Unknown,
        }
    }
}

/// Which object is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    /// The body: an order, or what an order is in.
    Top,
    /// `data`.
    Data,
    /// `order`.
    Order,
}

#[derive(serde::Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Name {
    CorrespondenceState,
    Data,
    Order,
    #[serde(other)]
    Other,
}

/// Reads one value, and skips all of it that is not on the way to a state.
struct Search<'a> {
    level: Level,
    found: &'a mut Option<Paid>,
}

impl Search<'_> {
    /// Handlers read different places, and programs pick different ones of two equal names. If these disagree, the hint is unknown.
    fn add(&mut self, paid: Paid) {
        let known = *self.found.get_or_insert(paid);
        *self.found = Some(if known == paid { paid } else { Paid::Unknown });
    }
}

impl<'de> DeserializeSeed<'de> for Search<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Search<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<M: MapAccess<'de>>(mut self, mut map: M) -> Result<(), M::Error> {
        let mut has_state = false;
        while let Some(name) = map.next_key()? {
            match (self.level, name) {
                (Level::Top | Level::Order, Name::CorrespondenceState) => {
                    has_state = true;
                    self.add(Paid::of_state(&map.next_value()?));
                }
                (Level::Top, Name::Data) => map.next_value_seed(Search { level: Level::Data, found: self.found })?,
                (Level::Top | Level::Data, Name::Order) => {
                    map.next_value_seed(Search { level: Level::Order, found: self.found })?;
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        if self.level == Level::Order && !has_state {
            self.add(Paid::Unknown);
        }
        Ok(())
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut items: S) -> Result<(), S::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint(body: &str) -> Option<&'static str> {
        Paid::of(body.as_bytes()).map(Paid::as_str)
    }

    #[test]
    fn the_hint_is_the_correspondence_state_alone() {
        for (state, correspondence_state, expected) in [
            ("invoiced", "unpaid", "no"),
            ("in_completed", "partial_paid", "partial"),
            ("completed", "paid", "yes"),
            ("completed", "over_paid", "yes"),
            ("invoiced", "authorized", "no"),
            ("voided", "unpaid", "no"),
            ("completed", "refunded", "refunded"),
            ("completed", "voided", "voided"),
            ("completed", "Paid", "unknown"),
            ("completed", "", "unknown"),
            ("completed", "settled", "unknown"),
        ] {
            let order =
                format!(r#"{{"number":"1","state":"{state}","correspondence_state":"{correspondence_state}"}}"#);
            for body in [
                order.clone(),
                format!(r#"{{"order":{order}}}"#),
                format!(r#"{{"code":200,"data":{{"order":{order}}}}}"#),
            ] {
                assert_eq!(hint(&body), Some(expected), "{body}");
            }
        }
    }

    #[test]
    fn a_body_that_is_no_order_gets_no_hint() {
        for body in [
            "",
            " ",
            "null",
            "1",
            "-1.5e3",
            "true",
            r#""paid""#,
            "[]",
            r#"[{"correspondence_state":"paid"}]"#,
            "{}",
            r#"{"otp":"123456","data":"x","order":[1,{"correspondence_state":"paid"}]}"#,
            r#"{"card":{"correspondence_state":"paid"}}"#,
            r#"{"data":{"correspondence_state":"paid"}}"#,
            r#"{"data":[{"order":{"correspondence_state":"paid"}}]}"#,
            r#"{"state":"completed"}"#,
            r#"{"correspondence_state":"paid""#,
            r#"{"correspondence_state":"paid"}x"#,
            "\u{feff}{\"correspondence_state\":\"paid\"}",
            "status=paid",
        ] {
            assert_eq!(hint(body), None, "{body}");
        }
        let deep = format!("{}{}", r#"{"correspondence_state":"paid","x":"#, "[".repeat(10_000));
        assert_eq!(hint(&deep), None);
    }

    #[test]
    fn what_handlers_could_read_in_two_ways_is_unknown() {
        for (body, expected) in [
            (r#"{"correspondence_state":null}"#, "unknown"),
            (r#"{"correspondence_state":true}"#, "unknown"),
            (r#"{"correspondence_state":["paid"]}"#, "unknown"),
            (r#"{"order":{}}"#, "unknown"),
            (r#"{"data":{"order":{"state":"completed"}}}"#, "unknown"),
            (r#"{"correspondence_state":"unpaid","correspondence_state":"paid"}"#, "unknown"),
            (r#"{"correspondence_state":"paid","order":{"correspondence_state":"refunded"}}"#, "unknown"),
            (r#"{"correspondence_state":"paid","order":{"correspondence_state":"paid"}}"#, "yes"),
            (r#"{"correspondence_state":"paid","data":null}"#, "yes"),
            (r#" { "correspondence\u005fstate" : "pa\u0069d" } "#, "yes"),
            (
                r#"{"x":{"correspondence_state":"unpaid"},"correspondence_state":"paid","transactions":[{"success":true,"amount":12.5}]}"#,
                "yes",
            ),
        ] {
            assert_eq!(hint(body), Some(expected), "{body}");
        }
    }
}
