//! Broken key files with a marker in every line, given to every option and key that reads a file.

use std::fs;

use tempfile::TempDir;

use crate::support::{
    program::{Program, environment},
    sidecar::{APP_ID, KEY_PEM},
};

/// Only base64 characters, so that it can be part of any line of a key.
const MARKER: &str = "mArKeR7a40kEyFiLe";

/// Key files broken in many ways.
fn broken() -> Vec<Vec<u8>> {
    let whole = KEY_PEM.trim_end().replace('\n', &format!("{MARKER}\n{MARKER}"));
    let body: String = whole.lines().filter(|line| !line.contains("-----")).collect::<Vec<_>>().join("\n");
    let marked = |begin: &str, end: &str| format!("{begin}\n{body}\n{end}\n");
    let (begin, end) = ("-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----");
    let mut texts = vec![
        marked(begin, end),
        marked("-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----"),
        marked(begin, ""),
        marked(begin, &format!("-----END {MARKER} KEY-----")),
        marked(begin, &format!("-----END PRIVATE KEY{MARKER}-----")),
        marked(&format!("-----BEGIN {MARKER} PRIVATE KEY-----"), &format!("-----END {MARKER} PRIVATE KEY-----")),
        marked(&format!("-----BEGIN PRIVATE KEY{MARKER}"), end),
        marked(&format!("-----BEGIN {MARKER}-----"), &format!("-----END {MARKER}-----")),
        marked(&format!("-----BEGIN EC {MARKER}-----"), &format!("-----END EC {MARKER}-----")),
        marked(&format!("----BEGIN PRIVATE KEY----{MARKER}"), "----END PRIVATE KEY----"),
        marked(&format!("{begin}\nProc-Type: 4,{MARKER}\nDEK-Info: {MARKER}\n"), end),
        marked("-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"),
        marked("-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----"),
        marked("", ""),
        format!("{begin}{body}"),
        format!("{begin}\n{MARKER}\n{end}\n{begin}\n{MARKER}\n{end}\n"),
        format!("{MARKER}-----BEGIN PRIVATE KEY-----{MARKER}-----END{MARKER}"),
        format!("ssh-rsa {MARKER} {MARKER}\n"),
        MARKER.to_owned(),
        format!("{MARKER}==\n{MARKER}==\n"),
    ];
    for change in [("\n", "\\n"), ("\n", " "), ("\n", "\r"), ("\n", "")] {
        texts.extend(texts.clone().iter().take(8).map(|text| text.replace(change.0, change.1)));
    }
    texts.extend(texts.clone().iter().take(4).map(|text| format!("\"{}\"", text.trim_end())));
    let utf16 = texts[..4].iter().map(|text| {
        let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        [&[0xff, 0xfe], &units[..]].concat()
    });
    let utf16: Vec<Vec<u8>> = utf16.collect();
    texts.into_iter().map(String::into_bytes).chain(utf16).collect()
}

#[test]
fn no_line_of_a_broken_key_file_is_repeated() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("key.pem");
    let file = path.to_str().unwrap();
    let request = ["--method", "GET", "--target", "/svc/a"];
    let usual = environment("https://127.0.0.1:1");
    let without_key = &usual[..5];
    let variable = |name: &'static str| [&usual[..], &[(name, file)]].concat();
    let app_id_file = [&without_key[1..], &[("WONDER_SIGNER_CREDENTIALS__DEFAULT__APP_ID_FILE", file)]].concat();
    let listener =
        ["CERTIFICATE_FILE", "KEY_FILE", "CLIENT_CA_FILE"].map(|name| format!("WONDER_SIGNER_LISTEN__TLS__{name}"));
    let listener = [&usual[..], &listener.each_ref().map(|name| (name.as_str(), file))].concat();
    let client_key = [
        &usual[..],
        &[("WONDER_SIGNER_UPSTREAM__CLIENT_KEY_FILE", file), ("WONDER_SIGNER_UPSTREAM__CLIENT_CERTIFICATE_FILE", file)],
    ]
    .concat();
    let sign = [&["sign", "--app-id", APP_ID, "--private-key-file", file][..], &request].concat();
    let verify =
        [&["verify", "--public-key-file", file, "--credential", "x", "--nonce", "x", "--signature", "x"][..], &request]
            .concat();
    for content in broken() {
        fs::write(&path, &content).unwrap();
        for (arguments, environment) in [
            (&["run", "--private-key-file", file][..], without_key),
            (&["check", "--private-key-file", file], without_key),
            (&["check", "--config", file], &usual),
            (&["check", "--ca-file", file], &usual),
            (&["check"], &app_id_file),
            (&["check"], &client_key),
            (&["check"], &listener),
            (&["check"], &variable("WONDER_SIGNER_CREDENTIALS__DEFAULT__PRIVATE_KEY_FILE")),
            (&sign, &[]),
            (&verify, &[]),
            (&["simulate", "--app-id", APP_ID, "--public-key-file", file], &[]),
        ] {
            let ended = Program::run(arguments, environment, b"");
            let shown = String::from_utf8_lossy(&content);
            assert_eq!(ended.code(), Some(64), "{arguments:?} {shown}: {ended:?}");
            let said = format!("{}{}", ended.out, ended.err);
            // As text, and as the numbers that `Debug` prints for bytes.
            let part = &MARKER.as_bytes()[..4];
            let numbers = format!("{part:?}");
            for part in [&MARKER[..4], &MARKER[6..10], "MIIE", numbers.trim_matches(['[', ']'])] {
                assert!(!said.contains(part), "{arguments:?} repeats {part} of {shown}: {said}");
            }
        }
    }
}
