//! The schemas of answers.

use serde_json::{Value, json};

use super::schema::{Schemas, flag, list, null_or, number, object, one_of, reference, text, uuid};
use crate::{
    operations::{CATALOGUE, Operation},
    simulator::ledger::ACTION_NAMES,
};

pub(super) fn add(schemas: &mut Schemas) {
    let mut add = |name: &str, schema: Value| schemas.insert(name.to_owned(), schema);
    add("Any", json!({}));
    add("Text", text());
    add("Flag", flag());
    add("OperationName", json!({ "enum": CATALOGUE.iter().map(Operation::name).collect::<Vec<_>>() }));
    add("ActionName", one_of(ACTION_NAMES));
    refusals(&mut add);
    customers(&mut add);
    orders(&mut add);
    add("Faults", list("Fault"));
    add(
        "Fault",
        closed(json!({
            "id": { "type": "integer" }, "fault": text(), "operation": null_or(&reference("OperationName")),
            "action": null_or(&reference("ActionName")),
            "app_id": { "type": ["string", "null"] }, "calls": { "type": ["integer", "null"] },
        })),
    );
    add("Deliveries", list("Delivery"));
    let attempt = closed(
        json!({ "at": text(), "status": { "type": ["integer", "null"] }, "error": { "type": ["string", "null"] } }),
    );
    add(
        "Delivery",
        closed(json!({
            "id": { "type": "integer" }, "created_at": text(), "app_id": text(), "order_number": text(), "action": text(), "url": text(),
            "outcome": one_of("waiting, acknowledged, failed, refused, dropped, lost"), "attempts": { "type": "array", "items": attempt },
            "next_attempt_in": { "type": ["number", "null"] }, "warnings": { "type": "array", "items": text() },
            "fault": null_or(&one_of("webhook=duplicate, webhook=reorder, webhook=lose")),
        })),
    );
}

/// An object that has all of these members and no other.
fn closed(properties: Value) -> Value {
    let names: Vec<&str> = properties.as_object().into_iter().flatten().map(|(name, _)| &name[..]).collect();
    let mut schema = object(&names, json!({}));
    schema["additionalProperties"] = false.into();
    schema["properties"] = properties;
    schema
}

fn refusals(add: &mut impl FnMut(&str, Value) -> Option<Value>) {
    add(
        "BusinessError",
        closed(json!({
            "code": { "type": "integer", "minimum": 100_000 }, "error_code": { "type": "string", "pattern": "^EO[0-9]{6}$" }, "message": text(),
            "data": closed(json!({})),
        })),
    );
    add("Error", closed(json!({ "code": { "type": "string", "pattern": "^E[0-9]{6}$" }, "message": text() })));
    add(
        "SidecarError",
        closed(json!({
            "code": { "type": "string", "pattern": "^SIGNER_[A-Z_]+$" }, "message": text(), "request_id": text(), "sent": one_of("no, maybe"),
        })),
    );
}

fn customers(add: &mut impl FnMut(&str, Value) -> Option<Value>) {
    add("Customers", list("Customer"));
    add(
        "Customer",
        closed(json!({
            "uuid": uuid(), "name": text(), "email": text(), "dial_code": text(), "phone": text(), "reference_number": text(),
            "default_payment_method": text(), "default_payment_token": null_or(&reference("Token")),
        })),
    );
    add("Tokens", list("Token"));
    let card = closed(json!({
        "number": { "type": "string", "pattern": "^[0-9]{6}\\*+[0-9]{4}$" }, "exp_month": text(), "exp_year": text(), "holder_name": text(),
        "brand": text(), "billing_currency": text(),
    }));
    let mut token = object(
        &["token_type", "token", "state", "default"],
        json!({
            "token_type": one_of("CreditCard, AlipayAutoDebit, WechatPayAutoDebit"), "token": uuid(),
            "state": one_of("pending, success, failed"), "default": flag(), "credit_card": card,
            "verify_url": { "type": ["string", "null"], "description": "of a new token: where the payer verifies it" },
            "verify_uuid": uuid(), "error_code": text(), "error_msg": text(),
        }),
    );
    token["additionalProperties"] = false.into();
    add("Token", token);
}

fn orders(add: &mut impl FnMut(&str, Value) -> Option<Value>) {
    add(
        "Orders",
        json!({ "type": "array", "items": closed(json!({ "order": reference("Order"), "payment_link": text() })) }),
    );
    let money = || json!({ "type": "string", "pattern": "^-?[0-9]+\\.[0-9]{2}$" });
    add(
        "Order",
        closed(json!({
            "source": text(), "type": text(), "number": text(), "reference_number": text(), "currency": { "type": "string", "pattern": "^[A-Z]{3}$" },
            "business": closed(json!({ "id": text(), "business_name": text() })),
            "initial_total": number(), "initial_tips": number(), "subtotal": number(), "paid_total": money(), "unpaid_total": money(),
            "state": one_of("invoiced, in_completed, completed, voided"),
            "correspondence_state": one_of("unpaid, partial_paid, paid, over_paid, refunded, voided, authorized"),
            "note": text(), "due_date": { "type": ["string", "null"], "format": "date" }, "notify_url": text(), "return_url": text(),
            "authCode": text(), "created_at": time(), "updated_at": time(), "line_items": list("LineItem"),
            "transactions": list("Transaction"),
        })),
    );
    add(
        "LineItem",
        closed(json!({
            "label": text(), "purchasable_type": text(), "purchase_id": text(), "price": number(), "quantity": number(), "total": number(),
        })),
    );
    add(
        "Transaction",
        closed(json!({
            "type": one_of("Sales, Authorization, Refund"), "uuid": uuid(), "source": text(), "currency": text(), "amount": number(),
            "refunded_amount": number(), "success": flag(), "is_pending": flag(), "captured": flag(), "voided": flag(),
            "void_is_pending": flag(), "allow_void": flag(), "allow_refund": flag(), "payment_method": text(),
            "note": { "type": ["string", "null"] }, "original_transaction_uuid": null_or(&uuid()), "created_at": time(),
            "acquirer_response_body": text(), "3ds": closed(json!({ "enrolled": text(), "redirect_url": text() })),
            "payment_data": { "type": "object", "description": "the acquirer's data, which are invented" },
        })),
    );
}

fn time() -> Value {
    json!({ "type": "string", "format": "date-time" })
}
