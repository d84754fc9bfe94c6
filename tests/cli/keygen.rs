//! The key pair that `keygen` makes.

use std::{collections::BTreeMap, fs, path::PathBuf};

use crate::{Desk, run};

#[test]
fn keygen_makes_a_pair_that_signs_and_verifies_and_is_never_overwritten() {
    let desk = Desk::new();
    let (directory, vector) = (desk.path("new/keys"), desk.vector("create-customer"));
    let out = run(&["keygen", "--out", &directory], b"").done();
    let (private, public) = (format!("{directory}/private_key.pem"), format!("{directory}/public_key.pem"));
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[0], format!("{private} (mode 0600, keep it secret)"));
    assert_eq!(lines[1], public);
    assert!(lines[2].starts_with("RSA 2048 bits, fingerprint "), "{out}");
    assert!(lines[3].starts_with("next: ") && lines.len() == 4, "{out}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(&private).unwrap().permissions().mode() & 0o777, 0o600);
        for made in [desk.path("new"), directory.clone()] {
            assert_eq!(fs::metadata(made).unwrap().permissions().mode() & 0o777, 0o700);
        }
    }

    let arguments = ["sign", "--app-id", &vector.app_id, "--private-key-file", &private, "--nonce", &vector.nonce];
    let request = ["--request-time", &vector.request_time, "--method", &vector.method, "--target", &vector.uri];
    let signed = run(&[&arguments[..], &request, &["--body-file", "-"]].concat(), &vector.body()).done();
    let signed: BTreeMap<String, String> = serde_json::from_str(&signed).unwrap();
    let out = desk.verify(vector, &[("--public-key-file", &public), ("--signature", &signed["signature"])]).done();
    assert_eq!(out, format!("signature is valid ({})\n", lines[2]));

    let before = fs::read(&private).unwrap();
    run(&["keygen", "--out", &directory], b"")
        .failed(1, &format!("keygen: {private}: already exists; choose another --out"));
    assert_eq!(fs::read(&private).unwrap(), before);
    fs::remove_file(&private).unwrap();
    run(&["keygen", "--out", &directory], b"")
        .failed(1, &format!("keygen: {public}: already exists; choose another --out"));
    assert!(!PathBuf::from(&private).exists(), "no unfinished file is left");
    let error = run(&["keygen", "--out", &public], b"");
    assert_eq!(error.code, Some(1));
    assert!(error.err.starts_with(&format!("wonder-signer: keygen: --out {public}: ")), "{}", error.err);
}

#[test]
fn keygen_makes_a_key_of_the_given_size() {
    let desk = Desk::new();
    let directory = desk.path("big");
    let out = run(&["keygen", "--out", &directory, "--bits", "3072"], b"").done();
    assert!(out.contains("\nRSA 3072 bits, fingerprint "), "{out}");
    for bits in ["1024", "2047", "8192", "", "many"] {
        run(&["keygen", "--out", &directory, "--bits", bits], b"")
            .failed(64, "usage: --bits <BITS>: must be 2048, 3072 or 4096; try --help");
    }
}

#[test]
fn a_passphrase_encrypts_the_private_key_and_is_not_printed() {
    let desk = Desk::new();
    let (directory, vector) = (desk.path("encrypted"), desk.vector("create-customer"));
    let [passphrase, other, empty] =
        [("p", "MARKER pass phrase\r\nnot this\n"), ("other", "MARKER other"), ("empty", "\nx")].map(|(name, text)| {
            let path = desk.path(name);
            fs::write(&path, text).unwrap();
            path
        });
    let out = run(&["keygen", "--out", &directory, "--passphrase-file", &passphrase], b"").done();
    let private = format!("{directory}/private_key.pem");
    assert!(out.starts_with(&format!("{private} (mode 0600, encrypted, keep it secret)\n")), "{out}");
    assert!(fs::read_to_string(&private).unwrap().starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"));
    let sign =
        ["sign", "--app-id", &vector.app_id, "--private-key-file", &private, "--method", "GET", "--target", "/svc/a"];
    let signed = run(&[&sign[..], &["--passphrase-file", &passphrase]].concat(), b"");
    let check = |passphrase: &str, more: &[&str]| {
        let config = desk.path("sidecar.toml");
        let toml = format!(
            "[credentials.default]\napp_id = \"{}\"\nprivate_key_file = \"{private}\"\nprivate_key_passphrase_file = \"{passphrase}\"\n",
            vector.app_id
        );
        fs::write(&config, toml).unwrap();
        run(&[&["check", "--config", &config], more].concat(), b"")
    };
    let print = ["--print-config"];
    let said = [
        signed.out.clone(),
        signed.err.clone(),
        check(&passphrase, &print).out,
        check(&other, &print).err,
        check(&empty, &print).err,
    ];
    signed.done();
    assert!(said[2].contains("ok: credential default: "), "{}", said[2]);
    assert!(said.iter().all(|text| !text.contains("MARKER")), "{said:?}");
    check(&other, &[]).failed(
        64,
        &format!(
            "check: credentials.default.private_key_file {private}: is not encrypted with the passphrase that is given; the first line of \
             its file, without the line end, is the passphrase"
        ),
    );
    check(&empty, &[]).failed(
        64,
        &format!("check: credentials.default.private_key_passphrase_file {empty}: holds no passphrase: its first line is empty"),
    );
}
