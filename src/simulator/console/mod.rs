//! The console: pages at the simulator's origin for a developer. They show every call as it arrives, why a signature is wrong, and the
//! state of orders.
//!
//! # Layout
//!
//! * `record` makes a [`Call`](calls::Call) from a finished call, `calls` keeps the newest.
//! * `list`, `detail`: the pages; `snippets`: a call to paste; `frame`: the frame of each page; `time`: times as text.
//! * `probe`: valid and forged webhooks for a handler.
//! * `orders`, `customers`, `webhooks`, `faults`: the simulator's data, deliveries and requested faults, with buttons.
//! * `live`: notifies open pages of changes.

mod calls;
mod customers;
mod detail;
mod faults;
mod frame;
mod list;
mod live;
mod orders;
mod probe;
mod record;
mod snippets;
mod time;
mod webhooks;

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, State},
    response::{Redirect, Response},
    routing::{get, post},
};
use http::{HeaderMap, StatusCode, Uri, header};
use serde_json::json;
use tokio::sync::Semaphore;

pub(super) use self::record::{Begun, Ended, Received};
use self::{
    calls::Calls,
    frame::{Frame, Section},
    list::Only,
    live::Closing,
};
use super::{
    Wonder,
    answer::Answer,
    path::{Segment, query},
    refusal::Refusal,
};

/// The console's data.
pub(super) struct Console {
    calls: Calls,
    closing: Closing,
    /// Held by the one probe that runs.
    probing: Semaphore,
}

impl Console {
    pub(super) fn new() -> Self {
        Self { calls: Calls::new(), closing: Closing::new(), probing: Semaphore::new(1) }
    }

    /// Adds a finished call.
    pub(super) fn record(&self, begun: Begun, ended: &Ended<'_>) {
        self.calls.add(begun.ended(ended));
    }

    /// Notifies open pages of a change without a call.
    pub(super) fn touch(&self) {
        self.calls.touch();
    }

    /// Ends the streams of open pages, which would otherwise delay the shutdown of the simulator.
    pub(super) fn close(&self) {
        self.closing.close();
    }
}

/// The pages.
pub(super) fn routes() -> Router<Arc<Wonder>> {
    Router::new()
        .route("/", get(front_door))
        .route("/console", get(calls_page))
        .route("/console/calls/{id}", get(call_page))
        .route("/console/orders", get(orders::list))
        .route("/console/orders/{number}", get(orders::show).post(orders::act))
        .route("/console/customers", get(customers::list))
        .route("/console/webhooks", get(webhooks::show).post(webhooks::send))
        .route("/console/probe", get(probe::show).post(probe::send))
        .route("/console/faults", get(faults::show).post(faults::act))
        .route("/console/reset", post(reset_page))
        .route("/simulator/events", get(live::events))
}

/// `POST /simulator/reset`: deletes customers, tokens, orders and calls, and switches all faults off.
pub(super) async fn reset(State(wonder): State<Arc<Wonder>>) -> Answer {
    wonder.reset();
    wonder.console.calls.clear();
    Answer::new(json!({}))
}

/// `POST /console/reset`: the same from the console's button.
async fn reset_page(wonder: State<Arc<Wonder>>) -> Redirect {
    reset(wonder).await;
    Redirect::to("/console?did=reset")
}

/// `GET /`: redirects a browser to the console. A program that forgot the path gets the same refusal as at every unknown path.
async fn front_door(headers: HeaderMap) -> Result<Redirect, Refusal> {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accepted.contains("text/html") { Ok(Redirect::to("/console")) } else { Err(Refusal::NotWonder) }
}

/// `GET /console?only=&before=`.
async fn calls_page(State(wonder): State<Arc<Wonder>>, uri: Uri) -> Response {
    let pairs = query(&uri);
    let only = Only::parse(value(&pairs, "only").unwrap_or_default());
    let before = value(&pairs, "before").and_then(|text| text.parse().ok());
    let contents = list::contents(&wonder.console.calls, only, before);
    let did_reset = value(&pairs, "did") == Some("reset");
    let outcome = did_reset.then_some(Ok(match wonder.seed {
        Some(_) => "Customers, tokens, orders, webhooks and calls are forgotten, and the seed is there again.",
        None => "Customers, tokens, orders, webhooks and calls are forgotten.",
    }));
    Frame { outcome, ..frame(&wonder, Section::Calls, "Calls") }.respond(StatusCode::OK, &contents)
}

/// `GET /console/calls/{id}`.
async fn call_page(State(wonder): State<Arc<Wonder>>, id: Segment) -> Response {
    let call = id.ok().and_then(|Path(id)| id.parse().ok()).and_then(|id| wonder.console.calls.get(id));
    match call {
        Some(call) => frame(&wonder, Section::Calls, &format!("Call {}: {}", call.id, call.operation))
            .respond(StatusCode::OK, &detail::contents(&call)),
        None => missing(&wonder, Section::Calls, "There is no such call. The newest 10,000 are kept."),
    }
}

/// The value of a pair of a query or form.
fn value<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(other, _)| other == name).map(|(_, value)| &value[..])
}

fn frame<'a>(wonder: &Wonder, section: Section, title: &'a str) -> Frame<'a> {
    Frame { section, title, faults: faults::summary(&wonder.faults.all()), outcome: None }
}

fn missing(wonder: &Wonder, section: Section, text: &str) -> Response {
    Frame { outcome: Some(Err(text)), ..frame(wonder, section, "Not found") }.respond(StatusCode::NOT_FOUND, "")
}
