//! Every reason to reject a delivery. Each has a stable name for log and metric, and a likely cause for a person.

use std::fmt;

use crate::signing::{
    RequestTime,
    credential::CredentialError,
    diagnosis::clock::{Clock, Offset},
    headers::{Fault, Header, HeaderError},
    window::{OutsideWindow, Window},
};

/// Why a delivery is not proved to be Wonder's. Of the sender's values it has only times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryError {
    /// The method is not `POST`.
    Method,
    /// The request target is not a path with an optional query.
    Target,
    /// A header is missing, repeated or unreadable.
    Header(HeaderError),
    /// The credential or the nonce is malformed.
    Credential(CredentialError),
    /// No accepted key belongs to the credential's AppID.
    AppIdUnknown {
        /// An accepted AppID has the same digits in another case.
        only_case: bool,
    },
    /// The request time is too far in the past.
    TimeTooOld {
        /// Its age in seconds.
        seconds: u64,
        /// The offset from UTC that its age equals.
        offset: Option<Offset>,
    },
    /// The request time is this many seconds in the future, and no local time explains it.
    TimeInFuture(u64),
    /// The request time is in the future by an offset from UTC that is in use.
    TimeLocal(Offset),
    /// The body has a content coding.
    ContentEncoding,
    /// The body is empty.
    BodyEmpty,
    /// The signature is not padded standard base64.
    SignatureEncoding,
    /// The signature is that of another target, body, stamp or key.
    SignatureMismatch,
}

impl DeliveryError {
    /// Checks the request time of a delivery alone.
    ///
    /// # Errors
    /// One of the three refusals of a time.
    pub fn of_time(window: Window, request_time: RequestTime, now: RequestTime) -> Result<(), Self> {
        let offset = match Clock::judge(request_time, now) {
            Clock::LocalTime(offset) => Some(offset),
            _ => None,
        };
        window.check(request_time, now).map_err(|outside| match (outside, offset) {
            (OutsideWindow::TooOld(seconds), offset) => Self::TimeTooOld { seconds, offset },
            (OutsideWindow::InFuture(_), Some(offset)) => Self::TimeLocal(offset),
            (OutsideWindow::InFuture(seconds), None) => Self::TimeInFuture(seconds),
        })
    }

    /// The stable name: a label of metrics, a field of log lines. Lower case with underscores.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::Target => "target",
            Self::Header(HeaderError { header, fault }) => header_name(*header, *fault),
            Self::Credential(error) => match error {
                CredentialError::Parts => "credential_parts",
                CredentialError::AppId => "app_id_malformed",
                CredentialError::RequestTime => "time_malformed",
                CredentialError::Nonce => "nonce_malformed",
                CredentialError::Algorithm => "algorithm",
                CredentialError::MobileAlgorithm => "algorithm_mobile",
            },
            Self::AppIdUnknown { .. } => "app_id_unknown",
            Self::TimeTooOld { .. } => "time_too_old",
            Self::TimeInFuture(_) => "time_in_future",
            Self::TimeLocal(_) => "time_local",
            Self::ContentEncoding => "content_encoding",
            Self::BodyEmpty => "body_empty",
            Self::SignatureEncoding => "signature_encoding",
            Self::SignatureMismatch => "signature_mismatch",
        }
    }

    /// Every name that [`name`](Self::name) returns.
    #[must_use]
    pub fn names() -> Vec<&'static str> {
        use CredentialError as Malformed;

        let headers = Header::ALL.into_iter().flat_map(|header| {
            // Only X-Action may be missing.
            let faults =
                Fault::ALL.into_iter().filter(move |fault| (header, *fault) != (Header::Action, Fault::Missing));
            faults.map(move |fault| Self::Header(HeaderError { header, fault }))
        });
        let malformed = [
            Malformed::Parts,
            Malformed::AppId,
            Malformed::RequestTime,
            Malformed::Nonce,
            Malformed::Algorithm,
            Malformed::MobileAlgorithm,
        ];
        let others = [
            Self::Method,
            Self::Target,
            Self::AppIdUnknown { only_case: false },
            Self::TimeTooOld { seconds: 0, offset: None },
            Self::TimeInFuture(0),
            Self::TimeLocal(Offset(0)),
            Self::ContentEncoding,
            Self::BodyEmpty,
            Self::SignatureEncoding,
            Self::SignatureMismatch,
        ];
        headers.chain(malformed.map(Self::Credential)).chain(others).map(|refusal| refusal.name()).collect()
    }

    /// The likely cause and the remedy: a sentence without a full stop.
    #[must_use]
    pub const fn likely_cause(&self) -> &'static str {
        const NOT_WONDER: &str = "another program than Wonder sent this, or a proxy removed or added headers";
        match self {
            Self::Method => "Wonder sends webhooks as POST alone; a browser, a health check or a redirect sent this",
            Self::Target => "a proxy forwarded a whole URL or other bytes; forward path and query as Wonder sent them",
            Self::Credential(CredentialError::MobileAlgorithm) => {
                "this is a call of the mobile SDK, which signs nothing; webhooks carry Wonder-RSA-SHA256"
            }
            Self::Header(_) | Self::Credential(_) => NOT_WONDER,
            Self::AppIdUnknown { only_case: false } => {
                "the webhook belongs to another AppID, or sandbox and production are swapped; compare app_id with the portal"
            }
            Self::AppIdUnknown { only_case: true } => {
                "app_id is configured in another case than Wonder sends; copy it from the portal as it is"
            }
            Self::TimeTooOld { offset: None, .. } => {
                "a retry that is older than the tolerance, a replay of an old delivery, or a clock of this machine that is ahead"
            }
            Self::TimeTooOld { offset: Some(_), .. } => {
                "a retry that is older than the tolerance, a replay of an old delivery, or a sender that signs local time in place of UTC"
            }
            Self::TimeInFuture(_) => "the clock of this machine is behind, or the sender's is ahead",
            Self::TimeLocal(_) => {
                "the sender signs local time in place of UTC, which Wonder does not, or the clock of this machine is behind; compare it with UTC"
            }
            Self::ContentEncoding => "a proxy compressed the body; Wonder signs and sends it without a content coding",
            Self::BodyEmpty => "a proxy or framework consumed the body, or another program than Wonder sent this",
            Self::SignatureEncoding => "a proxy changed the Signature header, or another program than Wonder sent this",
            Self::SignatureMismatch => {
                "a proxy changed path, query or body; or the configured key is not the \"Webhook Public Key\" of Wonder's portal; \
                 or the webhook is forged; wonder-signer verify --webhook explains a captured one"
            }
        }
    }
}

/// The fault, as a sentence without a full stop.
impl fmt::Display for DeliveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Method => f.write_str("the method is not POST"),
            Self::Target => f.write_str("the request target is not a path with an optional query in visible ASCII"),
            Self::Header(error) => error.fmt(f),
            Self::Credential(error) => error.fmt(f),
            Self::AppIdUnknown { only_case: false } => {
                f.write_str("no accepted webhook key has the credential's AppID")
            }
            Self::AppIdUnknown { only_case: true } => {
                f.write_str("no accepted webhook key has the credential's AppID; one differs in case alone")
            }
            Self::TimeTooOld { seconds, offset } => {
                write!(f, "the request time is {seconds} s in the past")?;
                offset.map_or(Ok(()), |offset| write!(f, ", which is the offset of {offset}"))
            }
            Self::TimeInFuture(seconds) => write!(f, "the request time is {seconds} s in the future"),
            Self::TimeLocal(offset) => write!(f, "the request time is local time ({offset}) in place of UTC"),
            Self::ContentEncoding => f.write_str("the body has a Content-Encoding"),
            Self::BodyEmpty => f.write_str("the body is empty"),
            Self::SignatureEncoding => f.write_str("the signature is not padded standard base64 in one line"),
            Self::SignatureMismatch => f.write_str("the signature does not match target, body and webhook key"),
        }
    }
}

impl std::error::Error for DeliveryError {}

const fn header_name(header: Header, fault: Fault) -> &'static str {
    macro_rules! named {
        ($($header:ident $text:literal),+) => {
            match (header, fault) {
                $(
                    (Header::$header, Fault::Missing) => concat!($text, "_missing"),
                    (Header::$header, Fault::Repeated) => concat!($text, "_repeated"),
                    (Header::$header, Fault::Empty) => concat!($text, "_empty"),
                    (Header::$header, Fault::Oversized) => concat!($text, "_oversized"),
                    (Header::$header, Fault::NotAscii) => concat!($text, "_not_ascii"),
                )+
            }
        };
    }
    named!(Credential "credential", Nonce "nonce", Signature "signature", Action "action")
}
