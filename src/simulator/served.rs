//! The table of the calls that the simulator serves: handler and description of each. The router and the `OpenAPI` document
//! are both generated from it, so that neither has a call that the other lacks.
//!
//! Pages and the event stream for them are not calls; [`router`](super::router) adds their routes.

use std::sync::Arc;

use axum::{
    Router,
    routing::{MethodRouter, delete, get, post, put},
};

use super::{Wonder, console, customers, echo, faults, orders, payments, tokens, webhook_deliveries};
use crate::operations::CATALOGUE;

use Mark::{Chosen, Confirmed, Derived};
use Owner::{Own, Wonders};

/// How sure a fact is (`deploy/docs/wonder.md`).
#[derive(Clone, Copy)]
pub(super) enum Mark {
    Confirmed,
    Derived,
    Chosen,
}

impl Mark {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Derived => "derived",
            Self::Chosen => "chosen",
        }
    }
}

/// Where a call is.
#[derive(Clone, Copy)]
pub(super) enum Owner {
    /// An operation of Wonder; the catalogue has its method and paths.
    Wonders(&'static str),
    /// A call of the simulator's own, without a signature: name, method, path.
    Own(&'static str, &'static str, &'static str),
}

/// Parameters of a call outside its path.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Parameter {
    Rows,
    OrderFilters,
    SourceType,
    TokenTypes,
    WithPaymentLink,
    Outcome,
}

/// One call. Names of schemas are those of `openapi`.
#[derive(Clone, Copy)]
pub(super) struct Call {
    pub(super) owner: Owner,
    handler: fn() -> MethodRouter<Arc<Wonder>>,
    pub(super) mark: Mark,
    pub(super) summary: &'static str,
    pub(super) parameters: &'static [Parameter],
    /// The schema of the body, and whether the body may be absent.
    pub(super) body: Option<(&'static str, bool)>,
    /// The members of `data` in a success.
    pub(super) data: &'static [(&'static str, &'static str)],
    /// The members of `data` that are optional in a success.
    pub(super) optional: &'static [(&'static str, &'static str)],
    /// The statuses of refusals beyond those of every call.
    pub(super) refusals: &'static [u16],
}

impl Call {
    const fn new(
        owner: Owner,
        handler: fn() -> MethodRouter<Arc<Wonder>>,
        mark: Mark,
        summary: &'static str,
        data: &'static [(&'static str, &'static str)],
    ) -> Self {
        Self { owner, handler, mark, summary, parameters: &[], body: None, data, optional: &[], refusals: &[] }
    }

    const fn body(self, schema: &'static str) -> Self {
        Self { body: Some((schema, false)), ..self }
    }

    const fn parameters(self, parameters: &'static [Parameter]) -> Self {
        Self { parameters, ..self }
    }

    const fn refusals(self, refusals: &'static [u16]) -> Self {
        Self { refusals, ..self }
    }

    /// Method and paths.
    pub(super) fn at(&self) -> (&'static str, Vec<&'static str>) {
        match self.owner {
            Wonders(name) => {
                let row = CATALOGUE.iter().find(|row| row.name() == name);
                row.map(|row| (row.method(), row.templates().to_vec())).unwrap_or_default()
            }
            Own(_, method, path) => (method, vec![path]),
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self.owner {
            Wonders(name) | Own(name, ..) => name,
        }
    }
}

const CUSTOMER: &[(&str, &str)] = &[("customer", "Customer")];
const TOKEN: &[(&str, &str)] = &[("payment_token", "Token")];
const ORDER: &[(&str, &str)] = &[("order", "Order")];
const TRANSACTION: &[(&str, &str)] = &[("transaction", "Transaction")];
const PAID: &[(&str, &str)] = &[("order", "Order"), ("transaction", "Transaction")];

pub(super) const CALLS: [Call; 27] = [
    Call::new(
        Wonders("echo"),
        || post(echo),
        Confirmed,
        "Checks a signature and changes nothing",
        &[("message", "Any")],
    )
    .body("Echo"),
    // customers
    Call::new(
        Wonders("customers.list"),
        || get(customers::list),
        Confirmed,
        "Lists customers, the oldest first",
        &[("customers", "Customers")],
    )
    .parameters(&[Parameter::Rows, Parameter::SourceType]),
    Call::new(
        Wonders("customers.create"),
        || post(customers::save),
        Confirmed,
        "Creates a customer, or updates the one with the same reference number",
        CUSTOMER,
    )
    .body("SaveCustomer")
    .refusals(&[507]),
    Call::new(
        Wonders("customers.get_by_reference"),
        || get(customers::by_reference),
        Confirmed,
        "Finds a customer by reference number",
        CUSTOMER,
    )
    .refusals(&[404]),
    Call::new(
        Wonders("customers.get_by_token"),
        || post(customers::by_token),
        Confirmed,
        "Finds a customer by payment token",
        CUSTOMER,
    )
    .body("TokenOnly")
    .refusals(&[404]),
    Call::new(Wonders("customers.update"), || put(customers::edit), Confirmed, "Changes a customer", CUSTOMER)
        .body("EditCustomer")
        .refusals(&[404]),
    Call::new(Wonders("customers.get"), || get(customers::by_uuid), Derived, "Finds a customer by uuid", CUSTOMER)
        .refusals(&[404]),
    Call::new(
        Wonders("customers.delete"),
        || delete(customers::delete),
        Derived,
        "Deletes a customer and its payment tokens",
        &[],
    )
    .refusals(&[404]),
    // payment tokens
    Call::new(
        Wonders("payment_tokens.check"),
        || post(tokens::check),
        Confirmed,
        "Returns the state of a payment token",
        TOKEN,
    )
    .body("CheckToken")
    .refusals(&[404]),
    Call::new(
        Wonders("payment_tokens.create"),
        || post(tokens::create),
        Derived,
        "Creates a payment token for a card or a wallet",
        TOKEN,
    )
    .body("CreateToken")
    .refusals(&[404, 507]),
    Call::new(
        Wonders("payment_tokens.list"),
        || get(tokens::list),
        Derived,
        "Lists the payment tokens of a customer",
        &[("payment_tokens", "Tokens")],
    )
    .parameters(&[Parameter::TokenTypes])
    .refusals(&[404]),
    Call::new(
        Wonders("payment_tokens.delete"),
        || delete(tokens::delete),
        Derived,
        "Deletes a payment token",
        &[("success", "Flag")],
    )
    .body("TokenOnly")
    .refusals(&[404]),
    // orders
    Call {
        optional: &[("payment_link", "Text")],
        ..Call::new(Wonders("orders.create"), || post(orders::create), Confirmed, "Creates an order", ORDER)
            .body("CreateOrder")
            .parameters(&[Parameter::WithPaymentLink])
            .refusals(&[507])
    },
    Call::new(Wonders("orders.check"), || post(orders::check), Confirmed, "Finds an order", ORDER)
        .body("FindOrder")
        .refusals(&[404]),
    Call::new(
        Wonders("orders.list"),
        || get(orders::list),
        Confirmed,
        "Lists orders, the oldest first",
        &[("orders", "Orders")],
    )
    .parameters(&[Parameter::Rows, Parameter::OrderFilters]),
    Call::new(
        Wonders("orders.void"),
        || post(orders::void),
        Confirmed,
        "Voids an unpaid order, or the payment that the body names",
        ORDER,
    )
    .body("FindOrder")
    .refusals(&[404]),
    Call::new(Wonders("orders.refund"), || post(orders::refund), Confirmed, "Refunds a payment or a part of it", ORDER)
        .body("RefundOrder")
        .refusals(&[404]),
    // transactions and direct payments
    Call::new(
        Wonders("transactions.void"),
        || post(payments::void),
        Confirmed,
        "Voids a payment of which nothing is refunded",
        ORDER,
    )
    .body("FindTransaction")
    .refusals(&[404]),
    Call::new(
        Wonders("transactions.check"),
        || post(payments::check),
        Confirmed,
        "Returns the state of a transaction",
        TRANSACTION,
    )
    .body("FindTransaction")
    .refusals(&[404]),
    Call::new(
        Wonders("open_payments.create"),
        || post(payments::open::create),
        Confirmed,
        "Pays by a payment token or a QR code, with no page",
        PAID,
    )
    .body("OpenPayment")
    .parameters(&[Parameter::Outcome])
    .refusals(&[404, 507]),
    // the simulator's own
    Call {
        body: Some(("Pay", true)),
        ..Call::new(
            Own("simulator.pay", "POST", "/simulator/orders/{number}/pay"),
            || post(payments::pay::handle),
            Chosen,
            "Pays an order as a payer would",
            ORDER,
        )
        .refusals(&[404, 409])
    },
    Call::new(
        Own("simulator.faults.list", "GET", "/simulator/faults"),
        || get(faults::list),
        Chosen,
        "Lists the faults that are switched on",
        &[("faults", "Faults")],
    ),
    Call::new(
        Own("simulator.faults.add", "POST", "/simulator/faults"),
        || post(faults::add),
        Chosen,
        "Switches a fault on",
        &[("fault", "Fault")],
    )
    .body("AddFault")
    .refusals(&[507]),
    Call::new(
        Own("simulator.faults.clear", "DELETE", "/simulator/faults"),
        || delete(faults::clear),
        Chosen,
        "Switches all faults off",
        &[],
    ),
    Call::new(
        Own("simulator.faults.remove", "DELETE", "/simulator/faults/{id}"),
        || delete(faults::remove),
        Chosen,
        "Switches a fault off",
        &[],
    )
    .refusals(&[404]),
    Call::new(
        Own("simulator.webhooks", "GET", "/simulator/webhooks"),
        || get(webhook_deliveries),
        Chosen,
        "Lists the newest webhook deliveries, the newest first",
        &[("webhooks", "Deliveries")],
    ),
    Call::new(
        Own("simulator.reset", "POST", "/simulator/reset"),
        || post(console::reset),
        Chosen,
        "Forgets customers, payment tokens, orders, webhook deliveries and calls, switches all faults off, and puts the seed in again",
        &[],
    ),
];

/// The routes of all calls.
pub(super) fn routes() -> Router<Arc<Wonder>> {
    CALLS.iter().fold(Router::new(), |router, call| {
        call.at().1.into_iter().fold(router, |router, path| router.route(path, (call.handler)()))
    })
}
