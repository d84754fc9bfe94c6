//! Runs the built binary as people and scripts do: arguments and files in; output, one error line and exit code out.

// The exemption of the lints for tests does not reach the functions that tests call.
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Command, Stdio},
    thread,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Deserialize;
use tempfile::TempDir;

/// `tests/vectors/wonder-rsa-sha256.json`.
#[derive(Deserialize)]
struct KnownAnswers {
    keys: BTreeMap<String, Pems>,
    refused_keys: BTreeMap<String, Pems>,
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
struct Pems {
    private_key_pem: String,
    public_key_pem: String,
}

#[derive(Deserialize)]
struct Vector {
    name: String,
    key: String,
    app_id: String,
    request_time: String,
    nonce: String,
    method: String,
    uri: String,
    body_base64: String,
    credential: String,
    message_hex: String,
    signature: String,
}

/// A directory with the files of the vectors.
struct Desk {
    directory: TempDir,
    answers: KnownAnswers,
}

/// How a command ended.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ended {
    /// Asserts success without a word on standard error; gives standard output.
    #[track_caller]
    fn done(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (Some(0), ""), "{}", self.out);
        self.out
    }

    /// Asserts the exit code and that standard error is this one line after the program's name, standard output empty.
    #[track_caller]
    fn failed(self, code: i32, line: &str) {
        assert_eq!(self.err, format!("wonder-signer: {line}\n"));
        assert_eq!((self.code, self.out.as_str()), (Some(code), ""));
    }
}

/// Runs with `arguments`, `input` on standard input.
fn run(arguments: &[&str], input: &[u8]) -> Ended {
    let mut child = Command::new(env!("CARGO_BIN_EXE_wonder-signer"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may end without reading, and does so when an argument is wrong.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

impl Desk {
    fn new() -> Self {
        let answers: KnownAnswers = serde_json::from_str(include_str!("vectors/wonder-rsa-sha256.json")).unwrap();
        let desk = Self { directory: TempDir::new().unwrap(), answers };
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

    /// Verifies `vector`, judged at its own time, with `changes` made to the arguments.
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
        let words: Vec<&str> = arguments.into_iter().flat_map(|(option, value)| [option, value]).collect();
        run(&[&["verify"], &words[..]].concat(), b"")
    }
}

impl Vector {
    fn body(&self) -> Vec<u8> {
        BASE64_STANDARD.decode(&self.body_base64).unwrap()
    }
}

#[test]
fn sign_repeats_every_vector() {
    let desk = Desk::new();
    for vector in &desk.answers.vectors {
        let expected = format!(
            "{{\"credential\":\"{}\",\"nonce\":\"{}\",\"signature\":\"{}\"}}\n",
            vector.credential, vector.nonce, vector.signature
        );
        assert_eq!(desk.sign(vector, &[]).done(), expected, "{}", vector.name);
    }
}

#[test]
fn verify_accepts_every_vector() {
    let desk = Desk::new();
    for vector in &desk.answers.vectors {
        let out = desk.verify(vector, &[]).done();
        assert!(out.starts_with("signature is right (RSA ") && out.lines().count() == 1, "{}: {out}", vector.name);
    }
}

#[test]
fn sign_explains_without_showing_the_body() {
    let desk = Desk::new();
    let vector = desk.vector("create-order-with-query");
    let answer: serde_json::Value = serde_json::from_str(&desk.sign(vector, &["--explain"]).done()).unwrap();
    let keys: Vec<_> = answer.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["credential", "nonce", "pre_sign_bytes", "pre_sign_sha256", "signature", "signature_message"]);
    assert_eq!(answer["signature_message"], vector.message_hex.as_str());
    let pre_sign = [b"POST\n", vector.uri.as_bytes(), b"\n", &vector.body()].concat();
    assert_eq!(answer["pre_sign_bytes"], pre_sign.len());
    // sha256sum of that string
    assert_eq!(answer["pre_sign_sha256"], "deaf69cb1c3aab6835da323b4ddbcc8de5af7997d2c596fcdf1433e38f4e08bf");

    let text = desk.sign(vector, &["--explain", "--format", "text"]).done();
    assert_eq!(
        text,
        format!(
            "Credential: {}\nNonce: {}\nSignature: {}\n\
             # key: RSA 2048 bits, fingerprint edb42c9f\n\
             # pre-sign string: method, line feed, 57 bytes of target, line feed, 56 bytes of body: 119 bytes\n\
             # SHA-256 of the pre-sign string: deaf69cb1c3aab6835da323b4ddbcc8de5af7997d2c596fcdf1433e38f4e08bf\n\
             # signature message, its HMAC as 64 hex characters, which RSA signs: {}\n",
            vector.credential, vector.nonce, vector.signature, vector.message_hex
        )
    );
    let none = desk.sign(desk.vector("get-customer-no-body"), &["--explain", "--format", "text"]).done();
    assert!(none.contains("74 bytes of target, no body: 78 bytes\n"), "{none}");
}

#[test]
fn sign_prints_a_curl_line_that_sends_the_very_target() {
    let desk = Desk::new();
    let vector = desk.vector("list-orders-literal-brackets");
    assert_eq!(
        desk.sign(vector, &["--format", "curl"]).done(),
        format!(
            "curl --request GET --request-target '{}' \\\n  --header 'Credential: {}' \\\n  --header 'Nonce: {}' \\\n  \
             --header 'Signature: {}' \\\n  --header 'Content-Type: application/json' \\\n  \
             https://gateway-stg.wonder.today\n",
            vector.uri, vector.credential, vector.nonce, vector.signature
        )
    );
    let key = desk.path("rsa2048-pkcs8.pem");
    let body = desk.write("it's.json", b"{}");
    let arguments = ["sign", "--app-id", &vector.app_id, "--private-key-file", &key, "--format", "curl"];
    let request = ["--method", "post", "--target", "/svc/it's?a=$b", "--body-file", &body];
    let origin = ["--origin", "http://127.0.0.1:8080"];
    let out = run(&[&arguments[..], &request, &origin].concat(), b"").done();
    assert!(out.starts_with("curl --request POST --request-target '/svc/it'\\''s?a=$b' \\\n"), "{out}");
    let quoted = body.replace('\'', "'\\''");
    assert!(out.ends_with(&format!("  --data-binary '@{quoted}' \\\n  http://127.0.0.1:8080\n")), "{out}");
    let head = run(&[&arguments[..], &["--method", "HEAD", "--target", "/svc/x"]].concat(), b"").done();
    assert!(head.starts_with("curl --head --request-target /svc/x \\\n"), "{head}");
}

#[test]
fn sign_draws_a_nonce_and_takes_the_time_when_none_is_given() {
    let desk = Desk::new();
    let key = desk.path("rsa2048-pkcs8.pem");
    let app_id = &desk.answers.vectors[0].app_id;
    let arguments =
        ["sign", "--app-id", app_id, "--private-key-file", &key, "--method", "GET", "--target", "/svc/x?a=1"];
    let answers: Vec<BTreeMap<String, String>> =
        (0..2).map(|_| serde_json::from_str(&run(&arguments, b"").done()).unwrap()).collect();
    assert_ne!(answers[0]["nonce"], answers[1]["nonce"]);
    for answer in answers {
        let public = desk.path("rsa2048-pkcs8.pub");
        let headers =
            ["--credential", &answer["credential"], "--nonce", &answer["nonce"], "--signature", &answer["signature"]];
        let request = ["verify", "--public-key-file", &public, "--method", "GET", "--target", "/svc/x?a=1"];
        let out = run(&[&request[..], &headers].concat(), b"").done();
        assert_eq!(
            out, "signature is right (RSA 2048 bits, fingerprint edb42c9f)\n",
            "and the time is within 30 minutes"
        );
    }
}

#[test]
fn sign_refuses_a_body_of_white_space() {
    let desk = Desk::new();
    let key = desk.path("rsa2048-pkcs8.pem");
    let app_id = &desk.answers.vectors[0].app_id;
    let arguments = ["sign", "--app-id", app_id, "--private-key-file", &key, "--method", "POST", "--target", "/svc/x"];
    for body in [" ", "\r\n\t "] {
        run(&[&arguments[..], &["--body-file", "-"]].concat(), body.as_bytes()).failed(
            1,
            "ambiguous body: it is white space alone, which some of Wonder's own SDKs sign and others leave out; \
             leave out --body-file to send no body",
        );
    }
    run(&[&arguments[..], &["--body-file", "-"]].concat(), b"").done();
}

#[test]
fn verify_names_the_mistake() {
    let desk = Desk::new();
    let vector = desk.vector("create-order-with-query");
    let body = |name, content: &[u8]| desk.write(name, content);
    let newline = body("newline", &[&vector.body()[..], b"\n"].concat());
    let other = body("other", b"{\"order\":{\"charge_fee\":\"22.00\"}}");
    let empty = body("empty", b"");
    let url = format!("https://gateway-stg.wonder.today{}", vector.uri);
    let long = format!("{}&page=2", vector.uri);
    let url_safe = vector.signature.replace('+', "-").replace('/', "_");
    let public = desk.path("rsa2048-pkcs1.pub");
    let big = desk.path("rsa4096-pkcs8.pub");
    let late = vector.credential.replace("20240501120123", "20240501120125");
    let exact = "; sign the body's exact bytes";
    for (option, value, line) in [
        ("--body-file", &newline, format!("the body was signed without its last line end{exact}")),
        (
            "--body-file",
            &other,
            "the key is right but no usual mistake explains the signature; compare the pre-sign string with the one that \
             `wonder-signer sign --explain` describes"
                .to_owned(),
        ),
        (
            "--signature",
            &url_safe,
            "the signature is encoded with the URL-safe alphabet; use standard base64 with + and /".to_owned(),
        ),
        (
            "--public-key-file",
            &public,
            "the signature was made with another private key; check which key the AppID has, and which this is \
             (checked with RSA 2048 bits, fingerprint 887bb68c)"
                .to_owned(),
        ),
        (
            "--public-key-file",
            &big,
            "the signature is not as long as the modulus of the key; check that it is whole and made with the key of this \
             size"
                .to_owned(),
        ),
        (
            "--credential",
            &late,
            "another time was signed than the credential carries; take the time once and use it for the credential and \
             the signature"
                .to_owned(),
        ),
        (
            "--method",
            &"PUT".to_owned(),
            "another method was signed than was sent; sign the method that is sent".to_owned(),
        ),
    ] {
        desk.verify(vector, &[(option, value)]).failed(1, &format!("signature is not right: {line}"));
    }
    // The other way round: what was signed is fixed, so what is sent changes.
    let bare = desk.vector("lower-case-method");
    desk.verify(bare, &[("--target", &format!("{}?page=1", bare.uri))]).failed(
        1,
        "signature is not right: the target was signed without its query; sign path and query as they are sent",
    );
    desk.verify(bare, &[("--body-file", &empty)]).failed(
        1,
        "signature is not right: the key is right but no usual mistake explains the signature; compare the pre-sign \
         string with the one that `wonder-signer sign --explain` describes",
    );
    assert_eq!(desk.verify(vector, &[("--target", &long)]).code, Some(1));
    assert_eq!(desk.verify(vector, &[("--target", &url)]).code, Some(64), "a full URL is no target");
}

#[test]
fn verify_says_no_to_malformed_headers() {
    let desk = Desk::new();
    let vector = desk.vector("create-customer");
    desk.verify(vector, &[("--nonce", "short")])
        .failed(1, "signature is not right: --nonce: the nonce is not 16 characters of 0-9, A-Z, a-z");
    desk.verify(vector, &[("--credential", "a/b")]).failed(
        1,
        "signature is not right: --credential: the credential does not have the three parts \
         <AppID>/<request time>/Wonder-RSA-SHA256",
    );
    desk.verify(vector, &[("--signature", "-")]).failed(
        1,
        "signature is not right: the signature is not base64; encode the raw signature bytes as standard base64",
    );
}

#[test]
fn verify_notes_a_time_that_wonder_refuses() {
    let desk = Desk::new();
    let vector = desk.vector("create-customer");
    let right = "signature is right (RSA 2048 bits, fingerprint edb42c9f)\n";
    for (at, note) in [
        ("20240501123123", ""),
        (
            "20240501040100",
            "note: the request time looks like local time (UTC+08:00) in place of UTC, Wonder refuses it\n",
        ),
        ("20240501123824", "note: the request time is 2221 s behind, Wonder refuses it beyond 1800 s\n"),
    ] {
        assert_eq!(desk.verify(vector, &[("--at", at)]).done(), format!("{right}{note}"), "{at}");
    }
}

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
    }

    let arguments = ["sign", "--app-id", &vector.app_id, "--private-key-file", &private, "--nonce", &vector.nonce];
    let request = ["--request-time", &vector.request_time, "--method", &vector.method, "--target", &vector.uri];
    let signed = run(&[&arguments[..], &request, &["--body-file", "-"]].concat(), &vector.body()).done();
    let signed: BTreeMap<String, String> = serde_json::from_str(&signed).unwrap();
    let out = desk.verify(vector, &[("--public-key-file", &public), ("--signature", &signed["signature"])]).done();
    assert_eq!(out, format!("signature is right ({})\n", lines[2]));

    let before = fs::read(&private).unwrap();
    run(&["keygen", "--out", &directory], b"")
        .failed(1, &format!("keygen: {private}: exists already, choose another --out"));
    assert_eq!(fs::read(&private).unwrap(), before);
    fs::remove_file(&private).unwrap();
    run(&["keygen", "--out", &directory], b"")
        .failed(1, &format!("keygen: {public}: exists already, choose another --out"));
    assert!(!PathBuf::from(&private).exists(), "nothing half done");
    let error = run(&["keygen", "--out", &public], b"");
    assert_eq!(error.code, Some(1));
    assert!(error.err.starts_with(&format!("wonder-signer: keygen: --out {public}: ")), "{}", error.err);
}

#[test]
fn keygen_makes_the_size_that_is_asked_for() {
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
fn keys_that_cannot_be_used_are_bad_usage_with_the_reason() {
    let desk = Desk::new();
    let vector = desk.vector("create-customer");
    let sign = |key: &str| {
        let arguments = ["sign", "--app-id", &vector.app_id, "--private-key-file", key];
        run(&[&arguments[..], &["--method", "GET", "--target", "/svc/x"]].concat(), b"")
    };
    let encrypted = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/keys/rsa2048-encrypted-pkcs8.pem");
    let ec = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/keys/ec-sec1.pem");
    let huge = desk.write("huge", &vec![b' '; 65_537]);
    for (path, reason) in [
        (desk.path("none"), "cannot be read: No such file or directory (os error 2)"),
        (desk.path(""), "is a directory, a file is needed"),
        (desk.path("rsa2048-pkcs8.pub"), "is a public key, a private key is needed"),
        (desk.path("rsa2047-pkcs1.pem"), "has a modulus of 2047 bits, 2048 to 4096 are accepted"),
        (
            encrypted.to_owned(),
            "is encrypted with a passphrase; decrypt it first (openssl pkey -in key.pem -out plain.pem)",
        ),
        (ec.to_owned(), "is a key of another algorithm, an RSA key is needed"),
        (desk.write("empty", b""), "is empty"),
        (huge, "is larger than 64 KiB"),
    ] {
        sign(&path).failed(64, &format!("--private-key-file {path}: {reason}"));
    }
    let private = desk.path("rsa2048-pkcs8.pem");
    desk.verify(vector, &[("--public-key-file", &private)])
        .failed(64, &format!("--public-key-file {private}: is a private key, a public key is needed"));
    let none = desk.path("none");
    desk.verify(vector, &[("--body-file", &none)])
        .failed(64, &format!("--body-file {none}: No such file or directory (os error 2)"));
}

#[test]
fn bad_usage_is_one_line_and_64() {
    run(&[], b"").failed_with(64, "usage: 'wonder-signer' requires a subcommand");
    run(&["nonsense"], b"").failed(64, "usage: no such command; try --help");
    run(&["sign", "--method", "GET"], b"").failed(
        64,
        "usage: the following required arguments were not provided: --app-id <UUID> --private-key-file <FILE> \
         --target <TARGET>; try --help",
    );
    for (option, value, reason) in [
        ("--app-id <UUID>", "844bcde8", "the AppID is not a UUID (8-4-4-4-12 hex digits)"),
        ("--method <METHOD>", "GE T", "is not an HTTP method such as GET or POST"),
        ("--target <TARGET>", "svc/x", "must start with /: give path and query without scheme and host"),
        ("--target <TARGET>", "/svc/汉", "must hold visible ASCII only: percent-encode the rest as it will be sent"),
        ("--target <TARGET>", "/svc/a b", "must hold visible ASCII only: percent-encode the rest as it will be sent"),
        ("--target <TARGET>", "/svc/a#b", "must not have a fragment, which is never sent: write # as %23"),
        ("--nonce <NONCE>", "-short", "the nonce is not 16 characters of 0-9, A-Z, a-z"),
        (
            "--request-time <YYYYMMDDhhmmss>",
            "2024050112",
            "the request time is not a UTC time of the form yyyymmddHHMMSS",
        ),
    ] {
        let name = option.split(' ').next().unwrap();
        run(&["sign", name, value], b"").failed(64, &format!("usage: {option}: {reason}; try --help"));
    }
    run(&["sign", "--taget=/svc/x?card=4111"], b"")
        .failed(64, "usage: unexpected argument --taget (did you mean --target?); try --help");
    run(&["sign", "4111"], b"")
        .failed(64, "usage: a value that belongs to no option (write --option=VALUE for one that begins with a dash; quote one that has spaces or & in it); try --help");
    run(&["wait", "--admin", "nowhere"], b"")
        .failed(64, "usage: --admin <ADDRESS>: invalid socket address syntax; try --help");
    assert_eq!(run(&["wait", "--timeout", "soon"], b"").code, Some(64));
}

impl Ended {
    /// As [`failed`](Self::failed), by the beginning of the line.
    #[track_caller]
    fn failed_with(self, code: i32, start: &str) {
        assert!(self.err.starts_with(&format!("wonder-signer: {start}")), "{}", self.err);
        assert_eq!((self.err.lines().count(), self.code, self.out.as_str()), (1, Some(code), ""));
    }
}

#[test]
fn every_command_helps_with_an_example() {
    for command in ["run", "dev", "simulate", "check", "sign", "verify", "keygen", "wait"] {
        let help = run(&[command, "--help"], b"").done();
        let example = help.split("\nExample:\n").nth(1).unwrap_or_default();
        assert!(example.contains(&format!("  wonder-signer {command}")), "{help}");
    }
    assert!(run(&["--help"], b"").done().contains("\nCommands:\n"));
    assert_eq!(run(&["--version"], b"").done(), format!("wonder-signer {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn secrets_given_are_not_repeated_in_errors() {
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
    for marker in ["Marker", "4111", &vector.signature[..20], &vector.nonce, "MIIE"] {
        for ended in [&ended, &damaged, &usage] {
            assert!(!ended.err.contains(marker) && !ended.out.contains(marker), "{ended:?}");
        }
    }
}

fn vector_key_without_end(desk: &Desk) -> String {
    desk.answers.keys["rsa2048-pkcs8"].private_key_pem.replace("-----END", "-----DNE")
}

#[test]
fn a_closed_standard_output_changes_nothing_but_what_is_seen() {
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

/// An admin listener that gives `answers`, one per connection, and then ends; returns what was asked.
fn admin(answers: &'static [&'static str]) -> (String, thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let answering = thread::spawn(move || answers.iter().map(|answer| exchange(&listener, answer)).collect());
    (address, answering)
}

fn exchange(listener: &TcpListener, answer: &str) -> String {
    let (mut stream, _): (TcpStream, _) = listener.accept().unwrap();
    let mut asked = Vec::new();
    while !asked.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        asked.push(byte[0]);
    }
    stream.write_all(answer.as_bytes()).unwrap();
    String::from_utf8(asked).unwrap()
}

const READY: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nready";
const STARTING: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 8\r\n\r\nstarting";

#[test]
fn wait_returns_when_the_sidecar_becomes_ready() {
    let (address, answering) = admin(&[STARTING, STARTING, "", READY]);
    assert_eq!(run(&["wait", "--admin", &address], b"").done(), "ready\n");
    let asked = answering.join().unwrap();
    assert_eq!(asked.len(), 4);
    assert_eq!(asked[3], format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"));
}

#[test]
fn wait_asks_loopback_for_an_address_that_listens_everywhere() {
    let (address, answering) = admin(&[READY]);
    let port = address.rsplit(':').next().unwrap();
    assert_eq!(run(&["wait", "--once", "--admin", &format!("0.0.0.0:{port}")], b"").done(), "ready\n");
    answering.join().unwrap();
}

#[test]
fn wait_once_asks_once() {
    for (answer, reason) in [
        (STARTING, "starting or draining (status 503)"),
        ("HTTP/1.1 404 Not Found\r\n\r\n", "the answer has status 404, is this the admin address?"),
        ("SSH-2.0-OpenSSH_9.2\r\n", "the answer is not HTTP, is this the admin address?"),
        ("", "the answer is not HTTP, is this the admin address?"),
    ] {
        let answers: &'static [&'static str] = Box::leak(Box::new([answer]));
        let (address, answering) = admin(answers);
        run(&["wait", "--once", "--admin", &address], b"").failed(1, &format!("not ready: {address}: {reason}"));
        answering.join().unwrap();
    }
    run(&["wait", "--once", "--timeout", "1s"], b"")
        .failed_with(64, "usage: the argument '--once' cannot be used with");
}

#[test]
fn wait_gives_up_in_time_with_the_last_reason() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    run(&["wait", "--timeout", "10ms", "--admin", &closed], b"")
        .failed_with(1, &format!("not ready after 10ms: {closed}: cannot connect, is it running? ("));
    // Accepted by the system, answered by nobody.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    run(&["wait", "--timeout", "10ms", "--admin", &address], b"")
        .failed_with(1, &format!("not ready after 10ms: {address}: no answer ("));
}
