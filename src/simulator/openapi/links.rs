//! Which calls use a value that another call returned: a new customer's uuid is the `id` of other paths.

use serde_json::{Map, Value, json};

/// A call, a member of its answer, and the calls that use the member, each with the parameters and the part of its body that receive it.
type Link = (&'static str, &'static str, &'static [(&'static str, Fill)]);

/// The place that receives the value: a parameter, or a member of the body as a JSON pointer.
#[derive(Clone, Copy)]
enum Fill {
    Parameter(&'static str),
    Body(&'static str),
}

use Fill::{Body, Parameter};

const LINKS: [Link; 5] = [
    (
        "customers.create",
        "/data/customer/uuid",
        &[
            ("customers.get", Parameter("id")),
            ("customers.update", Parameter("id")),
            ("customers.delete", Parameter("id")),
            ("payment_tokens.create", Parameter("id")),
            ("payment_tokens.list", Parameter("id")),
        ],
    ),
    ("customers.create", "/data/customer/reference_number", &[("customers.get_by_reference", Parameter("ref"))]),
    (
        "payment_tokens.create",
        "/data/payment_token/token",
        &[
            ("customers.get_by_token", Body("/token")),
            ("payment_tokens.delete", Body("/token")),
            ("payment_tokens.delete_2", Parameter("token")),
            ("payment_tokens.check", Body("/payment_token/token")),
            ("open_payments.create", Body("/payment/payment_token/token")),
        ],
    ),
    (
        "orders.create",
        "/data/order/number",
        &[
            ("orders.check", Body("/order/number")),
            ("orders.void", Body("/order/number")),
            ("open_payments.create", Body("/order/number")),
            ("simulator.pay", Parameter("number")),
        ],
    ),
    (
        "open_payments.create",
        "/data/transaction/uuid",
        &[
            ("orders.refund", Body("/transaction/uuid")),
            ("transactions.check", Body("/transaction/uuid")),
            ("transactions.void", Body("/transaction/uuid")),
        ],
    ),
];

/// The links of a call's success; the calls on a customer's payment tokens use its `id`.
pub(super) fn of(call: &str) -> Option<Value> {
    let mut links = Map::new();
    for (from, member, to) in LINKS {
        if from != call {
            continue;
        }
        let value = format!("$response.body#{member}");
        for (operation, fill) in to {
            let mut link = json!({ "operationId": operation });
            match fill {
                Parameter(name) => link["parameters"] = json!({ *name: value }),
                Body(pointer) => {
                    let names = pointer.split('/').skip(1).collect::<Vec<_>>();
                    link["requestBody"] =
                        names.iter().rev().fold(Value::from(value.clone()), |inner, name| json!({ *name: inner }));
                }
            }
            if from == "payment_tokens.create" && operation.starts_with("payment_tokens.") {
                link["parameters"]["id"] = "$request.path.id".into();
            }
            links.insert((*operation).to_owned(), link);
        }
    }
    if links.is_empty() { None } else { Some(links.into()) }
}
