//! Sends valid and forged webhooks to a handler and judges its answers, for `send-webhook` and for the console.
//!
//! # Layout
//!
//! * `forge`: webhooks with one fault each; `order`: bodies; `series`: the webhooks of `--probe`, and the judgement.

mod forge;
pub(crate) mod order;
mod series;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, header::InvalidHeaderValue};
use rand::rngs::OsRng;

use super::{Callback, Client, Reply, client::PostError, headers};
use crate::{
    signing::{self, AppId, KeyError, Nonce, SignError, SigningKey, Stamp},
    simulator::Clock,
};

pub(crate) use self::{
    forge::Tamper,
    series::{Finding, Line, run},
};

/// A webhook ready to send.
#[derive(Clone)]
pub(crate) struct Webhook {
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The body.
    pub(crate) body: Bytes,
}

/// Signs and sends webhooks.
pub(crate) struct Sender {
    /// The URL of the handler, whose target is signed.
    pub(crate) to: Callback,
    /// The URL to connect to: `to`, or the URL of a proxy in front of it.
    pub(crate) via: Callback,
    /// The AppID in the `Credential`.
    pub(crate) app_id: AppId,
    /// The webhook key.
    pub(crate) key: Arc<SigningKey>,
    /// The HTTP client.
    pub(crate) client: Client,
    /// The time of the signatures.
    pub(crate) clock: Clock,
}

/// Why a webhook cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MakeError {
    /// It cannot be signed.
    #[error("signature: {0}")]
    Sign(#[from] SignError),
    /// No key can be generated.
    #[error("webhook key: {0}")]
    Key(#[from] KeyError),
    /// A header cannot have its value.
    #[error("header: {0}")]
    Header(#[from] InvalidHeaderValue),
    /// The body is not an order.
    #[error("the body is not the JSON of an order; the probe changes it to a refunded one")]
    NotAnOrder,
}

impl Sender {
    /// Sends a webhook once.
    ///
    /// # Errors
    /// When there is no answer.
    pub(crate) async fn send(&self, webhook: &Webhook) -> Result<Reply, PostError> {
        self.client.post(&self.via, webhook.headers.clone(), webhook.body.clone()).await
    }

    /// A webhook as Wonder signs it, now.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub(crate) fn signed(&self, action: &str, body: &Bytes) -> Result<Webhook, MakeError> {
        self.signed_by(&self.key, &self.to.target, action, body)
    }

    fn signed_by(&self, key: &SigningKey, target: &str, action: &str, body: &Bytes) -> Result<Webhook, MakeError> {
        let stamp = Stamp { request_time: (self.clock)(), nonce: Nonce::generate(&mut OsRng) };
        let signed = signing::webhook::sign(key, &self.app_id, &stamp, target, &[body])?;
        Ok(Webhook { headers: headers(&signed, Some(action), body.len())?, body: body.clone() })
    }
}
