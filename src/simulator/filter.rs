//! Wonder's Query DSL, pure: `filter[<field>][<operator>]=<value>`, joined by AND (`deploy/docs/wonder.md` §6).

use super::{
    ledger::{Amount, parse_time},
    refusal::{Refusal, Rule},
};

/// The type of a field, which decides how its values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Amount,
    Time,
    Flag,
}

/// A value of a field, or of a filter.
#[derive(Debug, Clone, PartialEq, PartialOrd)]
pub(super) enum Datum {
    Null,
    Text(String),
    Amount(Amount),
    /// Seconds since 1970.
    Time(u64),
    Flag(bool),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Eq,
    Neq,
    Gt,
    Gte,
    Lt,
    Lte,
    Contains,
    NotContains,
    In,
    NotIn,
    Null,
}

const ALL: &str = "_eq, _neq, _gt, _gte, _lt, _lte, _contains, _not_contains, _in, _not_in, _null";
const WITHOUT_CONTAINS: &str = "_eq, _neq, _gt, _gte, _lt, _lte, _in, _not_in, _null";

/// One condition.
pub(super) struct Filter {
    pub(super) field: String,
    operator: Operator,
    wanted: Vec<Datum>,
}

impl Filter {
    /// Reads a pair of a query; `None` if it is not a filter. `kind` returns the type of a field, and `known` lists the fields.
    pub(super) fn read(
        name: &str,
        value: &str,
        kind: impl Fn(&str) -> Option<Kind>,
        known: &'static str,
    ) -> Result<Option<Self>, Refusal> {
        let Some(rest) = name.strip_prefix("filter") else { return Ok(None) };
        let broken = |rule| Refusal::FieldValue("filter".to_owned(), rule);
        let (field, operator) =
            brackets(rest).ok_or_else(|| broken(Rule::Like("filter[<field>][<operator>]=<value>")))?;
        let kind = kind(field).ok_or_else(|| broken(Rule::OneOf(known)))?;
        let name = format!("filter[{field}]");
        let operators = kind.operators();
        let operator = Operator::parse(operator)
            .filter(|operator| kind == Kind::Text || !matches!(operator, Operator::Contains | Operator::NotContains))
            .ok_or_else(|| Refusal::FieldValue(name.clone(), Rule::Operator(operators)))?;
        let wanted = match operator {
            Operator::Null => vec![Kind::Flag.read(&name, value)?],
            Operator::In | Operator::NotIn => {
                split(value).iter().map(|element| kind.read(&name, element)).collect::<Result<_, _>>()?
            }
            _ => vec![kind.read(&name, &unquoted(value))?],
        };
        Ok(Some(Self { field: field.to_owned(), operator, wanted }))
    }

    /// Whether the values of its field satisfy it. A field of nested rows has several values: one that satisfies it is enough, but a
    /// negation must hold for all.
    pub(super) fn holds(&self, values: &[Datum]) -> bool {
        let any = |test: &dyn Fn(&Datum) -> bool| values.iter().any(test);
        let wanted = &self.wanted[..];
        match self.operator {
            Operator::Eq | Operator::In => any(&|value| wanted.contains(value)),
            Operator::Neq | Operator::NotIn => !any(&|value| wanted.contains(value)),
            Operator::Gt => any(&|value| *value != Datum::Null && wanted.iter().all(|wanted| value > wanted)),
            Operator::Gte => any(&|value| *value != Datum::Null && wanted.iter().all(|wanted| value >= wanted)),
            Operator::Lt => any(&|value| *value != Datum::Null && wanted.iter().all(|wanted| value < wanted)),
            Operator::Lte => any(&|value| *value != Datum::Null && wanted.iter().all(|wanted| value <= wanted)),
            Operator::Contains => any(&|value| contains(value, wanted)),
            Operator::NotContains => !any(&|value| contains(value, wanted)),
            Operator::Null => wanted.contains(&Datum::Flag(!any(&|value| *value != Datum::Null))),
        }
    }
}

impl Operator {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "_eq" => Self::Eq,
            "_neq" => Self::Neq,
            "_gt" => Self::Gt,
            "_gte" => Self::Gte,
            "_lt" => Self::Lt,
            "_lte" => Self::Lte,
            "_contains" => Self::Contains,
            "_not_contains" => Self::NotContains,
            "_in" => Self::In,
            "_not_in" => Self::NotIn,
            "_null" => Self::Null,
            _ => return None,
        })
    }
}

impl Kind {
    /// The operators that a field of this kind accepts.
    pub(super) fn operators(self) -> &'static str {
        if self == Self::Text { ALL } else { WITHOUT_CONTAINS }
    }

    fn read(self, name: &str, text: &str) -> Result<Datum, Refusal> {
        let (datum, like) = match self {
            Self::Text => (Some(Datum::Text(text.to_owned())), ""),
            Self::Amount => (Amount::parse(text).map(Datum::Amount), "a decimal number such as 120.00"),
            Self::Time => (parse_time(text).map(Datum::Time), "a time such as 2026-01-05T15:43:18+08:00"),
            Self::Flag => match text {
                "1" | "true" => (Some(Datum::Flag(true)), ""),
                "0" | "false" => (Some(Datum::Flag(false)), ""),
                _ => (None, "0 or 1"),
            },
        };
        datum.ok_or_else(|| Refusal::FieldValue(name.to_owned(), Rule::Like(like)))
    }
}

fn contains(value: &Datum, wanted: &[Datum]) -> bool {
    let Datum::Text(value) = value else { return false };
    wanted.iter().any(|wanted| matches!(wanted, Datum::Text(wanted) if value.contains(&wanted[..])))
}

/// The two names in `[field][operator]`.
fn brackets(text: &str) -> Option<(&str, &str)> {
    let (field, operator) = text.strip_prefix('[')?.strip_suffix(']')?.split_once("][")?;
    Some((field, operator)).filter(|_| !operator.contains(['[', ']']) && !field.is_empty())
}

/// A text without the quotes around it; within them, `\"` is a quote.
fn unquoted(text: &str) -> String {
    match text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        Some(inner) => inner.replace("\\\"", "\""),
        None => text.to_owned(),
    }
}

/// The elements of a list with commas between them; a comma within quotes belongs to its element.
fn split(text: &str) -> Vec<String> {
    let mut elements = vec![String::new()];
    let (mut quoted, mut escaped) = (false, false);
    for char in text.chars() {
        match char {
            ',' if !quoted => elements.push(String::new()),
            _ => {
                quoted ^= char == '"' && !escaped;
                if let Some(element) = elements.last_mut() {
                    element.push(char);
                }
            }
        }
        escaped = char == '\\' && !escaped;
    }
    elements.iter().map(|element| unquoted(element)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(field: &str) -> Option<Kind> {
        match field {
            "text" | "nested.text" => Some(Kind::Text),
            "amount" => Some(Kind::Amount),
            "time" => Some(Kind::Time),
            "flag" => Some(Kind::Flag),
            _ => None,
        }
    }

    fn filter(name: &str, value: &str) -> Result<Option<Filter>, Refusal> {
        Filter::read(name, value, kind, "text, amount")
    }

    fn holds(name: &str, value: &str, data: &[Datum]) -> bool {
        filter(name, value).unwrap().unwrap().holds(data)
    }

    #[test]
    fn every_operator_holds_for_what_it_says() {
        let text = |text: &str| vec![Datum::Text(text.to_owned())];
        let amount = |text: &str| vec![Datum::Amount(Amount::parse(text).unwrap())];
        for (name, value, data, expected) in [
            ("filter[text][_eq]", "a", text("a"), true),
            ("filter[text][_eq]", "\"a b\"", text("a b"), true),
            ("filter[text][_eq]", "\"a \\\"b\\\"\"", text("a \"b\""), true),
            ("filter[text][_eq]", "A", text("a"), false),
            ("filter[text][_neq]", "a", text("b"), true),
            ("filter[text][_neq]", "a", text("a"), false),
            ("filter[text][_neq]", "a", vec![Datum::Null], true),
            ("filter[text][_contains]", "ell", text("hello"), true),
            ("filter[text][_contains]", "elx", text("hello"), false),
            ("filter[text][_not_contains]", "elx", text("hello"), true),
            ("filter[text][_not_contains]", "ell", text("hello"), false),
            ("filter[text][_in]", "a,b", text("b"), true),
            ("filter[text][_in]", "a,\"b,c\"", text("b,c"), true),
            ("filter[text][_in]", "a,b", text("c"), false),
            ("filter[text][_not_in]", "a,b", text("c"), true),
            ("filter[text][_not_in]", "a,b", text("a"), false),
            ("filter[text][_null]", "1", vec![Datum::Null], true),
            ("filter[text][_null]", "true", text(""), false),
            ("filter[text][_null]", "0", text("a"), true),
            ("filter[nested.text][_null]", "1", vec![], true),
            ("filter[nested.text][_eq]", "a", vec![Datum::Text("b".into()), Datum::Text("a".into())], true),
            ("filter[nested.text][_neq]", "a", vec![Datum::Text("b".into()), Datum::Text("a".into())], false),
            ("filter[amount][_gt]", "9.5", amount("10"), true),
            ("filter[amount][_gt]", "10.00", amount("10"), false),
            ("filter[amount][_gte]", "10.00", amount("10"), true),
            ("filter[amount][_lt]", "10.01", amount("10"), true),
            ("filter[amount][_lte]", "9.99", amount("10"), false),
            ("filter[amount][_lt]", "1", vec![Datum::Null], false),
            ("filter[amount][_eq]", "10.0", amount("10"), true),
            ("filter[amount][_in]", "1,10", amount("10"), true),
            ("filter[time][_gte]", "1970-01-01T08:00:10+08:00", vec![Datum::Time(10)], true),
            ("filter[time][_gt]", "1970-01-01T08:00:10 08:00", vec![Datum::Time(10)], false),
            ("filter[flag][_eq]", "1", vec![Datum::Flag(true)], true),
            ("filter[flag][_neq]", "1", vec![Datum::Flag(true)], false),
        ] {
            assert_eq!(holds(name, value, &data), expected, "{name}={value} {data:?}");
        }
    }

    #[test]
    fn what_is_no_filter_is_left_alone_and_a_wrong_one_is_refused() {
        assert!(filter("limit", "1").unwrap().is_none());
        for (name, value) in [
            ("filter", "x"),
            ("filter[]", "x"),
            ("filter[text]", "x"),
            ("filter[text][_eq", "x"),
            ("filter[text][_eq][x]", "x"),
            ("filter[][_eq]", "x"),
            ("filter[other][_eq]", "x"),
            ("filter[text][eq]", "x"),
            ("filter[text][_like]", "x"),
            ("filter[amount][_contains]", "1"),
            ("filter[amount][_eq]", "x"),
            ("filter[amount][_in]", "1,x"),
            ("filter[time][_gt]", "yesterday"),
            ("filter[flag][_eq]", "2"),
            ("filter[text][_null]", "maybe"),
        ] {
            assert!(matches!(filter(name, value), Err(Refusal::FieldValue(..))), "{name}={value}");
        }
    }
}
