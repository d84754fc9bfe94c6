//! The body of a webhook: an order in the state after the action (`deploy/docs/wonder.md` §3.3 and §3.4).

use bytes::Bytes;
use serde_json::{Value, json};

const NUMBER: &str = "93000120417";
const SALE: &str = "c0a8f0de-7a11-4b57-9b1e-0f4e2d6b8c33";
const REFUND: &str = "d4b7e1aa-3c52-4f0e-8a6d-5e9b1c2f7a44";

/// An order over 120 HKD in the state after `action`; a new order if the action is not about an order.
pub(crate) fn body(action: &str, reference_number: &str) -> Bytes {
    let (state, correspondence_state, paid) = match action {
        "order.paid" => ("completed", "paid", "120.00"),
        "order.refunded" => ("completed", "refunded", "0.00"),
        "transaction.voided" => ("completed", "voided", "0.00"),
        "order.voided" => ("voided", "unpaid", "0.00"),
        _ => ("invoiced", "unpaid", "0.00"),
    };
    let sale = |success: bool, voided: bool| {
        json!({
            "type": "Sales", "uuid": SALE, "currency": "HKD", "amount": 120, "refunded_amount": 0, "success": success,
            "is_pending": false, "voided": voided, "allow_void": false, "allow_refund": success && !voided, "payment_method": "credit_card",
        })
    };
    let transactions = match action {
        "order.paid" | "order.refunded" => vec![sale(true, false)],
        "transaction.voided" => vec![sale(true, true)],
        "order.payment_failure" => vec![sale(false, false)],
        _ => Vec::new(),
    };
    let mut order = json!({
        "number": NUMBER,
        "reference_number": reference_number,
        "currency": "HKD",
        "initial_total": 120,
        "paid_total": paid,
        "unpaid_total": if state == "completed" { "0.00" } else { "120.00" },
        "state": state,
        "correspondence_state": correspondence_state,
        "transactions": transactions,
    });
    if action == "order.refunded" {
        refund(&mut order);
    }
    Bytes::from(order.to_string())
}

/// The same order after a full refund: still `completed`, but no longer paid. `None` for a body that is not an order.
pub(crate) fn refunded(body: &[u8]) -> Option<Bytes> {
    let mut order: Value = serde_json::from_slice(body).ok()?;
    // The plugin for WooCommerce and others accept an order within `data` too.
    let inner = match &mut order {
        Value::Object(fields) if fields.contains_key("data") => order.pointer_mut("/data/order"),
        Value::Object(fields) if fields.contains_key("order") => order.pointer_mut("/order"),
        Value::Object(_) => Some(&mut order),
        _ => None,
    };
    let inner = inner.filter(|inner| inner.is_object())?;
    inner["state"] = "completed".into();
    inner["correspondence_state"] = "refunded".into();
    inner["paid_total"] = "0.00".into();
    refund(inner);
    Some(Bytes::from(order.to_string()))
}

fn refund(order: &mut Value) {
    let Some(sale) = order["transactions"].get_mut(0) else { return };
    let (amount, original) = (sale["amount"].clone(), sale["uuid"].clone());
    sale["refunded_amount"] = amount.clone();
    sale["allow_refund"] = false.into();
    let refund = json!({
        "type": "Refund", "uuid": REFUND, "currency": order["currency"], "amount": amount, "success": true, "is_pending": false,
        "voided": false, "allow_void": false, "allow_refund": false, "payment_method": "credit_card", "original_transaction_uuid": original,
    });
    if let Value::Array(transactions) = &mut order["transactions"] {
        transactions.push(refund);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_in_the_state_of_its_action() {
        for (action, state, correspondence_state) in [
            ("order.created", "invoiced", "unpaid"),
            ("order.paid", "completed", "paid"),
            ("order.payment_failure", "invoiced", "unpaid"),
            ("order.voided", "voided", "unpaid"),
            ("order.refunded", "completed", "refunded"),
            ("transaction.voided", "completed", "voided"),
        ] {
            let order: Value = serde_json::from_slice(&body(action, "INV-1")).unwrap();
            assert_eq!(
                (&order["state"], &order["correspondence_state"]),
                (&json!(state), &json!(correspondence_state))
            );
            assert_eq!(order["reference_number"], "INV-1");
        }
    }

    #[test]
    fn a_refunded_order_is_the_same_one_with_its_refund() {
        let paid = body("order.paid", "INV-1");
        assert_eq!(refunded(&paid), Some(body("order.refunded", "INV-1")));
        let nested = format!("{{\"data\":{{\"order\":{}}}}}", String::from_utf8(paid.to_vec()).unwrap());
        let order: Value = serde_json::from_slice(&refunded(nested.as_bytes()).unwrap()).unwrap();
        assert_eq!(order["data"]["order"]["correspondence_state"], "refunded");
        for body in ["", "text", "[]", "{\"order\":1}", "{\"data\":{}}"] {
            assert_eq!(refunded(body.as_bytes()), None, "{body}");
        }
        assert!(refunded(b"{\"transactions\":{}}").is_some());
    }
}
