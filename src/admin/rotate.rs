//! `POST /rotate/NAME`: switches a credential to its next unit, if Wonder accepts that unit.
//!
//! The route exists only if `admin.rotate` is set, and accepts only programs on this machine (in this pod); see `local`.

use std::{collections::BTreeMap, net::SocketAddr};

use axum::{
    Router,
    extract::{ConnectInfo, Path, State},
    http::{HeaderMap, StatusCode},
    routing::post,
};
use tokio::sync::{mpsc, oneshot};

use super::local;
use crate::net::hosts::Hosts;

/// The header that the request must have, with the value `yes`.
pub(crate) const HEADER: &str = "x-wonder-signer-rotate";

/// A request to switch; the answer is a text for people.
pub(crate) type Request = oneshot::Sender<Result<String, String>>;

/// The rotations, by credential.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rotators(BTreeMap<String, mpsc::Sender<Request>>);

impl Rotators {
    /// Each handles requests in sequence.
    #[must_use]
    pub(crate) fn new(by_credential: BTreeMap<String, mpsc::Sender<Request>>) -> Self {
        Self(by_credential)
    }

    async fn rotate(&self, credential: &str) -> (StatusCode, String) {
        let Some(rotator) = self.0.get(credential) else {
            let text = "there is no such credential, or it has no next unit; set credentials.NAME.next\n";
            return (StatusCode::NOT_FOUND, text.to_owned());
        };
        let (ask, answer) = oneshot::channel();
        if rotator.send(ask).await.is_ok()
            && let Ok(outcome) = answer.await
        {
            return match outcome {
                Ok(how) => (StatusCode::OK, format!("{how}\n")),
                Err(why) => (StatusCode::CONFLICT, format!("{why}\n")),
            };
        }
        (StatusCode::SERVICE_UNAVAILABLE, "shutting down\n".to_owned())
    }
}

/// The route. The server must provide the peer's address as [`ConnectInfo`].
pub(crate) fn router(rotators: Rotators, hosts: Hosts) -> Router {
    Router::new().route("/rotate/{credential}", post(rotate)).with_state((rotators, hosts))
}

async fn rotate(
    State((rotators, hosts)): State<(Rotators, Hosts)>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(credential): Path<String>,
    headers: HeaderMap,
) -> (StatusCode, String) {
    let header = (HEADER, "needs the header x-wonder-signer-rotate: yes\n");
    if let Some(reason) = local::refusal(peer, &headers, &hosts, header) {
        tracing::warn!(%peer, reason = reason.trim_end(), "rotation refused");
        return (StatusCode::FORBIDDEN, reason.to_owned());
    }
    tracing::info!(%peer, "rotation requested");
    rotators.rotate(&credential).await
}
