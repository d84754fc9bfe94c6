//! Webhooks: delivers the store's events to the order's own `callback_url` and to one general URL, signed with the webhook key of the
//! AppID, and retries failed deliveries.
//!
//! Chosen here, because Wonder does not document it:
//!
//! * The events of one order reach a URL in their order: the next one waits until the one before it is acknowledged or has failed.
//! * An event is sent to a URL once, even if `callback_url` and the general URL are the same.
//! * A retry has the headers of the first attempt, unless the settings require new ones.
//!
//! # Layout
//!
//! * `dispatch`: queues and attempts; `callback`: URLs, and which of them known receivers cannot verify; `client`: one POST.
//! * `event`: the content of a webhook; `schedule`: when a delivery is retried; `history`: the outcome of each.
//! * `keys`: the key pairs.
//! * `probe`: valid and forged webhooks, and the judgement of a handler's answers.

mod callback;
mod client;
mod dispatch;
mod event;
mod history;
mod keys;
pub(crate) mod probe;
mod schedule;

use std::{path::PathBuf, sync::Arc};

pub use self::{
    callback::Callback,
    schedule::{RetryCredential, RetryOn},
};
pub(crate) use self::{
    client::{Client, Reply, headers},
    event::Event,
    schedule::TimeScale,
};
pub(super) use self::{
    dispatch::{Lane, Means, Webhooks},
    history::{Delivery, History, Outcome},
    keys::Keys,
};
use crate::signing::{AppId, SigningKey};

/// The settings of webhooks.
#[derive(Clone, Default)]
pub struct Settings {
    /// The URL for the webhooks of all orders.
    pub url: Option<Callback>,
    /// Hosts other than loopback to which webhooks may be sent.
    pub allowed_hosts: Vec<String>,
    /// PEM file with root certificates for `https` URLs, in addition to the built-in ones.
    pub ca_file: Option<PathBuf>,
    /// Webhook keys. An AppID without one gets a new one.
    pub keys: Vec<(AppId, Arc<SigningKey>)>,
    /// How much faster than Wonder's the schedule of retries is.
    pub time_scale: TimeScale,
    /// Which answers lead to a retry.
    pub retry_on: RetryOn,
    /// The headers of a retry.
    pub retry_credential: RetryCredential,
}

impl Settings {
    /// Whether webhooks may be sent to the host of this URL.
    #[must_use]
    pub fn allow(&self, to: &Callback) -> bool {
        let host = to.origin.host();
        to.origin.is_loopback() || self.allowed_hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(host))
    }
}
