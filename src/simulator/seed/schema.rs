//! The JSON Schema of a seed, for editors: `deploy/seed.schema.json` is this schema as a file. Its members are held against those that the
//! reader knows, and `tests/e2e/schema.py` compares its judgement with the reader's.
//!
//! A rule that names two fields, or another row, is in no schema; the reader reports it.

use serde_json::{Value, json};

use super::{CARD, CUSTOMER, ORDER, PAYMENT, REFUND, SCHEMA, SEED, STATES, TOKEN};
use crate::simulator::{
    customers::METHOD_LIST,
    fields::{TEXT, URL},
    ledger::{Method, Outcome},
    orders::MOST_ITEMS,
};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/seed.schema.json");

fn schema() -> Value {
    let mut seed = object(
        &[SEED, &[SCHEMA]].concat(),
        &[],
        json!({
            "customers": list("customer", "the customers and their payment tokens"),
            "orders": list("order", "the orders, in the order of their making"),
            "$schema": { "type": "string", "description": "the path of this schema, for an editor" },
        }),
    );
    seed["$schema"] = "http://json-schema.org/draft-07/schema#".into();
    seed["title"] = "Seed of the simulated Wonder (--seed)".into();
    seed["definitions"] = json!({
        "customer": customer(), "payment_token": token(), "card": card(), "order": order(), "line_item": line_item(),
        "payment": payment(), "refund": refund(),
    });
    seed
}

fn customer() -> Value {
    object(
        CUSTOMER,
        &["reference_number", "name", "phone"],
        json!({
            "app_id": app_id(), "uuid": uuid("drawn if absent"), "reference_number": required_text("unique among the customers of its AppID"),
            "name": required_text("its name"), "phone": required_text("its telephone number"), "email": text(TEXT, "empty if absent"),
            "dial_code": text(6, "such as +852"),
            "default_payment_method": one_of(METHOD_LIST, "that of the default token, where one is the default"),
            "payment_tokens": list("payment_token", "the oldest first"),
        }),
    )
}

fn token() -> Value {
    let means: Vec<Value> = ["card", "alipay", "wechatpay"]
        .map(|chosen| json!({ "required": [chosen], "properties": { chosen: { "type": "object" } } }))
        .into();
    let wallet = |name: &str| {
        let mut wallet = object(&[], &[], json!({}));
        wallet["type"] = json!(["object", "null"]);
        wallet["description"] = format!("an account of {name}, with nothing in it").into();
        wallet
    };
    let mut token = object(
        TOKEN,
        &[],
        json!({
            "token": uuid("drawn if absent"), "verify_uuid": uuid("of its 3-D Secure page; drawn if absent"),
            "state": one_of("success, pending, failed", "success if absent"),
            "default": flag("the default of its customer, for at most one token, in state success"),
            "card": { "anyOf": [{ "$ref": "#/definitions/card" }, { "type": "null" }] },
            "alipay": wallet("Alipay"), "wechatpay": wallet("WeChat Pay"),
        }),
    );
    token["oneOf"] = means.into();
    token
}

fn card() -> Value {
    object(
        CARD,
        &["number", "exp_month", "exp_year", "holder_name"],
        json!({
            "number": { "type": "string", "pattern": "^[0-9]{12,19}$", "description": "of which the first six and the last four digits are kept" },
            "exp_month": { "type": "string", "pattern": "^(0[1-9]|1[0-2])$" },
            "exp_year": { "type": "string", "pattern": "^[0-9]{2}$", "description": "its last two digits; it may be over" },
            "holder_name": required_text("as on the card"),
        }),
    )
}

fn order() -> Value {
    let mut order = object(
        ORDER,
        &["reference_number"],
        json!({
            "app_id": app_id(),
            "number": {
                "description": "the next one if absent",
                "anyOf": [
                    { "type": "integer", "minimum": 1, "maximum": 999_999_999_999_999_u64 },
                    { "type": "string", "pattern": "^0*[1-9][0-9]{0,14}$" },
                    { "type": "null" },
                ],
            },
            "created_at": {
                "description": "RFC 3339; the time of the start if absent", "type": ["string", "null"],
                "pattern": "^$|^[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]+)?([Zz]|[+ -][0-9]{2}:[0-9]{2}))?$",
            },
            "state": one_of(STATES, "unpaid if absent; by one payment of the whole amount. Goes without payments"),
            "payments": list("payment", "carried out one after the other"),
            "reference_number": required_text("the merchant's own number"),
            "charge_fee": amount("0", "what is to be paid, without tips; the sum of the line items if absent"),
            "currency": { "type": ["string", "null"], "pattern": "^[A-Z]{3}$", "description": "one that is enabled (--currencies); HKD if absent" },
            "tips": amount("0", "in addition to charge_fee"), "note": text(TEXT, "for the payer"),
            "due_date": { "type": ["string", "null"], "pattern": "^$|^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "description": "the day after which an unpaid order is void" },
            "callback_url": url("where its webhooks go"), "redirect_url": url("where the payer goes afterwards"),
            "line_items": { "type": ["array", "null"], "maxItems": MOST_ITEMS, "items": { "$ref": "#/definitions/line_item" } },
            "is_only_pre_auth": flag("its payments are authorizations"),
        }),
    );
    order["anyOf"] = json!([{ "required": ["charge_fee"] }, { "required": ["line_items"] }]);
    order
}

/// Other members are accepted, as in a call.
fn line_item() -> Value {
    let id = || json!({ "type": ["string", "number", "null"], "maxLength": TEXT });
    json!({
        "type": "object",
        "properties": {
            "label": text(TEXT, "what is sold"), "purchasable_type": text(TEXT, "Charge if absent"), "purchase_id": id(), "purchasable_id": id(),
            "price": amount("-", "of one"), "total": amount("-", "price times quantity if absent"), "quantity": amount("-", "1 if absent"),
        },
        "anyOf": [{ "required": ["price"] }, { "required": ["total"] }],
    })
}

fn payment() -> Value {
    object(
        PAYMENT,
        &[],
        json!({
            "uuid": uuid("drawn if absent"), "method": one_of(Method::NAMES, "credit_card if absent"),
            "amount": amount("", "all that is unpaid if absent"), "outcome": one_of(Outcome::NAMES, "success if absent"),
            "authorize": flag("an authorization"), "voided": flag("voided afterwards"),
            "refunds": list("refund", "carried out one after the other"),
        }),
    )
}

fn refund() -> Value {
    let mut refund = object(
        REFUND,
        &["amount"],
        json!({ "uuid": uuid("drawn if absent"), "amount": amount("", "at most what is not refunded"), "note": text(TEXT, "the reason") }),
    );
    refund["properties"]["amount"]["anyOf"] = json!([decimal(""), { "type": "number", "exclusiveMinimum": 0 }]);
    refund
}

/// An object with exactly the members that the reader knows.
#[expect(clippy::needless_pass_by_value, reason = "made for each call")]
fn object(known: &[&str], required: &[&str], properties: Value) -> Value {
    let mut names: Vec<&str> = properties.as_object().unwrap().keys().map(String::as_str).collect();
    let mut known = known.to_vec();
    names.sort_unstable();
    known.sort_unstable();
    assert_eq!(names, known, "the members of the schema and of the reader");
    let mut object = json!({ "type": "object", "additionalProperties": false, "properties": properties });
    if !required.is_empty() {
        object["required"] = json!(required);
    }
    object
}

fn list(of: &str, description: &str) -> Value {
    json!({ "type": ["array", "null"], "description": description, "items": { "$ref": format!("#/definitions/{of}") } })
}

fn required_text(description: &str) -> Value {
    json!({ "type": "string", "maxLength": TEXT, "pattern": "\\S", "description": description })
}

fn text(limit: usize, description: &str) -> Value {
    json!({ "type": ["string", "null"], "maxLength": limit, "description": description })
}

fn flag(description: &str) -> Value {
    json!({ "type": ["boolean", "null"], "description": description })
}

fn one_of(words: &str, description: &str) -> Value {
    let words = words.split(", ").map(Value::from).chain(["".into(), Value::Null]);
    json!({ "enum": words.collect::<Vec<_>>(), "description": description })
}

fn uuid(description: &str) -> Value {
    let pattern = "^$|^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$";
    json!({
        "type": ["string", "null"], "pattern": pattern, "not": { "const": "00000000-0000-0000-0000-000000000000" },
        "description": description,
    })
}

fn app_id() -> Value {
    let mut app_id = uuid("the AppID that it belongs to; required if the simulator has several");
    app_id.as_object_mut().unwrap().remove("not");
    app_id
}

fn url(description: &str) -> Value {
    json!({ "type": ["string", "null"], "maxLength": URL, "pattern": "^$|^[Hh][Tt][Tt][Pp][Ss]?://[^/?#]", "description": description })
}

/// An amount that a row may lack: above zero, or with `0` zero too, or with `-` any.
fn amount(least: &str, description: &str) -> Value {
    let number = match least {
        "-" => json!({ "type": "number" }),
        "0" => json!({ "type": "number", "minimum": 0 }),
        _ => json!({ "type": "number", "exclusiveMinimum": 0 }),
    };
    let description = format!("{description}; in major units, such as \"120.00\" or 120");
    json!({ "description": description, "anyOf": [decimal(least), number, { "enum": ["", null] }] })
}

fn decimal(least: &str) -> Value {
    let pattern = match least {
        "-" => "^-?[0-9]+(\\.[0-9]+)?$",
        "0" => "^[0-9]+(\\.[0-9]+)?$",
        _ => "^(?!0*(\\.0*)?$)[0-9]+(\\.[0-9]+)?$",
    };
    json!({ "type": "string", "maxLength": 24, "pattern": pattern })
}

/// `UPDATE_SCHEMA=1` renews the file.
#[test]
fn the_file_is_the_schema() {
    let made = format!("{:#}\n", schema());
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(FILE, &made).unwrap();
    }
    let file = std::fs::read_to_string(FILE).unwrap_or_default();
    assert!(file == made, "{FILE} is old; renew it: UPDATE_SCHEMA=1 cargo test --lib seed::schema");
}
