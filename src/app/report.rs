//! The log lines of a start and of a stop.

use std::sync::Arc;

use super::addresses::Addresses;
use crate::{
    config::Config,
    contract::Sent,
    credentials::Store,
    net::drain::{Cut, Receipt},
};

/// Logs which credentials it has, where the sidecar listens, and that it is ready as soon as it is.
pub(super) fn announce(config: &Config, addresses: &Addresses, credentials: &Arc<Store>) {
    let listen: Vec<String> = addresses.listen.iter().map(ToString::to_string).collect();
    let (listen, admin, origin) = (listen.join(","), addresses.admin, config.upstream.origin.to_string());
    let webhook = addresses.webhook.as_ref().map(ToString::to_string);
    let version = env!("CARGO_PKG_VERSION");
    for entry in credentials.entries() {
        let key = &entry.verifying_key;
        tracing::info!(credential = entry.name, app_id = %entry.app_id, %key, "credential loaded");
    }
    if credentials.is_usable() {
        tracing::info!(listen, %admin, webhook, origin, version, "ready");
        return;
    }
    tracing::warn!(listen, %admin, webhook, origin, version, "listening; not ready before every credential can sign");
    let credentials = Arc::clone(credentials);
    tokio::spawn(async move {
        credentials.wait_until_usable().await;
        tracing::info!(listen, %admin, webhook, origin, version, "ready");
    });
}

/// Logs the last line, with the requests that got no response, and the webhooks that were not acknowledged, for the person on call.
pub(super) fn log_receipt(receipt: &Receipt, webhooks: Option<Receipt>) {
    let Receipt { finished, cut } = receipt;
    let maybe: Vec<&str> =
        cut.iter().filter(|cut| cut.sent == Sent::Maybe).map(|cut| cut.request_id.as_str()).collect();
    let (webhooks_finished, webhooks_cut) = webhooks.map(|webhooks| (webhooks.finished, webhooks.cut)).unzip();
    let ids = |cut: &[Cut]| cut.iter().map(|cut| cut.request_id.as_str()).collect::<Vec<_>>().join(",");
    let cut_webhook_ids = webhooks_cut.as_deref().filter(|cut| !cut.is_empty()).map(ids);
    let webhooks_cut = webhooks_cut.map(|cut| cut.len());
    macro_rules! line {
        ($level:ident, $message:literal $(, $field:ident = $value:expr)*) => {
            tracing::$level!(
                finished,
                cut = cut.len(),
                $($field = $value,)*
                webhooks_finished,
                webhooks_cut,
                webhooks_cut_request_ids = cut_webhook_ids,
                $message
            )
        };
    }
    match (cut.is_empty(), maybe.is_empty()) {
        (true, _) if cut_webhook_ids.is_none() => line!(info, "stopped"),
        (true, _) => line!(warn, "stopped; Wonder sends the webhooks that were cut again"),
        (false, true) => line!(warn, "stopped; the requests that were cut were not sent"),
        (false, false) => line!(
            error,
            "stopped; ask Wonder what became of the requests that may have been sent",
            maybe_sent = maybe.len(),
            maybe_sent_request_ids = maybe.join(",")
        ),
    }
}
