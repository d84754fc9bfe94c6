//! The `OpenAPI` description of the signed calls that the simulator serves. Paths and methods come from the catalogue of operations, so
//! that they cannot differ from the names in logs and metrics; `deploy/openapi/wonder.yaml` is the same document.

use serde_json::{Map, Value, json};

use crate::operations::CATALOGUE;

/// How sure a call is (`deploy/docs/wonder.md`).
#[derive(Clone, Copy)]
enum Mark {
    Confirmed,
    Derived,
}

/// A call: its operation, what it does, how sure its path is, the schema of its body, and the members of `data`.
struct Call {
    operation: &'static str,
    summary: &'static str,
    mark: Mark,
    body: Option<&'static str>,
    data: &'static [(&'static str, &'static str)],
    /// Members that some answers lack.
    optional: &'static [(&'static str, &'static str)],
}

const fn call(
    operation: &'static str,
    summary: &'static str,
    mark: Mark,
    body: Option<&'static str>,
    data: &'static [(&'static str, &'static str)],
) -> Call {
    Call { operation, summary, mark, body, data, optional: &[] }
}

use Mark::{Confirmed, Derived};

const CALLS: [Call; 19] = [
    call("echo", "Checks a signature and changes nothing", Confirmed, Some("Echo"), &[("message", "Any")]),
    call("customers.list", "Lists customers", Confirmed, None, &[("customers", "Customers")]),
    call(
        "customers.create",
        "Creates a customer, or updates the one with the same reference number",
        Confirmed,
        Some("SaveCustomer"),
        CUSTOMER,
    ),
    call("customers.get_by_reference", "Finds a customer by reference number", Confirmed, None, CUSTOMER),
    call("customers.get_by_token", "Finds a customer by payment token", Confirmed, Some("TokenOnly"), CUSTOMER),
    call("customers.update", "Changes a customer", Confirmed, Some("EditCustomer"), CUSTOMER),
    call("customers.get", "Finds a customer by uuid", Derived, None, CUSTOMER),
    call("customers.delete", "Deletes a customer and its tokens", Derived, None, &[]),
    call("payment_tokens.check", "The state of a payment token", Confirmed, Some("CheckToken"), TOKEN),
    call("payment_tokens.create", "Creates a payment token", Derived, Some("CreateToken"), TOKEN),
    call(
        "payment_tokens.list",
        "Lists the payment tokens of a customer",
        Derived,
        None,
        &[("payment_tokens", "Tokens")],
    ),
    call("payment_tokens.delete", "Deletes a payment token", Derived, Some("TokenOnly"), &[("success", "Flag")]),
    Call {
        optional: &[("payment_link", "Text")],
        ..call("orders.create", "Creates an order", Confirmed, Some("CreateOrder"), ORDER)
    },
    call("orders.check", "Finds an order", Confirmed, Some("FindOrder"), ORDER),
    call("orders.list", "Lists orders", Confirmed, None, &[("orders", "Orders")]),
    call("orders.void", "Voids an unpaid order", Confirmed, Some("FindOrder"), ORDER),
    call("orders.refund", "Refunds a payment", Confirmed, Some("RefundOrder"), ORDER),
    call("transactions.void", "Voids a payment", Confirmed, Some("FindOrder"), ORDER),
    call(
        "transactions.check",
        "The state of a transaction",
        Confirmed,
        Some("FindOrder"),
        &[("transaction", "Transaction")],
    ),
];

const CUSTOMER: &[(&str, &str)] = &[("customer", "Customer")];
const TOKEN: &[(&str, &str)] = &[("payment_token", "Token")];
const ORDER: &[(&str, &str)] = &[("order", "Order")];

/// `GET /simulator/openapi.json`: the document itself, without envelope.
pub(super) async fn serve() -> axum::Json<Value> {
    axum::Json(document())
}

/// The document.
pub(super) fn document() -> Value {
    let mut paths = Map::new();
    for call in &CALLS {
        let Some(row) = CATALOGUE.iter().find(|row| row.name() == call.operation) else { continue };
        for (at, template) in row.templates().iter().enumerate() {
            let path = paths.entry((*template).to_owned()).or_insert_with(|| parameters(template));
            path[row.method().to_ascii_lowercase()] = operation(call, at, template);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Wonder, as the simulator serves it",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The signed calls that wonder-signer's simulator serves. It is not Wonder's own document: x-mark says how \
                            sure each call is, and deploy/docs/wonder.md has the facts. Send the calls unsigned to the sidecar, which \
                            signs them.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "http://127.0.0.1:8080", "description": "the sidecar" }],
        "paths": paths,
        "components": { "schemas": schemas() },
    })
}

/// The parameters in a path, which all of its methods share.
fn parameters(template: &str) -> Value {
    let names = template.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
    let parameters: Vec<Value> = names
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string", "minLength": 1 } }))
        .collect();
    if parameters.is_empty() { json!({}) } else { json!({ "parameters": parameters }) }
}

fn operation(call: &Call, at: usize, template: &str) -> Value {
    let suffix = if at == 0 { String::new() } else { format!("_{}", at + 1) };
    let mark = match call.mark {
        Confirmed => "confirmed",
        Derived => "derived",
    };
    let mut operation = json!({
        "operationId": format!("{}{suffix}", call.operation),
        "summary": call.summary,
        "x-mark": mark,
        "responses": responses(call),
    });
    // The token is in the path, and a body is ignored.
    let body = call.body.filter(|_| !template.ends_with("{token}"));
    if let Some(body) = body {
        operation["requestBody"] =
            json!({ "required": true, "content": { "application/json": { "schema": reference(body) } } });
    }
    if let Some(query) = query(call.operation) {
        operation["parameters"] = query;
    }
    operation
}

fn query(operation: &str) -> Option<Value> {
    let parameter = |name: &str, schema: Value| json!({ "name": name, "in": "query", "schema": schema });
    let rows = || {
        vec![
            parameter("limit", json!({ "type": "integer", "minimum": 1, "maximum": 1000 })),
            parameter("offset", json!({ "type": "integer", "minimum": 0 })),
        ]
    };
    match operation {
        "customers.list" | "orders.list" => Some(rows().into()),
        "orders.create" => Some(json!([parameter("with_payment_link", json!({ "type": "boolean" }))])),
        "payment_tokens.list" => Some(json!([parameter("token_type", json!({ "type": "string" }))])),
        _ => None,
    }
}

fn responses(call: &Call) -> Value {
    let members = |members: &[(&str, &str)]| -> Map<String, Value> {
        members.iter().map(|(name, schema)| ((*name).to_owned(), reference(schema))).collect()
    };
    let mut properties = members(call.data);
    let required: Vec<&str> = call.data.iter().map(|(name, _)| *name).collect();
    properties.extend(members(call.optional));
    let data = json!({ "type": "object", "required": required, "properties": properties });
    let success = json!({
        "type": "object",
        "required": ["code", "message", "data"],
        "properties": { "code": { "const": 200 }, "message": { "type": "string" }, "data": data },
    });
    let content = |schema: Value| json!({ "application/json": { "schema": schema } });
    json!({
        "200": {
            "description": "success, or a business error: its code is not 200",
            "content": content(json!({ "oneOf": [success, reference("BusinessError")] })),
        },
        "default": { "description": "the call was refused, and nothing was carried out", "content": content(reference("Error")) },
    })
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

fn schemas() -> Value {
    let text = || json!({ "type": "string" });
    let short = || json!({ "type": "string", "maxLength": 255 });
    let required = || json!({ "type": "string", "minLength": 1, "maxLength": 255, "pattern": "\\S" });
    let number = || json!({ "type": "number" });
    let flag = || json!({ "type": "boolean" });
    let list = |schema: &str| json!({ "type": "array", "items": reference(schema) });
    let object = |required: &[&str], properties: Value| json!({ "type": "object", "required": required, "properties": properties });
    let amount = || json!({ "type": ["string", "number"], "description": "major units: \"120.00\" or 120" });
    let names = || object(&[], json!({ "number": text(), "reference_number": text() }));
    let uuid = || json!({ "type": "string", "format": "uuid" });
    json!({
        "Any": {},
        "Text": text(),
        "Flag": flag(),
        "BusinessError": object(&["code", "error_code", "message", "data"], json!({
            "code": { "type": "integer", "not": { "const": 200 } }, "error_code": text(), "message": text(), "data": { "type": "object" },
        })),
        "Error": object(&["code", "message"], json!({ "code": text(), "message": text() })),
        "Echo": object(&["message"], json!({ "message": {} })),
        "SaveCustomer": object(&["customer"], json!({ "customer": object(&["name", "phone", "reference_number"], json!({
            "name": required(), "phone": required(), "reference_number": required(), "email": short(),
            "dial_code": { "type": "string", "maxLength": 6 }, "company_name": short(),
        })) })),
        "EditCustomer": object(&[], json!({
            "name": short(), "phone": short(), "email": short(), "dial_code": { "type": "string", "maxLength": 6 }, "company_name": short(),
        })),
        "TokenOnly": object(&["token"], json!({ "token": required() })),
        "CheckToken": object(&["payment_token"], json!({ "payment_token": object(&["token"], json!({ "token": required(), "verify_uuid": text() })) })),
        "CreateToken": object(&["card"], json!({ "card": object(&["number", "exp_month", "exp_year", "holder_name", "transaction_type"], json!({
            "number": { "type": "string", "pattern": "^[0-9]{12,19}$" },
            "exp_month": { "type": "string", "pattern": "^(0[1-9]|1[0-2])$" },
            "exp_year": { "type": "string", "pattern": "^[0-9]{2}$" },
            "holder_name": required(),
            "transaction_type": { "enum": ["partial_split_shipment", "delayed_charges", "no_show", "recurring_payment", "unscheduled_cof", "unscheduled_cof_subsequent"] },
        })) })),
        "CreateOrder": object(&["order"], json!({
            "customer_uuid": uuid(),
            "order": object(&["reference_number", "charge_fee"], json!({
                "reference_number": required(), "charge_fee": amount(), "tips": amount(), "currency": { "enum": ["HKD", "USD", "CNY"] },
                "note": short(), "due_date": { "type": "string", "format": "date" },
                "callback_url": { "type": "string", "format": "uri" }, "redirect_url": { "type": "string", "format": "uri" },
            })),
        })),
        "FindOrder": object(&["order"], json!({ "order": names(), "transaction": object(&[], json!({ "uuid": text() })) })),
        "RefundOrder": object(&["order", "transaction", "refund"], json!({
            "order": names(),
            "transaction": object(&["uuid"], json!({ "uuid": text() })),
            "refund": object(&["amount"], json!({ "amount": amount(), "note": short() })),
        })),
        "Customers": list("Customer"),
        "Customer": object(&["uuid", "name", "email", "dial_code", "phone", "reference_number", "default_payment_method", "default_payment_token"], json!({
            "uuid": uuid(), "name": text(), "email": text(), "dial_code": text(), "phone": text(), "reference_number": text(),
            "default_payment_method": text(), "default_payment_token": { "oneOf": [reference("Token"), { "type": "null" }] },
        })),
        "Tokens": list("Token"),
        "Token": object(&["token_type", "token", "state", "default"], json!({
            "token_type": { "enum": ["CreditCard", "AlipayAutoDebit", "WechatPayAutoDebit"] }, "token": uuid(),
            "state": { "enum": ["pending", "success", "failed"] }, "default": flag(),
            "verify_url": { "type": ["string", "null"] }, "verify_uuid": uuid(), "error_code": text(), "error_msg": text(),
            "credit_card": object(&["number", "exp_month", "exp_year", "holder_name", "brand", "billing_currency"], json!({
                "number": text(), "exp_month": text(), "exp_year": text(), "holder_name": text(), "brand": text(), "billing_currency": text(),
            })),
        })),
        "Orders": { "type": "array", "items": object(&["order"], json!({ "order": reference("Order"), "payment_link": text() })) },
        "Order": object(&["number", "reference_number", "currency", "initial_total", "initial_tips", "subtotal", "paid_total", "unpaid_total", "state", "correspondence_state", "transactions"], json!({
            "source": text(), "type": text(), "number": text(), "reference_number": text(), "currency": text(),
            "business": object(&["id", "business_name"], json!({ "id": text(), "business_name": text() })),
            "initial_total": number(), "initial_tips": number(), "subtotal": number(), "paid_total": text(), "unpaid_total": text(),
            "state": { "enum": ["invoiced", "in_completed", "completed", "voided"] },
            "correspondence_state": { "enum": ["unpaid", "partial_paid", "paid", "over_paid", "refunded", "voided", "authorized"] },
            "note": text(), "due_date": { "type": ["string", "null"] }, "created_at": text(), "updated_at": text(),
            "line_items": { "type": "array" }, "transactions": list("Transaction"),
        })),
        "Transaction": object(&["type", "uuid", "currency", "amount", "success", "is_pending", "allow_void", "allow_refund", "payment_method"], json!({
            "type": { "enum": ["Sales", "Authorization", "Refund", "Capture"] }, "uuid": uuid(), "currency": text(), "amount": number(),
            "refunded_amount": number(), "success": flag(), "is_pending": flag(), "allow_void": flag(), "allow_refund": flag(),
            "payment_method": text(), "original_transaction_uuid": { "type": ["string", "null"] },
        })),
    })
}

/// The document as YAML (a block style that quotes every text).
#[cfg(test)]
fn yaml(value: &Value, indent: usize, out: &mut String) {
    use std::fmt::Write as _;
    let pad = " ".repeat(indent);
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, value) in members {
                let plain = !name.is_empty()
                    && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
                    && !name.as_bytes()[0].is_ascii_digit();
                let name = if plain { name.clone() } else { json!(name).to_string() };
                if is_block(value) {
                    let _ = writeln!(out, "{pad}{name}:");
                    yaml(value, indent + 2, out);
                } else {
                    let _ = writeln!(out, "{pad}{name}: {value}");
                }
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                if is_block(item) {
                    let mut inner = String::new();
                    yaml(item, indent + 2, &mut inner);
                    let _ = write!(out, "{pad}- {}", inner.trim_start());
                } else {
                    let _ = writeln!(out, "{pad}- {item}");
                }
            }
        }
        other => {
            let _ = writeln!(out, "{pad}{other}");
        }
    }
}

#[cfg(test)]
fn is_block(value: &Value) -> bool {
    match value {
        Value::Object(members) => !members.is_empty(),
        Value::Array(items) => !items.is_empty() && items.iter().any(|item| item.is_object() || item.is_array()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `UPDATE_OPENAPI=1` renews the file.
    #[test]
    fn the_file_is_the_document() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/openapi/wonder.yaml");
        let mut text =
            String::from("# Generated from src/simulator/openapi.rs: UPDATE_OPENAPI=1 cargo test --lib openapi\n");
        yaml(&document(), 0, &mut text);
        if std::env::var_os("UPDATE_OPENAPI").is_some() {
            std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/openapi")).unwrap();
            std::fs::write(path, &text).unwrap();
        }
        assert!(
            std::fs::read_to_string(path).unwrap_or_default() == text,
            "{path} is old; renew it with UPDATE_OPENAPI=1"
        );
    }

    #[test]
    fn every_call_and_every_schema_exists() {
        let text = document().to_string();
        for call in &CALLS {
            assert!(CATALOGUE.iter().any(|row| row.name() == call.operation), "{}", call.operation);
        }
        let schemas = schemas();
        for name in text.split("#/components/schemas/").skip(1).map(|rest| rest.split('"').next().unwrap()) {
            assert!(schemas.get(name).is_some(), "{name}");
        }
    }
}
