//! `dev` and `simulate` as processes: their configuration, their files, and the command that each prints.

mod webhooks;

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    process::{Command, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{
    program::{Alive, Program},
    sidecar::{APP_ID, verifying_key},
    volume::UNITS,
    wire::{exchange, request},
};

const CUSTOMERS: &str = "/svc/payment/api/v1/openapi/customers";
const CUSTOMER: &[u8] = br#"{"customer":{"name":"n","phone":"5","reference_number":"r"}}"#;
const FREE: [(&str, &str); 2] =
    [("WONDER_SIGNER_LISTEN__ADDRESS", "127.0.0.1:0"), ("WONDER_SIGNER_ADMIN__ADDRESS", "127.0.0.1:0")];

/// The content of a ready file.
fn ready(path: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn address(ready: &Value, name: &str) -> SocketAddr {
    ready[name].as_str().unwrap().parse().unwrap()
}

async fn status(address: SocketAddr, host: &str, body: &[u8]) -> u16 {
    let text = request("POST", CUSTOMERS, &[("Content-Type", "application/json")], body);
    let text = String::from_utf8(text).unwrap().replace("Host: localhost", &format!("Host: {host}"));
    exchange(address, text.as_bytes()).await.status()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dev_is_configured_as_run_is_and_writes_its_files() {
    let directory = TempDir::new().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (config, ready_file, ca) = (path("dev.toml"), path("ready.json"), path("ca.pem"));
    fs::write(&config, "[limits]\nbody = \"64B\"\nheaders = 21\n").unwrap();
    let environment = [&FREE[..], &[("WONDER_SIGNER_LIMITS__HEADERS", "22")]].concat();
    let mut dev = Program::start(
        &[
            "dev",
            "--config",
            &config,
            "--ready-file",
            &ready_file,
            "--ca-out",
            &ca,
            "--allowed-host",
            "Signer.Internal",
        ],
        &environment,
        b"",
    );
    dev.line_with("\"message\":\"ready\"");
    let ready = ready(&ready_file);
    let [listen, admin, simulator] = ["listen", "admin", "simulator"].map(|name| address(&ready, name));
    assert_eq!(ready.as_object().unwrap().len(), 3);
    assert!(listen != admin && admin != simulator);

    assert_eq!(status(listen, "signer.internal:8080", CUSTOMER).await, 200);
    assert_eq!(status(listen, "other.internal", CUSTOMER).await, 421);
    assert_eq!(status(listen, "localhost", &[b' '; 65]).await, 413, "the file's limit holds");
    let shown: Value =
        serde_json::from_slice(&exchange(admin, &request("GET", "/config", &[], b"")).await.body).unwrap();
    assert_eq!(shown["limits"]["headers"], 22, "the environment is above the file");
    assert_eq!(shown["credentials"]["default"]["private_key"], "(secret)");
    assert!(fs::read_to_string(&ca).unwrap().starts_with("-----BEGIN CERTIFICATE-----"));

    dev.signal("TERM");
    let ended = dev.end();
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert!(ended.out.contains("only this machine can reach the listeners below"), "{}", ended.out);
}

#[test]
fn dev_rejects_settings_of_its_own_key_and_simulator() {
    let directory = TempDir::new().unwrap();
    let config = directory.path().join("dev.toml");
    fs::write(&config, "[upstream]\npool_idle = \"1s\"\n").unwrap();
    let config = config.to_str().unwrap();
    let reason = "this command makes its own key and its own Wonder; remove it, or use simulate and run";
    for (variable, value, key) in [
        ("WONDER_SIGNER_CREDENTIALS__DEFAULT__APP_ID", APP_ID, "credentials.default.app_id"),
        ("WONDER_SIGNER_CREDENTIALS__DEFAULT__PRIVATE_KEY", "x", "credentials.default.private_key"),
        ("WONDER_SIGNER_CREDENTIALS__SHOP__PRIVATE_KEY_FILE", "/x", "credentials.shop.private_key_file"),
        ("WONDER_SIGNER_UPSTREAM__ENVIRONMENT", "production", "upstream.environment = \"production\""),
        ("WONDER_SIGNER_UPSTREAM__PROXY", "http://a:b@proxy:1", "upstream.proxy"),
    ] {
        let line = format!("configuration: {key} (from environment variable {variable}): {reason}");
        assert_eq!(Program::run(&["dev"], &[(variable, value)], b"").refused(64), line);
    }
    assert_eq!(
        Program::run(&["dev", "--config", config], &FREE, b"").refused(64),
        format!("configuration: upstream.pool_idle = \"1s\" (from {config}): {reason}")
    );
    assert_eq!(
        Program::run(&["dev"], &[("WONDER_SIGNER_LIMITS__BODDY", "1MiB")], b"").refused(64),
        "configuration: unknown environment variable WONDER_SIGNER_LIMITS__BODDY; did you mean WONDER_SIGNER_LIMITS__BODY?"
    );
}

#[test]
fn other_machines_are_served_only_when_the_configuration_allows_it() {
    let remedy = "is not a loopback address, and every program that reaches it can have requests signed; to allow it set \
                  listen.dangerous_allow_non_loopback = true (flag --allow-non-loopback)";
    for command in [
        &["dev", "--listen", "0.0.0.0:0"][..],
        &["simulate", "--listen", "0.0.0.0:0", "--app-id", APP_ID, "--public-key-file", "x"],
    ] {
        assert_eq!(
            Program::run(command, &FREE[1..], b"").refused(64),
            format!("configuration: listen.address = \"0.0.0.0:0\" (from flag --listen): {remedy}")
        );
    }
    assert_eq!(
        Program::run(&["dev", "--simulator", "0.0.0.0:0"], &FREE, b"").refused(64),
        "start: --simulator 0.0.0.0:0: is not a loopback address; take 127.0.0.1 or [::1], or allow it with \
         --allow-non-loopback"
    );
}

#[test]
fn simulate_takes_configuration_from_the_environment() {
    let simulate = ["simulate", "--app-id", APP_ID, "--public-key-file", "/none/public_key.pem"];
    assert_eq!(
        Program::run(&simulate, &[("WONDER_SIGNER_LOG__LEVEL", "loud")], b"").refused(64),
        "configuration: log.level = \"loud\" (from environment variable WONDER_SIGNER_LOG__LEVEL): must be one of off, \
         error, warn, info, debug, trace"
    );
    assert_eq!(
        Program::run(&simulate, &[("WONDER_SIGNER_LISTEN__ADDRESS", "unix:/x")], b"").refused(64),
        "configuration: listen.address (from environment variable WONDER_SIGNER_LISTEN__ADDRESS): simulate listens on one IP \
         address; set it with --listen"
    );
    assert_eq!(
        Program::run(&simulate, &[("WONDER_SIGNER_LISTEN__ADRESS", "x")], b"").refused(64),
        "configuration: unknown environment variable WONDER_SIGNER_LISTEN__ADRESS; did you mean WONDER_SIGNER_LISTEN__ADDRESS?"
    );
    assert_eq!(
        Program::run(&simulate, &[], b"").refused(64),
        "--public-key-file /none/public_key.pem: cannot be read: No such file or directory (os error 2); create it, or correct its path"
    );
    for option in ["--ca-out", "--tls-name"] {
        let arguments = [&simulate[..], &["--plain", option, "x"]].concat();
        assert_eq!(
            Program::run(&arguments, &[], b"").refused(64),
            format!("usage: {option} needs TLS; leave out --plain, or {option}")
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn simulate_learns_a_key_when_its_file_changes() {
    let directory = tempfile::tempdir().unwrap();
    let key_file = directory.path().join("public_key.pem");
    fs::write(&key_file, UNITS[0].public.to_pem().unwrap()).unwrap();
    let arguments = ["simulate", "--plain", "--listen", "127.0.0.1:0", "--app-id", APP_ID, "--public-key-file"];
    let mut program = Program::start(&[&arguments[..], &[key_file.to_str().unwrap()]].concat(), &[], b"");
    program.line_with(UNITS[0].public.fingerprint());
    program.line_with("simulator ready");
    fs::write(&key_file, "half").unwrap();
    program.line_with("public key cannot be read; the one read before stays in use");
    fs::write(&key_file, verifying_key().to_pem().unwrap()).unwrap();
    program.line_with(verifying_key().fingerprint());
}

#[test]
fn simulate_names_the_fault_in_a_merchant_option() {
    let simulate = ["simulate", "--app-id", APP_ID, "--public-key-file", "/none/public_key.pem"];
    for (option, value, reason) in [
        ("--capacity", "0", "not a whole number from 1 to 100000000"),
        ("--capacity", "many", "not a whole number from 1 to 100000000"),
        ("--currencies", "HKD,usd", "not a currency; write three capital letters such as HKD"),
        ("--currencies", "", "not a currency; write three capital letters such as HKD"),
        ("--refund-window", "5", "has no unit; write for example \"5s\" or \"250ms\""),
    ] {
        let ended = Program::run(&[&simulate[..], &[option, value]].concat(), &[], b"");
        let line = ended.refused(64);
        assert!(line.contains(option) && line.ends_with(&format!("{reason}; try --help")), "{line}");
    }
    let twice = [&simulate[..], &simulate[1..]].concat();
    assert_eq!(
        Program::run(&twice, &[], b"").refused(64),
        format!("usage: --app-id {APP_ID} is given twice; give each AppID once, with its key")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_run_command_that_simulate_prints_works_unchanged() {
    // A name with a space, which a shell splits unless it is quoted.
    let directory = tempfile::Builder::new().prefix("it's a $HOME; ").tempdir().unwrap();
    let program = env!("CARGO_BIN_EXE_wonder-signer");
    let keygen = Command::new(program).args(["keygen", "--out", "my keys"]).current_dir(&directory).output().unwrap();
    assert!(keygen.status.success(), "{keygen:?}");
    for options in [&[][..], &["--ca-out", "the ca.pem"], &["--plain"]] {
        let mut simulator = Command::new(program)
            .args(["simulate", "--listen", "127.0.0.1:0", "--app-id", APP_ID])
            .args(["--public-key-file", "my keys/public_key.pem", "--ready-file", "ready.json"])
            .args(options)
            .current_dir(&directory)
            .env_clear()
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(simulator.stdout.take().unwrap()).lines().map(Result::unwrap);
        let simulator = Alive(simulator);
        let printed: Vec<String> = lines.take_while(|line| !line.starts_with("Ctrl-C")).collect();
        let start = printed.iter().position(|line| line.contains(" run ")).unwrap();
        let command = printed[start..].join("\n");

        let mut sidecar = Command::new("sh")
            .args(["-c", &format!("exec {}", command.trim())])
            .current_dir(&directory)
            .env_clear()
            .envs(FREE)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(sidecar.stderr.take().unwrap()).lines().map(Result::unwrap);
        let sidecar = Alive(sidecar);
        let mut seen = Vec::new();
        let line = log.find(|line| {
            seen.push(line.clone());
            line.contains("\"message\":\"ready\"")
        });
        let line: Value = serde_json::from_str(&line.unwrap_or_else(|| panic!("{command}\n{seen:?}"))).unwrap();
        assert_eq!(status(address(&line, "listen"), "localhost", CUSTOMER).await, 200, "{command}");
        // The pipe stays open, or writing the log would fail.
        let reading = std::thread::spawn(move || log.for_each(drop));
        assert_eq!(sidecar.terminate().await, Some(0));
        reading.join().unwrap();
        assert_eq!(simulator.terminate().await, Some(0));
    }
}
