//! The reasons for 401 `webhook_rejected`. The sender always gets the same text; the reason goes to log and metric.

use super::malformed::Malformed;
use crate::{net::intake::HeadError, signing::webhook::DeliveryError};

/// A reason of the verifier, or one of this listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rejection {
    /// The verifier rejected it.
    Unverified(DeliveryError),
    /// It is not valid HTTP/1.1.
    Malformed(Malformed),
    /// Its source is not in `webhook.source_addresses`.
    SourceAddress,
    /// Its path is under none of `webhook.path_prefixes`.
    Path,
    /// It lacks the header of `webhook.original_target_header`.
    OriginalTargetMissing,
    /// It has that header more than once.
    OriginalTargetRepeated,
    /// The restored target is no path with an optional query.
    OriginalTargetInvalid,
}

impl From<DeliveryError> for Rejection {
    fn from(refusal: DeliveryError) -> Self {
        Self::Unverified(refusal)
    }
}

impl From<Malformed> for Rejection {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

impl Rejection {
    /// Why a webhook with this head is not Wonder's; `None` if the head came too late, or at the wrong time.
    pub(super) fn of_head(error: HeadError) -> Option<Self> {
        match error {
            // A target that no request may have is one that Wonder did not sign.
            HeadError::Target | HeadError::LongTarget | HeadError::Fragment => Some(DeliveryError::Target.into()),
            other => Malformed::of(other).map(Self::Malformed),
        }
    }

    /// The name in log lines and in the metrics' label.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Unverified(refusal) => refusal.name(),
            Self::Malformed(malformed) => malformed.name(),
            Self::SourceAddress => "source_address",
            Self::Path => "path",
            Self::OriginalTargetMissing => "original_target_missing",
            Self::OriginalTargetRepeated => "original_target_repeated",
            Self::OriginalTargetInvalid => "original_target_invalid",
        }
    }

    /// Every name.
    pub(super) fn names() -> Vec<&'static str> {
        let own = [
            Self::SourceAddress,
            Self::Path,
            Self::OriginalTargetMissing,
            Self::OriginalTargetRepeated,
            Self::OriginalTargetInvalid,
        ];
        DeliveryError::names()
            .into_iter()
            .chain(Malformed::ALL.map(Malformed::name))
            .chain(own.map(Self::name))
            .collect()
    }

    /// The likely cause and the remedy, for the log.
    pub(super) fn likely_cause(self) -> &'static str {
        match self {
            Self::Unverified(refusal) => refusal.likely_cause(),
            Self::Malformed(malformed) => malformed.likely_cause(),
            Self::SourceAddress => {
                "it came from an address that is not in webhook.source_addresses; behind a proxy, name the proxy in \
                 webhook.trusted_proxies"
            }
            Self::Path => {
                "its path is under none of webhook.path_prefixes; compare them with the URL registered at Wonder"
            }
            Self::OriginalTargetMissing => {
                "the reverse proxy does not set the header of webhook.original_target_header, or the sender bypassed the proxy"
            }
            Self::OriginalTargetRepeated => {
                "the header of webhook.original_target_header occurs more than once; have the reverse proxy replace the sender's own"
            }
            Self::OriginalTargetInvalid => {
                "the original target is not a path with an optional query; have the reverse proxy send it as the request line had it"
            }
        }
    }
}
