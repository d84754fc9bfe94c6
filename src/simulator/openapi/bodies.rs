//! The schemas of request bodies. No schema has rules about two fields, such as "the amount has no more decimals than the
//! currency".

use serde_json::{Value, json};

use super::schema::{
    Schemas, Sign, amount, closed, date, null_or, object, one_of, optional_object, optional_text, or_empty,
    required_text, short, url, written_uuid,
};
use crate::simulator::{
    customers::METHOD_LIST,
    fields::{TEXT, URL},
    ledger::{Method, Outcome},
    orders::MOST_ITEMS,
    tokens::{TERMINAL_TYPE_LIST, TRANSACTION_TYPE_LIST},
};

pub(super) fn add(schemas: &mut Schemas) {
    let mut add = |name: &str, schema: Value| schemas.insert(name.to_owned(), schema);
    add("Echo", object(&["message"], json!({ "message": {} })));
    customers(&mut add);
    tokens(&mut add);
    orders(&mut add);
    payments(&mut add);
    add(
        "AddFault",
        closed(object(
            &["fault"],
            json!({
                "fault": {
                    "type": "string", "maxLength": TEXT,
                    "pattern": "^(delay=[0-9]{1,3}ms|slow=[0-9]{1,3}ms|no-answer|cut=[0-9]{1,6}|status=(401|403|500)|clock=[+-][0-9]{1,3}m|webhook=(duplicate|reorder|lose))$",
                },
                "operation": or_empty(&json!({ "$ref": "#/components/schemas/OperationName" })),
                "action": or_empty(&json!({ "$ref": "#/components/schemas/ActionName" })),
                "app_id": or_empty(&written_uuid()),
                "calls": null_or(&json!({ "type": "integer", "minimum": 1, "maximum": 1_000_000 })),
            }),
        )),
    );
}

fn customers(add: &mut impl FnMut(&str, Value) -> Option<Value>) {
    let more = json!({
        "email": short(), "dial_code": optional_text(6), "company_name": short(),
        "default_payment_method": or_empty(&one_of(METHOD_LIST)),
        "default_payment_token": { "description": "a token of this customer in state success; an empty text clears it", "type": ["string", "null"], "maxLength": TEXT },
    });
    let with = |names: Value| {
        let (mut all, Value::Object(names)) = (more.clone(), names) else { return more.clone() };
        for (name, schema) in names {
            all[name] = schema;
        }
        all
    };
    let required = required_text(TEXT);
    let saved =
        with(json!({ "name": required.clone(), "phone": required.clone(), "reference_number": required.clone() }));
    add(
        "SaveCustomer",
        object(&["customer"], json!({ "customer": object(&["name", "phone", "reference_number"], saved) })),
    );
    let same = json!({ "description": "the customer's own, which cannot be changed", "type": ["string", "null"], "maxLength": TEXT });
    add("EditCustomer", object(&[], with(json!({ "name": short(), "phone": short(), "reference_number": same }))));
}

fn tokens(add: &mut impl FnMut(&str, Value) -> Option<Value>) {
    add("TokenOnly", object(&["token"], json!({ "token": required_text(TEXT) })));
    add(
        "CheckToken",
        object(
            &["payment_token"],
            json!({ "payment_token": object(&["token"], json!({ "token": required_text(TEXT), "verify_uuid": short() })) }),
        ),
    );
    let country = or_empty(&json!({ "type": "string", "pattern": "^[A-Z]{3}$" }));
    let address = optional_object(
        &[],
        json!({
            "zip_code": short(), "address": short(), "city": short(), "state": short(), "first_name": short(), "last_name": short(),
            "phone_number": short(), "email": short(), "country_code": country,
        }),
    );
    let card = json!({
        "number": { "type": "string", "pattern": "^[0-9]{12,19}$" },
        "exp_month": { "type": "string", "pattern": "^(0[1-9]|1[0-2])$" },
        "exp_year": { "type": "string", "pattern": "^[0-9]{2}$", "description": "of a month that is not over" },
        "holder_name": required_text(TEXT),
        "nickname": short(),
        "billing_address": address,
        "3ds": optional_object(&["success_return_url", "fail_return_url"], json!({ "success_return_url": url(), "fail_return_url": url() })),
        "transaction_type": one_of(TRANSACTION_TYPE_LIST),
    });
    let debit = object(
        &["transaction_type"],
        json!({
            "terminal_type": or_empty(&one_of(TERMINAL_TYPE_LIST)), "return_url": or_empty(&url()),
            "transaction_type": one_of(TRANSACTION_TYPE_LIST),
        }),
    );
    let card = object(&["number", "exp_month", "exp_year", "holder_name", "transaction_type"], card);
    add("Card", card);
    add("AutoDebit", debit);
    add("CreateToken", exactly_one(&[("card", "Card"), ("alipay", "AutoDebit"), ("wechatpay", "AutoDebit")]));
}

/// An object with one of these members; the others are absent, `null` or an empty array.
fn exactly_one(members: &[(&str, &str)]) -> Value {
    let absent = json!({ "type": ["null", "array"], "maxItems": 0 });
    let choices: Vec<Value> = members
        .iter()
        .map(|(chosen, schema)| {
            let mut properties = json!({});
            for (name, _) in members {
                properties[*name] = absent.clone();
            }
            properties[*chosen] = json!({ "$ref": format!("#/components/schemas/{schema}") });
            object(&[chosen], properties)
        })
        .collect();
    json!({ "oneOf": choices })
}

fn orders(add: &mut impl FnMut(&str, Value) -> Option<Value>) {
    let any = || or_empty(&amount(Sign::Any));
    let id = || json!({ "type": ["string", "number", "null"], "maxLength": TEXT });
    add(
        "NewLineItem",
        json!({
            "type": "object",
            "description": "total is price times quantity where it is absent",
            "properties": {
                "label": short(), "purchasable_type": short(), "purchase_id": id(), "purchasable_id": id(), "price": any(), "total": any(),
                "quantity": null_or(&json!({ "type": ["string", "number"], "pattern": "^(-?0*[0-9]{1,9}(\\.[0-9]{1,6}0*)?)?$" })),
            },
            "anyOf": [
                { "required": ["price"], "properties": { "price": amount(Sign::Any) } },
                { "required": ["total"], "properties": { "total": amount(Sign::Any) } },
            ],
        }),
    );
    let or_zero = || or_empty(&amount(Sign::PositiveOrZero));
    add(
        "NewOrder",
        json!({
            "type": "object",
            "description": "the total, charge_fee plus tips, must be greater than zero; where charge_fee is zero or absent, the sum of the line items takes its place",
            "required": ["reference_number"],
            "properties": {
                "reference_number": required_text(TEXT),
                "currency": {
                    "type": ["string", "null"], "maxLength": TEXT, "default": "HKD", "examples": ["HKD"],
                    "description": "one that is not enabled is a business error",
                },
                "charge_fee": or_zero(), "tips": or_zero(), "subtotal": or_zero(),
                "note": short(), "language": short(), "customer": optional_object(&[], json!({})),
                "due_date": or_empty(&date()), "callback_url": or_empty(&url()), "redirect_url": or_empty(&url()),
                "is_only_pre_auth": { "type": ["boolean", "null"] },
                "line_items": { "type": ["array", "null"], "maxItems": MOST_ITEMS, "items": { "$ref": "#/components/schemas/NewLineItem" } },
            },
            "anyOf": [
                { "required": ["charge_fee"], "properties": { "charge_fee": amount(Sign::Positive) } },
                {
                    "required": ["charge_fee", "tips"],
                    "properties": { "charge_fee": amount(Sign::PositiveOrZero), "tips": amount(Sign::Positive) },
                },
                { "required": ["line_items"], "properties": { "line_items": { "type": "array", "minItems": 1 } } },
            ],
        }),
    );
    add(
        "CreateOrder",
        object(
            &["order"],
            json!({ "app_id": short(), "customer_uuid": or_empty(&written_uuid()), "order": { "$ref": "#/components/schemas/NewOrder" } }),
        ),
    );
    let names = json!({ "number": short(), "reference_number": short() });
    let order = || optional_object(&[], names.clone());
    let transaction = object(&["uuid"], json!({ "uuid": required_text(TEXT) }));
    // One of the three names is required.
    let one_name = json!([
        { "required": ["order"], "properties": { "order": object(&["number"], json!({ "number": named() })) } },
        { "required": ["order"], "properties": { "order": object(&["reference_number"], json!({ "reference_number": named() })) } },
        { "required": ["transaction"], "properties": { "transaction": object(&["uuid"], json!({ "uuid": named() })) } },
    ]);
    let mut found = object(
        &[],
        json!({ "app_id": short(), "order": order(), "transaction": optional_object(&[], json!({ "uuid": short() })) }),
    );
    found["anyOf"] = one_name;
    add("FindOrder", found);
    add(
        "FindTransaction",
        object(&["transaction"], json!({ "app_id": short(), "order": order(), "transaction": transaction })),
    );
    let positive = || or_empty(&amount(Sign::Positive));
    add(
        "RefundOrder",
        json!({
            "type": "object",
            "required": ["transaction"],
            "properties": {
                "app_id": short(), "order": order(),
                "transaction": object(&["uuid"], json!({ "uuid": required_text(TEXT), "amount": {} })),
                "refund": optional_object(&[], json!({ "amount": positive(), "currency": short(), "note": short(), "reason": short() })),
            },
            "anyOf": [
                { "required": ["refund"], "properties": { "refund": object(&["amount"], json!({ "amount": amount(Sign::Positive) })) } },
                { "properties": { "transaction": object(&["amount"], json!({ "amount": amount(Sign::Positive) })) } },
            ],
        }),
    );
}

fn named() -> Value {
    json!({ "type": "string", "minLength": 1 })
}

fn payments(add: &mut impl FnMut(&str, Value) -> Option<Value>) {
    let money = || amount(Sign::Positive);
    add(
        "ByToken",
        object(
            &["amount", "consume_mode", "entry_type", "token"],
            json!({
                "amount": money(), "consume_mode": one_of("sales, pre_authorize"), "entry_type": one_of("mit"), "token": required_text(TEXT),
            }),
        ),
    );
    add(
        "ByPayersCode",
        object(
            &["amount", "code_type", "content"],
            json!({ "amount": money(), "code_type": one_of("qrcode"), "content": required_text(URL) }),
        ),
    );
    add(
        "ByMerchantsCode",
        object(
            &["amount", "merchant_presented_qr_code"],
            json!({
                "amount": money(),
                "merchant_presented_qr_code": object(&["payinfo"], json!({ "payinfo": required_text(URL) })),
            }),
        ),
    );
    let mut payment = exactly_one(&[
        ("payment_token", "ByToken"),
        ("wechatpay", "ByMerchantsCode"),
        ("alipay", "ByMerchantsCode"),
        ("consumer_presented_qr_code", "ByPayersCode"),
    ]);
    payment["properties"] = json!({ "uuid": or_empty(&written_uuid()), "reference_number": short() });
    let mut existing = object(&[], json!({ "number": short(), "reference_number": short() }));
    existing["anyOf"] = json!([
        { "required": ["number"], "properties": { "number": named() } },
        { "required": ["reference_number"], "properties": { "reference_number": named() } },
    ]);
    add(
        "OpenPayment",
        json!({
            "type": "object",
            "description": "pays the order that reference_number or order names, or a new one, where order has a charge_fee or line_items",
            "required": ["payment"],
            "properties": {
                "app_id": short(), "reference_number": short(), "payment": payment,
                "order": { "anyOf": [{ "$ref": "#/components/schemas/NewOrder" }, existing, { "type": ["null", "array"], "maxItems": 0 }] },
            },
            "oneOf": [
                { "required": ["order"], "properties": { "order": { "type": "object" } } },
                { "required": ["reference_number"], "properties": { "reference_number": named() } },
                { "properties": { "payment": { "required": ["reference_number"], "properties": { "reference_number": named() } } } },
            ],
        }),
    );
    add(
        "Pay",
        closed(object(
            &[],
            json!({
                "method": or_empty(&one_of(Method::NAMES)), "amount": or_empty(&money()), "outcome": or_empty(&one_of(Outcome::NAMES)),
            }),
        )),
    );
}
