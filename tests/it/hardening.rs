//! Protection from other programs on the same machine (memory, files), and behaviour when threads or descriptors run out.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _, symlink},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::gateway::post;
use crate::support::{
    authority::{Mounted, caller, dial},
    patience::HANG,
    sidecar::{APP_ID, KEY_PEM, metric},
};

/// A user id without any other process on this machine. Another run of the tests has another one, because a limit of threads counts all
/// processes of a user.
fn user() -> u32 {
    20_000 + 2 * (std::process::id() % 20_000)
}

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// A directory that any user may enter, and the program in it.
fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let program = directory.path().join("wonder-signer");
    // Another process writes the copy. A child of another test could inherit a descriptor of this process that is open for
    // writing, and execve(2) fails with ETXTBSY while one exists.
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_wonder-signer")).arg(&program).status().unwrap();
    assert!(copied.success(), "{copied}");
    (directory, program)
}

/// Runs `command` as another user if the test is root; otherwise the test's own user is unprivileged already.
fn unprivileged(command: &mut Command) -> &mut Command {
    if is_root() { command.uid(user()).gid(user()) } else { command }
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts `run`, waits until it is ready, and returns its admin address.
fn sidecar(program: &Path, directory: &Path, environment: &[(&str, &str)]) -> (Killed, std::net::SocketAddr) {
    let (child, ready) = limited(&[], program, directory, environment, user());
    (child, ready["admin"].as_str().unwrap().parse().unwrap())
}

/// The same with options of prlimit(1) and as the user `user`; returns the content of the ready file. The log is in `directory`.
fn limited(
    limits: &[&str],
    program: &Path,
    directory: &Path,
    environment: &[(&str, &str)],
    user: u32,
) -> (Killed, Value) {
    let ready = directory.join("ready.json");
    let mut command = Command::new("/usr/bin/env");
    if !limits.is_empty() {
        command = Command::new("/usr/bin/prlimit");
        command.args(limits);
    }
    command
        .arg(program)
        .args(["run", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--app-id", APP_ID, "--ready-file"])
        .arg(&ready)
        .env_clear()
        .env("WONDER_SIGNER_CREDENTIALS__DEFAULT__PRIVATE_KEY", &*KEY_PEM)
        .envs(environment.iter().copied())
        .stderr(fs::File::create(directory.join("log")).unwrap());
    if is_root() {
        command.uid(user).gid(user);
    }
    let child = Killed(command.spawn().unwrap());
    let until = Instant::now() + HANG;
    let text = loop {
        match fs::read(&ready) {
            Ok(text) => break text,
            Err(_) => assert!(Instant::now() < until, "it is not ready"),
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    fs::remove_file(ready).unwrap();
    (child, serde_json::from_slice(&text).unwrap())
}

/// Whether other processes of the same user may read its memory, and how large a core file may get.
fn openness(child: &Child) -> (bool, String) {
    let process = PathBuf::from(format!("/proc/{}", child.id()));
    let limits = fs::read_to_string(process.join("limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    // The `/proc` files of a process that is not dumpable belong to root (proc_pid(5)).
    let status = fs::read_to_string(process.join("status")).unwrap();
    let user: u32 =
        status.lines().find(|line| line.starts_with("Uid:")).unwrap().split('\t').nth(1).unwrap().parse().unwrap();
    (
        fs::metadata(process.join("environ")).unwrap().uid() == user && user != 0,
        core.split_whitespace().nth(4).unwrap().to_owned(),
    )
}

#[tokio::test]
async fn another_process_of_the_user_cannot_read_the_memory_and_the_metrics_can() {
    let (directory, program) = place();
    let (child, admin) = sidecar(&program, directory.path(), &[]);
    assert_eq!(openness(&child.0), (false, "0".to_owned()));
    for series in [
        "process_cpu_seconds_total",
        "process_open_fds",
        "process_max_fds",
        "process_resident_memory_bytes",
        "process_virtual_memory_bytes",
        "process_start_time_seconds",
        "process_threads",
    ] {
        let value = metric(admin, series).await;
        assert!(value > 0.0 || series == "process_cpu_seconds_total", "{series} is {value}");
    }
    assert!(metric(admin, "process_open_fds").await >= 5.0);
}

#[test]
fn perf_and_gdb_may_attach_if_the_configuration_allows_it() {
    let (directory, program) = place();
    let (child, _) = sidecar(&program, directory.path(), &[("WONDER_SIGNER_PROCESS__DUMPABLE", "true")]);
    let ours = fs::read_to_string("/proc/self/limits").unwrap();
    let ours = ours.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let (open, core) = openness(&child.0);
    assert!(open || !is_root());
    assert_eq!(core, ours.split_whitespace().nth(4).unwrap());
}

#[test]
fn every_command_with_a_key_protects_its_memory() {
    let (directory, program) = place();
    let key = directory.path().join("key.pem");
    fs::write(&key, &*KEY_PEM).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    // Each command is still running when it is examined: it waits for a body, for its end, or for an answer.
    let stalling = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", stalling.local_addr().unwrap());
    let key = key.to_str().unwrap();
    for arguments in [
        &[
            "sign",
            "--app-id",
            APP_ID,
            "--private-key-file",
            key,
            "--method",
            "POST",
            "--target",
            "/svc/a",
            "--body-file",
            "-",
        ][..],
        &["dev", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"],
        &[
            "check",
            "--echo",
            "--environment",
            "custom",
            "--origin",
            &origin,
            "--app-id",
            APP_ID,
            "--private-key-file",
            key,
        ],
    ] {
        let mut command = Command::new(&program);
        command.args(arguments).env_clear().stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = Killed(unprivileged(&mut command).spawn().unwrap());
        // Every command closes its memory before anything else.
        let until = Instant::now() + HANG;
        while openness(&child.0) != (false, "0".to_owned()) {
            assert!(Instant::now() < until && child.0.try_wait().unwrap().is_none(), "{arguments:?}");
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(child.0.try_wait().unwrap().is_none(), "{arguments:?} has ended");
    }
}

#[test]
fn without_threads_the_start_fails_with_a_remedy() {
    let (_directory, program) = place();
    let key = ("WONDER_SIGNER_CREDENTIALS__DEFAULT__PRIVATE_KEY", &**KEY_PEM);
    for workers in ["1", "2", "8"] {
        // One thread for the process itself, and one fewer than the sidecar needs.
        for allowed in [1, workers.parse::<u32>().unwrap() + 3] {
            let mut command = Command::new("prlimit");
            command
                .arg(format!("--nproc={allowed}"))
                .arg(&program)
                .args(["run", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--app-id", APP_ID])
                .env_clear()
                .env("PATH", "/usr/bin:/bin")
                .env("TOKIO_WORKER_THREADS", workers)
                .env(key.0, key.1);
            let ended = unprivileged(&mut command).output().unwrap();
            let error = String::from_utf8(ended.stderr).unwrap();
            assert_eq!((ended.status.code(), error.lines().count()), (Some(1), 1), "{workers} {allowed}: {error}");
            assert!(error.starts_with("wonder-signer: start: cannot start "), "{error}");
            assert!(error.contains("podPidsLimit"), "{error}");
        }
    }
}

#[tokio::test]
async fn without_a_watcher_thread_a_gateway_serves_with_its_first_certificates() {
    // The limit counts all processes of a user and does not apply to root.
    if !is_root() {
        return;
    }
    let (authority, mounted) = Mounted::by_one();
    fs::set_permissions(mounted.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    let files = ["tls.crt", "tls.key", "ca.crt"].map(|name| mounted.path(name).display().to_string());
    let (directory, program) = place();
    let environment = [
        ("WONDER_SIGNER_LISTEN__TLS__CERTIFICATE_FILE", &*files[0]),
        ("WONDER_SIGNER_LISTEN__TLS__KEY_FILE", &files[1]),
        ("WONDER_SIGNER_LISTEN__TLS__CLIENT_CA_FILE", &files[2]),
        ("TOKIO_WORKER_THREADS", "2"),
        ("WONDER_SIGNER_UPSTREAM__ENVIRONMENT", "custom"),
        ("WONDER_SIGNER_UPSTREAM__ORIGIN", "http://127.0.0.1:1"),
    ];
    // Exactly enough for the process, the log, two workers and the two threads of the admin listener.
    let (_child, ready) = limited(&["--nproc=6"], &program, directory.path(), &environment, user() + 1);
    let listen = ready["listen"].as_str().unwrap().parse().unwrap();
    let caller = caller(&[&authority], Some(&authority.issue(&["shop"], "")), &[]);
    let until = Instant::now() + HANG;
    loop {
        let answer = post(dial(listen, &caller).await.unwrap()).await.unwrap();
        // No server listens at the origin.
        assert_eq!(answer.status(), 502);
        let log = fs::read_to_string(directory.path().join("log")).unwrap();
        assert!(!log.contains("panicked"), "{log}");
        if log.contains("no thread to watch files") {
            break;
        }
        assert!(Instant::now() < until, "{log}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn a_drain_without_free_descriptors_ends_in_time() {
    let (directory, program) = place();
    let environment = [
        ("WONDER_SIGNER_SHUTDOWN__DRAIN_DELAY", "0s"),
        ("WONDER_SIGNER_SHUTDOWN__GRACE", "1s"),
        ("WONDER_SIGNER_TIMEOUTS__REQUEST_HEAD", "5m"),
    ];
    let (mut child, ready) = limited(&["--nofile=24:24"], &program, directory.path(), &environment, user());
    let (until, mut silent) = (Instant::now() + HANG, Vec::new());
    while !fs::read_to_string(directory.path().join("log")).unwrap().contains("cannot accept a connection") {
        assert!(Instant::now() < until);
        // More than the program has descriptors, and fewer than wait in the system's queue.
        if silent.len() < 64 {
            silent.push(std::net::TcpStream::connect(ready["listen"].as_str().unwrap()).unwrap());
        }
    }
    assert!(Command::new("kill").arg(child.0.id().to_string()).status().unwrap().success());
    loop {
        if let Some(status) = child.0.try_wait().unwrap() {
            break assert!(status.success());
        }
        assert!(Instant::now() < until, "the drain does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_planted_link_is_not_followed() {
    let (directory, program) = place();
    let (victim, key) = (directory.path().join("victim"), directory.path().join("key.pem"));
    let public = directory.path().join("public.pem");
    fs::write(&victim, "precious").unwrap();
    fs::write(&key, &*KEY_PEM).unwrap();
    fs::write(&public, crate::support::sidecar::verifying_key().to_pem().unwrap()).unwrap();
    let shared = directory.path().join("shared");
    fs::create_dir(&shared).unwrap();
    let (ready, ca) = (shared.join("ready.json"), shared.join("ca.pem"));
    for name in ["ready.json.unfinished", "ca.pem.unfinished", "ready.json.tmp", "ready.json.new"] {
        symlink(&victim, shared.join(name)).unwrap();
    }
    // Temporary names that an attacker could predict from the process id.
    let own = std::process::id();
    for id in own..own + 3000 {
        symlink(&victim, shared.join(format!("ready.json.{id}"))).unwrap();
    }
    let planted = fs::read_dir(&shared).unwrap().count();
    let start = |arguments: &[&str], wanted: &Path| {
        let mut command = Command::new(&program);
        command.args(arguments).env_clear().stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = Killed(command.spawn().unwrap());
        let until = Instant::now() + HANG;
        while !wanted.is_file() {
            assert!(Instant::now() < until && child.0.try_wait().unwrap().is_none(), "{arguments:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let (key, ready_file) = (text(&key), text(&ready));
    let run = [
        "run",
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
        "--app-id",
        APP_ID,
        "--private-key-file",
        &key,
        "--ready-file",
        &ready_file,
    ];
    start(&run, &ready);
    assert!(!fs::symlink_metadata(&ready).unwrap().is_symlink());
    fs::remove_file(&ready).unwrap();
    start(
        &[
            "simulate",
            "--listen",
            "127.0.0.1:0",
            "--app-id",
            APP_ID,
            "--public-key-file",
            &text(&public),
            "--ca-out",
            &text(&ca),
            "--ready-file",
            &text(&ready),
        ],
        &ready,
    );
    assert!(fs::read_to_string(&ca).unwrap().starts_with("-----BEGIN CERTIFICATE"));
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
    assert_eq!(fs::read_dir(&shared).unwrap().count(), planted + 2);
    // A link at the target path itself is an error, and is not replaced.
    fs::remove_file(&ready).unwrap();
    symlink(&victim, &ready).unwrap();
    let ended = Command::new(&program).args(run).env_clear().output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    assert!(String::from_utf8(ended.stderr).unwrap().contains("exists and is not a regular file"));
    assert!(fs::symlink_metadata(&ready).unwrap().is_symlink());
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
}
