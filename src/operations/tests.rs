use super::*;

/// The table of `deploy/docs/wonder.md` §5.3: method, template, name, mark, whether the simulator serves it.
fn documented() -> Vec<[&'static str; 5]> {
    let page = include_str!("../../deploy/docs/wonder.md");
    let rows = page.lines().filter(|line| line.contains("| `/svc/"));
    rows.map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        cells.try_into().unwrap()
    })
    .collect()
}

/// A path as a client sends it: each placeholder is filled with a typical value.
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
fn names_every_documented_route() {
    let rows = documented();
    assert!(rows.len() > 30, "{}", rows.len());
    for [method, template, name, mark, _] in rows {
        assert_eq!(find(method, &filled(template)).name(), name, "{method} {template}");
        assert!(["confirmed", "derived"].contains(&mark), "{mark}");
    }
}

#[test]
fn has_no_row_that_is_not_documented() {
    assert_eq!(CATALOGUE.iter().map(|row| row.templates().len()).sum::<usize>(), documented().len());
}

#[test]
fn indexes_its_rows_from_zero_without_a_gap_and_ends_with_other() {
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
fn accepts_the_literal_word_uuid_instead_of_a_customers_id() {
    assert_eq!(find("POST", &payment("customers/uuid/payment_tokens/check")).name(), "payment_tokens.check");
}

#[test]
fn compares_the_method_without_regard_to_case() {
    assert_eq!(find("post", &payment("orders")).name(), "orders.create");
}

#[test]
fn a_request_in_no_row_is_other() {
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
fn a_placeholder_matches_no_segment_that_may_resolve_to_another_path() {
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
