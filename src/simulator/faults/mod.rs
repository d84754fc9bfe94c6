//! Requested faults: for one call by its header, or for the next calls of an operation or AppID by a switch. The webhooks of changes have
//! such faults too.

mod fault;
mod switch;

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderName, HeaderValue, header, request::Parts};
use http_body_util::BodyExt as _;

pub(super) use self::{
    fault::{Fault, WebhookFault},
    switch::{Rule, Switches, add, clear, list, remove},
};
use super::{
    Wonder,
    refusal::{Refusal, Rule as FieldRule},
};
use crate::operations;

/// Names the fault of one call.
const HEADER: HeaderName = HeaderName::from_static("x-simulator-fault");
/// How long a call without an answer is held.
const HELD: Duration = Duration::from_mins(10);
/// How long a connection has to send the bytes before a cut.
const FLUSH: Duration = Duration::from_millis(50);
/// The number of pieces of a slow body.
const PIECES: usize = 10;

tokio::task_local! {
    /// The fault that a call's header names for the webhooks of its changes.
    static OF_CALL: WebhookFault;
}

/// The fault of a webhook caused by the call of this task: that of the call's header, or of a switch.
pub(super) fn of_webhook(switches: &Switches, action: &str, app_id: &str) -> Option<WebhookFault> {
    OF_CALL.try_with(|fault| *fault).ok().or_else(|| switches.pick_for_webhook(action, app_id))
}

/// The fault of a request, in its extensions.
#[derive(Clone, Copy)]
pub(super) struct Picked(pub(super) Fault);

impl Picked {
    /// How many seconds the clock is ahead.
    pub(super) fn ahead(&self) -> Option<i64> {
        match self.0 {
            Fault::Clock(ahead) => Some(ahead),
            _ => None,
        }
    }
}

/// A header that names no fault of its path, or several, in the extensions of its request; with the faults that it could name.
#[derive(Clone, Copy)]
struct Unreadable(&'static str);

/// The outermost layer: selects the fault of a signed call and applies it to the answer. A fault of webhooks applies to the simulator's
/// own calls too, because most payments are made by them.
pub(super) async fn inject(State(wonder): State<Arc<Wonder>>, request: Request, next: Next) -> Response {
    let (mut head, body) = request.into_parts();
    let is_signed = head.uri.path().starts_with("/svc/");
    let picked = match Named::by(&head) {
        Named::Fault(Fault::Webhook(fault)) => {
            head.extensions.insert(Picked(Fault::Webhook(fault)));
            return OF_CALL.scope(fault, next.run(Request::from_parts(head, body))).await;
        }
        Named::Fault(fault) if is_signed => Some(fault),
        Named::Fault(_) | Named::Unknown => {
            head.extensions.insert(Unreadable(if is_signed { Fault::FORMS } else { Fault::FORMS_OF_WEBHOOKS }));
            None
        }
        Named::Nothing if is_signed => pick(&wonder, &head),
        Named::Nothing => None,
    };
    if let Some(fault) = picked {
        head.extensions.insert(Picked(fault));
    }
    let response = next.run(Request::from_parts(head, body)).await;
    match picked {
        Some(fault) => done_to(response, fault, &wonder).await,
        None => response,
    }
}

/// The fault that a request's header names.
enum Named {
    /// There is no such header.
    Nothing,
    Fault(Fault),
    /// There are several headers, or the text is no fault.
    Unknown,
}

impl Named {
    fn by(head: &Parts) -> Self {
        let mut values = head.headers.get_all(&HEADER).iter();
        match (values.next(), values.next()) {
            (None, _) => Self::Nothing,
            (Some(only), None) => {
                only.to_str().ok().and_then(|text| text.parse().ok()).map_or(Self::Unknown, Self::Fault)
            }
            (Some(_), Some(_)) => Self::Unknown,
        }
    }
}

fn pick(wonder: &Wonder, head: &Parts) -> Option<Fault> {
    if !wonder.faults.any() {
        return None;
    }
    let operation = operations::find(head.method.as_str(), head.uri.path()).name();
    let app_id = head.headers.get("Credential").and_then(|value| value.to_str().ok()?.split('/').next());
    wonder.faults.pick(operation, app_id.unwrap_or_default())
}

/// The layer before the gate: it answers a call with the status of its fault, and refuses a header that names none. The call is not
/// carried out.
pub(super) async fn refuse(request: Request, next: Next) -> Response {
    let extensions = request.extensions();
    if let Some(Unreadable(forms)) = extensions.get() {
        let name = "X-Simulator-Fault".to_owned();
        return Refusal::FieldValue(name, FieldRule::OneOf(forms)).into_response();
    }
    if let Some(Picked(Fault::Status(status))) = extensions.get() {
        return Refusal::Fault(*status).into_response();
    }
    next.run(request).await
}

async fn done_to(mut response: Response, fault: Fault, wonder: &Wonder) -> Response {
    match fault {
        Fault::Delay(duration) => tokio::time::sleep(duration).await,
        Fault::NoAnswer => tokio::time::sleep(HELD).await,
        Fault::Cut(bytes) => return cut(response, bytes).await,
        Fault::Slow(duration) => return slow(response, duration).await,
        Fault::Status(_) | Fault::Webhook(_) => {}
        Fault::Clock(ahead) => {
            let then = std::time::UNIX_EPOCH + Duration::from_secs(wonder.now().saturating_add_signed(ahead));
            if let Ok(date) = HeaderValue::from_str(&httpdate::fmt_http_date(then)) {
                response.headers_mut().insert(header::DATE, date);
            }
        }
    }
    response
}

/// The whole body without the fault.
async fn whole(body: Body) -> Bytes {
    body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default()
}

/// Declares the whole length, sends `bytes` of it, and breaks the connection.
async fn cut(response: Response, bytes: usize) -> Response {
    let (mut head, body) = response.into_parts();
    let body = whole(body).await;
    head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    if bytes >= body.len() {
        return Response::from_parts(head, body.into());
    }
    let pieces = stream::unfold(Some(body.slice(..bytes)), async |rest| match rest {
        Some(piece) if !piece.is_empty() => Some((Ok(piece), Some(Bytes::new()))),
        Some(_) => {
            // Without the pause, the bytes before the cut would not be sent.
            tokio::time::sleep(FLUSH).await;
            let broken = std::io::Error::new(std::io::ErrorKind::ConnectionReset, "cut on purpose");
            Some((Err(broken), None))
        }
        None => None,
    });
    Response::from_parts(head, Body::from_stream(pieces))
}

/// Sends the body in pieces with pauses between them.
async fn slow(response: Response, duration: Duration) -> Response {
    let (mut head, body) = response.into_parts();
    let body = whole(body).await;
    head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    let pause = duration / u32::try_from(PIECES).unwrap_or(1);
    let size = body.len().div_ceil(PIECES).max(1);
    let pieces = stream::unfold(body, move |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        tokio::time::sleep(pause).await;
        let piece = rest.split_to(size.min(rest.len()));
        Some((Ok::<_, std::convert::Infallible>(piece), rest))
    });
    Response::from_parts(head, Body::from_stream(pieces))
}
