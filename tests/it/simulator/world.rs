//! A running simulator, its clock, and a client that writes requests byte by byte.

use std::{
    fmt::Write as _,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    sync::oneshot,
    task::JoinHandle,
};
use wonder_signer::{
    signing::{AppId, Nonce, RequestTime, SigningKey, Stamp, sign},
    simulator::{Apps, Options, Simulator},
};

pub(crate) const APP_ID: &str = "1f0e5b52-6c0a-4a55-9a0e-2f6b8d0c7e11";
pub(crate) const P: &str = "/svc/payment/api/v1/openapi";
/// 2026-02-14T09:30:05Z.
pub(crate) const NOW: u64 = 1_771_061_405;

/// Made once, because making a key is slow.
pub(crate) static KEY: LazyLock<SigningKey> = LazyLock::new(new_key);

pub(crate) fn new_key() -> SigningKey {
    SigningKey::generate(&mut rand::thread_rng(), 2048).unwrap().0
}

pub(crate) struct World {
    pub address: std::net::SocketAddr,
    pub origin: String,
    pub ca_pem: Option<String>,
    /// The AppIDs that may call.
    pub apps: Apps,
    clock: Arc<AtomicU64>,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

impl World {
    pub(crate) async fn plain() -> Self {
        Self::with(|options| options.tls = false).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Options)) -> Self {
        let clock = Arc::new(AtomicU64::new(NOW));
        let read = Arc::clone(&clock);
        let mut options = Options {
            apps: vec![(APP_ID.parse().unwrap(), KEY.verifying_key().clone())],
            clock: Arc::new(move || RequestTime::from_unix_seconds(read.load(Ordering::SeqCst))),
            ..Options::default()
        };
        change(&mut options);
        let simulator = Simulator::bind(options).await.unwrap();
        let (address, origin) = (simulator.address(), simulator.origin());
        let (ca_pem, apps) = (simulator.ca_pem().map(str::to_owned), simulator.apps());
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(simulator.run(async { stopped.await.unwrap_or(()) }));
        Self { address, origin, ca_pem, apps, clock, stop, running }
    }

    pub(crate) fn set_clock(&self, unix_seconds: u64) {
        self.clock.store(unix_seconds, Ordering::SeqCst);
    }

    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        self.running.await.unwrap();
    }

    /// Signs at the time of the simulator's clock, and sends over a new connection.
    pub(crate) async fn call(&self, method: &str, target: &str, body: &str) -> Reply {
        let now = self.clock.load(Ordering::SeqCst);
        self.send(&Call::signed_with(&KEY, APP_ID, now, method, target, body)).await
    }

    /// Sends the call unchanged.
    pub(crate) async fn send(&self, call: &Call) -> Reply {
        exchange(TcpStream::connect(self.address).await.unwrap(), &call.bytes()).await
    }

    /// Creates a customer and returns its uuid.
    pub(crate) async fn customer(&self, reference_number: &str) -> String {
        let body = format!(
            r#"{{"customer":{{"name":"Kestrel Tea Room","email":"books@kestrel.example","dial_code":"+852","phone":"55501234","reference_number":"{reference_number}"}}}}"#
        );
        self.call("POST", &format!("{P}/customers"), &body).await.data()["customer"]["uuid"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Creates a token for a card and returns the answered token.
    pub(crate) async fn card(&self, customer: &str) -> Value {
        self.call("POST", &format!("{P}/customers/{customer}/payment_tokens"), CARD).await.data()["payment_token"]
            .clone()
    }

    /// Requests a token's state.
    pub(crate) async fn check(&self, customer: &str, token: &Value) -> Value {
        let body = serde_json::json!({ "payment_token": { "token": token["token"] } }).to_string();
        let target = format!("{P}/customers/{customer}/payment_tokens/check");
        self.call("POST", &target, &body).await.data()["payment_token"].clone()
    }

    /// Presses a button on a token's page.
    pub(crate) async fn press(&self, token: &Value, decision: &str) -> Reply {
        let path = token["verify_url"].as_str().unwrap().strip_prefix(&self.origin).unwrap().to_owned();
        let call = Call::unsigned("POST", &path, &format!("decision={decision}"));
        self.send(&call.header("Content-Type", "application/x-www-form-urlencoded")).await
    }
}

pub(crate) const CARD: &str = r#"{"card":{"number":"4111111111111111","exp_month":"08","exp_year":"31","holder_name":"K TEA","billing_address":{"country_code":"HKG","city":"Hong Kong"},"3ds":{"success_return_url":"https://shop.example/ok?a=1&b=2","fail_return_url":"https://shop.example/no"},"transaction_type":"recurring_payment"}}"#;

/// One request; signed at `NOW` with a fresh nonce unless made otherwise.
#[derive(Clone)]
pub(crate) struct Call {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Call {
    pub(crate) fn unsigned(method: &str, target: &str, body: &str) -> Self {
        Self { method: method.into(), target: target.into(), headers: Vec::new(), body: body.into() }
    }

    pub(crate) fn signed(method: &str, target: &str, body: &str) -> Self {
        Self::signed_with(&KEY, APP_ID, NOW, method, target, body)
    }

    pub(crate) fn signed_with(key: &SigningKey, app_id: &str, at: u64, method: &str, target: &str, body: &str) -> Self {
        let app_id: AppId = app_id.parse().unwrap();
        let stamp =
            Stamp { request_time: RequestTime::from_unix_seconds(at), nonce: Nonce::generate(&mut rand::thread_rng()) };
        let signed = sign(key, &app_id, &stamp, method, target, &[body]).unwrap();
        Self::unsigned(method, target, body)
            .header("Credential", &signed.credential)
            .header("Nonce", &signed.nonce)
            .header("Signature", &signed.signature)
    }

    /// Adds a header, even if one of the same name exists.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self
    }

    pub(crate) fn replace(self, name: &str, value: &str) -> Self {
        self.without(name).header(name, value)
    }

    pub(crate) fn get(&self, name: &str) -> String {
        self.headers.iter().find(|(other, _)| other == name).unwrap().1.clone()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n", self.method, self.target);
        for (name, value) in &self.headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        if !self.body.is_empty() {
            write!(head, "Content-Length: {}\r\n", self.body.len()).unwrap();
        }
        [head.as_bytes(), b"\r\n", &self.body].concat()
    }
}

/// Writes a request and reads until the other side closes.
pub(crate) async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &[u8]) -> Reply {
    stream.write_all(request).await.unwrap();
    stream.flush().await.unwrap();
    let mut bytes = Vec::new();
    // The connection may end without `close_notify`.
    let _ = stream.read_to_end(&mut bytes).await;
    Reply::parse(&bytes)
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Reply {
    fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer but {text:?}"));
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.map(|line| line.split_once(": ").unwrap()).map(|(n, v)| (n.to_lowercase(), v.into()));
        Self { status, headers: headers.collect(), body: body.into() }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| &value[..])
    }

    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.get("content-type"), Some("application/json"), "{self:?}");
        serde_json::from_str(&self.body).unwrap()
    }

    /// `data` of a success.
    #[track_caller]
    pub(crate) fn data(&self) -> Value {
        let mut json = self.json();
        assert_eq!((self.status, &json["code"], &json["message"]), (200, &200.into(), &"success".into()), "{json}");
        json["data"].take()
    }

    /// Asserts an error in the envelope, and returns its message.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str) -> String {
        let json = self.json();
        assert_eq!((self.status, json["code"].as_str()), (status, Some(code)), "{json}");
        assert_eq!(json.as_object().unwrap().len(), 2, "{json}");
        json["message"].as_str().unwrap().to_owned()
    }
}
