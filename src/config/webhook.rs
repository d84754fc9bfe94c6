//! `[webhook]`: where Wonder's webhooks arrive, and which application receives those that Wonder signed.
//!
//! # Layout
//!
//! * `application`: the receiver of verified webhooks; [`own_listener`]: whether it is this program itself.
//! * `path_prefix`: the paths that webhooks may have.
//! * `original_target`: the target that Wonder signed.
//! * `redis` and `redis_url`: the store that replicas share.

mod application;
mod original_target;
pub(crate) mod own_listener;
mod path_prefix;
mod redis;
mod redis_url;

use std::{collections::BTreeMap, time::Duration};

pub(crate) use self::{
    application::Application, original_target::OriginalTarget, path_prefix::PathPrefix, redis::Redis,
    redis_url::RedisUrl,
};
use self::{original_target::OriginalTargetKeys, redis::RedisKeys};
use super::{
    ConfigError, CredentialConfig, DAY, HOUR, MILLISECOND, SECOND,
    address::ListenAddress,
    certificate::{CertificateAndKey, CertificateFiles},
    field::{Optional, section},
    layers::Layers,
    network::Network,
    shapes,
    values::{count, duration, items_of, mode, switch, text},
};

const TLS_CERTIFICATE: &str = "webhook.tls.certificate_file";

section! {
    /// `[webhook]`: the webhook listener. It exists where `address` is set.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub(crate) Webhook {
        /// Where webhooks arrive, default none: no listener. Any address is accepted, because only verified requests are forwarded.
        address: Option<ListenAddress> = "webhook.address", Optional(text(shapes::listener()));
        /// Permission bits of a Unix socket's file, default `0o600`: the same user only.
        socket_mode: u32 = "webhook.socket_mode", mode();
        /// The application that receives the verified webhooks of the credentials without an application of their own.
        forward_to: Option<Application> = "webhook.forward_to", Optional(text(shapes::application()));
        /// Whether an application may be on another host, default `false`: it receives plain HTTP, and cannot distinguish a verified
        /// webhook from a request that another program sends to it.
        dangerous_allow_non_loopback_forward: bool = "webhook.dangerous_allow_non_loopback_forward", switch();
        /// Paths that webhooks may have, each with everything below it, default none: any path.
        path_prefixes: Vec<PathPrefix> = "webhook.path_prefixes", items_of(shapes::list("/[^?#,\\s]*"));
        /// How the target that Wonder signed is restored where a reverse proxy rewrites it, default none: it is the received target.
        original_target: Option<OriginalTarget> = "webhook.original_target", OriginalTargetKeys;
        /// How far the time of a signature may be from now, default 24 h 30 min: retries last for 24 h, and may carry their first
        /// signature.
        tolerance: Duration = "webhook.tolerance", duration(SECOND..=30 * DAY);
        /// From the forwarded request to the end of the application's response, default 20 s.
        forward_timeout: Duration = "webhook.forward_timeout", duration(MILLISECOND..=HOUR);
        /// Acknowledged deliveries that are remembered at most, default 100,000; 0 forwards every duplicate. Redis has no such limit.
        remember: usize = "webhook.remember", count(0..=10_000_000);
        /// Addresses that webhooks may come from, default none: any.
        source_addresses: Vec<Network> = "webhook.source_addresses", items_of(shapes::networks());
        /// Proxies whose `X-Forwarded-For` is read for `source_addresses`, default none.
        trusted_proxies: Vec<Network> = "webhook.trusted_proxies", items_of(shapes::networks());
        /// TLS on the listener, default none: plain. A sender needs no certificate. The files are read again when they change.
        tls: Option<CertificateFiles> = "webhook.tls", CertificateAndKey {
            certificate: TLS_CERTIFICATE,
            key: "webhook.tls.key_file",
        };
        /// Where deliveries are remembered for several replicas, default none: in memory.
        redis: Option<Redis> = "webhook.redis", RedisKeys;
    }
}

impl Webhook {
    /// Rejects keys that contradict one another and, where there is a listener, a credential without key or application.
    pub(super) fn checked(
        self,
        layers: &Layers,
        credentials: &BTreeMap<String, CredentialConfig>,
    ) -> Result<Self, ConfigError> {
        self.check_forwards(layers, credentials)?;
        if !self.trusted_proxies.is_empty() && self.source_addresses.is_empty() {
            return Err(
                layers.refuse("webhook.trusted_proxies", "needs webhook.source_addresses, for which it is read")
            );
        }
        if let (Some(ListenAddress::Unix(_)), Some(_)) = (&self.address, &self.tls) {
            return Err(layers.refuse(
                TLS_CERTIFICATE,
                "is allowed only with an IP address in webhook.address; a Unix socket is plain",
            ));
        }
        if self.address.is_none() {
            return Ok(self);
        }
        for (name, credential) in credentials {
            let missing = |last: &str, reason: &str| {
                let key = format!("credentials.{name}");
                let layer = layers.table_source(&key);
                let reason = format!("has no {last}; {reason}");
                Err(ConfigError::Value { key, value: None, layer, reason })
            };
            if credential.unit.webhook_public_key.is_none() {
                return missing(
                    "webhook_public_key_file",
                    &format!(
                        "webhook.address is set, so set credentials.{name}.webhook_public_key_file to a file with the \
                         \"Webhook Public Key\" that Wonder's portal shows for this AppID"
                    ),
                );
            }
            if self.application_of(credential).is_none() {
                return missing(
                    "webhook_forward_to",
                    "webhook.address is set, so set webhook.forward_to, for example to \"http://127.0.0.1:3000\"",
                );
            }
        }
        Ok(self)
    }

    /// The application that receives the webhooks of `credential`.
    #[must_use]
    pub(crate) fn application_of<'a>(&'a self, credential: &'a CredentialConfig) -> Option<&'a Application> {
        credential.webhook_forward_to.as_ref().or(self.forward_to.as_ref())
    }

    /// Every application with its key.
    pub(crate) fn applications<'a>(
        &'a self,
        credentials: &'a BTreeMap<String, CredentialConfig>,
    ) -> impl Iterator<Item = (String, &'a Application)> {
        let own = credentials.iter().filter_map(|(name, credential)| {
            Some((format!("credentials.{name}.webhook_forward_to"), credential.webhook_forward_to.as_ref()?))
        });
        self.forward_to.iter().map(|application| ("webhook.forward_to".to_owned(), application)).chain(own)
    }

    /// Rejects an application that is one of the `listeners`, each with its key.
    pub(super) fn check_own_listeners(
        &self,
        layers: &Layers,
        credentials: &BTreeMap<String, CredentialConfig>,
        listeners: &[(&str, &ListenAddress)],
    ) -> Result<(), ConfigError> {
        for (key, application) in self.applications(credentials).filter(|_| self.address.is_some()) {
            // Which addresses the machine has is known at the start of the listeners.
            if let Some((listener, address)) =
                listeners.iter().find(|(_, address)| application.leads_to(address, |_| false))
            {
                return Err(layers.refuse(&key, own_listener::reason(listener, address)));
            }
        }
        Ok(())
    }

    fn check_forwards(
        &self,
        layers: &Layers,
        credentials: &BTreeMap<String, CredentialConfig>,
    ) -> Result<(), ConfigError> {
        let remote = self.applications(credentials).find(|(_, application)| !application.is_local());
        match remote {
            Some((key, _)) if !self.dangerous_allow_non_loopback_forward => Err(layers.refuse(
                &key,
                "is not on loopback: webhooks go there over plain HTTP, and others that reach the application can send it webhooks that \
                 nothing has verified; to allow it set webhook.dangerous_allow_non_loopback_forward = true",
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
