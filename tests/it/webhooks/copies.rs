//! Copies of a delivery that differ in the text of its headers alone. Each is rejected by name, or is a repeat of the same delivery: no
//! spelling makes one delivery two.

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE},
};
use rsa::{BigUint, RsaPublicKey, pkcs8::DecodePublicKey as _, traits::PublicKeyParts as _};

use super::outcome;
use crate::support::{
    sidecar::{APP_ID, Sidecar, until},
    upstream::Recorder,
    webhooks::{Delivery, PAID, WONDER, key_file, now, receiver_of},
    wire::exchange,
};

/// What becomes of a copy.
enum Copy {
    /// 401, for this reason.
    Rejected(&'static str),
    /// 200, and not forwarded after the delivery itself.
    Same,
}
use Copy::{Rejected, Same};

/// The modulus of Wonder's key.
fn modulus() -> BigUint {
    let pem = WONDER.verifying_key().to_pem().unwrap();
    RsaPublicKey::from_public_key_pem(&pem).unwrap().n().clone()
}

/// A delivery whose signature, plus the modulus, is as long as the modulus.
fn delivery() -> Delivery {
    let fits = |delivery: &Delivery| (number(delivery) + modulus()).bits() <= 2048;
    (0..1000).map(|_| Delivery::paid()).find(fits).expect("a signature that is small enough")
}

fn signature(delivery: &Delivery) -> Vec<u8> {
    BASE64_STANDARD.decode(delivery.value("signature")).unwrap()
}

fn number(delivery: &Delivery) -> BigUint {
    BigUint::from_bytes_be(&signature(delivery))
}

/// The text with the last significant character changed in the bits that no byte has.
fn with_other_spare_bits(text: &str) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bare = text.trim_end_matches('=');
    let (start, last) = bare.split_at(bare.len() - 1);
    let place = ALPHABET.iter().position(|byte| *byte == last.as_bytes()[0]).unwrap();
    format!("{start}{}{}", char::from(ALPHABET[place ^ 1]), &text[bare.len()..])
}

fn swapped(text: &str) -> String {
    let swap =
        |letter: char| if letter.is_lowercase() { letter.to_ascii_uppercase() } else { letter.to_ascii_lowercase() };
    text.chars().map(swap).collect()
}

/// Each header, its other text, and what becomes of the copy.
fn copies(good: &Delivery) -> Vec<(&'static str, String, Copy)> {
    let (bytes, text) = (signature(good), good.value("signature").to_owned());
    let encode = |bytes: &[u8]| BASE64_STANDARD.encode(bytes);
    let (s, n) = (number(good), modulus());
    let shifted = encode(&(&s + &n).to_bytes_be());
    assert_eq!(shifted.len(), text.len());
    let twice = (&s + &n * 2_u32).to_bytes_be();
    let (nonce, credential) = (good.value("nonce").to_owned(), good.value("credential").to_owned());
    let (url, unpadded) = (BASE64_URL_SAFE.encode(&bytes), BASE64_STANDARD_NO_PAD.encode(&bytes));
    assert_ne!(url, text);
    let hex = bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    let mismatch = || Rejected("signature_mismatch");
    let mut all: Vec<(&'static str, String, Copy)> = vec![
        // Other numbers of the same residue, other lengths of the same number.
        ("Signature", shifted, mismatch()),
        ("Signature", encode(&[&[0; 1][..], &(&s + &n).to_bytes_be()].concat()), mismatch()),
        ("Signature", encode(&twice), mismatch()),
        ("Signature", encode(&[&[0; 1][..], &bytes].concat()), mismatch()),
        ("Signature", encode(&[&[0; 256][..], &bytes].concat()), mismatch()),
        ("Signature", encode(&[&bytes[..], &[0; 1]].concat()), mismatch()),
        ("Signature", encode(&bytes[1..]), mismatch()),
        ("Signature", encode(&bytes[..255]), mismatch()),
        ("Signature", encode(&(&n - &s).to_bytes_be()), mismatch()),
        ("Signature", encode(&[0; 256]), mismatch()),
        ("Signature", encode(&n.to_bytes_be()), mismatch()),
        ("Signature", encode(b"x"), mismatch()),
        ("Signature", "=".to_owned(), Rejected("signature_encoding")),
        // Other texts of the same bytes.
        ("Signature", url, Rejected("signature_encoding")),
        ("Signature", unpadded.clone(), Rejected("signature_encoding")),
        ("Signature", format!("{unpadded}="), Rejected("signature_encoding")),
        ("Signature", format!("{text}="), Rejected("signature_encoding")),
        ("Signature", with_other_spare_bits(&text), Rejected("signature_encoding")),
        ("Signature", format!("{} {}", &text[..76], &text[76..]), Rejected("signature_encoding")),
        ("Signature", format!("{}\t{}", &text[..76], &text[76..]), Rejected("signature_not_ascii")),
        ("Signature", format!("{text}AAAA"), Rejected("signature_encoding")),
        ("Signature", format!("{text} x"), Rejected("signature_encoding")),
        ("Signature", format!("\"{text}\""), Rejected("signature_encoding")),
        ("Signature", format!("{text}, {text}"), Rejected("signature_encoding")),
        ("Signature", format!("%20{text}"), Rejected("signature_encoding")),
        ("Signature", hex, mismatch()),
        ("Signature", encode(text.as_bytes()), mismatch()),
        ("Nonce", swapped(&nonce), mismatch()),
        ("Nonce", format!("{nonce}0"), Rejected("nonce_malformed")),
        ("Nonce", format!("\"{nonce}\""), Rejected("nonce_malformed")),
        ("Nonce", format!("{nonce}, {nonce}"), Rejected("nonce_malformed")),
        ("Credential", credential.replacen(APP_ID, &APP_ID.to_uppercase(), 1), Rejected("app_id_unknown")),
        ("Credential", credential.replacen(APP_ID, &APP_ID.replace('-', ""), 1), Rejected("app_id_malformed")),
        ("Credential", credential.replacen(APP_ID, &format!("{{{APP_ID}}}"), 1), Rejected("app_id_malformed")),
        ("Credential", credential.replace("Wonder", "wonder"), Rejected("algorithm")),
        ("Credential", credential.replace('/', " / "), Rejected("algorithm")),
        ("Credential", format!("{credential}/"), Rejected("credential_parts")),
        ("Credential", format!("/{credential}"), Rejected("credential_parts")),
        ("Credential", credential.replacen('/', "/+", 1), Rejected("time_malformed")),
        ("Credential", format!("{credential}, {credential}"), Rejected("credential_oversized")),
    ];
    // White space around a value belongs to the header line (RFC 9110 §5.5).
    for header in ["Signature", "Nonce", "Credential"] {
        let value = good.value(header);
        for (before, after) in [("  ", ""), ("", " "), ("\t", "\t ")] {
            all.push((header, format!("{before}{value}{after}"), Same));
        }
    }
    all
}

async fn reason(sidecar: &Sidecar, name: &str) -> f64 {
    sidecar.metric(&format!("wonder_signer_webhook_errors_total{{reason=\"{name}\"}}")).await
}

#[tokio::test]
async fn no_other_spelling_of_a_signature_nonce_or_credential_is_a_new_delivery() {
    let application = Recorder::start().await;
    let (sidecar, address) = receiver_of(&application, "").await;
    let good = delivery();
    // Once before the delivery, when nothing is remembered, and once after it.
    for is_known in [false, true] {
        for (header, text, copy) in copies(&good) {
            match copy {
                Rejected(name) => {
                    let before = reason(&sidecar, name).await;
                    assert_eq!(good.clone().with(header, &text).send(address).await.status(), 401, "{header}: {text}");
                    let after = reason(&sidecar, name).await;
                    assert!((after - before - 1.0).abs() < f64::EPSILON, "{header}: {text}: {name}");
                }
                Same if is_known => {
                    assert_eq!(
                        good.clone().with(header, &text).send(address).await.status(),
                        200,
                        "{header}: {text:?}"
                    );
                }
                Same => {}
            }
        }
        assert_eq!(application.waiting(), usize::from(is_known));
        assert_eq!(good.send(address).await.status(), 200);
    }
    assert_eq!(application.next().await.body, PAID.as_bytes());
    // Names of headers have no case, and their order and the headers without a signature mean nothing.
    let mut reversed = good.clone().and("X-Other", "1").with("X-Action", "order.refunded");
    reversed.headers.reverse();
    for (name, _) in &mut reversed.headers {
        *name = swapped(name);
    }
    assert_eq!(reversed.send(address).await.status(), 200);
    let chunked = Delivery { body: Vec::new(), ..good.clone() }.and("Transfer-Encoding", "chunked").bytes();
    let body = format!("{:x}\r\n{PAID}\r\n0\r\n\r\n", PAID.len());
    assert_eq!(exchange(address, &[chunked, body.into_bytes()].concat()).await.status(), 200);
    assert_eq!(application.waiting(), 0);
    until(sidecar.admin, &outcome("order.paid", "acknowledged"), 1.0).await;
}

#[tokio::test]
async fn a_copy_with_the_app_id_of_another_credential_is_the_same_delivery() {
    // The AppID is not signed, so where two credentials have one webhook key, a copy verifies for both.
    const REFUNDS: &str = "3f0e5b52-6c0a-4a55-9a0e-2f6b8d0c7e13";
    let (shop, refunds) = (Recorder::start().await, Recorder::start().await);
    let (request_key, webhook_key) = (key_file_of(crate::support::sidecar::KEY_PEM.as_str()), key_file());
    let toml = format!(
        "[credentials.refunds]\napp_id = \"{REFUNDS}\"\nprivate_key_file = {:?}\nwebhook_public_key_file = {:?}\n\
         webhook_forward_to = \"{}\"",
        request_key.path(),
        webhook_key.path(),
        refunds.origin()
    );
    let (_sidecar, address) = receiver_of(&shop, &toml).await;
    let good = Delivery::paid();
    let copy = good.clone().with("Credential", &good.value("credential").replacen(APP_ID, REFUNDS, 1));
    assert_eq!(good.send(address).await.status(), 200);
    assert_eq!(copy.send(address).await.status(), 200);
    shop.next().await;
    assert_eq!(shop.waiting() + refunds.waiting(), 0);
    // Its own deliveries arrive.
    assert_eq!(Delivery::signed(&WONDER, REFUNDS, now(), "/", PAID).send(address).await.status(), 200);
    assert_eq!(refunds.next().await.value("x-wonder-signer-verified"), Some("refunds"));
}

fn key_file_of(pem: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), pem).unwrap();
    file
}
