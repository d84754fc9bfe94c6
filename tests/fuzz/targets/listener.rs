//! The whole listener: random bytes over a socket, and an upstream that verifies the signature of every forwarded request. Covers
//! target acceptance and framing.

#![no_main]

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::{OnceLock, atomic::{AtomicUsize, Ordering}},
    time::Duration,
};

use libfuzzer_sys::fuzz_target;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use wonder_signer::{
    app::App,
    config::{Config, Flags, ListenAddress},
    signing::{Credential, Nonce, SigningKey, Stamp, VerifyingKey, verify},
};

const APP_ID: &str = "1f0e5b52-6c0a-4a55-9a0e-2f6b8d0c7e11";
const VECTORS: &str = include_str!("../../vectors/wonder-rsa-sha256.json");

static LISTEN: OnceLock<SocketAddr> = OnceLock::new();
static ARRIVED: AtomicUsize = AtomicUsize::new(0);

fuzz_target!(|bytes: &[u8]| {
    let listen = LISTEN.get_or_init(start);
    let mut stream = TcpStream::connect(listen).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    // The listener may reject the request before all of it is sent.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
            panic!("the listener hangs")
        }
        _ => {}
    }
});

fn start() -> SocketAddr {
    let (announce, started) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap().block_on(async {
            let pem = key();
            let verifying = SigningKey::from_pem(pem.as_bytes()).unwrap().verifying_key().clone();
            let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let origin = format!("http://{}", upstream.local_addr().unwrap());
            tokio::spawn(async move {
                loop {
                    let (stream, _) = upstream.accept().await.unwrap();
                    let verifying = verifying.clone();
                    tokio::spawn(async move {
                        if tokio::spawn(check(stream, verifying)).await.is_err() {
                            // A panic in a task counts as a finding.
                            std::process::abort();
                        }
                    });
                }
            });
            let environment = [
                ("LISTEN__ADDRESS", "127.0.0.1:0"),
                ("ADMIN__ADDRESS", "127.0.0.1:0"),
                ("UPSTREAM__ENVIRONMENT", "custom"),
                ("UPSTREAM__ORIGIN", &origin),
                ("TIMEOUTS__REQUEST_HEAD", "200ms"),
                ("TIMEOUTS__IDLE", "200ms"),
                ("TIMEOUTS__BODY", "200ms"),
                ("CREDENTIALS__DEFAULT__APP_ID", APP_ID),
                ("CREDENTIALS__DEFAULT__PRIVATE_KEY", &pem),
            ];
            let environment = environment.map(|(name, value)| (format!("WONDER_SIGNER_{name}").into(), value.into()));
            let app = App::start(Config::load(&[], environment, &Flags::default()).unwrap()).await.unwrap();
            let ListenAddress::Tcp(listen) = app.addresses().listen[0] else { panic!("not TCP") };
            announce.send(listen).unwrap();
            app.run(std::future::pending()).await;
        });
    });
    started.recv().unwrap()
}

fn key() -> String {
    let vectors: serde_json::Value = serde_json::from_str(VECTORS).unwrap();
    vectors["keys"]["rsa2048-pkcs8"]["private_key_pem"].as_str().unwrap().to_owned()
}

/// A strict parser: one form of line end, one length, one host, and a valid signature over exactly these bytes.
async fn check(mut stream: tokio::net::TcpStream, key: VerifyingKey) {
    let mut bytes = Vec::new();
    loop {
        let end = loop {
            match bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                Some(end) => break end,
                None if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 => return,
                None => {}
            }
        };
        let head = bytes[..end].to_vec();
        let lines: Vec<&[u8]> = split(&head);
        let words: Vec<&[u8]> = lines[0].split(|byte| *byte == b' ').collect();
        let [method, target, b"HTTP/1.1"] = words[..] else { panic!("{:?}", String::from_utf8_lossy(lines[0])) };
        assert!(target.starts_with(b"/svc/"));
        let value = |wanted: &str| -> Option<&str> {
            let mut found = None;
            for line in &lines[1..] {
                let colon = line.iter().position(|byte| *byte == b':').expect("a colon");
                if line[..colon].eq_ignore_ascii_case(wanted.as_bytes()) {
                    assert!(found.is_none(), "two {wanted}");
                    found = Some(std::str::from_utf8(&line[colon + 1..]).unwrap().trim());
                }
            }
            found
        };
        assert!(value("host").is_some() && value("transfer-encoding").is_none());
        let length = value("content-length").map_or(0, |length| length.parse().unwrap());
        bytes.drain(..end + 4);
        while bytes.len() < length {
            if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let body: Vec<u8> = bytes.drain(..length).collect();
        let credential: Credential = value("credential").unwrap().parse().unwrap();
        let nonce: Nonce = value("nonce").unwrap().parse().unwrap();
        let stamp = Stamp { request_time: credential.request_time, nonce };
        let (method, target) = (std::str::from_utf8(method).unwrap(), std::str::from_utf8(target).unwrap());
        verify(&key, &stamp, method, target, &[&body], value("signature").unwrap()).expect("every forwarded request is signed");
        ARRIVED.fetch_add(1, Ordering::Relaxed);
        if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await.is_err() {
            return;
        }
    }
}

fn split(head: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    let mut rest = head;
    while let Some(end) = rest.windows(2).position(|window| window == b"\r\n") {
        lines.push(&rest[..end]);
        rest = &rest[end + 2..];
    }
    lines.push(rest);
    assert!(!lines.iter().any(|line| line.contains(&b'\r') || line.contains(&b'\n')), "a bare CR or LF");
    lines
}
