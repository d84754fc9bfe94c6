//! The sidecar as a process: start, failed start, and end.

mod ends;
mod ready_file;

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    process::{Command, Stdio},
};

use tempfile::TempDir;

use crate::support::{
    program::{Alive, Ended, Program, environment},
    sidecar::{APP_ID, KEY_PEM},
};

/// No server listens there, and no test that uses it sends a request.
const ORIGIN: &str = "http://127.0.0.1:1";

/// Starts `run` with its required environment and more.
fn run(arguments: &[&str], more: &[(&str, &str)]) -> Program {
    Program::start(&[&["run"], arguments].concat(), &[&environment(ORIGIN)[..], more].concat(), b"")
}

/// Checks a key file in place of the inline key. `run` starts without the key and logs the same error.
fn check_key(path: &str) -> Ended {
    let environment = environment(ORIGIN);
    Program::run(&["check", "--private-key-file", path], &environment[..6], b"")
}

#[test]
fn the_start_waits_for_a_missing_key_file_and_then_is_ready() {
    let directory = TempDir::new().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (key, ready_file) = (path("key.pem"), path("ready.json"));
    let environment = environment(ORIGIN);
    let arguments = ["run", "--private-key-file", &key, "--ready-file", &ready_file];
    let mut program = Program::start(&arguments, &environment[..6], b"");
    let line = program.line_with("credential cannot be used");
    assert!(line.contains(&format!("credentials.default.private_key_file {key}: cannot be read")), "{line}");
    program.line_with("listening; not ready before every credential can sign");
    assert!(!fs::exists(&ready_file).unwrap());
    fs::write(&key, KEY_PEM.as_bytes()).unwrap();
    program.line_with("\"ready\"");
    let until = std::time::Instant::now() + std::time::Duration::from_mins(1);
    while !fs::exists(&ready_file).unwrap() {
        assert!(std::time::Instant::now() < until, "no ready file");
        std::thread::yield_now();
    }
    program.signal("TERM");
    let ended = program.end();
    // Two tasks write the two lines, in either order.
    assert!(ended.code() == Some(0) && ended.err.contains("\"credential reloaded\""), "{ended:?}");
}

#[test]
fn an_inline_key_that_cannot_be_used_ends_the_start() {
    let mut environment = environment(ORIGIN);
    environment[6].1 = "-----BEGIN PRIVATE KEY-----\nMIIE";
    let ended = Program::run(&["run"], &environment, b"");
    let start = "start: credentials.default.private_key (from the environment): is cut short";
    assert!(ended.refused(64).starts_with(start), "{ended:?}");
}

#[test]
fn check_rejects_an_unusable_key_file() {
    let directory = TempDir::new().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let missing = path("missing.pem");
    let line = format!(
        "check: credentials.default.private_key_file {missing}: cannot be read: No such file or directory (os error 2); create it, or correct its path"
    );
    assert_eq!(check_key(&missing).refused(64), line);

    let key = path("key.pem");
    for (text, reason) in [("", "is empty"), ("-----BEGIN PRIVATE KEY-----\nMIIE", "")] {
        fs::write(&key, text).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        let ended = check_key(&key);
        let start = format!("check: credentials.default.private_key_file {key}: {reason}");
        assert!(ended.refused(64).starts_with(&start), "{ended:?}");
    }
    assert_eq!(
        check_key(directory.path().to_str().unwrap()).refused(64),
        format!(
            "check: credentials.default.private_key_file {}: is a directory, a file is needed; name the file in it",
            directory.path().display()
        )
    );
}

#[test]
fn an_empty_flag_or_variable_is_not_set() {
    // As from a template whose value is missing: the layer below applies.
    let empty = ["--app-id", "", "--private-key-file", " ", "--environment", "", "--ca-file", "", "--admin", "\n"];
    let ended = Program::run(
        &[&["check"], &empty[..]].concat(),
        &[&environment(ORIGIN)[..], &[("WONDER_SIGNER_LOG__LEVEL", ""), ("WONDER_SIGNER_UPSTREAM__PROXY", " ")]]
            .concat(),
        b"",
    );
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert!(ended.out.starts_with("ok: credential default: "), "{ended:?}");
}

#[test]
fn check_rejects_a_key_file_without_read_permission() {
    let directory = TempDir::new().unwrap();
    let key = directory.path().join("key.pem");
    fs::write(&key, KEY_PEM.as_bytes()).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read(&key).is_ok() {
        eprintln!("skipped: this user may read every file");
        return;
    }
    let line = check_key(key.to_str().unwrap());
    let line = line.refused(64);
    assert!(
        line.ends_with(
            "key.pem: cannot be read: Permission denied (os error 13); let the user of this program read it"
        ),
        "{line}"
    );
}

#[test]
fn an_invalid_configuration_stops_the_start() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("sidecar.toml");
    fs::write(&file, "[limits]\nboddy = \"2MiB\"\n").unwrap();
    let file = file.to_str().unwrap();
    let unknown_key = format!("configuration: unknown key limits.boddy (from {file}); did you mean limits.body?");
    for (arguments, more, line) in [
        (
            &[][..],
            &[("WONDER_SIGNER_CREDENTIALS__DEFAULT__APP_ID", "1f0e5b52")][..],
            "configuration: credentials.default.app_id (from environment variable \
             WONDER_SIGNER_CREDENTIALS__DEFAULT__APP_ID): the AppID is not a UUID (8-4-4-4-12 hex digits)",
        ),
        (&["--config", file], &[], unknown_key.as_str()),
        (
            &[],
            &[("WONDER_SIGNER_LIMITS__BODDY", "2MiB")],
            "configuration: unknown environment variable WONDER_SIGNER_LIMITS__BODDY; did you mean \
             WONDER_SIGNER_LIMITS__BODY?",
        ),
        (
            &["--private-key-file", "/key.pem"],
            &[],
            "configuration: credentials.default.private_key (from environment variable \
             WONDER_SIGNER_CREDENTIALS__DEFAULT__PRIVATE_KEY): cannot be set together with credentials.default.private_key_file (from \
             flag --private-key-file); set only one of them",
        ),
    ] {
        assert_eq!(run(arguments, more).end().refused(64), line);
    }
    let nothing: &[(&str, &str)] = &[];
    assert_eq!(
        Program::run(&["run"], nothing, b"").refused(64),
        "configuration: no credentials; set credentials.default.app_id and credentials.default.private_key_file"
    );
}

#[test]
fn a_taken_port_stops_the_start() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for key in ["listen", "admin"] {
        let name = format!("WONDER_SIGNER_{}__ADDRESS", key.to_uppercase());
        assert_eq!(
            run(&[], &[(&name, &address)]).end().refused(1),
            format!("start: {key}.address {address}: the port is taken; stop the other program or choose another port")
        );
    }
}

#[test]
fn a_non_loopback_address_needs_dangerous_allow_non_loopback() {
    let everywhere = ("WONDER_SIGNER_LISTEN__ADDRESS", "0.0.0.0:0");
    let ended = run(&[], &[everywhere]).end();
    let line = ended.refused(64);
    assert!(line.starts_with("configuration: listen.address = \"0.0.0.0:0\" (from environment variable"), "{line}");
    assert!(line.contains("listen.dangerous_allow_non_loopback"), "{line}");
    // `check` loads the configuration as `run` does and does not listen, so the test is never reachable from other machines.
    let allowed = ("WONDER_SIGNER_LISTEN__DANGEROUS_ALLOW_NON_LOOPBACK", "true");
    let ended = Program::run(&["check"], &[&environment(ORIGIN)[..], &[everywhere, allowed]].concat(), b"");
    assert_eq!(ended.code(), Some(0), "{}", ended.err);
}

#[test]
fn an_unusable_ca_file_stops_the_start() {
    let directory = TempDir::new().unwrap();
    let ca = directory.path().join("ca.pem");
    let origin = ("WONDER_SIGNER_UPSTREAM__ORIGIN", "https://127.0.0.1:1");
    let refused = || run(&["--ca-file", ca.to_str().unwrap()], &[origin]).end();
    let line = refused();
    let line = line.refused(64);
    assert!(line.starts_with("start: upstream.ca_file") && line.contains("No such file"), "{line}");
    fs::write(&ca, "no certificate\n").unwrap();
    let line = refused();
    assert!(line.refused(64).starts_with("start: upstream.ca_file"), "{line:?}");
}

#[test]
fn print_config_masks_the_inline_key_and_shows_the_app_id() {
    let ended = Program::run(&["check", "--print-config"], &environment(ORIGIN), b"");
    assert_eq!((ended.code(), ended.err.as_str()), (Some(0), ""), "{ended:?}");
    assert!(ended.out.contains(APP_ID) && !ended.out.contains("MII"), "{}", ended.out);
}

#[tokio::test]
async fn the_descriptor_limit_is_raised_to_the_maximum() {
    let mut child = Command::new("sh")
        .args(["-c", "ulimit -Sn 64; exec \"$0\" run", env!("CARGO_BIN_EXE_wonder-signer")])
        .env_clear()
        .envs(environment(ORIGIN))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("\"message\":\"ready\"")));
    let limits = fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
    let limit = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let [lower, upper, _] = limit.split_whitespace().collect::<Vec<_>>()[..] else { panic!("{limit}") };
    assert!(lower == upper && lower != "64", "{limit}");
    assert_eq!(Alive(child).terminate().await, Some(0));
}
