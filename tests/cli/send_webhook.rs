//! The requests of `send-webhook`, and the report of `--probe` on handlers that verify and on handlers that do not.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex},
    thread,
};

use wonder_signer::signing::{
    AppId, VerifyingKey,
    headers::Headers,
    webhook::{Accepted, Delivery, verify},
    window::Window,
};

use crate::{Desk, Ended, closed, run};

const APP_ID: &str = "1f0e5b52-6c0a-4a55-9a0e-2f6b8d0c7e11";
const KEY: &str = "rsa2048-pkcs1";

/// A request as a handler received it.
#[derive(Debug, Clone)]
struct Received {
    line: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Received {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| &value[..])
    }

    /// The answer of a verifying handler.
    fn verdict(&self, key: &VerifyingKey) -> Result<(), &'static str> {
        let app_id: AppId = APP_ID.parse().unwrap();
        let headers = Headers::collect(self.headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())));
        let mut words = self.line.split(' ');
        let (method, target) = (words.next().unwrap(), words.next().unwrap());
        let body = [&self.body[..]];
        let delivery = Delivery { method, target: target.as_bytes(), headers, body: &body };
        let now = self.header("credential").and_then(|credential| credential.split('/').nth(1)?.parse().ok());
        let now = now.unwrap_or("20260214093005".parse().unwrap());
        verify(&delivery, [Accepted { name: "shop", app_id: &app_id, key }], now, Window::REQUEST)
            .map(drop)
            .map_err(|refusal| refusal.name())
    }
}

/// A handler on a free port. A function returns status and body for each request.
struct Handler {
    address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Handler {
    fn start(answer: impl Fn(&Received) -> (u16, &'static str) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&received);
        // The thread ends with the process.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut bytes = Vec::new();
                let request = loop {
                    let mut buffer = [0; 4096];
                    match stream.read(&mut buffer).unwrap() {
                        0 => break None,
                        read => bytes.extend_from_slice(&buffer[..read]),
                    }
                    if let Some(request) = parsed(&bytes) {
                        break Some(request);
                    }
                };
                let Some(request) = request else { continue };
                let (status, body) = answer(&request);
                kept.lock().unwrap().push(request);
                let length = body.len();
                write!(stream, "HTTP/1.1 {status} x\r\nX-Handler: yes\r\nContent-Length: {length}\r\n\r\n{body}")
                    .unwrap();
            }
        });
        Self { address, received }
    }

    /// A verifying handler with the key of the vectors.
    fn verifying(desk: &Desk) -> Self {
        let key = VerifyingKey::from_pem(desk.answers.keys[KEY].public_key_pem.as_bytes()).unwrap();
        Self::start(move |request| if request.verdict(&key).is_ok() { (200, "ok") } else { (401, "no") })
    }

    fn url(&self) -> String {
        format!("http://{}/hook?src=w", self.address)
    }

    fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }
}

fn parsed(bytes: &[u8]) -> Option<Received> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let line = lines.next()?.to_owned();
    let headers = lines.map(|line| line.split_once(": ").unwrap()).map(|(name, value)| (name.into(), value.into()));
    let received = Received { line, headers: headers.collect(), body: bytes[end + 4..].to_vec() };
    let length: usize = received.header("content-length")?.parse().unwrap();
    (received.body.len() >= length).then_some(received)
}

/// Runs the command against a handler, with the webhook key and the AppID of the vectors.
fn send(desk: &Desk, handler: &Handler, more: &[&str]) -> Ended {
    let (url, key) = (handler.url(), desk.path(&format!("{KEY}.pem")));
    run(&[&["send-webhook", "--to", &url, "--key", &key, "--app-id", APP_ID][..], more].concat(), b"")
}

#[test]
fn send_webhook_sends_a_valid_webhook_and_prints_it_with_its_answer() {
    let desk = Desk::new();
    let handler = Handler::verifying(&desk);
    let out = send(&desk, &handler, &["--action", "order.paid", "--reference-number", "INV-42"]).done();
    let received = handler.received().remove(0);
    assert_eq!(received.line, "POST /hook?src=w HTTP/1.1");
    assert_eq!(received.header("content-type"), Some("application/json"));
    assert_eq!(received.header("x-action"), Some("order.paid"));
    let order: serde_json::Value = serde_json::from_slice(&received.body).unwrap();
    assert_eq!((&order["reference_number"], &order["correspondence_state"]), (&"INV-42".into(), &"paid".into()));
    for shown in [
        &format!("POST /hook?src=w HTTP/1.1\nHost: {}\n", handler.address),
        &format!("credential: {}\n", received.header("credential").unwrap()),
        &format!("signature: {}\n", received.header("signature").unwrap()),
        &String::from_utf8(received.body.clone()).unwrap(),
        "200 OK in ",
        "x-handler: yes\n",
        "\n\nok\n",
    ] {
        assert!(out.contains(shown), "{shown} in {out}");
    }
}

#[test]
fn a_body_file_is_sent_byte_for_byte() {
    let desk = Desk::new();
    let handler = Handler::verifying(&desk);
    let body = b"{\"a\": 1}\r\n\xff";
    let file = desk.write("body.bin", body);
    send(&desk, &handler, &["--body-file", &file, "--action", "card.otp"]).done();
    let received = handler.received().remove(0);
    assert_eq!((&received.body[..], received.header("x-action")), (&body[..], Some("card.otp")));
}

#[test]
fn each_tampered_webhook_is_rejected_for_its_own_reason() {
    let desk = Desk::new();
    let key = VerifyingKey::from_pem(desk.answers.keys[KEY].public_key_pem.as_bytes()).unwrap();
    for (tamper, refusal) in [
        ("target", "signature_mismatch"),
        ("body", "signature_mismatch"),
        ("time", "signature_mismatch"),
        ("nonce", "signature_mismatch"),
        ("app-id", "app_id_unknown"),
        ("key", "signature_mismatch"),
    ] {
        let handler = Handler::verifying(&desk);
        let out = send(&desk, &handler, &["--tamper", tamper]).done();
        assert!(out.contains("401 Unauthorized in "), "{tamper}: {out}");
        assert_eq!(handler.received()[0].verdict(&key), Err(refusal), "{tamper}");
    }
}

#[test]
fn a_faulty_endpoint_gives_exit_code_1() {
    let desk = Desk::new();
    let naive = Handler::start(|_| (200, "ok"));
    let ended = send(&desk, &naive, &["--tamper", "body"]);
    assert_eq!(
        (ended.code, &ended.err[..]),
        (
            Some(1),
            "wonder-signer: send-webhook: your endpoint accepted a forged webhook (the body was changed after it was signed; HTTP 200)\n"
        )
    );
    let broken = Handler::start(|_| (500, "oops"));
    let ended = send(&desk, &broken, &[]);
    let expected = "wonder-signer: send-webhook: your endpoint rejected a valid webhook (HTTP 500)\n";
    assert_eq!((ended.code, &ended.err[..]), (Some(1), expected));

    let (_held, closed) = closed();
    let ended = run(&["send-webhook", "--to", &format!("http://{closed}/hook?token=secret")], b"");
    let start = format!("wonder-signer: send-webhook: http://{closed}/hook?…: no connection: cannot connect");
    assert!(ended.err.starts_with(&start), "{}", ended.err);
    assert_eq!(ended.code, Some(1));
}

#[test]
fn a_probe_finds_no_fault_in_a_verifying_handler() {
    let desk = Desk::new();
    let handler = Handler::verifying(&desk);
    let out = send(&desk, &handler, &["--probe"]).done();
    assert!(!out.contains("WRONG") && out.contains("the answers show no fault in your endpoint"), "{out}");
    let received = handler.received();
    assert_eq!(received.len(), 10);
    let (right, repeat) = (&received[0], &received[8]);
    for name in ["credential", "nonce", "signature"] {
        assert_eq!(right.header(name), repeat.header(name), "the repeat is a copy");
    }
    let refund: serde_json::Value = serde_json::from_slice(&received[9].body).unwrap();
    assert_eq!(received[9].header("x-action"), Some("order.refunded"));
    assert_eq!((&refund["state"], &refund["correspondence_state"]), (&"completed".into(), &"refunded".into()));
    assert!(
        out.contains("check whether your endpoint treated a refunded order as paid (HTTP 200; check your own records)"),
        "{out}"
    );
}

#[test]
fn a_probe_lists_each_fault_of_a_handler_that_does_not_verify() {
    let desk = Desk::new();
    let handler = Handler::start(|request| {
        let order: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
        if order["state"] == "completed" { (200, "{\"status\":\"paid\"}") } else { (200, "{}") }
    });
    let ended = send(&desk, &handler, &["--probe"]);
    assert_eq!((ended.code, &ended.err[..]), (Some(1), "wonder-signer: probe: your endpoint failed 7 checks\n"));
    for forgery in [
        "another key signed it",
        "the body was changed after it was signed",
        "the signature is for another target",
        "the time was changed after it was signed",
        "the nonce was changed after it was signed",
        "it is unsigned",
    ] {
        let line = format!("WRONG: your endpoint accepted a forged webhook ({forgery}; HTTP 200)\n");
        assert!(ended.out.contains(&line), "{line} in {}", ended.out);
    }
    assert!(
        ended
            .out
            .contains("WRONG: your endpoint treated a refunded order as paid (HTTP 200; check your own records)\n"),
        "{}",
        ended.out
    );
}

#[test]
fn a_probe_reports_a_rejected_valid_webhook_and_a_rejected_repeat() {
    let desk = Desk::new();
    let (key, seen) = (desk.answers.keys[KEY].public_key_pem.clone(), Mutex::new(0));
    let handler = Handler::start(move |request| {
        let key = VerifyingKey::from_pem(key.as_bytes()).unwrap();
        let mut seen = seen.lock().unwrap();
        *seen += usize::from(request.verdict(&key).is_ok() && request.header("x-action") == Some("order.paid"));
        match *seen {
            1 => (200, "ok"),
            _ => (409, "seen"),
        }
    });
    let ended = send(&desk, &handler, &["--probe"]);
    assert!(ended.out.contains("WRONG: your endpoint rejected a repeat (HTTP 409)"), "{}", ended.out);
    let refusing = Handler::start(|_| (401, "no"));
    let ended = send(&desk, &refusing, &["--probe"]);
    assert!(ended.out.contains("WRONG: your endpoint rejected a valid webhook (HTTP 401)"), "{}", ended.out);
    assert_eq!(ended.code, Some(1));
}

#[test]
fn another_host_needs_an_explicit_flag() {
    for host in ["shop.example", "169.254.169.254", "0.0.0.0"] {
        run(&["send-webhook", "--to", &format!("http://{host}/hook")], b"")
            .failed(64, &format!("usage: --to: {host} is not loopback; allow it with --allow-host {host}"));
    }
    let port = Handler::start(|_| (200, "")).address.port();
    // An allowed host is contacted.
    let url = format!("http://0.0.0.0:{port}/hook");
    run(&["send-webhook", "--to", &url, "--allow-host", "0.0.0.0"], b"").done();
}

#[test]
fn bad_input_names_the_option_and_the_remedy() {
    let desk = Desk::new();
    let public = desk.path(&format!("{KEY}.pub"));
    let text = desk.write("text", b"no JSON");
    for (more, line) in [
        (
            vec!["--key", &public],
            format!("--key {public}: is a public key, a private key is needed; name the file of the private key"),
        ),
        (
            vec!["--action", "order paid"],
            "usage: --action <ACTION>: must be a name such as order.paid, without spaces; try --help".to_owned(),
        ),
        (
            vec!["--body-file", &text, "--probe"],
            "usage: --probe needs the JSON of an order in --body-file; it changes the order to a refunded one"
                .to_owned(),
        ),
        (
            vec!["--tamper", "all"],
            "usage: --tamper <TAMPER>: must be one of target, body, time, nonce, app-id, key; try --help".to_owned(),
        ),
    ] {
        let arguments = [&["send-webhook", "--to", "http://127.0.0.1:1/hook"][..], &more].concat();
        run(&arguments, b"").failed(64, &line);
    }
}
