//! The threat table: each attack alone, with the name of its refusal; and valid deliveries that a careless verifier would reject.

use super::*;

#[test]
fn each_altered_signed_part_is_rejected() {
    let right = Sent::right();
    assert_eq!(right.refusal(), "verified");
    let changed = |change: fn(&mut Sent)| {
        let mut sent = right.clone();
        change(&mut sent);
        sent.refusal()
    };
    assert_eq!(changed(|sent| sent.method = "PUT".to_owned()), "method");
    assert_eq!(changed(|sent| sent.method = "post".to_owned()), "method");
    assert_eq!(changed(|sent| sent.method = "GET".to_owned()), "method");
    assert_eq!(changed(|sent| sent.body[3] ^= 1), "signature_mismatch");
    assert_eq!(changed(|sent| sent.target = b"/hooks/wonder?src=x".to_vec()), "signature_mismatch");
    assert_eq!(right.clone().set("nonce", "B3k0vWn8ZsE1yQ7e").refusal(), "signature_mismatch");
    assert_eq!(right.clone().at("20260214094512").refusal(), "signature_mismatch");
    let other = Sent::from(&VECTORS[1]).headers.remove(3).1;
    assert_eq!(right.clone().set("signature", other).refusal(), "signature_mismatch");
}

#[test]
fn a_missing_repeated_empty_oversized_or_non_ascii_header_is_rejected_by_name() {
    for header in Header::ALL {
        let name = header.name().to_ascii_lowercase();
        let label = if header == Header::Action { "action" } else { &name[..] };
        let right = Sent::right();
        let value = right.clone().value(&name).clone();
        let missing = right.clone().without(&name).refusal();
        if header == Header::Action {
            // Optional, because the oldest page of Wonder's documents does not have this header.
            assert_eq!(missing, "verified");
        } else {
            assert_eq!(missing, format!("{label}_missing"));
        }
        assert_eq!(right.clone().add(&name, &value).refusal(), format!("{label}_repeated"));
        assert_eq!(right.clone().add(header.name(), b"other").refusal(), format!("{label}_repeated"));
        assert_eq!(right.clone().set(&name, b"").refusal(), format!("{label}_empty"));
        assert_eq!(right.clone().set(&name, vec![b'A'; 1025]).refusal(), format!("{label}_oversized"));
        for text in [&b"\xe9"[..], "ä".as_bytes(), b"a\tb", b"a\0", b"\x7f"] {
            assert_eq!(right.clone().set(&name, text).refusal(), format!("{label}_not_ascii"), "{text:?}");
        }
        // Longer than any key's signature, but short enough to be read.
        if header == Header::Signature {
            let long = BASE64_STANDARD.encode([0x55; 600]);
            assert_eq!(right.clone().set(&name, long).refusal(), "signature_mismatch");
        }
    }
}

#[test]
fn header_names_are_case_insensitive() {
    let mut sent = Sent::right();
    for (name, _) in &mut sent.headers {
        *name = name.to_ascii_uppercase();
    }
    assert_eq!(sent.refusal(), "verified");
}

#[test]
fn a_malformed_credential_is_rejected_by_its_wrong_part() {
    let time = "20260214094511";
    for (credential, expected) in [
        (format!("{APP_ID}/{time}"), "credential_parts"),
        (APP_ID.to_owned(), "credential_parts"),
        (format!("{APP_ID}/{time}/{ALGORITHM}/x"), "credential_parts"),
        (format!("{APP_ID}/{time}/{ALGORITHM}/"), "credential_parts"),
        (format!("/{APP_ID}/{time}/{ALGORITHM}"), "credential_parts"),
        (format!("{APP_ID}/{time}/Wonder-HMAC-SHA256"), "algorithm_mobile"),
        (format!("{APP_ID}/{time}/Wonder-RSA-SHA512"), "algorithm"),
        (format!("{APP_ID}/{time}/wonder-rsa-sha256"), "algorithm"),
        (format!("{APP_ID}/{time}/none"), "algorithm"),
        (format!("{APP_ID}/{time}/"), "algorithm"),
        (format!("shop/{time}/{ALGORITHM}"), "app_id_malformed"),
        (format!(" {APP_ID}/{time}/{ALGORITHM}"), "app_id_malformed"),
        (format!("1f0e5b52-6c0a-4a55-9a0e-2f6b8d0c7e12/{time}/{ALGORITHM}"), "app_id_unknown"),
        (format!("{}/{time}/{ALGORITHM}", APP_ID.to_uppercase()), "app_id_unknown"),
        (format!("{APP_ID}/2026-02-14T09:45:11Z/{ALGORITHM}"), "time_malformed"),
        (format!("{APP_ID}/1771062311/{ALGORITHM}"), "time_malformed"),
        (format!("{APP_ID}/20260230094511/{ALGORITHM}"), "time_malformed"),
    ] {
        assert_eq!(Sent::right().set("credential", &credential).refusal(), expected, "{credential}");
    }
    for nonce in ["short", "B3k0vWn8ZsE1yQ7dd", "B3k0vWn8ZsE1yQ7-", "B3k0vWn8 sE1yQ7d"] {
        assert_eq!(Sent::right().set("nonce", nonce).refusal(), "nonce_malformed", "{nonce}");
    }
}

#[test]
fn an_app_id_in_another_case_is_the_named_cause() {
    let sent = Sent::right().set("credential", format!("{}/20260214094511/{ALGORITHM}", APP_ID.to_uppercase()));
    let refusal = sent.verdict().unwrap_err();
    assert_eq!(refusal, DeliveryError::AppIdUnknown { only_case: true });
    assert!(refusal.likely_cause().contains("another case"), "{}", refusal.likely_cause());
}

#[test]
fn a_time_outside_the_window_is_rejected_in_both_directions() {
    let right = Sent::right(); // 2026-02-14 09:45:11
    for (now, expected) in [
        ("20260214094511", "verified"),
        ("20260215101511", "verified"), // 24 h 30 min later
        ("20260215101512", "time_too_old"),
        ("20270214094511", "time_too_old"),
        ("20260214091511", "verified"), // 30 min before
        ("20260214091310", "time_in_future"),
        ("20260213094511", "time_in_future"),
        ("19700101000000", "time_in_future"),
        ("20260214091450", "time_in_future"), // 30 min 21 s before: no time zone
        ("20260214084511", "time_local"),     // 1 h before, as in Central Europe
        ("20260214014511", "time_local"),     // 8 h before, as in Hong Kong
        ("20260214014611", "time_local"),
        ("20260214041511", "time_local"), // 5 h 30 min before, as in India
    ] {
        let verdict = right.verdict_at(now).map_or_else(|refusal| refusal.name(), |()| "verified");
        assert_eq!(verdict, expected, "at {now}");
    }
    let verdict = |now, minutes: u64| right.verdict_by(&KEY, now, Duration::from_secs(minutes * 60));
    assert_eq!(verdict("20260214101511", 30), Ok(()));
    let late = verdict("20260214101512", 30).unwrap_err();
    assert_eq!(late.to_string(), "the request time is 1801 s in the past");
    // Local time west of Greenwich is also in the past.
    let hour = verdict("20260214104511", 30).unwrap_err();
    assert_eq!(hour.to_string(), "the request time is 3600 s in the past, which is the offset of UTC-01:00");
    let old =
        DeliveryError::TimeTooOld { seconds: 5 * 3600, offset: Some(crate::signing::diagnosis::clock::Offset(-300)) };
    assert_eq!(verdict("20260214144511", 30), Err(old));
    assert!(old.likely_cause().contains("local time"));
    assert_eq!(verdict("20260214094512", 0).unwrap_err().name(), "time_too_old");
}

#[test]
fn a_changed_body_is_rejected() {
    let right = Sent::right();
    let with = |body: &[u8]| Sent { body: body.to_vec(), ..right.clone() };
    let text = String::from_utf8(right.body.clone()).unwrap();
    for (what, body) in [
        ("truncated", &right.body[..right.body.len() - 1]),
        ("cut in the middle", &right.body[..100]),
        ("its first byte lost", &right.body[1..]),
        ("a line end added", format!("{text}\n").as_bytes()),
        ("a byte order mark added", format!("\u{feff}{text}").as_bytes()),
        ("re-serialised", text.replace(':', ": ").as_bytes()),
        ("chunk framing left in", format!("{:x}\r\n{text}\r\n0\r\n\r\n", text.len()).as_bytes()),
        ("another order", text.replace("INV-7781", "INV-7782").as_bytes()),
    ] {
        assert_eq!(with(body).refusal(), "signature_mismatch", "{what}");
    }
    assert_eq!(with(b"").refusal(), "body_empty");
    let gzip = with(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]).add("content-encoding", "gzip");
    assert_eq!(gzip.refusal(), "content_encoding");
    assert_eq!(right.clone().add("content-encoding", "br").refusal(), "content_encoding");
    assert_eq!(right.clone().add("content-encoding", "Identity").refusal(), "verified");
}

#[test]
fn a_signed_empty_body_is_rejected() {
    let (private, public) = KNOWN.key(WEBHOOK_KEY);
    let stamp = Stamp { request_time: "20260214094511".parse().unwrap(), nonce: "B3k0vWn8ZsE1yQ7d".parse().unwrap() };
    let empty: [&[u8]; 0] = [];
    let signed = sign(&private, &APP_ID.parse().unwrap(), &stamp, "/hooks/wonder?src=w", &empty).unwrap();
    let sent = Sent { body: Vec::new(), ..Sent::right().set("signature", signed.signature) };
    assert_eq!(sent.verdict_by(&public, "20260214094511", TOLERANCE), Err(DeliveryError::BodyEmpty));
}

#[test]
fn a_changed_target_is_rejected() {
    let refusal = |at: usize, target: &[u8]| Sent { target: target.to_vec(), ..Sent::from(&VECTORS[at]) }.refusal();
    for (at, target, what) in [
        (0, "/hooks/wonder", "the query left out"),
        (0, "/hooks/wonder?", "the query's value left out"),
        (0, "/hooks/wonder?src=w&x=1", "a parameter added"),
        (0, "/wonder?src=w", "a prefix stripped"),
        (0, "/shop/hooks/wonder?src=w", "a prefix added"),
        (0, "//hooks/wonder?src=w", "a slash doubled"),
        (0, "/hooks/wonder/?src=w", "a slash added"),
        (0, "/hooks/./wonder?src=w", "a dot segment"),
        (0, "/Hooks/wonder?src=w", "another case"),
        (1, "/hooks/wonder?", "a question mark added"),
        (1, "/hooks/wonder?src=w", "a query added"),
        (4, "/hooks/caf%c3%a9/%2f?next=%2Fshop%3Fa%3D1&x=+", "escapes in lower case"),
        (4, "/hooks/caf%C3%A9//?next=/shop?a=1&x=+", "escapes decoded"),
        (4, "/hooks/caf%C3%A9/%2f?next=%2Fshop%3Fa%3D1&x=%20", "a plus rewritten"),
        (4, "/hooks/caf%25C3%25A9/%252f?next=%252Fshop%253Fa%253D1&x=+", "escapes encoded twice"),
        (5, "/hooks/wonder", "a bare question mark dropped"),
    ] {
        assert_eq!(refusal(at, target.as_bytes()), "signature_mismatch", "{what}");
    }
    for (target, what) in [
        (&b""[..], "no path"),
        (b"?src=w", "no path but a query"),
        (b"hooks/wonder?src=w", "no slash"),
        (b"https://shop.example/hooks/wonder?src=w", "a whole URL"),
        (b"*", "an asterisk"),
        (b"/hooks/wonder?src=w#a", "a fragment"),
        (b"/hooks/wonder ?src=w", "a space"),
        ("/hooks/café".as_bytes(), "raw UTF-8"),
        (b"/hooks/\xff", "a raw byte"),
        (b"/hooks/wonder\n?src=w", "a line end"),
    ] {
        assert_eq!(refusal(0, target), "target", "{what}");
    }
}

#[test]
fn a_signature_in_another_encoding_is_rejected() {
    let right = String::from_utf8(Sent::right().value("signature").clone()).unwrap();
    for (what, text) in [
        ("unpadded", right.trim_end_matches('=').to_owned()),
        ("URL-safe", right.replace('+', "-").replace('/', "_")),
        ("quoted", format!("\"{right}\"")),
        ("two in one header", format!("{right}, {right}")),
        ("percent-encoded", right.replace('=', "%3D")),
    ] {
        if text != right {
            assert_eq!(Sent::right().set("signature", text).refusal(), "signature_encoding", "{what}");
        }
    }
    for text in ["AAAA", &"A".repeat(344)] {
        assert_eq!(Sent::right().set("signature", text).refusal(), "signature_mismatch", "{text}");
    }
}
