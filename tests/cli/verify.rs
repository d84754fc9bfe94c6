//! What `verify` says of a signature: right, or which mistake was made.

use crate::Desk;

#[test]
fn accepts_every_vector() {
    let desk = Desk::new();
    for vector in &desk.answers.vectors {
        let out = desk.verify(vector, &[]).done();
        assert!(out.starts_with("signature is right (RSA ") && out.lines().count() == 1, "{}: {out}", vector.name);
    }
}

#[test]
fn names_the_mistake() {
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
            "the key is right but no usual mistake explains the signature; compare the pre-sign string with the one that \
             `wonder-signer sign --explain` describes"
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
        desk.verify(vector, &[(option, value)]).failed(1, &format!("signature is not right: {line}"));
    }
    // The other way round: what was signed is fixed, so what is sent changes.
    let bare = desk.vector("lower-case-method");
    desk.verify(bare, &[("--target", &format!("{}?page=1", bare.uri))]).failed(
        1,
        "signature is not right: the target was signed without its query; sign path and query as they are sent",
    );
    desk.verify(bare, &[("--body-file", &empty)]).failed(
        1,
        "signature is not right: the key is right but no usual mistake explains the signature; compare the pre-sign \
         string with the one that `wonder-signer sign --explain` describes",
    );
    assert_eq!(desk.verify(vector, &[("--target", &long)]).code, Some(1));
    assert_eq!(desk.verify(vector, &[("--target", &url)]).code, Some(64), "a full URL is no target");
}

#[test]
fn says_no_to_malformed_headers() {
    let desk = Desk::new();
    let vector = desk.vector("create-customer");
    desk.verify(vector, &[("--nonce", "short")])
        .failed(1, "signature is not right: --nonce: the nonce is not 16 characters of 0-9, A-Z, a-z");
    desk.verify(vector, &[("--credential", "a/b")]).failed(
        1,
        "signature is not right: --credential: the credential does not have the three parts \
         <AppID>/<request time>/Wonder-RSA-SHA256",
    );
    desk.verify(vector, &[("--signature", "-")]).failed(
        1,
        "signature is not right: the signature is not base64; encode the raw signature bytes as standard base64",
    );
}

#[test]
fn notes_a_time_that_wonder_refuses() {
    let desk = Desk::new();
    let vector = desk.vector("create-customer");
    let right = "signature is right (RSA 2048 bits, fingerprint edb42c9f)\n";
    for (at, note) in [
        ("20240501123123", ""),
        (
            "20240501040100",
            "note: the request time looks like local time (UTC+08:00) in place of UTC, Wonder refuses it\n",
        ),
        ("20240501123824", "note: the request time is 2221 s behind, Wonder refuses it beyond 1800 s\n"),
    ] {
        assert_eq!(desk.verify(vector, &[("--at", at)]).done(), format!("{right}{note}"), "{at}");
    }
}
