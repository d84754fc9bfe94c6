//! The admin listener: probes, metrics and a status page. Nothing here is secret. Only `shutdown`, which is off by default, changes
//! state.
//!
//! | Path | Answer |
//! |---|---|
//! | `/livez` | 200 while the process runs |
//! | `/readyz` | 200, or 503 with the reason: `starting`, `draining` |
//! | `/metrics` | Prometheus text format, written at most once a second |
//! | `/config` | the configuration in force as JSON, its secrets masked; checks `Host` |
//! | `/` | the status page; checks `Host` |
//! | `/status.json` | the content of the status page as JSON; checks `Host` |
//! | `/runbook`, `/runbook/{entry}` | the runbook of this version, or one entry of it, as text; checks `Host` |
//! | `POST /shutdown` | with `admin.shutdown`, from loopback: drain and end |
//!
//! `router` has the answers, [`Probes`] the connections, [`Sampler`] the history of the status page. Only the sampler runs between two
//! requests.

mod cause;
mod chart;
mod history;
mod local;
mod page;
mod probes;
mod problems;
mod readiness;
pub(crate) mod rotate;
mod runbook;
mod seen;
pub(crate) mod shutdown;
mod status;
mod webhooks;
mod words;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{Path, Request, State as Shared, rejection::PathRejection},
    http::{
        HeaderValue, StatusCode,
        header::{
            CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
        },
    },
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use tokio::time::Instant;

pub(crate) use self::readiness::State;
use self::{
    history::{History, Point},
    seen::Seen,
    status::Status,
};
pub use self::{probes::Probes, readiness::Readiness};
use crate::{
    clock,
    metrics::{Metrics, TEXT_FORMAT},
    net::hosts::Hosts,
};

/// The content of the pages apart from the metrics. Each answer calls the functions again.
#[derive(Clone)]
pub struct StatusFacts {
    /// The program's version.
    pub version: String,
    /// The name of this instance: that of its pod or machine.
    pub instance: String,
    /// The environment's name: `staging`, `production` or `custom`.
    pub environment: String,
    /// The origin.
    pub origin: String,
    /// The names in `Host` for which the pages are served, besides any IP address.
    pub hosts: Hosts,
    /// Every configured credential.
    pub credentials: Arc<dyn Fn() -> Vec<CredentialFact> + Send + Sync>,
    /// The configuration in force, its secrets masked already.
    pub config: Arc<dyn Fn() -> serde_json::Value + Send + Sync>,
}

impl fmt::Debug for StatusFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatusFacts")
            .field("version", &self.version)
            .field("instance", &self.instance)
            .field("environment", &self.environment)
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

/// The public facts of a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialFact {
    /// Its name in the configuration.
    pub name: String,
    /// The key that signs, if there is one.
    pub key: Option<KeyFact>,
    /// What its units are doing, in words.
    pub state: &'static str,
}

/// The public facts of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFact {
    /// The first 8 hex digits of SHA-256 over its public half.
    pub fingerprint: String,
    /// The size of its modulus.
    pub bits: usize,
}

/// All routes of the admin listener, and the sampler of its status page. The page shows the time since this call as uptime.
pub fn router(metrics: Metrics, readiness: Readiness, page: StatusFacts) -> (Router, Sampler) {
    let start = Instant::now();
    let history = Mutex::new(History::new(start, metrics.snapshot()));
    let admin = Arc::new(Admin { metrics, readiness, facts: page, start, history, scrape: Mutex::new(None) });
    let pages = Router::new()
        .route("/", get(status_page))
        .route("/status.json", get(status_json))
        .route("/runbook", get(runbook::TEXT))
        .route("/runbook/{entry}", get(runbook_entry))
        .route("/config", get(config))
        .route_layer(middleware::from_fn_with_state(Arc::clone(&admin), check_host));
    // Probes and Prometheus use any name that the cluster gives to the pod, and their answers are not worth a DNS rebinding attack.
    let routes = pages
        .route("/livez", get("ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics_text))
        .fallback(|| async { not_found() })
        .method_not_allowed_fallback(|| async { (StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n") })
        .layer(middleware::map_response(harden))
        .with_state(Arc::clone(&admin));
    (routes, Sampler(admin))
}

/// Adds samples to the history of the status page.
pub struct Sampler(Arc<Admin>);

impl Sampler {
    /// The time between two samples.
    pub const SPACING: Duration = history::SPACING;

    /// Adds one sample.
    pub fn sample(&self) {
        let current = self.0.metrics.snapshot();
        self.0.history().sample(Instant::now(), current);
    }
}

struct Admin {
    metrics: Metrics,
    readiness: Readiness,
    facts: StatusFacts,
    start: Instant,
    history: Mutex<History>,
    scrape: Mutex<Option<Scrape>>,
}

/// The maximum age of the text of `/metrics`, which costs as much as many probes and which every client of the pod can request.
const SCRAPE: Duration = Duration::from_secs(1);

/// The last text of `/metrics`.
struct Scrape {
    at: Instant,
    /// A change is shown at once.
    state: State,
    text: Bytes,
}

impl Admin {
    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The content of the page, and the points of its charts.
    fn status(&self) -> (Status, Vec<Point>) {
        let now = Instant::now();
        let current = self.metrics.snapshot();
        let history = self.history();
        let ((window, recent), points) = (history.recent(now, &current), history.points());
        drop(history);
        let status = Status::of(&Seen {
            state: self.readiness.state(),
            version: &self.facts.version,
            instance: &self.facts.instance,
            environment: &self.facts.environment,
            origin: &self.facts.origin,
            credentials: &(self.facts.credentials)(),
            uptime: now - self.start,
            total: &current,
            recent: &recent,
            window,
            lasts: &self.metrics.lasts(),
            now: clock::since_1970().as_secs(),
        });
        (status, points)
    }
}

/// Protects the pages from DNS rebinding. An IP address in `Host` is accepted, because people open a pod by its address.
async fn check_host(Shared(admin): Shared<Arc<Admin>>, request: Request, next: Next) -> Response {
    if admin.facts.hosts.are_addressed_by(request.headers()) {
        return next.run(request).await;
    }
    let text = "the host in Host is not a name of this listener; open the page by IP address or as localhost, or add the name to \
                listen.allowed_hosts\n";
    (StatusCode::MISDIRECTED_REQUEST, text).into_response()
}

async fn ready(Shared(admin): Shared<Arc<Admin>>) -> Response {
    match admin.readiness.state() {
        State::Ready => "ready\n".into_response(),
        not_yet => (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", not_yet.as_str())).into_response(),
    }
}

async fn metrics_text(Shared(admin): Shared<Arc<Admin>>) -> Response {
    let state = admin.readiness.state();
    let mut scrape = admin.scrape.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(scrape) = scrape.as_ref().filter(|scrape| scrape.state == state && scrape.at.elapsed() < SCRAPE) {
        return ([(CONTENT_TYPE, TEXT_FORMAT)], scrape.text.clone()).into_response();
    }
    admin.metrics.set_draining(state == State::Draining);
    match admin.metrics.encode() {
        Ok(text) => {
            let text = Bytes::from(text);
            *scrape = Some(Scrape { at: Instant::now(), state, text: text.clone() });
            ([(CONTENT_TYPE, TEXT_FORMAT)], text).into_response()
        }
        Err(error) => {
            tracing::error!(error = &error as &(dyn std::error::Error + 'static), "cannot answer a scrape");
            (StatusCode::INTERNAL_SERVER_ERROR, "cannot write the metrics\n").into_response()
        }
    }
}

async fn config(Shared(admin): Shared<Arc<Admin>>) -> Response {
    // Indented, because people read it.
    let text = format!("{:#}\n", (admin.facts.config)());
    ([(CONTENT_TYPE, "application/json")], text).into_response()
}

async fn status_json(Shared(admin): Shared<Arc<Admin>>) -> Json<Status> {
    Json(admin.status().0)
}

async fn status_page(Shared(admin): Shared<Arc<Admin>>) -> Response {
    let headers = [(CONTENT_TYPE, "text/html; charset=utf-8"), (CONTENT_SECURITY_POLICY, page::POLICY.as_str())];
    let (status, points) = admin.status();
    (headers, page::page(&status, &chart::charts(&points))).into_response()
}

async fn runbook_entry(entry: Result<Path<String>, PathRejection>) -> Response {
    let found = entry.ok().and_then(|Path(entry)| runbook::entry(&entry));
    found.map_or_else(|| not_found().into_response(), IntoResponse::into_response)
}

fn not_found() -> (StatusCode, &'static str) {
    (StatusCode::NOT_FOUND, "not found\n")
}

/// The headers of every answer: no caching, no content sniffing, no access for pages of other sites.
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
