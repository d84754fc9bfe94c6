//! The console: pages at the simulator's origin for a developer. Every call as it arrives, why a signature is wrong, and what became of
//! orders.
//!
//! # Layout
//!
//! * `record` makes a [`Call`](calls::Call) of a finished call, `mask` removes card numbers, `calls` keeps the newest.
//! * `list`, `detail`: the pages; `snippets`: a call to paste; `frame`: what is around each page; `time`: times as text.
//! * `live`: notices for open pages that something changed.

mod calls;
mod detail;
mod frame;
mod list;
mod live;
mod mask;
mod record;
mod snippets;
mod time;

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, State},
    response::{Redirect, Response},
    routing::get,
};
use http::{HeaderMap, StatusCode, Uri, header};

pub(super) use self::record::{Begun, Ended, Received};
use self::{
    calls::Calls,
    frame::{Frame, Section},
    list::Only,
    live::Closing,
};
use super::{
    Wonder,
    path::{Segment, query},
    refusal::Refusal,
};

/// What the console remembers.
pub(super) struct Console {
    calls: Calls,
    closing: Closing,
}

impl Console {
    pub(super) fn new() -> Self {
        Self { calls: Calls::new(), closing: Closing::new() }
    }

    /// Keeps a finished call.
    pub(super) fn record(&self, begun: Begun, ended: &Ended<'_>) {
        self.calls.add(begun.ended(ended));
    }

    /// Ends the streams of open pages, which would otherwise delay the end of the simulator.
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
        .route("/simulator/events", get(live::events))
}

/// `GET /`: a browser goes on to the console; a program that forgot the path is refused as at every other path.
async fn front_door(headers: HeaderMap) -> Result<Redirect, Refusal> {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accepted.contains("text/html") { Ok(Redirect::to("/console")) } else { Err(Refusal::NotWonder) }
}

/// `GET /console?only=&before=`.
async fn calls_page(State(wonder): State<Arc<Wonder>>, uri: Uri) -> Response {
    let pairs = query(&uri);
    let value = |name: &str| pairs.iter().find(|(other, _)| other == name).map(|(_, value)| &value[..]);
    let only = Only::parse(value("only").unwrap_or_default());
    let before = value("before").and_then(|text| text.parse().ok());
    let contents = list::contents(&wonder.console.calls, only, before);
    frame(Section::Calls, "Calls").respond(StatusCode::OK, &contents)
}

/// `GET /console/calls/{id}`.
async fn call_page(State(wonder): State<Arc<Wonder>>, id: Segment) -> Response {
    let call = id.ok().and_then(|Path(id)| id.parse().ok()).and_then(|id| wonder.console.calls.get(id));
    match call {
        Some(call) => frame(Section::Calls, &format!("Call {}: {}", call.id, call.operation))
            .respond(StatusCode::OK, &detail::contents(&call)),
        None => missing(Section::Calls, "There is no such call. The newest 10,000 are kept."),
    }
}

fn frame(section: Section, title: &str) -> Frame<'_> {
    Frame { section, title, faults: "", outcome: None }
}

fn missing(section: Section, text: &str) -> Response {
    Frame { outcome: Some(Err(text)), ..frame(section, "Not found") }.respond(StatusCode::NOT_FOUND, "")
}
