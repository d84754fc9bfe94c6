//! Runs the built binary as people and scripts do, and checks its output, its one error line and its exit code.

// clippy's exemption for tests does not cover helper functions.
#![allow(clippy::unwrap_used)]

mod input;
mod keygen;
#[path = "../vectors/known_answers.rs"]
mod known_answers;
mod output;
#[cfg(feature = "simulator")]
mod send_webhook;
mod sign;
mod usage;
mod verify;
mod verify_webhook;
mod wait;

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    net::SocketAddr,
    process::{Command, Stdio},
};

use tempfile::TempDir;

use self::known_answers::{KnownAnswers, Vector};

/// A directory with the files of the test vectors.
struct Desk {
    directory: TempDir,
    answers: KnownAnswers,
}

/// The result of a command.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ended {
    /// Asserts success and an empty standard error; returns standard output.
    #[track_caller]
    fn done(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (Some(0), ""), "{}", self.out);
        self.out
    }

    /// Asserts the exit code, an empty standard output, and this one line after the program's name on standard error.
    #[track_caller]
    fn failed(self, code: i32, line: &str) {
        assert_eq!(self.err, format!("wonder-signer: {line}\n"));
        assert_eq!((self.code, self.out.as_str()), (Some(code), ""));
    }

    /// As [`failed`](Self::failed), but compares only the beginning of the line.
    #[track_caller]
    fn failed_with(self, code: i32, start: &str) {
        assert!(self.err.starts_with(&format!("wonder-signer: {start}")), "{}", self.err);
        assert_eq!((self.err.lines().count(), self.code, self.out.as_str()), (1, Some(code), ""));
    }
}

/// A port that refuses connections. It is bound but not listening, so that no other program gets it.
fn closed() -> (tokio::net::TcpSocket, SocketAddr) {
    let held = tokio::net::TcpSocket::new_v4().unwrap();
    held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = held.local_addr().unwrap();
    (held, address)
}

/// Runs with `arguments`, and with `input` on standard input.
fn run(arguments: &[&str], input: &[u8]) -> Ended {
    let mut child = Command::new(env!("CARGO_BIN_EXE_wonder-signer"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The command may end without reading its input, for example if an argument is wrong.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

impl Desk {
    fn new() -> Self {
        let desk = Self { directory: TempDir::new().unwrap(), answers: KnownAnswers::load() };
        for (name, pems) in desk.answers.keys.iter().chain(&desk.answers.refused_keys) {
            desk.write(&format!("{name}.pem"), pems.private_key_pem.as_bytes());
            desk.write(&format!("{name}.pub"), pems.public_key_pem.as_bytes());
        }
        desk
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, content: &[u8]) -> String {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path
    }

    fn vector(&self, name: &str) -> &Vector {
        self.answers.vectors.iter().find(|vector| vector.name == name).unwrap()
    }

    /// Arguments of `sign` that repeat `vector`, its body on standard input.
    fn sign(&self, vector: &Vector, more: &[&str]) -> Ended {
        let key = self.path(&format!("{}.pem", vector.key));
        let mut arguments = vec!["sign", "--app-id", &vector.app_id, "--private-key-file", &key];
        arguments.extend(["--method", &vector.method, "--target", &vector.uri]);
        arguments.extend(["--nonce", &vector.nonce, "--request-time", &vector.request_time]);
        if !vector.body_base64.is_empty() {
            arguments.extend(["--body-file", "-"]);
        }
        arguments.extend(more);
        run(&arguments, &vector.body())
    }

    /// Verifies `vector` at its own request time, with `changes` to the arguments.
    fn verify(&self, vector: &Vector, changes: &[(&str, &str)]) -> Ended {
        let key = self.path(&format!("{}.pub", vector.key));
        let body = self.write("body", &vector.body());
        let mut arguments = BTreeMap::from([
            ("--public-key-file", key.as_str()),
            ("--method", &vector.method),
            ("--target", &vector.uri),
            ("--body-file", &body),
            ("--credential", &vector.credential),
            ("--nonce", &vector.nonce),
            ("--signature", &vector.signature),
            ("--at", &vector.request_time),
        ]);
        arguments.extend(changes.iter().copied());
        // An empty value removes an option.
        let given = arguments.into_iter().filter(|(_, value)| !value.is_empty());
        let words: Vec<&str> = given.flat_map(|(option, value)| [option, value]).collect();
        run(&[&["verify"], &words[..]].concat(), b"")
    }
}
