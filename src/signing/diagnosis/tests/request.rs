//! Mistakes in body and target.

use super::*;

/// Rows: sent body, signed body, mistake.
pub(super) fn bodies() -> Vec<(&'static str, String, Mistake)> {
    use Mistake::*;
    let compact = "{\"b\":\"汉/<x>\",\"a\":[1.50,true]}";
    let base64 = BASE64_STANDARD.encode(BODY);
    let hash = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"; // of "hello\n"
    let case = |sent, signed: &str, mistake| (sent, signed.to_owned(), mistake);
    vec![
        case(BODY, "", BodyLeftOut),
        case(" \r\n", "", BlankBodyLeftOut),
        case("\u{a0}", "", BlankBodyLeftOut),
        case("", "{}", BodyInvented),
        case("", "[]", BodyInvented),
        case("", "null", BodyInvented),
        case(BODY, BODY.strip_suffix("\r\n").unwrap(), LineEndLeftOut),
        case("{}\n", "{}", LineEndLeftOut),
        case("{}", "{}\n", LineEndAdded),
        case("{}", "{}\r\n", LineEndAdded),
        case(" {} ", "{}", BodyTrimmed),
        case("{} \n", "{}", BodyTrimmed),
        case("\t{}", "{}", BodyTrimmed),
        case("a\r\nb\r\n", "a\nb\n", LineEndsToLf),
        case("a\nb\r\n\n", "a\r\nb\r\n\r\n", LineEndsToCrlf),
        case("\u{feff}{}", "{}", ByteOrderMark),
        case("{}", "\u{feff}{}", ByteOrderMark),
        case(BODY, compact, JsonCompact),
        case("{\"a\":\"\\/\\u6c49\"}", "{\"a\":\"/汉\"}", JsonCompact),
        case(compact, "{\"b\": \"汉/<x>\", \"a\": [1.50, true]}", JsonSpaced),
        case(compact, "{\"b\": \"\\u6c49/<x>\", \"a\": [1.50, true]}", JsonSpaced),
        case(compact, "{\"b\":\"\\u6c49\\/<x>\",\"a\":[1.50,true]}", JsonSlashes),
        case(compact, "{\"b\":\"汉\\/<x>\",\"a\":[1.50,true]}", JsonSlashes),
        case(compact, "{\"b\":\"\\u6c49/<x>\",\"a\":[1.50,true]}", JsonEscapes),
        case(compact, "{\"b\":\"汉/\\u003cx\\u003e\",\"a\":[1.50,true]}", JsonEscapes),
        case("{\"a\":\"😀\"}", "{\"a\":\"\\ud83d\\ude00\"}", JsonEscapes),
        case("{\"b\":1,\"a\":{\"d\":\"\\\"\",\"c\":[]}}", "{\"a\":{\"c\":[],\"d\":\"\\\"\"},\"b\":1}", JsonSorted),
        case(BODY, &base64, BodyBase64),
        case("hello\n", hash, BodyHash),
    ]
}

/// Rows: sent target, signed target, mistake.
pub(super) fn targets() -> Vec<(&'static str, String, Mistake)> {
    use Mistake::*;
    let case = |sent, signed: &str, mistake| (sent, signed.to_owned(), mistake);
    let path = TARGET.split_once('?').unwrap().0;
    vec![
        case(TARGET, path, QueryLeftOut),
        case("/svc/x?", "/svc/x", QueryMark),
        case("/svc/x", "/svc/x?", QueryMark),
        case("/svc/x?a=1?", "/svc/x?a=1", QueryMark),
        case("/svc/x/", "/svc/x", TrailingSlash),
        case("/svc/x", "/svc/x/", TrailingSlash),
        case("/svc/x?a", "/svc/x/?a", TrailingSlash),
        case("/svc/x?a=b+c", "/svc/x?a=b%20c", PlusForSpace),
        case("/svc/x?a=b%20c&d=%5B", "/svc/x?a=b+c&d=%5B", PlusForSpace),
        case("/svc/x%20y?a=b%20c", "/svc/x%20y?a=b+c", PlusForSpace),
        case("/svc/x%20y?a=%5B1%5D", "/svc/x%2520y?a=%255B1%255D", TargetEncodedTwice),
        case("/svc/x?a=%5B1%5D", "/svc/x?a=%255B1%255D", TargetEncodedTwice),
        case("/svc/x?a=%5B1%5D&t=8:00+1", "/svc/x?a=%255B1%255D&t=8%3A00%2B1", TargetEncodedTwice),
        case("/svc/x%2520y?a=%255b", "/svc/x%20y?a=%5b", TargetSentEncodedTwice),
        case("/svc/x%20y?a=%255B", "/svc/x%20y?a=%5B", TargetSentEncodedTwice),
        case("/svc/x?a=100%25", "/svc/x?a=100%", TargetDecoded),
        case("/svc/x%20y?a=%5B1%5D", "/svc/x y?a=[1]", TargetDecoded),
        case("/svc/x?a=%E6%B1%89+b", "/svc/x?a=汉 b", TargetDecoded),
        case("/svc/x%20y?a=%5B1%5D", "/svc/x%20y?a=[1]", TargetDecoded),
        case("/svc/x?f[a]=1,2", "/svc/x?f%5Ba%5D=1,2", TargetEncoded),
        case("/svc/x?f[a]=1,2&t=10:00+8", "/svc/x?f%5Ba%5D=1%2C2&t=10%3A00%2B8", TargetEncoded),
        case("/svc/x?f[a]=1&t=10:00", "/svc/x?f%5Ba%5D=1&t=10%3A00", TargetEncoded),
        case("/svc/x%2fy", "/svc/x%2Fy", EscapeCase),
        case("/svc/X%2Fy?q=%C3%A9", "/svc/X%2fy?q=%c3%a9", EscapeCase),
        case("/svc//x/./y/../z", "/svc/x/z", TargetNormalised),
        case("/svc/x?b=2&a=1", "/svc/x?a=1&b=2", QuerySorted),
        case(TARGET, &format!("https://gateway-stg.wonder.today{TARGET}"), FullUrl),
        case(TARGET, &format!("http://shop.example:8443{TARGET}"), FullUrl),
        case(TARGET, &format!("gateway.wonder.today{TARGET}"), FullUrl),
        case(TARGET, &format!("https://gateway.wonder.today{path}"), FullUrl),
        case("/svc/x", "svc/x", PathPrefix),
        case("/svc/payment/api/v1/openapi/customers?a", "/customers?a", PathPrefix),
        case("/svc/payment/api/v1/echo", "/echo", PathPrefix),
    ]
}

#[test]
fn a_changed_body_is_explained() {
    let bench = Bench::new();
    for (sent, signed, mistake) in bodies() {
        let signature = bench.signature("POST", "/svc/x", signed.as_bytes());
        let found = bench.diagnose("POST", "/svc/x", sent.as_bytes(), &signature);
        assert_eq!(found, Some(mistake), "{sent:?} sent, {signed:?} signed");
    }
}

#[test]
fn a_changed_target_is_explained() {
    let bench = Bench::new();
    for (sent, signed, mistake) in targets() {
        for body in ["", BODY] {
            let signature = bench.signature("POST", &signed, body.as_bytes());
            let found = bench.diagnose("POST", sent, body.as_bytes(), &signature);
            assert_eq!(found, Some(mistake), "{sent:?} sent, {signed:?} signed");
        }
    }
}

#[test]
fn a_missing_query_hides_no_other_mistake() {
    let bench = Bench::new();
    let path = TARGET.split('?').next().unwrap();
    let later = Stamp { request_time: "20240501200123".parse().unwrap(), nonce: bench.nonce };
    let in_local_time =
        sign(&bench.private, &bench.credential.app_id, &later, "POST", path, &[BODY]).unwrap().signature;
    let expected = Some(Mistake::QueryAndAnother);
    assert_eq!(bench.diagnose("POST", TARGET, BODY.as_bytes(), &in_local_time), expected);
    assert_eq!(bench.diagnose("POST", TARGET, BODY.as_bytes(), &bench.signature("POST", path, b"")), expected);
    assert_eq!(bench.diagnose("GET", TARGET, b"", &bench.signature("GET", path, b"[]")), expected);
}

#[test]
fn numbers_in_another_notation_are_named() {
    let bench = Bench::new();
    for (sent, signed) in [
        ("{\"fee\":120.00,\"a\":[-1.50,2,1.0]}", "{\"fee\":120,\"a\":[-1.5,2,1]}"),
        ("{\"u\": \"https://x\", \"fee\": 10.0}", "{\"u\":\"https:\\/\\/x\",\"fee\":10}"),
    ] {
        let signature = bench.signature("POST", TARGET, signed.as_bytes());
        assert_eq!(bench.diagnose("POST", TARGET, sent.as_bytes(), &signature), Some(Mistake::JsonNumbers), "{sent}");
    }
}

#[test]
fn a_huge_body_is_hashed_only_a_few_times() {
    let bench = Bench::new();
    let body = vec![b' '; LONGEST_BODY + 1];
    let found = |signed: &[u8]| bench.diagnose("POST", "/svc/x", &body, &bench.signature("POST", "/svc/x", signed));
    assert_eq!(found(b""), Some(Mistake::BlankBodyLeftOut));
    assert_eq!(found(b"{}"), Some(Mistake::Unknown));
}
