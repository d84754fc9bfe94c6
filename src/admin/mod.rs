//! The admin listener: probes, metrics and a page for people. Nothing here is secret, and nothing changes state but
//! [`shutdown`], which is off by default.
//!
//! | Path | Answer |
//! |---|---|
//! | `/livez` | 200 while the process can answer at all |
//! | `/readyz` | 200, or 503 with the reason: `starting`, `draining` |
//! | `/metrics` | Prometheus text format |
//! | `/config` | the configuration in force as JSON, its secrets masked |
//! | `/` | the status page |
//! | `/status.json` | what the status page shows |
//! | `POST /shutdown` | with `admin.shutdown`, from loopback: drain and end |
//!
//! `router` has the answers, [`Probes`] the connections. Nothing runs between two requests.

mod history;
mod page;
mod probes;
mod readiness;
pub mod shutdown;
mod status;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use axum::{
    Json, Router,
    extract::State as Shared,
    http::{
        HeaderValue, StatusCode,
        header::{
            CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
        },
    },
    middleware,
    response::{IntoResponse, Response},
    routing::get,
};

use self::{
    history::History,
    status::{Seen, Status},
};
pub use self::{
    probes::Probes,
    readiness::{Readiness, State},
};
use crate::metrics::{Metrics, TEXT_FORMAT};

/// What the pages tell about the program besides its metrics. The functions are asked anew for each answer, since keys and
/// configuration can be reloaded.
#[derive(Clone)]
pub struct StatusFacts {
    /// The program's version.
    pub version: String,
    /// The environment's name: `staging`, `production` or `custom`.
    pub environment: String,
    /// Where requests go.
    pub origin: String,
    /// The credentials in use.
    pub credentials: Arc<dyn Fn() -> Vec<CredentialFact> + Send + Sync>,
    /// The configuration in force, its secrets masked already.
    pub config: Arc<dyn Fn() -> serde_json::Value + Send + Sync>,
}

impl fmt::Debug for StatusFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatusFacts")
            .field("version", &self.version)
            .field("environment", &self.environment)
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

/// A credential as people may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialFact {
    /// Its name in the configuration.
    pub name: String,
    /// The first 8 hex digits of SHA-256 over its public key.
    pub fingerprint: String,
    /// The size of the key's modulus.
    pub bits: usize,
}

/// All routes of the admin listener. The time since this call is shown as the time the program is up.
pub fn router(metrics: Metrics, readiness: Readiness, page: StatusFacts) -> Router {
    let start = Instant::now();
    let history = Mutex::new(History::new(start, metrics.snapshot()));
    Router::new()
        .route("/", get(status_page))
        .route("/status.json", get(status_json))
        .route("/livez", get("ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics_text))
        .route("/config", get(config))
        .fallback(|| async { (StatusCode::NOT_FOUND, "not found\n") })
        .method_not_allowed_fallback(|| async { (StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n") })
        .layer(middleware::map_response(harden))
        .with_state(Arc::new(Admin { metrics, readiness, facts: page, start, history }))
}

struct Admin {
    metrics: Metrics,
    readiness: Readiness,
    facts: StatusFacts,
    start: Instant,
    history: Mutex<History>,
}

impl Admin {
    fn status(&self) -> Status {
        let now = Instant::now();
        let current = self.metrics.snapshot();
        let (window, recent) = {
            let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
            let last_minute = history.last_minute(now, &current);
            history.record(now, current.clone());
            last_minute
        };
        Status::of(&Seen {
            state: self.readiness.state(),
            version: &self.facts.version,
            environment: &self.facts.environment,
            origin: &self.facts.origin,
            credentials: &(self.facts.credentials)(),
            uptime: now - self.start,
            now: &current,
            recent: &recent,
            window,
        })
    }
}

async fn ready(Shared(admin): Shared<Arc<Admin>>) -> Response {
    match admin.readiness.state() {
        State::Ready => "ready\n".into_response(),
        not_yet => (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", not_yet.as_str())).into_response(),
    }
}

async fn metrics_text(Shared(admin): Shared<Arc<Admin>>) -> Response {
    admin.metrics.set_draining(admin.readiness.state() == State::Draining);
    // A regular scrape gives the status page a snapshot about a minute old, even if nobody has it open.
    let snapshot = admin.metrics.snapshot();
    admin.history.lock().unwrap_or_else(PoisonError::into_inner).record(Instant::now(), snapshot);
    match admin.metrics.encode() {
        Ok(text) => ([(CONTENT_TYPE, TEXT_FORMAT)], text).into_response(),
        Err(error) => {
            tracing::error!(error = &error as &(dyn std::error::Error + 'static), "cannot answer a scrape");
            (StatusCode::INTERNAL_SERVER_ERROR, "cannot write the metrics\n").into_response()
        }
    }
}

async fn config(Shared(admin): Shared<Arc<Admin>>) -> Response {
    // Indented, since people read it.
    let text = format!("{:#}\n", (admin.facts.config)());
    ([(CONTENT_TYPE, "application/json")], text).into_response()
}

async fn status_json(Shared(admin): Shared<Arc<Admin>>) -> Json<Status> {
    Json(admin.status())
}

async fn status_page(Shared(admin): Shared<Arc<Admin>>) -> Response {
    let headers = [(CONTENT_TYPE, "text/html; charset=utf-8"), (CONTENT_SECURITY_POLICY, page::POLICY.as_str())];
    (headers, page::page(&admin.status())).into_response()
}

/// For every answer: not kept by anyone, not read as another type, not readable by another site's page.
async fn harden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
