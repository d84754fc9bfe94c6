use super::*;

/// The index of confirmed routes, `wonder-api.md` §5.11, as printed there, each with the name that it must get.
const CONFIRMED: &str = "
POST   /svc/payment/api/v1/echo                                              echo
POST   /svc/payment/api/v1/openapi/echo                                      echo
GET    /svc/payment/api/v1/openapi/customers                                 customers.list
POST   /svc/payment/api/v1/openapi/customers                                 customers.create
PUT    /svc/payment/api/v1/openapi/customers/{id}                            customers.update
GET    /svc/payment/api/v1/openapi/customers/ref/{ref}                       customers.get_by_reference
POST   /svc/payment/api/v1/openapi/customers/by/token                        customers.get_by_token
POST   /svc/payment/api/v1/openapi/customers/{uuid}/payment_tokens/check     payment_tokens.check
POST   /svc/payment/api/v1/openapi/orders                                    orders.create
POST   /svc/payment/api/v1/openapi/orders/check                              orders.check
GET    /svc/payment/api/v1/openapi/orders/list                               orders.list
POST   /svc/payment/api/v1/openapi/orders/void                               orders.void
POST   /svc/payment/api/v1/openapi/orders/refund                             orders.refund
POST   /svc/payment/api/v1/openapi/transactions/void                         transactions.void
POST   /svc/payment/api/v1/openapi/transactions/check                        transactions.check
POST   /svc/payment/api/v1/openapi/open_payments                             open_payments.create
GET    /svc/payment/api/v1/openapi/recurring_payments/plan                   plans.list
GET    /svc/payment/api/v1/openapi/recurring_payments/plan/{id}              plans.get
POST   /svc/payment/api/v1/openapi/recurring_payments/plan/calculate         plans.calculate
PUT    /svc/payment/api/v1/openapi/recurring_payments/plan/{id}/cancel       plans.cancel
PUT    /svc/payment/api/v1/openapi/recurring_payments/plan/{id}/recover      plans.recover
POST   /svc/payment/api/v1/openapi/recurring_payments/billing_configs        billing_configs.create
POST   /svc/payment/api/v1/openapi/recurring_payments/items                  items.create
POST   /svc/ts/api/v1/openapi/cards                                          cards.create
GET    /svc/ts/api/v1/openapi/cards/{id}/limit/history                       cards.limit_history
GET    /svc/ts/api/v1/openapi/transactions                                   card_transactions.list
";

/// The guesses: what the reference marks so, and the deletion of a token, for which it gives no path.
const GUESSED: &str = "
GET    /svc/payment/api/v1/openapi/customers/{id}                            customers.get
DELETE /svc/payment/api/v1/openapi/customers/{id}                            customers.delete
POST   /svc/payment/api/v1/openapi/customers/{uuid}/payment_tokens           payment_tokens.create
GET    /svc/payment/api/v1/openapi/customers/{uuid}/payment_tokens           payment_tokens.list
DELETE /svc/payment/api/v1/openapi/customers/{uuid}/payment_tokens/{token}   payment_tokens.delete
POST   /svc/payment/api/v1/openapi/orders/close                              orders.close
POST   /svc/payment/api/v1/openapi/recurring_payments/plan                   plans.create
PUT    /svc/payment/api/v1/openapi/recurring_payments/plan/{id}              plans.update
GET    /svc/ts/api/v1/openapi/cards                                          cards.list
";

fn rows(list: &'static str) -> Vec<[&'static str; 3]> {
    list.lines().filter_map(|line| line.split_whitespace().collect::<Vec<_>>().try_into().ok()).collect()
}

/// A path as a client would send it: the placeholders filled with what stands there in real life.
fn filled(template: &str) -> String {
    template
        .replace("{id}", "0c6f6a3e-2d53-4f6b-9f55-3a1d6a0c7a10")
        .replace("{uuid}", "0c6f6a3e-2d53-4f6b-9f55-3a1d6a0c7a10")
        .replace("{token}", "7a4b2f10-9f0e-4c61-8b0e-5d2f1c3e9a77")
        .replace("{ref}", "KTR%2F0042%20a")
}

fn payment(path: &str) -> String {
    format!("/svc/payment/api/v1/openapi/{path}")
}

#[test]
fn names_all_26_confirmed_routes() {
    let rows = rows(CONFIRMED);
    assert_eq!(rows.len(), 26);
    for [method, template, name] in rows {
        let operation = find(method, &filled(template));
        assert_eq!((operation.name(), operation.is_confirmed()), (name, true), "{method} {template}");
    }
}

#[test]
fn names_every_guessed_route_and_marks_it_so() {
    for [method, template, name] in rows(GUESSED) {
        let operation = find(method, &filled(template));
        assert_eq!((operation.name(), operation.is_confirmed()), (name, false), "{method} {template}");
    }
}

#[test]
fn holds_no_row_that_is_in_neither_list() {
    let listed = rows(CONFIRMED).len() + rows(GUESSED).len();
    assert_eq!(CATALOGUE.iter().map(|row| row.templates().len()).sum::<usize>(), listed);
}

#[test]
fn counts_its_rows_from_zero_without_a_gap_and_ends_with_other() {
    for (at, row) in CATALOGUE.iter().enumerate() {
        assert_eq!(row.index(), at);
    }
    assert_eq!(CATALOGUE.last().map(Operation::name), Some("other"));
    assert_eq!(OTHER.name(), "other");
}

#[test]
fn gives_every_operation_a_name_of_its_own_in_lower_case() {
    let mut names: Vec<_> = CATALOGUE.iter().map(Operation::name).collect();
    assert!(names.iter().all(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || b"._".contains(&byte))));
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), CATALOGUE.len());
}

#[test]
fn no_earlier_row_hides_a_later_one() {
    for row in CATALOGUE {
        for template in row.templates() {
            assert_eq!(find(row.method(), &filled(template)), row, "{template}");
        }
    }
}

#[test]
fn takes_the_literal_word_uuid_in_place_of_a_customer() {
    assert_eq!(find("POST", &payment("customers/uuid/payment_tokens/check")).name(), "payment_tokens.check");
}

#[test]
fn compares_the_method_without_regard_to_case() {
    assert_eq!(find("post", &payment("orders")).name(), "orders.create");
}

#[test]
fn calls_other_what_is_in_no_row() {
    let customers = payment("customers");
    for (method, path) in [
        ("PATCH", customers.as_str()),
        ("TRACE", ""),
        ("GET", "/"),
        ("GET", "*"),
        ("GET", "/svc/payment/api/v1/openapi"),
        ("POST", "/svc/payment/api/v2/openapi/customers"),
        ("POST", "/svc/payment/api/v1/openapi/Customers"),
        ("POST", "/svc/payment/api/v1/openapi/customers/"),
        ("POST", "//svc/payment/api/v1/openapi/customers"),
        ("POST", "/svc/payment/api/v1/openapi/%63ustomers"),
        ("GET", "/svc/payment/api/v1/openapi/customers/ref/"),
        ("GET", "/svc/payment/api/v1/openapi/customers/ref/a/b"),
        ("POST", "/svc/payment/api/v1/openapi/customers//payment_tokens/check"),
        ("POST", "/svc/payment/api/v1/openapi/customers/a/payment_tokens/check/more"),
        ("GET", "/svc/ts/api/v1/openapi/cards/1/limit"),
    ] {
        assert_eq!(find(method, path).name(), "other", "{method} {path}");
    }
}

#[test]
fn a_placeholder_takes_no_segment_that_may_lead_elsewhere() {
    for segment in [".", "..", "%2e", "%2E%2e", ".%2E", "a%2Fb", "%2e%2e%2forders"] {
        assert_eq!(find("PUT", &payment(&format!("customers/{segment}"))).name(), "other", "{segment}");
    }
    for segment in [".", "..", "%2e%2E"] {
        assert_eq!(find("GET", &payment(&format!("customers/ref/{segment}"))).name(), "other", "{segment}");
    }
    for segment in ["...", "a.", ".a", "%2e%2ea", "%"] {
        assert_eq!(find("PUT", &payment(&format!("customers/{segment}"))).name(), "customers.update", "{segment}");
    }
}
