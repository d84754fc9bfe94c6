//! The verdict of `verify` on a signature: right, or the likely mistake.

use crate::{Desk, known_answers::Vector, run};

#[test]
fn verify_accepts_every_vector() {
    let desk = Desk::new();
    for vector in &desk.answers.vectors {
        let out = desk.verify(vector, &[]).done();
        assert!(out.starts_with("signature is valid (RSA ") && out.lines().count() == 1, "{}: {out}", vector.name);
    }
}

#[test]
fn the_mistake_behind_a_wrong_signature_is_named() {
    let desk = Desk::new();
    let vector = desk.vector("create-order-with-query");
    let body = |name, content: &[u8]| desk.write(name, content);
    let newline = body("newline", &[&vector.body()[..], b"\n"].concat());
    let other = body("other", b"{\"order\":{\"charge_fee\":\"22.00\"}}");
    let empty = body("empty", b"");
    let url = format!("https://gateway-stg.wonder.today{}", vector.uri);
    let long = format!("{}&page=2", vector.uri);
    let url_safe = vector.signature.replace('+', "-").replace('/', "_");
    let public = desk.path("rsa2048-pkcs1.pub");
    let big = desk.path("rsa4096-pkcs8.pub");
    let late = vector.credential.replace("20240501120123", "20240501120125");
    let exact = "; sign the body's exact bytes";
    for (option, value, line) in [
        ("--body-file", &newline, format!("the body was signed without its last line end{exact}")),
        (
            "--body-file",
            &other,
            "the key is right but no usual mistake explains the signature; check that the nonce that was signed is the one that was sent, \
             then compare each step with `wonder-signer sign --explain`"
                .to_owned(),
        ),
        (
            "--signature",
            &url_safe,
            "the signature is encoded with the URL-safe alphabet; use standard base64 with + and /".to_owned(),
        ),
        (
            "--public-key-file",
            &public,
            "the signature was made with another private key; check which key the AppID has, and which this is \
             (checked with RSA 2048 bits, fingerprint 887bb68c)"
                .to_owned(),
        ),
        (
            "--public-key-file",
            &big,
            "the signature is not as long as the modulus of the key; check that it is whole and made with the key of this \
             size"
                .to_owned(),
        ),
        (
            "--credential",
            &late,
            "another time was signed than the credential carries; take the time once and use it for the credential and \
             the signature"
                .to_owned(),
        ),
        (
            "--method",
            &"PUT".to_owned(),
            "another method was signed than was sent; sign the method that is sent".to_owned(),
        ),
    ] {
        desk.verify(vector, &[(option, value)]).failed(1, &format!("signature is not valid: {line}"));
    }
    // Here the signed request is fixed and the sent one changes.
    let bare = desk.vector("lower-case-method");
    desk.verify(bare, &[("--target", &format!("{}?page=1", bare.uri))]).failed(
        1,
        "signature is not valid: the target was signed without its query; sign path and query as they are sent",
    );
    desk.verify(bare, &[("--body-file", &empty)]).failed(
        1,
        "signature is not valid: the key is right but no usual mistake explains the signature; check that the nonce that was signed is \
         the one that was sent, then compare each step with `wonder-signer sign --explain`",
    );
    assert_eq!(desk.verify(vector, &[("--target", &long)]).code, Some(1));
    assert_eq!(desk.verify(vector, &[("--target", &url)]).code, Some(64), "a full URL is no target");
}

#[test]
fn malformed_headers_are_named() {
    let desk = Desk::new();
    let vector = desk.vector("create-customer");
    desk.verify(vector, &[("--nonce", "short")])
        .failed(1, "signature is not valid: the nonce is not 16 characters of 0-9, A-Z, a-z");
    desk.verify(vector, &[("--credential", "a/b")]).failed(
        1,
        "signature is not valid: the credential does not have the three parts \
         <AppID>/<request time>/Wonder-RSA-SHA256",
    );
    desk.verify(vector, &[("--signature", "-")]).failed(
        1,
        "signature is not valid: the signature is not base64; encode the raw signature bytes as standard base64",
    );
}

#[test]
fn a_request_time_that_wonder_rejects_fails() {
    let desk = Desk::new();
    let vector = desk.vector("create-customer");
    desk.verify(vector, &[("--at", "20240501123123")]).done();
    for (at, reason) in [
        ("20240501040100", "the request time looks like local time (UTC+08:00) in place of UTC; Wonder rejects it"),
        (
            "20240501000123",
            "the request time looks like that of a 12-hour clock (hh in place of HH in the format); Wonder rejects it",
        ),
        ("20240501123824", "the request time is 2221 s behind; Wonder rejects it beyond 1800 s"),
        ("20240501112824", "the request time is 1979 s ahead; Wonder rejects it beyond 1800 s"),
    ] {
        desk.verify(vector, &[("--at", at)]).failed(1, &format!("signature is valid, but {reason}"));
    }
    // Without --at the request time is compared with this machine's clock, and the vector is years old.
    let now = desk.verify(vector, &[("--at", "")]);
    assert!(
        now.code == Some(1)
            && now.err.contains("--at sets another time to compare with, --ignore-time skips the check"),
        "{now:?}"
    );
    let other = desk.write("other", b"{}");
    let both = desk.verify(vector, &[("--at", "20240501123824"), ("--body-file", &other)]);
    assert!(
        both.err.ends_with("; also, the request time is 2221 s behind; Wonder rejects it beyond 1800 s\n"),
        "{both:?}"
    );
}

#[test]
fn ignore_time_skips_the_time_check() {
    let desk = Desk::new();
    let vector = desk.vector("create-customer");
    let request = desk.write("request", &captured(vector, "\r\n"));
    let key = desk.path(&format!("{}.pub", vector.key));
    let words = ["verify", "--public-key-file", &key, "--request-file", &request, "--ignore-time"];
    assert_eq!(run(&words, b"").done(), "signature is valid (RSA 2048 bits, fingerprint edb42c9f)\n");
    run(&[&words[..], &["--at", "20240501120123"]].concat(), b"").failed_with(64, "usage: ");
}

#[test]
fn the_app_id_must_match_the_credential() {
    let desk = Desk::new();
    let vector = desk.vector("create-customer");
    desk.verify(vector, &[("--app-id", &vector.app_id)]).done();
    let other = "00000000-3a40-4b0f-8ec5-4cb7ef621538";
    let line = format!("signature is valid, but the credential is that of AppID {}, not {other}", vector.app_id);
    desk.verify(vector, &[("--app-id", other)]).failed(1, &line);
    let upper = vector.app_id.to_uppercase();
    desk.verify(vector, &[("--app-id", &upper)]).failed(
        1,
        &format!(
            "signature is valid, but the credential is that of AppID {}, not {upper}; only their case differs",
            vector.app_id
        ),
    );
    desk.verify(vector, &[("--app-id", "x")]).failed_with(64, "usage: --app-id");
}

/// A captured request with its head.
fn captured(vector: &Vector, end: &str) -> Vec<u8> {
    let head = [
        format!("{} {} HTTP/1.1", vector.method.to_uppercase(), vector.uri),
        "Host: gateway-stg.wonder.today".to_owned(),
        format!("Content-Length: {}", vector.body().len()),
        format!("credential: {}", vector.credential),
        format!("NONCE: {}", vector.nonce),
        format!("Signature: {}", vector.signature),
        String::new(),
        String::new(),
    ]
    .join(end);
    [head.as_bytes(), &vector.body()].concat()
}

#[test]
fn a_captured_request_is_accepted_whole_or_as_header_lines() {
    let desk = Desk::new();
    let options = [
        ("--method", ""),
        ("--target", ""),
        ("--body-file", ""),
        ("--credential", ""),
        ("--nonce", ""),
        ("--signature", ""),
    ];
    for vector in &desk.answers.vectors {
        for end in ["\r\n", "\n"] {
            let request = desk.write("request", &captured(vector, end));
            desk.verify(vector, &[&options[..], &[("--request-file", &request)]].concat()).done();
        }
        let headers = desk.write("headers", captured(vector, "\n").split(|byte| *byte == b'{').next().unwrap());
        let from_headers = [("--credential", ""), ("--nonce", ""), ("--signature", ""), ("--headers-file", &headers)];
        desk.verify(vector, &from_headers).done();
    }
    let vector = desk.vector("create-customer");
    let whole = captured(vector, "\r\n");
    let from = |bytes: &[u8]| {
        let request = desk.write("request", bytes);
        desk.verify(vector, &[&options[..], &[("--request-file", &request)]].concat())
    };
    from(&whole[..whole.len() - 1]).failed_with(64, "--request-file ");
    let text = String::from_utf8(whole).unwrap();
    from(text.replace("NONCE: ", "X-Nonce: ").as_bytes())
        .failed(1, "signature is not valid: the request has no nonce header");
    from(text.replace("NONCE: ", "Nonce: a\r\nNONCE: ").as_bytes())
        .failed(1, "signature is not valid: the request has more than one nonce header");
    from(text.replace("/customers", "/customer").as_bytes()).failed_with(1, "signature is not valid: ");
    from(text.replace("Wonder-RSA-SHA256", "Wonder-HMAC-SHA256").as_bytes()).failed_with(
        1,
        "signature is not valid: the third part of the credential is Wonder-HMAC-SHA256, the mobile SDK's scheme",
    );
    desk.verify(vector, &[("--nonce", "")]).failed_with(64, "usage: --nonce is missing");
    desk.verify(vector, &[("--target", "")]).failed_with(64, "usage: --target is missing");
    desk.verify(vector, &[("--request-file", "nowhere")]).failed_with(64, "--request-file nowhere: ");
}

#[test]
fn the_public_key_is_accepted_in_every_usual_form() {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    let desk = Desk::new();
    let vector = desk.vector("create-customer");
    let pem = std::fs::read_to_string(desk.path(&format!("{}.pub", vector.key))).unwrap();
    let bare: String = pem.lines().filter(|line| !line.starts_with("---")).collect();
    let der = BASE64_STANDARD.decode(&bare).unwrap();
    let digits: Vec<String> = der.iter().map(|byte| format!("{byte:02x}")).collect();
    let (hex, colons) = (digits.concat(), digits.join(":").to_uppercase());
    let forms: Vec<(&str, Vec<u8>)> = vec![
        ("PEM", pem.clone().into_bytes()),
        ("DER", der.clone()),
        ("DER and a line end", [&der[..], b"\n"].concat()),
        ("base64", bare.clone().into_bytes()),
        ("base64 in lines", bare.as_bytes().chunks(64).collect::<Vec<_>>().join(&b"\r\n"[..])),
        ("base64 for URLs", bare.replace('+', "-").replace('/', "_").replace('=', "").into_bytes()),
        ("hex", format!("{hex}\n").into_bytes()),
        ("hex with colons", colons.into_bytes()),
        ("base64 of PEM", BASE64_STANDARD.encode(&pem).into_bytes()),
        ("base64 of PEM in quotes", format!("\"{}\"\n", BASE64_STANDARD.encode(&pem)).into_bytes()),
        ("base64 of hex", BASE64_STANDARD.encode(&hex).into_bytes()),
    ];
    for (name, bytes) in forms {
        let key = desk.write("key", &bytes);
        let ended = desk.verify(vector, &[("--public-key-file", &key)]);
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{name}");
    }
    let private = std::fs::read_to_string(desk.path(&format!("{}.pem", vector.key))).unwrap();
    let private_der =
        BASE64_STANDARD.decode(private.lines().filter(|line| !line.starts_with("---")).collect::<String>()).unwrap();
    for (bytes, reason) in [
        (private.clone().into_bytes(), "is a private key, a public key is needed; name the file of the public key"),
        (private_der.clone(), "is a private key, a public key is needed; name the file of the public key"),
        (
            BASE64_STANDARD.encode(&private_der).into_bytes(),
            "is a private key, a public key is needed; name the file of the public key",
        ),
        (
            BASE64_STANDARD.encode(&private).into_bytes(),
            "is a private key, a public key is needed; name the file of the public key",
        ),
        (b"".to_vec(), "is empty; copy the key into it"),
        (b"not a key".to_vec(), "holds no PEM block (no \"-----BEGIN\" line); copy the whole PEM file of the key"),
        (
            der[..200].to_vec(),
            "is damaged: the PEM block cannot be decoded; copy the original file as a whole, because an editor may add invisible characters",
        ),
    ] {
        let key = desk.write("key", &bytes);
        desk.verify(vector, &[("--public-key-file", &key)]).failed(64, &format!("--public-key-file {key}: {reason}"));
    }
}
