//! A sidecar in this process: real listeners, real client, real key.

use std::{
    collections::HashMap,
    io::Write as _,
    net::SocketAddr,
    sync::{LazyLock, Mutex},
};

use tokio::{sync::oneshot, task::JoinHandle};
use wonder_signer::{
    app::{App, StartError, Stop},
    config::{Config, Flags, ListenAddress},
    files::Reload,
    metrics::Metrics,
    net::drain::Receipt,
    signing::{Credential, Nonce, SigningKey, Stamp, VerifyingKey, verify},
};

use super::{patience::soon, wire::Message};

/// The AppID of every sidecar under test.
pub(crate) const APP_ID: &str = "1f0e5b52-6c0a-4a55-9a0e-2f6b8d0c7e11";

/// The private key of every sidecar under test: one of the published vectors' keys, which protects nothing.
pub(crate) static KEY_PEM: LazyLock<String> = LazyLock::new(|| {
    let text = include_str!("../../vectors/wonder-rsa-sha256.json");
    let vectors: serde_json::Value = serde_json::from_str(text).unwrap();
    vectors["keys"]["rsa2048-pkcs8"]["private_key_pem"].as_str().unwrap().to_owned()
});

pub(crate) fn verifying_key() -> VerifyingKey {
    SigningKey::from_pem(KEY_PEM.as_bytes()).unwrap().verifying_key().clone()
}

/// A running sidecar. Dropping it stops it at once; [`stop`](Self::stop) drains it.
pub(crate) struct Sidecar {
    /// The first TCP address.
    pub(crate) listen: SocketAddr,
    /// Every address.
    pub(crate) all: Vec<ListenAddress>,
    pub(crate) admin: SocketAddr,
    /// Reloads as SIGHUP does.
    pub(crate) reload: Reload,
    /// The webhook listener, if there is one on TCP.
    pub(crate) webhook: Option<SocketAddr>,
    /// The same, or on a Unix socket.
    pub(crate) webhook_at: Option<ListenAddress>,
    _known: Known,
    shutdown: Mutex<Option<oneshot::Sender<Stop>>>,
    task: JoinHandle<Receipt>,
}

impl Sidecar {
    /// In front of `origin`, with every default.
    pub(crate) async fn before(origin: &str) -> Self {
        Self::with(origin, "").await
    }

    /// In front of `origin`, with more configuration (TOML).
    pub(crate) async fn with(origin: &str, toml: &str) -> Self {
        Self::listening("127.0.0.1:0", origin, toml).await.unwrap()
    }

    /// In front of `origin`, with these credentials (TOML).
    pub(crate) async fn with_credentials(origin: &str, toml: &str) -> Result<Self, StartError> {
        Self::configured("127.0.0.1:0", origin, toml, &[]).await
    }

    /// On `listen` (one address, or several separated by commas), in front of `origin`, with more configuration (TOML).
    pub(crate) async fn listening(listen: &str, origin: &str, toml: &str) -> Result<Self, StartError> {
        let credential = [
            ("WONDER_SIGNER_CREDENTIALS__DEFAULT__APP_ID", APP_ID),
            ("WONDER_SIGNER_CREDENTIALS__DEFAULT__PRIVATE_KEY", KEY_PEM.as_str()),
        ];
        Self::configured(listen, origin, toml, &credential).await
    }

    async fn configured(
        listen: &str,
        origin: &str,
        toml: &str,
        credential: &[(&str, &str)],
    ) -> Result<Self, StartError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(toml.as_bytes()).unwrap();
        let environment = [
            ("WONDER_SIGNER_LISTEN__ADDRESS", listen),
            ("WONDER_SIGNER_ADMIN__ADDRESS", "127.0.0.1:0"),
            ("WONDER_SIGNER_UPSTREAM__ENVIRONMENT", "custom"),
            ("WONDER_SIGNER_UPSTREAM__ORIGIN", origin),
        ];
        let environment = environment.iter().chain(credential).map(|(name, value)| (name.into(), value.into()));
        let config = Config::load(&[file.path().to_owned()], environment, &Flags::default()).unwrap();
        let app = App::start(config).await?;
        let (addresses, metrics, reload) = (app.addresses().clone(), app.metrics().clone(), app.reload());
        let (shutdown, stopped) = oneshot::channel();
        let task = tokio::spawn(app.run(async { stopped.await.unwrap_or(Stop::AtOnce) }));
        let first = addresses.listen.iter().find_map(|address| match address {
            ListenAddress::Tcp(address) => Some(*address),
            ListenAddress::Unix(_) => None,
        });
        Ok(Self {
            listen: first.unwrap_or(addresses.admin),
            all: addresses.listen,
            admin: addresses.admin,
            reload,
            webhook: match addresses.webhook {
                Some(ListenAddress::Tcp(address)) => Some(address),
                Some(ListenAddress::Unix(_)) | None => None,
            },
            webhook_at: addresses.webhook,
            _known: Known::new(addresses.admin, metrics),
            shutdown: Mutex::new(Some(shutdown)),
            task,
        })
    }

    /// Begins a drain without its delay; does not wait.
    pub(crate) fn ask_to_stop(&self) {
        self.begin_drain(Stop::AtOnce);
    }

    /// Begins a drain with its delay, as SIGTERM does; does not wait.
    pub(crate) fn terminate(&self) {
        self.begin_drain(Stop::AfterDelay);
    }

    fn begin_drain(&self, stop: Stop) {
        if let Some(shutdown) = self.shutdown.lock().unwrap().take() {
            let _ = shutdown.send(stop);
        }
    }

    /// Begins a drain without its delay, unless one has begun; returns its receipt.
    pub(crate) async fn stop(self) -> Receipt {
        self.ask_to_stop();
        soon(self.task).await.unwrap()
    }

    /// The value of one series, by its full text in `/metrics`.
    pub(crate) async fn metric(&self, series: &str) -> f64 {
        metric(self.admin, series).await
    }
}

/// The metrics of the sidecars in this process, by the address of their admin listener, whose own answer may be a second old.
static METRICS: LazyLock<Mutex<HashMap<SocketAddr, Metrics>>> = LazyLock::new(Mutex::default);

/// Keeps a sidecar in [`METRICS`].
struct Known(SocketAddr);

impl Known {
    fn new(admin: SocketAddr, metrics: Metrics) -> Self {
        METRICS.lock().unwrap().insert(admin, metrics);
        Self(admin)
    }
}

impl Drop for Known {
    fn drop(&mut self) {
        METRICS.lock().unwrap().remove(&self.0);
    }
}

/// The value of one series, by its full text in the `/metrics` of this admin listener; the value of another process may be a
/// second old.
pub(crate) async fn metric(admin: SocketAddr, series: &str) -> f64 {
    let here = METRICS.lock().unwrap().get(&admin).cloned();
    if let Some(metrics) = here {
        // Tests poll this in a loop.
        tokio::task::yield_now().await;
        return value(&metrics.encode().unwrap(), series);
    }
    let ask = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    value(&super::wire::exchange(admin, ask).await.text(), series)
}

fn value(text: &str, series: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {series} in\n{text}")).parse().unwrap()
}

/// Waits until a series of this admin listener has a value, and yields to other tasks meanwhile.
pub(crate) async fn until(admin: SocketAddr, series: &str, value: f64) {
    soon(async {
        while (metric(admin, series).await - value).abs() > f64::EPSILON {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Checks the three signature headers of a recorded request over the very bytes that were recorded.
pub(crate) fn assert_signed(request: &Message) -> Stamp {
    let mut words = request.start_line().split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let credential: Credential = request.value("credential").unwrap().parse().unwrap();
    assert_eq!(credential.app_id.as_str(), APP_ID);
    let nonce: Nonce = request.value("nonce").unwrap().parse().unwrap();
    let stamp = Stamp { request_time: credential.request_time, nonce };
    let signature = request.value("signature").unwrap();
    verify(&verifying_key(), &stamp, method, target, &[&request.body], signature).expect(method);
    stamp
}
