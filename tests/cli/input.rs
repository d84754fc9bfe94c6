//! Errors about a bad input file, which are the same for every command that reads it.

use crate::{Desk, run};

#[test]
fn unusable_keys_are_bad_usage_with_the_reason() {
    let desk = Desk::new();
    let vector = desk.vector("create-customer");
    let sign = |key: &str| {
        let arguments = ["sign", "--app-id", &vector.app_id, "--private-key-file", key];
        run(&[&arguments[..], &["--method", "GET", "--target", "/svc/x"]].concat(), b"")
    };
    let encrypted = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/keys/rsa2048-encrypted-pkcs8.pem");
    let ec = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/keys/ec-sec1.pem");
    let huge = desk.write("huge", &vec![b' '; 65_537]);
    for (path, reason) in [
        (desk.path("none"), "cannot be read: No such file or directory (os error 2); create it, or correct its path"),
        (desk.path(""), "is a directory, a file is needed; name the file in it"),
        (desk.path("rsa2048-pkcs8.pub"), "is a public key, a private key is needed; name the file of the private key"),
        (
            desk.path("rsa2047-pkcs1.pem"),
            "has a modulus of 2047 bits, 2048 to 4096 are accepted; make a new key pair (wonder-signer keygen --out keys) and a new \
             AppID for it in Wonder's portal",
        ),
        (
            encrypted.to_owned(),
            "is encrypted with a passphrase; give that in a file (private_key_passphrase_file, --passphrase-file), or decrypt the key (openssl pkey -in key.pem -out plain.pem)",
        ),
        (
            ec.to_owned(),
            "is a key of another algorithm, an RSA key is needed (wonder-signer keygen --out keys makes one)",
        ),
        (desk.write("empty", b""), "is empty; copy the key into it"),
        (huge, "is larger than 64 KiB; name the right file"),
    ] {
        sign(&path).failed(64, &format!("--private-key-file {path}: {reason}"));
    }
    let private = desk.path("rsa2048-pkcs8.pem");
    desk.verify(vector, &[("--public-key-file", &private)]).failed(
        64,
        &format!(
            "--public-key-file {private}: is a private key, a public key is needed; name the file of the public key"
        ),
    );
    let none = desk.path("none");
    desk.verify(vector, &[("--body-file", &none)])
        .failed(64, &format!("--body-file {none}: No such file or directory (os error 2)"));
}
