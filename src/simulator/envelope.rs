//! Wonder's envelope: this is the only place that turns answers under `/svc/`, and refusals, into bytes.
//!
//! Handlers return an [`Answer`](super::answer::Answer) or a [`Refusal`] as a response extension. [`render`], the outermost layer,
//! renders it in the caller's language, copies `X-Request-ID` and writes the log line.

use std::{sync::Arc, time::Instant};

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};
use http::{HeaderName, HeaderValue, Method, header};
use serde_json::{Value, json};

use super::{
    Wonder,
    console::{Begun, Ended, Received},
    language::{Language, SUCCESS},
    refusal::Refusal,
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Renders the decision of the inner layers as the envelope, and logs one line without body, query or header values.
pub(super) async fn render(State(wonder): State<Arc<Wonder>>, request: Request, next: Next) -> Response {
    let language = Language::of(request.headers());
    let request_id = request.headers().get(REQUEST_ID).cloned();
    let method = name(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();

    let (head, body) = request.into_parts();
    // Pages and their forms are not calls.
    let begun = head.uri.path().starts_with("/svc/").then(|| (Begun::of(&head), Instant::now()));

    let is_button = begun.is_none() && head.method == Method::POST;

    let mut response = next.run(Request::from_parts(head, body)).await;

    if is_button {
        wonder.console.touch();
    }

    let refusal = response.extensions_mut().remove::<Refusal>();
    let envelope = match (&refusal, response.extensions_mut().remove::<Value>()) {
        (Some(refusal), _) => Some(refusal.envelope()),
        (None, Some(data)) => Some(json!({ "code": 200, "message": language.pick(&SUCCESS), "data": data })),
        (None, None) => None, // a page
    };
    if let Some(envelope) = envelope {
        let text = envelope.to_string();
        if let Some((begun, since)) = begun {
            let ended = Ended {
                at: (wonder.clock)().unix_seconds(),
                took: since.elapsed(),
                status: response.status(),
                refusal: refusal.as_ref(),
                error: refusal.is_some().then_some(&envelope),
                received: response.extensions().get::<Received>(),
                answer: text.as_bytes(),
            };
            wonder.console.record(begun, &ended);
        }
        *response.body_mut() = text.into();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    if let Some(request_id) = request_id {
        response.headers_mut().insert(REQUEST_ID, request_id);
    }
    tracing::info!(
        method,
        route = route.as_ref().map_or("other", MatchedPath::as_str),
        status = response.status().as_u16(),
        refused = refusal.as_ref().map(Refusal::step),
        "simulated request answered"
    );
    response
}

/// The method, from a closed set, because a caller can put any text into a method of its own.
fn name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
