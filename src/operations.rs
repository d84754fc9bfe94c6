//! The catalogue of Wonder's operations. A method and a path template give a name such as `customers.create`. Pure.
//!
//! Metrics, log lines and policy take the names from this table. So no raw path, which may contain a merchant's reference number,
//! becomes a label. A request that matches no row is `other`. Source: `deploy/docs/wonder.md` §5.3.
//!
//! ```
//! use wonder_signer::operations::find;
//! assert_eq!(find("GET", "/svc/payment/api/v1/openapi/customers/ref/KTR-0042").name(), "customers.get_by_reference");
//! assert_eq!(find("GET", "/svc/payment/api/v9/unheard/of").name(), "other");
//! ```

mod template;

use std::fmt;

pub use self::template::template;

/// A named operation, which is a row of `CATALOGUE`.
#[derive(Clone, Copy)]
pub struct Operation {
    name: &'static str,
    method: &'static str,
    templates: &'static [&'static str],
    index: usize,
}

impl Operation {
    const fn new(name: &'static str, method: &'static str, templates: &'static [&'static str]) -> Self {
        Self { name, method, templates, index: 0 }
    }

    /// The name: lower case, `resource.verb`, except for `echo` and `other`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The method in upper case; empty for [`OTHER`], which matches any.
    #[must_use]
    pub(crate) fn method(&self) -> &'static str {
        self.method
    }

    /// The path templates. `{…}` matches one segment. Some operations have two templates, [`OTHER`] has none.
    #[must_use]
    pub(crate) fn templates(&self) -> &'static [&'static str] {
        self.templates
    }

    /// The index in [`CATALOGUE`], from 0 without a gap, so that arrays can be indexed by it.
    #[must_use]
    pub(crate) fn index(&self) -> usize {
        self.index
    }

    /// Whether this is [`OTHER`], the operation of every request that matches no row.
    #[must_use]
    pub(crate) fn is_other(&self) -> bool {
        self.templates.is_empty()
    }
}

/// Shows the name; the row behind it is in this file.
impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Operation({})", self.name)
    }
}

/// Two operations are equal if they are the same row.
impl PartialEq for Operation {
    fn eq(&self, other: &Self) -> bool {
        self.index == other.index
    }
}

impl Eq for Operation {}

/// The operation of a request. `path` is the raw path as received, percent-encoding included, without the query.
///
/// The comparison ignores the case of the method, because Wonder's scheme signs it in upper case. The search allocates nothing.
#[must_use]
pub fn find(method: &str, path: &str) -> &'static Operation {
    ROWS.iter()
        .find(|row| {
            row.method.eq_ignore_ascii_case(method) && row.templates.iter().any(|template| matches(template, path))
        })
        .unwrap_or(OTHER)
}

fn matches(template: &str, path: &str) -> bool {
    // The part before the first placeholder is compared as a whole, which rules out most rows.
    let literal = template.find('{').unwrap_or(template.len());
    let Some(rest) = path.strip_prefix(&template[..literal]) else { return false };
    if literal == template.len() {
        return rest.is_empty();
    }
    let mut found = rest.split('/');
    let fits = template[literal..].split('/').all(|wanted| {
        found.next().is_some_and(|segment| match wanted {
            "{ref}" => is_value(segment),
            _ if wanted.starts_with('{') => is_value(segment) && !has_encoded_slash(segment),
            _ => segment == wanted,
        })
    });
    fits && found.next().is_none()
}

/// Whether a placeholder matches the segment. An empty segment and a dot segment, plain or percent-encoded, do not match: upstream may
/// resolve them to another path, and then the request would have the name of the wrong operation.
fn is_value(segment: &str) -> bool {
    let mut dots = 0;
    let mut rest = segment.as_bytes();
    loop {
        rest = match rest {
            [] => return !(segment.is_empty() || (1..=2).contains(&dots)),
            [b'.', rest @ ..] | [b'%', b'2', b'e' | b'E', rest @ ..] => rest,
            _ => return true,
        };
        dots += 1;
    }
}

/// Wonder's ids contain no slash, so an encoded slash points to another path. A merchant's reference number may contain one.
fn has_encoded_slash(segment: &str) -> bool {
    segment.as_bytes().windows(3).any(|three| three.eq_ignore_ascii_case(b"%2f"))
}

/// The operation of every request that matches no row.
pub(crate) static OTHER: &Operation = &ROWS[ROWS.len() - 1];

/// Every operation in the order of matching: literal segments before placeholders, [`OTHER`] last.
pub(crate) static CATALOGUE: &[Operation] = &ROWS;

macro_rules! payment {
    ($path:literal) => {
        concat!("/svc/payment/api/v1/openapi/", $path)
    };
}

macro_rules! issuing {
    ($path:literal) => {
        concat!("/svc/ts/api/v1/openapi/", $path)
    };
}

static ROWS: [Operation; 35] = numbered([
    Operation::new("echo", "POST", &["/svc/payment/api/v1/echo", payment!("echo")]),
    // customers
    Operation::new("customers.list", "GET", &[payment!("customers")]),
    Operation::new("customers.create", "POST", &[payment!("customers")]),
    Operation::new("customers.get_by_reference", "GET", &[payment!("customers/ref/{ref}")]),
    Operation::new("customers.get_by_token", "POST", &[payment!("customers/by/token")]),
    Operation::new("customers.update", "PUT", &[payment!("customers/{id}")]),
    Operation::new("customers.get", "GET", &[payment!("customers/{id}")]),
    Operation::new("customers.delete", "DELETE", &[payment!("customers/{id}")]),
    // payment tokens; a client may send the literal word `uuid` instead of the customer's id, which the placeholder matches
    Operation::new("payment_tokens.check", "POST", &[payment!("customers/{id}/payment_tokens/check")]),
    Operation::new("payment_tokens.create", "POST", &[payment!("customers/{id}/payment_tokens")]),
    Operation::new("payment_tokens.list", "GET", &[payment!("customers/{id}/payment_tokens")]),
    Operation::new(
        "payment_tokens.delete",
        "DELETE",
        &[payment!("customers/{id}/payment_tokens"), payment!("customers/{id}/payment_tokens/{token}")],
    ),
    // orders
    Operation::new("orders.create", "POST", &[payment!("orders")]),
    Operation::new("orders.check", "POST", &[payment!("orders/check")]),
    Operation::new("orders.list", "GET", &[payment!("orders/list")]),
    Operation::new("orders.void", "POST", &[payment!("orders/void")]),
    Operation::new("orders.refund", "POST", &[payment!("orders/refund")]),
    Operation::new("orders.close", "POST", &[payment!("orders/close")]),
    // transactions and direct payments
    Operation::new("transactions.void", "POST", &[payment!("transactions/void")]),
    Operation::new("transactions.check", "POST", &[payment!("transactions/check")]),
    Operation::new("open_payments.create", "POST", &[payment!("open_payments")]),
    // recurring payments
    Operation::new("plans.list", "GET", &[payment!("recurring_payments/plan")]),
    Operation::new("plans.create", "POST", &[payment!("recurring_payments/plan")]),
    Operation::new("plans.calculate", "POST", &[payment!("recurring_payments/plan/calculate")]),
    Operation::new("plans.get", "GET", &[payment!("recurring_payments/plan/{id}")]),
    Operation::new("plans.update", "PUT", &[payment!("recurring_payments/plan/{id}")]),
    Operation::new("plans.cancel", "PUT", &[payment!("recurring_payments/plan/{id}/cancel")]),
    Operation::new("plans.recover", "PUT", &[payment!("recurring_payments/plan/{id}/recover")]),
    Operation::new("billing_configs.create", "POST", &[payment!("recurring_payments/billing_configs")]),
    Operation::new("items.create", "POST", &[payment!("recurring_payments/items")]),
    // issuing, a service of its own
    Operation::new("cards.create", "POST", &[issuing!("cards")]),
    Operation::new("cards.list", "GET", &[issuing!("cards")]),
    Operation::new("cards.limit_history", "GET", &[issuing!("cards/{id}/limit/history")]),
    Operation::new("card_transactions.list", "GET", &[issuing!("transactions")]),
    // For terminals, batches, payouts and others the documentation gives only a title, so there is no path to match.
    Operation::new("other", "", &[]),
]);

const fn numbered<const N: usize>(mut rows: [Operation; N]) -> [Operation; N] {
    let mut at = 0;
    while at < N {
        rows[at].index = at;
        at += 1;
    }
    rows
}

#[cfg(test)]
mod tests;
