//! Rules for the output of every command.

use std::process::{Command, Stdio};

use crate::{Desk, run};

#[test]
fn secrets_in_arguments_are_not_repeated_in_errors() {
    let desk = Desk::new();
    let vector = desk.vector("create-customer");
    let body = desk.write("secret", b"{\"number\":\"4111111111111111\"}");
    let ended = desk.verify(vector, &[("--target", "/svc/x?name=Marker"), ("--body-file", &body)]);
    assert_eq!(ended.code, Some(1));
    let key = desk.write("damaged", vector_key_without_end(&desk).as_bytes());
    let arguments = ["sign", "--app-id", &vector.app_id, "--private-key-file", &key, "--method", "GET"];
    let damaged = run(&[&arguments[..], &["--target", "/svc/x?name=Marker"]].concat(), b"");
    assert_eq!(damaged.code, Some(64));
    let usage = run(&["sign", "--target", "svc/x?name=Marker"], b"");
    for marker in ["Marker", "41111111", &vector.signature[..20], &vector.nonce, "MIIEv"] {
        for ended in [&ended, &damaged, &usage] {
            assert!(!ended.err.contains(marker) && !ended.out.contains(marker), "{ended:?}");
        }
    }
}

fn vector_key_without_end(desk: &Desk) -> String {
    desk.answers.keys["rsa2048-pkcs8"].private_key_pem.replace("-----END", "-----DNE")
}

#[test]
fn a_closed_standard_output_does_not_change_the_exit_code() {
    let desk = Desk::new();
    let vector = desk.vector("create-customer");
    let key = desk.path("rsa2048-pkcs8.pem");
    let arguments = ["sign", "--app-id", &vector.app_id, "--private-key-file", &key, "--method", "GET"];
    for words in [&[&arguments[..], &["--target", "/svc/x"]].concat()[..], &["sign", "--help"], &["--version"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = Command::new(env!("CARGO_BIN_EXE_wonder-signer"))
            .args(words)
            .stdout(writer)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
            .wait_with_output()
            .unwrap();
        assert_eq!((output.status.code(), &output.stderr[..]), (Some(0), &b""[..]));
    }
}
