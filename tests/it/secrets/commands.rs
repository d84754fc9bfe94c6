//! Commands with bad input: an error does not repeat an input that may be a secret.

use std::{fs, path::Path};

use tempfile::TempDir;

use super::{CARD, EGRESS, FORGED, Markers, QUERY};
use crate::support::{
    program::{Program, environment},
    sidecar::{APP_ID, KEY_PEM, verifying_key},
};

const ORIGIN: &str = "http://127.0.0.1:1";

/// Runs a command that must fail; its output must not contain a marker.
#[track_caller]
fn fails(arguments: &[&str], environment: &[(&str, &str)], input: &[u8]) {
    let ended = Program::run(arguments, environment, input);
    let name = arguments[0].to_owned();
    assert!(matches!(ended.code(), Some(1 | 64)), "{name}: {ended:?}");
    let markers = Markers::new();
    markers.assert_absent(&format!("standard output of {name}"), &ended.out);
    markers.assert_absent(&format!("standard error of {name}"), &ended.err);
    assert!(ended.err.starts_with("wonder-signer: ") && ended.err.lines().count() == 1, "{name}: {ended:?}");
}

/// Every key of the configuration, as `config/default.toml` documents them.
fn keys() -> Vec<String> {
    let (mut table, mut keys) = (String::new(), Vec::new());
    for line in include_str!("../../../config/default.toml").lines() {
        let line = line.trim_start_matches("# ");
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            name.clone_into(&mut table);
        } else if let Some((key, _)) = line.split_once(" = ").filter(|(key, _)| !key.contains(' ')) {
            keys.push(format!("{table}.{key}"));
        }
    }
    assert!(keys.len() > 25 && keys.contains(&"credentials.default.private_key".to_owned()), "{keys:?}");
    keys
}

#[test]
fn a_secret_in_place_of_any_setting_is_not_repeated() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("sidecar.toml");
    let one_line = KEY_PEM.replace('\n', "\\n");
    let url = format!("http://user:{EGRESS}@127.0.0.1:1/?{QUERY}");
    for key in keys() {
        let variable = format!("WONDER_SIGNER_{}", key.replace('.', "__").to_uppercase());
        for secret in [KEY_PEM.as_str(), &one_line, &url] {
            // A URL may be read as a path, and an error names the path of an unreadable file. A URI may be the name of a caller.
            if (key.ends_with("_file") || key.ends_with(".callers")) && secret == url {
                continue;
            }
            let mut environment: Vec<_> =
                environment(ORIGIN).into_iter().filter(|(name, _)| *name != variable).collect();
            let (table, last) = key.rsplit_once('.').unwrap();
            fs::write(&file, format!("[{table}]\n{last} = {}\n", serde_json::to_string(secret).unwrap())).unwrap();
            // An inline key is valid there.
            if !key.ends_with(".private_key") || secret == url {
                environment.push((&variable, secret));
                fails(&["check"], &environment, b"");
                environment.pop();
            }
            fails(&["run", "--config", file.to_str().unwrap()], &environment, b"");
        }
    }
}

#[test]
fn a_secret_in_a_file_that_cannot_be_read_as_toml_is_not_repeated() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("sidecar.toml");
    for text in [
        KEY_PEM.clone(),
        format!("private_key = \"{}\"", &*KEY_PEM),
        format!("[credentials.default]\nprivate_key = '''{}'''", &*KEY_PEM),
        format!("[listen]\naddress = {FORGED}"),
        format!("[listen]\naddress = \"\\q{FORGED}\""),
    ] {
        fs::write(&file, text).unwrap();
        fails(&["check", "--config", file.to_str().unwrap()], &environment(ORIGIN), b"");
    }
}

#[test]
fn a_secret_in_place_of_any_option_is_not_repeated() {
    let url = format!("https://user:{EGRESS}@127.0.0.1:1/?{QUERY}");
    for option in ["--app-id", "--private-key-file", "--environment", "--origin", "--ca-file", "--listen", "--admin"] {
        for secret in [KEY_PEM.as_str(), &url] {
            let mut environment = environment(ORIGIN).to_vec();
            if option == "--private-key-file" {
                environment.pop();
            }
            if secret == url && matches!(option, "--private-key-file" | "--ca-file") {
                // A URL may be read as a path, and an error names the path.
                continue;
            }
            fails(&["run", &format!("{option}={secret}")], &environment, b"");
        }
    }
    fails(&["run", &format!("--carrd={CARD}")], &environment(ORIGIN), b"");
    fails(&["run", CARD], &environment(ORIGIN), b"");
}

/// A directory with a key pair, a damaged key, and a file that is no key.
fn files(directory: &Path) -> [String; 4] {
    let write = |name: &str, text: &str| {
        let path = directory.join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    [
        write("private.pem", &KEY_PEM),
        write("public.pem", &verifying_key().to_pem().unwrap()),
        write("damaged.pem", &KEY_PEM.replace("END", "EN")),
        write("note.txt", CARD),
    ]
}

#[test]
fn sign_and_verify_do_not_repeat_bad_input() {
    let directory = TempDir::new().unwrap();
    let [private, public, damaged, note] = &files(directory.path());
    let target = format!("/svc/a?{QUERY}");
    let sign = |change: &[&str]| {
        let usual =
            [("--app-id", APP_ID), ("--private-key-file", private), ("--method", "POST"), ("--target", &target)];
        let usual =
            usual.iter().filter(|(option, _)| !change.contains(option)).flat_map(|(option, value)| [*option, value]);
        let arguments: Vec<&str> = ["sign"].into_iter().chain(usual).chain(change.iter().copied()).collect();
        fails(&arguments, &[], b" ");
    };
    for change in [
        &["--app-id", FORGED][..],
        &["--private-key-file", damaged],
        &["--private-key-file", note],
        &["--private-key-file", public],
        &["--target", &format!("svc/a?{QUERY}")],
        &["--target", &format!("/svc/a?{QUERY}#")],
        &["--nonce", FORGED],
        &["--request-time", FORGED],
        &["--origin", &format!("https://user:{EGRESS}@127.0.0.1:1/?{QUERY}")],
        &["--body-file", "-"],
        &[CARD],
        &[&format!("--carrd={CARD}")],
    ] {
        sign(change);
    }
    let verify = |change: &[&str]| {
        let usual = [
            ("--public-key-file", public.as_str()),
            ("--method", "POST"),
            ("--target", &target),
            ("--credential", "1f0e5b52-6c0a-4a55-9a0e-2f6b8d0c7e11/20260214093005/Wonder-RSA-SHA256"),
            ("--nonce", "q7Zt1LmX0aRc9KpV"),
            ("--signature", "AAAA"),
            ("--body-file", "-"),
        ];
        let usual =
            usual.iter().filter(|(option, _)| !change.contains(option)).flat_map(|(option, value)| [*option, value]);
        let arguments: Vec<&str> = ["verify"].into_iter().chain(usual).chain(change.iter().copied()).collect();
        fails(&arguments, &[], CARD.as_bytes());
    };
    for change in [
        &[][..],
        &["--public-key-file", private],
        &["--public-key-file", damaged],
        &["--public-key-file", note],
        &["--credential", FORGED],
        &["--credential", &format!("{APP_ID}/{FORGED}/Wonder-RSA-SHA256")],
        &["--nonce", FORGED],
        &["--signature", FORGED],
        &["--target", &format!("svc/a?{QUERY}")],
        &[CARD],
    ] {
        verify(change);
    }
}

#[test]
fn the_other_commands_do_not_repeat_bad_input() {
    let directory = TempDir::new().unwrap();
    let [_, public, damaged, note] = &files(directory.path());
    for arguments in [
        &["keygen", "--out", directory.path().to_str().unwrap(), "--bits", FORGED][..],
        &["keygen", CARD],
        &["wait", "--admin", FORGED],
        &["wait", "--timeout", FORGED],
        &["wait", CARD],
        &["dev", "--listen", FORGED],
        &["dev", "--admin", FORGED],
        &["dev", "--simulator", FORGED],
        &["dev", &format!("--carrd={CARD}")],
        &["simulate", "--app-id", FORGED, "--public-key-file", public],
        &["simulate", "--app-id", APP_ID, "--public-key-file", damaged],
        &["simulate", "--app-id", APP_ID, "--public-key-file", note],
        &["simulate", "--app-id", APP_ID, "--public-key-file", public, "--listen", FORGED],
        &["check", CARD],
    ] {
        fails(arguments, &[], b"");
    }
}

#[test]
fn a_key_after_an_option_is_not_repeated() {
    let environment = environment(ORIGIN);
    for option in ["--private-key-file", "--app-id", "--ca-file", "--config"] {
        fails(&["run", option, &KEY_PEM], &environment[..5], b"");
        fails(&["check", option, &KEY_PEM], &environment[..5], b"");
    }
    fails(&["sign", "--private-key-file", &KEY_PEM], &[], b"");
    fails(&["verify", "--public-key-file", &KEY_PEM], &[], b"");
    fails(&["run", &KEY_PEM], &environment, b"");
}

#[test]
fn a_secret_rejected_by_clap_is_not_repeated() {
    for arguments in [
        &["sign", "--format", FORGED][..],
        &["sign", &format!("--explain={FORGED}")],
        &["wait", &format!("--once={FORGED}")],
        &["check", &format!("--echo={FORGED}")],
        &[FORGED],
    ] {
        fails(arguments, &[], b"");
    }
}

#[test]
fn a_key_in_place_of_a_path_is_not_repeated() {
    let directory = TempDir::new().unwrap();
    let [private, public, ..] = &files(directory.path());
    let given = |option: &str| format!("{option}={}", &*KEY_PEM);
    let (sign, simulate) =
        (["sign", "--app-id", APP_ID, "--method", "GET", "--target", "/svc/a"], ["simulate", "--app-id", APP_ID]);
    for (command, rest) in [
        (&sign[..], &[given("--private-key-file")][..]),
        (&sign, &["--private-key-file".to_owned(), private.clone(), given("--body-file")]),
        (&simulate, &[given("--public-key-file")]),
        (
            &simulate,
            &["--public-key-file".to_owned(), public.clone(), "--listen=127.0.0.1:0".to_owned(), given("--ready-file")],
        ),
        (&["keygen"], &[given("--out")]),
        (&["run"], &[given("--config")]),
        (&["check"], &[given("--config")]),
    ] {
        let rest = rest.iter().map(String::as_str);
        fails(&command.iter().copied().chain(rest).collect::<Vec<_>>(), &[], b"");
    }
}

#[test]
fn echo_to_an_unreachable_wonder_prints_nothing_of_the_key() {
    fails(&["check", "--echo"], &environment(ORIGIN), b"");
}
