//! Every way in which the simulator refuses a call: status and code of each; `text` has the messages.
//!
//! Only `E000002` (`deploy/docs/wonder.md` §4) and two business errors (`ledger/denial.rs`) are Wonder's own codes. Every other
//! number here is INVENTED, because the page with the real ones could not be read: do not rely on them.

mod text;

use http::StatusCode;
use serde_json::{Value, json};

use super::ledger::{Currency, Denial};
use crate::signing::{credential::CredentialError, diagnosis::Mistake};

/// Why a request was refused. It holds names, numbers and limits, never a value from the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// A signature header is absent.
    HeaderMissing(&'static str),
    /// A signature header occurs more than once.
    HeaderRepeated(&'static str),
    /// The credential is malformed.
    Credential(CredentialError),
    /// The AppID is unknown.
    UnknownApp,
    /// The request time is this many seconds behind the simulator's.
    TooOld(u64),
    /// The request time is this many seconds ahead of the simulator's.
    TooNew(u64),
    /// The nonce is not 16 letters and digits.
    NonceFormat,
    /// The nonce was used before.
    NonceReplayed,
    /// The signature is not base64.
    SignatureEncoding,
    /// The signature belongs to another request or key.
    SignatureMismatch {
        /// The fingerprint of the key that is registered for the AppID.
        fingerprint: String,
        /// Length of the request target in bytes.
        target: usize,
        /// Length of the body in bytes.
        body: usize,
        /// The cause, if it was found.
        mistake: Option<Mistake>,
        /// The number of equal bytes at the start of the two pre-sign strings, if known.
        parts_at: Option<usize>,
    },
    /// The body is not JSON.
    NotJson,
    /// A required field is absent or empty.
    FieldMissing(String),
    /// A field does not have this JSON type.
    FieldType(String, JsonType),
    /// A text has more than this many characters.
    FieldTooLong(String, usize),
    /// A value breaks its rule.
    FieldValue(String, Rule),
    /// No customer with this uuid, reference number or token.
    NoCustomer,
    /// The customer has no such payment token.
    NoToken,
    /// No order with this number or reference number.
    NoOrder,
    /// No transaction with this uuid.
    NoTransaction,
    /// Well formed, but the state of the order does not allow it: Wonder's business errors.
    Denied(Denial),
    /// The same for one of the simulator's own calls.
    Conflict(Denial),
    /// Wonder has this operation, and the simulator does not.
    NotServed(&'static str),
    /// Correctly signed, but no operation of Wonder has this path.
    NoRoute,
    /// Not under `/svc/`, where the signed calls are.
    NotWonder,
    /// `Host` is not an address or name of this simulator.
    Host,
    /// A web page of another origin sent it.
    ForeignPage,
    /// A fault with this status, on purpose.
    Fault(u16),
    /// No fault with this id is switched on.
    NoFault,
    /// The state file cannot be written, for this reason; nothing was carried out.
    StateBlocked(String),
    /// The call was carried out, and the state file could not be written, for this reason.
    StateNotWritten(String),
    /// A signed call over plain HTTP to a simulator with TLS.
    NoTls,
    /// The path is known, but not with this method.
    Method,
    /// The body did not arrive in time.
    BodyTimeout,
    /// The body broke off.
    BodyCut,
    /// The body has more than this many bytes.
    BodyTooLarge(usize),
    /// The capacity for customers or tokens is used up.
    Full(usize),
}

/// The required type of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JsonType {
    Object,
    Text,
    /// A text or a number.
    Amount,
    Flag,
    List,
}

/// The rule that a value must satisfy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// One of the words in this list.
    OneOf(&'static str),
    /// A whole number from the first to the second.
    Number(usize, usize),
    /// 12 to 19 digits.
    CardNumber,
    /// `01` to `12`.
    Month,
    /// Two digits.
    Year,
    /// A year that is not past with its month.
    Unexpired,
    /// Three capital letters (ISO 3166 alpha-3).
    Country,
    /// An `http` or `https` URL.
    Url,
    /// A payment token in state `success`.
    UsableToken,
    /// More than zero, at most the largest amount, with no more decimals than this.
    Amount(u32),
    /// The same or zero.
    AmountOrZero(u32),
    /// The same, of either sign.
    SignedAmount(u32),
    /// A calendar day.
    Date,
    /// A UUID in its usual form; not all zeros.
    Uuid,
    /// The currency of the order, which is this one.
    CurrencyOf(Currency),
    /// A value of the order that the other fields identify.
    SameOrder,
    /// At most this many elements.
    AtMost(usize),
    /// A filter whose operator is not one of these.
    Operator(&'static str),
    /// A value of this type, which is the field's.
    Like(&'static str),
    /// A value that cannot be changed.
    Fixed,
    /// A field that is none of these.
    Unknown(&'static [&'static str]),
    /// A field for faults of calls, but the fault is of a webhook.
    OfCalls,
    /// A field for faults of webhooks, but the fault is of a call.
    OfWebhooks,
    /// A feature that this simulator does not have.
    Unsupported,
    /// Exactly one of the fields in this list.
    ExactlyOne(&'static str),
}

/// A business error of a signed call.
impl From<Denial> for Refusal {
    fn from(denial: Denial) -> Self {
        match denial {
            Denial::NoTransaction => Self::NoTransaction,
            denial => Self::Denied(denial),
        }
    }
}

impl Refusal {
    /// The HTTP status.
    pub(super) fn status(&self) -> StatusCode {
        if let Self::Denied(_) = self {
            return StatusCode::OK;
        }
        if let Self::Fault(status) = self {
            return StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        }
        match self.number() {
            1..=9 => StatusCode::UNAUTHORIZED,
            30..=36 | 52 => StatusCode::NOT_FOUND,
            40 => StatusCode::METHOD_NOT_ALLOWED,
            41 => StatusCode::REQUEST_TIMEOUT,
            43 => StatusCode::PAYLOAD_TOO_LARGE,
            44 | 53 | 54 => StatusCode::INSUFFICIENT_STORAGE,
            48 => StatusCode::MISDIRECTED_REQUEST,
            49 => StatusCode::FORBIDDEN,
            100_000.. => StatusCode::CONFLICT,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// The envelope. That of a business error has an integer `code`, a text `error_code`, and `data`, because client code reads members of
    /// `data`.
    pub(super) fn envelope(&self) -> Value {
        let (number, message) = (self.number(), self.to_string());
        match self {
            Self::Denied(_) | Self::Conflict(_) => {
                json!({ "code": number, "error_code": format!("EO{number}"), "message": message, "data": {} })
            }
            _ => json!({ "code": format!("E{number:06}"), "message": message }),
        }
    }

    fn number(&self) -> u32 {
        match self {
            Self::Denied(denial) | Self::Conflict(denial) => denial.code(),
            Self::Credential(_) => 2, // the one documented number
            // From here on: invented.
            Self::HeaderMissing(_) | Self::HeaderRepeated(_) => 1,
            Self::UnknownApp => 3,
            Self::TooOld(_) | Self::TooNew(_) => 4,
            Self::NonceFormat => 5,
            Self::NonceReplayed => 6,
            Self::SignatureEncoding => 7,
            Self::SignatureMismatch { .. } => 8,
            Self::NotJson => 20,
            Self::FieldMissing(_) => 21,
            Self::FieldType(..) => 22,
            Self::FieldTooLong(..) => 23,
            Self::FieldValue(..) => 24,
            Self::NoCustomer => 30,
            Self::NoToken => 31,
            Self::NoRoute => 32,
            Self::NotWonder => 33,
            Self::NotServed(_) => 34,
            Self::NoOrder => 35,
            Self::NoTransaction => 36,
            Self::Method => 40,
            Self::BodyTimeout => 41,
            Self::BodyCut => 42,
            Self::BodyTooLarge(_) => 43,
            Self::Full(_) => 44,
            Self::Host => 48,
            Self::ForeignPage => 49,
            Self::NoTls => 50,
            Self::Fault(_) => 51,
            Self::NoFault => 52,
            Self::StateBlocked(_) => 53,
            Self::StateNotWritten(_) => 54,
        }
    }

    /// The step that failed, from a closed set, for the log.
    pub(super) fn step(&self) -> &'static str {
        match self {
            Self::HeaderMissing(_) | Self::HeaderRepeated(_) => "headers",
            Self::Credential(_) => "credential",
            Self::UnknownApp => "app_id",
            Self::TooOld(_) | Self::TooNew(_) => "request_time",
            Self::NonceFormat => "nonce",
            Self::NonceReplayed => "replay",
            Self::SignatureEncoding => "signature_encoding",
            Self::SignatureMismatch { .. } => "signature",
            Self::NotJson => "json",
            Self::FieldMissing(_) | Self::FieldType(..) | Self::FieldTooLong(..) | Self::FieldValue(..) => "field",
            Self::NoCustomer | Self::NoToken | Self::NoOrder | Self::NoTransaction => "unknown_id",
            Self::Denied(_) | Self::Conflict(_) => "business",
            Self::NotServed(_) | Self::NoRoute | Self::NotWonder => "route",
            Self::Host | Self::ForeignPage | Self::NoTls => "page",
            Self::Fault(_) | Self::NoFault => "fault",
            Self::Method => "method",
            Self::BodyTimeout | Self::BodyCut | Self::BodyTooLarge(_) => "body",
            Self::Full(_) => "memory",
            Self::StateBlocked(_) | Self::StateNotWritten(_) => "state_file",
        }
    }
}
