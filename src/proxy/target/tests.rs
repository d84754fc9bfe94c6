use super::*;

fn code(target: &str) -> Result<(), &'static str> {
    check(&target.parse().unwrap()).map_err(|failure| failure.code.as_str())
}

#[test]
fn accepts_targets_that_stay_under_svc_in_every_reading() {
    for target in [
        "/svc/payment/api/v1/openapi/customers",
        "/svc/a?filter[x][_eq]=1&y=%2f%2F+",
        "/svc/a?",
        "/svc/",
        "/svc//a//b",
        "/svc/a/../b",
        "/svc/a/..",
        "/svc/a/%2e%2E/b",
        "/svc/a/%252e%252e/b",
        "/svc/a/b/../../c",
        "/svc/...",
        "/svc/..a/..%20a",
        "/svc/a?x=/../../..%2f%5c",
        "/svc/a%2fb%5Cc%252fd",
        "/svc/a..%2f",
        "/svc/%",
        "/svc/%%32",
        "/svc/a/%c0%ae%c0%ae/b",
        "/svc/\u{6c49}\u{5b57}/%ef%bc%8c",
        "/svc/%u00e9%c3%a9%u/%c0",
    ] {
        assert_eq!(code(target), Ok(()), "{target}");
    }
}

#[test]
fn rejects_targets_outside_svc() {
    for target in ["/", "/svc", "/SVC/a", "//svc/a", "/svcx/", "/a?/svc/", "/.//svc/", "/%73vc/a", "/svc%2fa", "*"] {
        assert_eq!(code(target), Err("not_wonder"), "{target}");
    }
}

#[test]
fn rejects_targets_that_lead_out_in_any_reading() {
    for target in [
        "/svc/..",
        "/svc/../x",
        "/svc/../svc/a",
        "/svc/a/../../b",
        "/svc/%2e%2e/x",
        "/svc/.%2E/x",
        "/svc/%252e%252e/x",
        "/svc/%252E./x",
        "/svc/%%32%65./x",
        "/svc/%25%32%65%25%32%65/x",
        "/svc/..%2fx",
        "/svc/..%252fx",
        "/svc/..%5cx",
        "/svc/..%255cx",
        "/svc/a%2f..%2f..%2fx",
        // Out if the encoded byte is no separator.
        "/svc/a%5cb/../../admin",
        "/svc/a%2fb/../../admin",
        "/svc/a%252fb/../../admin",
        // Out if one of the two is, and the other is not.
        "/svc/a%2fb%5c..%5c../../admin",
        "/svc//../x",
        "/svc/./../x",
        "/svc/..;a=b/x",
        "/svc/a/;b/../../x",
        "/svc/..%3bx/",
        "/svc/..%00/",
        "/svc/..%20/",
        "/svc/.%09./x",
        "/svc/..%3fx",
        "/svc/..%23x",
        "/svc/%00../x",
        "/svc/.%00./x",
        "/svc/.%7f./x",
        // Encoded any number of times.
        "/svc/%25252e%25252e/x",
        "/svc/%2525252525252e./x",
        "/svc/%25%32%35%32%65%25%32%35%32%65/x",
        "/svc/..%25252fx",
        "/svc/a%2525255c..%2525255c..%2525255cx",
        // In spellings that no standard reads as dots, slashes and back slashes.
        "/svc/%c0%ae%c0%ae/x",
        "/svc/%e0%80%ae./x",
        "/svc/%f0%80%80%ae%2e/x",
        "/svc/%25c0%25ae%25c0%25ae/x",
        "/svc/..%c0%afx",
        "/svc/..%c1%9cx",
        "/svc/%u002e%u002E/x",
        "/svc/%U002e./x",
        "/svc/..%u005cx",
        "/svc/%ef%bc%8e%ef%bc%8e/x",
        "/svc/\u{ff0e}\u{ff0e}/x",
        "/svc/..%ef%bc%8fx",
    ] {
        assert_eq!(code(target), Err("not_wonder"), "{target}");
    }
}

#[test]
fn rejects_dot_segments_together_with_encoded_separators() {
    for target in [
        "/svc/a/b%2fc/../d",
        "/svc/a/b%5Cc/../d",
        "/svc/a/b%252fc/../d",
        "/svc/a/b%2f..",
        "/svc/a/b%5c%2e%2e%5cc",
        "/svc/a/../b%2f",
        "/svc/a/%252e%252e/b%255c",
        "/svc/a/..;x/b%2f",
    ] {
        assert_eq!(code(target), Err("bad_target"), "{target}");
    }
}

#[test]
fn rejects_dot_segments_in_a_path_that_is_too_long_to_resolve() {
    let path = |length: usize| format!("/svc/a/../{}", "b".repeat(length - "a/../".len()));
    assert_eq!(code(&path(4096)), Ok(()));
    assert_eq!(code(&path(4097)), Err("bad_target"));
    assert_eq!(code(&format!("/svc/../{}", "b".repeat(5000))), Err("not_wonder"));
    assert_eq!(code(&format!("/svc/%41{}", "b".repeat(5000))), Ok(()));
}

#[test]
fn rejects_the_family_without_signatures_in_every_spelling() {
    for target in [
        "/svc/payment/public/api/v1/openapi/orders",
        "/svc/payment/public/",
        "/svc/payment/public",
        "/svc/payment/public?x",
        "/svc/Payment/PUBLIC/x",
        "/svc//payment//public/x",
        "/svc/./payment/./public/x",
        "/svc/payment;v=1/public;x/y",
        "/svc/payment/%70ublic/x",
        "/svc/payment/%2570ublic/x",
        "/svc/payment%2fpublic%2fx",
        "/svc/payment%5cpublic/x",
        "/svc/payment%252fpublic",
        "/svc/payment/api/../public/x",
        "/svc/a/../payment/public",
        "/svc/payment/public/a/..",
        "/svc/payment/public/..",
        "/svc/pay%00ment/public/x",
        "/svc/payment/%25252570ublic/x",
        "/svc/payment/%ef%bd%90ublic/x",
        // Only for a program that resolves the encoded dots after another program has resolved the plain ones.
        "/svc/a/%2e%2e/payment/public/b/%2e%2e/..",
        // Only for a program that counts an empty segment, and for which `..;` is a name.
        "/svc/payment/a//../../public/x",
        "/svc/payment/..;a/../public/x/",
        // Only for a program that ends the path at the encoded `?`.
        "/svc/payment/public%3f/../../../a/b/c",
        "/svc/payment/public/%3f/../../x/y",
    ] {
        let failure = check(&target.parse().unwrap()).unwrap_err();
        assert_eq!(failure.code.as_str(), "not_wonder", "{target}");
    }
    for target in ["/svc/payment/publicity", "/svc/payment/api/public", "/svc/public/payment"] {
        assert_eq!(code(target), Ok(()), "{target}");
    }
}

#[test]
fn names_the_reason_for_each_rejection() {
    let text = |target: &str| check(&target.parse().unwrap()).unwrap_err().to_string();
    assert!(text("/metrics").contains("is not under /svc/"));
    assert!(text("/svc/../x").contains("leads out of /svc/"));
    assert!(text("/svc/a/../b%2f").contains("\"..\""));
    assert!(text("/svc/payment/public/x").contains("/svc/payment/public/"));
}
