//! The sidecar as a process: how it starts, refuses to start, and ends.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::TcpListener,
    os::unix::{fs::PermissionsExt as _, process::ExitStatusExt as _},
    process::{Command, Stdio},
};

use tempfile::TempDir;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::support::{
    program::{Alive, Ended, Program, Running, environment},
    sidecar::{APP_ID, KEY_PEM},
    upstream::{Act, Recorder},
    wire::{exchange, read_message, request},
};

/// Nobody listens there, and nothing here sends a request.
const ORIGIN: &str = "http://127.0.0.1:1";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_the_bound_addresses_to_the_ready_file_whole_and_alone() {
    let running = Running::before(ORIGIN, &[]);
    let expected = format!("{{\"listen\":\"{}\",\"admin\":\"{}\"}}\n", running.listen, running.admin);
    assert_eq!(fs::read_to_string(&running.ready_file).unwrap(), expected);
    assert!(running.listen.port() > 0 && running.admin.port() > 0 && running.listen != running.admin);
    let files = fs::read_dir(running.ready_file.parent().unwrap()).unwrap();
    assert_eq!(files.count(), 1, "nothing unfinished is left beside it");
    assert_eq!(running.terminate().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_ready_once_the_ready_file_is_there() {
    for _ in 0..20 {
        let running = Running::before(ORIGIN, &[]);
        assert_eq!(exchange(running.admin, &request("GET", "/readyz", &[], b"")).await.text(), "ready\n");
    }
}

#[test]
fn replaces_an_older_ready_file_in_one_step() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("ready.json");
    fs::write(&path, "old").unwrap();
    // Who has the old file open keeps the old file: it is not written over.
    let old = fs::File::open(&path).unwrap();
    let mut program = run(&["--ready-file", path.to_str().unwrap()], &[]);
    program.line_with("\"message\":\"ready\"");
    assert!(fs::read_to_string(&path).unwrap().starts_with("{\"listen\":\"127.0.0.1:"));
    assert_eq!(std::io::read_to_string(old).unwrap(), "old");
    program.signal("TERM");
    assert_eq!(program.end().code(), Some(0));
}

/// Starts `run` with what it needs and more.
fn run(arguments: &[&str], more: &[(&str, &str)]) -> Program {
    Program::start(&[&["run"], arguments].concat(), &[&environment(ORIGIN)[..], more].concat(), b"")
}

/// Checks a key file in place of the inline key. `run` starts without it and says the same in its log.
fn check_key(path: &str) -> Ended {
    let environment = environment(ORIGIN);
    Program::run(&["check", "--private-key-file", path], &environment[..6], b"")
}

#[test]
fn starts_without_a_key_and_is_ready_when_it_can_be_read() {
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
    program.line_with("\"credential reloaded\"");
    program.line_with("\"ready\"");
    let until = std::time::Instant::now() + std::time::Duration::from_mins(1);
    while !fs::exists(&ready_file).unwrap() {
        assert!(std::time::Instant::now() < until, "no ready file");
        std::thread::yield_now();
    }
    program.signal("TERM");
    assert_eq!(program.end().code(), Some(0));
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
fn refuses_keys_that_cannot_be_used() {
    let directory = TempDir::new().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let missing = path("missing.pem");
    let line = format!(
        "check: credentials.default.private_key_file {missing}: cannot be read: No such file or directory (os error 2)"
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
            "check: credentials.default.private_key_file {}: is a directory, a file is needed",
            directory.path().display()
        )
    );
}

#[test]
fn an_empty_flag_or_variable_is_not_set() {
    // Each is a template whose value is missing; the values below them hold.
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
fn refuses_a_key_that_it_may_not_read() {
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
    assert!(line.ends_with("key.pem: cannot be read: Permission denied (os error 13)"), "{line}");
}

#[test]
fn refuses_a_configuration_that_it_does_not_understand() {
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
             WONDER_SIGNER_CREDENTIALS__DEFAULT__PRIVATE_KEY): is set beside credentials.default.private_key_file (from \
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
fn refuses_a_port_that_is_taken() {
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
fn shutdown_at_the_signing_listener_says_that_it_is_not_the_admin_listener() {
    let running = Running::before(ORIGIN, &[]);
    let asked = |address: &str| Program::run(&["shutdown", "--admin", address], &[], b"");
    let (listen, admin) = (running.listen.to_string(), running.admin.to_string());
    assert_eq!(
        asked(&listen).refused(1),
        format!(
            "not shut down: {listen}: this is not the admin listener; set --admin to its address (admin.address, \
             127.0.0.1:9090 by default)"
        )
    );
    assert_eq!(
        asked(&admin).refused(1),
        format!("not shut down: {admin}: the sidecar does not allow this; set admin.shutdown = true")
    );
}

#[test]
fn listens_beyond_loopback_only_when_told_that_it_is_dangerous() {
    let everywhere = ("WONDER_SIGNER_LISTEN__ADDRESS", "0.0.0.0:0");
    let ended = run(&[], &[everywhere]).end();
    let line = ended.refused(64);
    assert!(line.starts_with("configuration: listen.address = \"0.0.0.0:0\" (from environment variable"), "{line}");
    assert!(line.contains("listen.dangerous_allow_non_loopback"), "{line}");
    // `check` loads the configuration as `run` does, and listens nowhere: a test is not to be reached from elsewhere.
    let allowed = ("WONDER_SIGNER_LISTEN__DANGEROUS_ALLOW_NON_LOOPBACK", "true");
    let ended = Program::run(&["check"], &[&environment(ORIGIN)[..], &[everywhere, allowed]].concat(), b"");
    assert_eq!(ended.code(), Some(0), "{}", ended.err);
}

#[test]
fn refuses_a_ca_file_that_is_missing_or_holds_no_certificate() {
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
fn says_why_the_ready_file_cannot_be_written() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("none").join("ready.json");
    let path = path.to_str().unwrap();
    let ended = run(&["--ready-file", path], &[]).end();
    assert_eq!(ended.refused(1), format!("start: --ready-file {path}: No such file or directory (os error 2)"));
}

/// A file-size limit of nothing is a full disk that a test can have anywhere.
fn on_a_full_disk(ready_file: &str) -> Ended {
    let script = "trap '' XFSZ; ulimit -f 0; exec \"$0\" run --ready-file \"$1\"";
    let output = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_wonder-signer"), ready_file])
        .env_clear()
        .envs(environment(ORIGIN))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { status: output.status, out: text(output.stdout), err: text(output.stderr) }
}

#[test]
fn says_that_the_disk_is_full() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("ready.json");
    let ended = on_a_full_disk(path.to_str().unwrap());
    let line = format!("start: --ready-file {}: File too large (os error 27)", path.display());
    assert_eq!(ended.refused(1), line);
    assert!(!path.exists());
}

#[test]
fn leaves_nothing_behind_when_the_ready_file_cannot_be_written() {
    let directory = TempDir::new().unwrap();
    on_a_full_disk(directory.path().join("ready.json").to_str().unwrap()).refused(1);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "an unfinished file is left");
}

#[test]
fn does_not_replace_what_is_no_regular_file() {
    let directory = TempDir::new().unwrap();
    let pipe = directory.path().join("ready");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let ended = run(&["--ready-file", pipe.to_str().unwrap()], &[]).end();
    assert!(ended.refused(1).starts_with("start: --ready-file "), "{ended:?}");
}

#[test]
fn ends_with_0_at_either_signal_while_idle() {
    for name in ["TERM", "INT"] {
        let running = Running::before(ORIGIN, &[]);
        running.program.signal(name);
        let ended = running.program.end();
        assert_eq!((ended.code(), ended.out.as_str()), (Some(0), ""), "{name}: {ended:?}");
        let last = ended.err.lines().last().unwrap();
        assert!(last.contains("\"message\":\"stopped\"") && last.contains("\"cut\":0"), "{last}");
        assert!(std::net::TcpStream::connect(running.listen).is_err());
        assert!(std::net::TcpStream::connect(running.admin).is_err());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finishes_what_is_in_flight_and_ends_with_0() {
    let (upstream, go) = Recorder::holding().await;
    let mut running = Running::before(&upstream.origin(), &[]);
    let mut stream = TcpStream::connect(running.listen).await.unwrap();
    stream.write_all(&request("POST", "/svc/a", &[], b"{}")).await.unwrap();
    upstream.next().await;
    running.program.signal("TERM");
    running.program.line_with("\"message\":\"draining\"");
    let readiness = exchange(running.admin, &request("GET", "/readyz", &[], b"")).await;
    assert_eq!((readiness.status(), readiness.text().as_str()), (503, "draining\n"));
    go.add_permits(1);
    assert_eq!(read_message(&mut stream, false).await.unwrap().status(), 200);
    let ended = running.program.end();
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert!(ended.err.lines().last().unwrap().contains("\"cut\":0"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cuts_what_is_still_in_flight_after_the_grace_period_and_says_so() {
    let upstream = Recorder::acting(|_| Act::Stall(Vec::new())).await;
    let running = Running::before(&upstream.origin(), &[("WONDER_SIGNER_SHUTDOWN__GRACE", "20ms")]);
    let mut stream = TcpStream::connect(running.listen).await.unwrap();
    stream.write_all(&request("POST", "/svc/a", &[], b"{}")).await.unwrap();
    upstream.next().await;
    let ended = running.terminate();
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(ended.err.ends_with("still in flight at the end of shutdown.grace and were cut\n"), "{ended:?}");
    let answer = read_message(&mut stream, false).await.unwrap();
    assert_eq!(answer.contract(), (504, "draining".to_owned(), "maybe".to_owned()));
    assert!(read_message(&mut stream, false).await.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_has_a_delay_which_sigint_and_the_shutdown_command_skip() {
    let upstream = Recorder::start().await;
    let variables = [("WONDER_SIGNER_SHUTDOWN__DRAIN_DELAY", "10m"), ("WONDER_SIGNER_ADMIN__SHUTDOWN", "true")];
    let by_hand = Running::before(&upstream.origin(), &variables);
    by_hand.program.signal("INT");
    assert_eq!(by_hand.program.end().code(), Some(0));

    let asked = Running::before(&upstream.origin(), &variables);
    let command = Program::run(&["shutdown", "--admin", &asked.admin.to_string()], &[], b"");
    assert_eq!((command.code(), command.out.as_str()), (Some(0), "draining\n"));
    assert_eq!(asked.program.end().code(), Some(0));

    let mut delayed = Running::before(&upstream.origin(), &variables);
    delayed.program.signal("TERM");
    delayed.program.line_with("\"message\":\"draining\"");
    let answer = exchange(delayed.listen, &request("POST", "/svc/a", &[], b"{}")).await;
    assert_eq!((answer.status(), answer.value("connection")), (200, Some("close")));
    delayed.program.signal("INT");
    assert_eq!(delayed.program.end().code(), Some(0), "a second signal does not wait, and nothing was cut");
}

/// As at the end of the grace period: a caller without an answer would send again, and the log would not name the request.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_second_signal_ends_delay_and_grace_and_every_request_has_its_answer() {
    let variables = [("WONDER_SIGNER_SHUTDOWN__DRAIN_DELAY", "10m"), ("WONDER_SIGNER_SHUTDOWN__GRACE", "1h")];
    for (first, delayed) in [("TERM", true), ("INT", false)] {
        let upstream = Recorder::acting(|_| Act::Stall(Vec::new())).await;
        let mut running = Running::before(&upstream.origin(), &variables);
        let mut sent = TcpStream::connect(running.listen).await.unwrap();
        sent.write_all(&request("POST", "/svc/a", &[("X-Request-ID", "sent")], b"{}")).await.unwrap();
        upstream.next().await;
        let mut unsent = TcpStream::connect(running.listen).await.unwrap();
        unsent.write_all(&request("POST", "/svc/a", &[("Content-Length", "5")], b"")).await.unwrap();
        running.program.signal(first);
        running.program.line_with("\"message\":\"draining\"");
        running.program.signal("TERM");
        let answer = read_message(&mut sent, false).await.unwrap();
        assert_eq!(answer.contract(), (504, "draining".to_owned(), "maybe".to_owned()));
        // Without a delay its connection may not have been accepted, or its head not be read, when the drain began.
        if delayed {
            let answer = read_message(&mut unsent, false).await.unwrap();
            assert_eq!(answer.contract(), (503, "draining".to_owned(), "no".to_owned()));
        }
        let ended = running.program.end();
        assert_eq!((ended.code(), ended.status.signal()), (Some(1), None), "{ended:?}");
        assert!(ended.err.contains("\"maybe_sent_request_ids\":\"sent\""), "{ended:?}");
    }
}

#[test]
fn masks_the_inline_key_and_names_the_app_id_where_it_shows_its_configuration() {
    let ended = Program::run(&["check", "--print-config"], &environment(ORIGIN), b"");
    assert_eq!((ended.code(), ended.err.as_str()), (Some(0), ""), "{ended:?}");
    assert!(ended.out.contains(APP_ID) && !ended.out.contains("MII"), "{}", ended.out);
}

#[tokio::test]
async fn takes_as_many_descriptors_as_it_may_have() {
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
