//! The parameters of a call, in path, query and headers.

use serde_json::{Value, json};

use super::schema::{Schemas, UUID, reference, text};
use crate::simulator::{
    filter::Kind,
    ledger::Outcome,
    orders,
    path::MOST_ROWS,
    served::{Call, Mark, Owner, Parameter},
    tokens::TOKEN_TYPES,
};

/// Those of a path, which all of its methods share.
pub(super) fn of_path(call: &Call, template: &str) -> Vec<Value> {
    let names = template.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
    let mark = match call.owner {
        Owner::Wonders(_) => Mark::Confirmed,
        Owner::Own(..) => Mark::Chosen,
    };
    let schema = |name: &str| match (name, call.owner) {
        ("id", Owner::Wonders(_)) if template.ends_with("/check") => {
            json!({ "type": "string", "pattern": format!("{UUID}|^uuid$"), "description": "the literal uuid means any customer" })
        }
        ("id" | "token", Owner::Wonders(_)) => json!({ "type": "string", "format": "uuid" }),
        ("id", Owner::Own(..)) => json!({ "type": "integer", "minimum": 1 }),
        _ => json!({ "type": "string", "minLength": 1 }),
    };
    let parameter =
        |name| json!({ "name": name, "in": "path", "required": true, "x-mark": mark.as_str(), "schema": schema(name) });
    names.map(parameter).collect()
}

/// Those of one call alone.
pub(super) fn of_call(call: &Call) -> Vec<Value> {
    call.parameters.iter().flat_map(|parameter| of(*parameter)).collect()
}

fn of(parameter: Parameter) -> Vec<Value> {
    match parameter {
        Parameter::Rows => vec![
            query(
                "limit",
                Mark::Confirmed,
                json!({ "type": "integer", "minimum": 1, "maximum": MOST_ROWS, "default": 20 }),
            ),
            query(
                "offset",
                Mark::Confirmed,
                json!({ "type": "integer", "minimum": 0, "maximum": usize::MAX, "default": 0 }),
            ),
        ],
        Parameter::SourceType => {
            vec![query("linked_source_type", Mark::Confirmed, json!({ "enum": ["User", "Store"] }))]
        }
        Parameter::TokenTypes => {
            let types: Vec<&str> = TOKEN_TYPES.split(", ").collect();
            let mut types = query("token_type", Mark::Derived, json!({ "type": "array", "items": { "enum": types } }));
            types["explode"] = false.into();
            vec![types]
        }
        Parameter::WithPaymentLink => {
            let link = json!({ "type": "string", "description": "true or 1; any other value counts as false", "examples": ["true"] });
            vec![query("with_payment_link", Mark::Confirmed, link)]
        }
        Parameter::Outcome => vec![json!({
            "name": "X-Wonder-Simulator-Outcome", "in": "header", "x-mark": Mark::Chosen.as_str(),
            "description": "chooses the outcome of the payment",
            "schema": { "enum": Outcome::NAMES.split(", ").collect::<Vec<_>>() },
        })],
        Parameter::OrderFilters => orders::filter_fields().map(|(field, kind)| filter(field, kind)).collect(),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "made for each call")]
fn query(name: &str, mark: Mark, schema: Value) -> Value {
    json!({ "name": name, "in": "query", "x-mark": mark.as_str(), "schema": schema })
}

/// All conditions on one field: `filter[state][_eq]=invoiced`. Their form is confirmed; which fields can be filtered is not.
fn filter(field: &str, kind: Kind) -> Value {
    let schema = FILTERS.iter().find(|(_, of)| *of == kind).map(|(name, _)| reference(name));
    let mut parameter = query(&format!("filter[{field}]"), Mark::Derived, schema.unwrap_or_default());
    parameter["style"] = "deepObject".into();
    parameter["explode"] = true.into();
    parameter
}

const FILTERS: [(&str, Kind); 4] = [
    ("TextFilter", Kind::Text),
    ("AmountFilter", Kind::Amount),
    ("TimeFilter", Kind::Time),
    ("FlagFilter", Kind::Flag),
];

/// The schemas of the filters on a field of each kind.
pub(super) fn add(schemas: &mut Schemas) {
    for (name, kind) in FILTERS {
        let one = match kind {
            Kind::Text => ".*",
            Kind::Amount => "-?[0-9]{1,9}(\\.[0-9]{1,6})?",
            Kind::Time => {
                "(19[89]|[2-9][0-9]{2})[0-9]-\
                 ((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))\
                 ([Tt ]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]+)?([Zz]|[+-](0[0-9]|1[0-4]):[0-5][0-9]))?"
            }
            Kind::Flag => "(0|1|true|false)",
        };
        let matching = |pattern: String| match kind {
            Kind::Text => text(),
            _ => json!({ "type": "string", "pattern": pattern }),
        };
        let mut operators = json!({});
        for operator in kind.operators().split(", ") {
            operators[operator] = match operator {
                "_null" => json!({ "enum": ["0", "1", "true", "false"] }),
                "_in" | "_not_in" => matching(format!("^{one}(,{one})*$")),
                _ => matching(format!("^{one}$")),
            };
        }
        let schema = json!({ "type": "object", "properties": operators, "additionalProperties": false });
        schemas.insert(name.to_owned(), schema);
    }
}
