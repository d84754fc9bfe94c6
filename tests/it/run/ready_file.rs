//! The ready file: its content, its replacement, and failures to write it.

use std::{
    fs,
    process::{Command, Stdio},
};

use tempfile::TempDir;

use super::{ORIGIN, run};
use crate::support::{
    program::{Ended, Running, environment},
    wire::{exchange, request},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ready_file_has_the_bound_addresses() {
    let running = Running::before(ORIGIN, &[]);
    let expected = format!("{{\"listen\":\"{}\",\"admin\":\"{}\"}}\n", running.listen, running.admin);
    assert_eq!(fs::read_to_string(&running.ready_file).unwrap(), expected);
    assert!(running.listen.port() > 0 && running.admin.port() > 0 && running.listen != running.admin);
    let files = fs::read_dir(running.ready_file.parent().unwrap()).unwrap();
    assert_eq!(files.count(), 1, "no unfinished file is left");
    assert_eq!(running.terminate().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readyz_is_ok_once_the_ready_file_exists() {
    for _ in 0..20 {
        let running = Running::before(ORIGIN, &[]);
        assert_eq!(exchange(running.admin, &request("GET", "/readyz", &[], b"")).await.text(), "ready\n");
    }
}

#[test]
fn an_older_ready_file_is_replaced_atomically() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("ready.json");
    fs::write(&path, "old").unwrap();
    // A reader that has the old file open keeps the old content, because the file is replaced and not overwritten.
    let old = fs::File::open(&path).unwrap();
    let mut program = run(&["--ready-file", path.to_str().unwrap()], &[]);
    program.line_with("\"message\":\"ready\"");
    assert!(fs::read_to_string(&path).unwrap().starts_with("{\"listen\":\"127.0.0.1:"));
    assert_eq!(std::io::read_to_string(old).unwrap(), "old");
    program.signal("TERM");
    assert_eq!(program.end().code(), Some(0));
}

#[test]
fn an_unwritable_ready_file_stops_the_start_with_the_cause() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("none").join("ready.json");
    let path = path.to_str().unwrap();
    let ended = run(&["--ready-file", path], &[]).end();
    assert_eq!(ended.refused(1), format!("start: --ready-file {path}: No such file or directory (os error 2)"));
}

/// A file-size limit of zero acts as a full disk.
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
fn a_full_disk_stops_the_start_with_the_cause() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("ready.json");
    let ended = on_a_full_disk(path.to_str().unwrap());
    let line = format!("start: --ready-file {}: File too large (os error 27)", path.display());
    assert_eq!(ended.refused(1), line);
    assert!(!path.exists());
}

#[test]
fn a_failed_start_leaves_no_unfinished_ready_file() {
    let directory = TempDir::new().unwrap();
    on_a_full_disk(directory.path().join("ready.json").to_str().unwrap()).refused(1);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "an unfinished file is left");
}

#[test]
fn a_ready_file_that_is_no_regular_file_is_not_replaced() {
    let directory = TempDir::new().unwrap();
    let pipe = directory.path().join("ready");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let ended = run(&["--ready-file", pipe.to_str().unwrap()], &[]).end();
    assert!(ended.refused(1).starts_with("start: --ready-file "), "{ended:?}");
}
