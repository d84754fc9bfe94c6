//! The text of each refusal: the rule that failed and its usual cause.
//!
//! English only. Wonder documents only the text of `E000002`, so a translation would translate an invented text.

use std::fmt;

use super::{JsonType, Refusal, Rule};
use crate::signing::credential::CredentialError;
use crate::simulator::ledger::MOST;

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HeaderMissing(name) => write!(
                f,
                "The {name} header is missing. Usual cause: the request was not signed, or a proxy removed the header."
            ),
            Self::HeaderRepeated(name) => {
                write!(f, "The {name} header occurs more than once. Usual cause: two layers sign the same request.")
            }
            Self::Credential(part) => f.write_str(credential(*part)),
            Self::UnknownApp => f.write_str(
                "The AppID of the credential is unknown here. Usual cause: the AppID of another environment.",
            ),
            Self::TooOld(seconds) => write!(
                f,
                "The request time is {seconds} seconds behind, 1800 are allowed. Usual cause: local time in place of UTC, \
                 a slow clock, or a request that was signed long before it was sent."
            ),
            Self::TooNew(seconds) => write!(
                f,
                "The request time is {seconds} seconds ahead, 1800 are allowed. Usual cause: local time in place of UTC, \
                 or a fast clock."
            ),
            Self::NonceFormat => f.write_str(
                "The nonce is not 16 characters of 0-9, A-Z, a-z. Usual cause: a UUID or base64 in its place.",
            ),
            Self::NonceReplayed => f.write_str(
                "The nonce was used before. Usual cause: a retry that sends the same signature again; sign every attempt \
                 anew.",
            ),
            Self::SignatureEncoding => f.write_str(
                "The signature is not padded standard base64 in one line. Usual cause: URL-safe base64, hex, or removed \
                 padding.",
            ),
            Self::SignatureMismatch { fingerprint, target, body, mistake, parts_at: _ } => {
                write!(
                    f,
                    "The signature does not match the request and the public key {fingerprint} of this AppID; a target of \
                     {target} bytes and a body of {body} bytes arrived. "
                )?;
                match mistake {
                    Some(mistake) => write!(f, "Cause: {mistake}."),
                    None => f.write_str(
                        "Usual causes: a target signed without its query, decoded or re-encoded; a body changed after it \
                         was signed (spaces, line end, key order); a time or nonce other than the one in the headers.",
                    ),
                }
            }
            Self::NotJson => f.write_str("The body is not JSON."),
            Self::FieldMissing(field) => write!(f, "{field} is required."),
            Self::FieldType(field, JsonType::Object) => write!(f, "{field} must be an object."),
            Self::FieldType(field, JsonType::Text) => write!(f, "{field} must be a string."),
            Self::FieldType(field, JsonType::Amount) => write!(f, "{field} must be a decimal number or a string with one."),
            Self::FieldType(field, JsonType::Flag) => write!(f, "{field} must be true or false."),
            Self::FieldType(field, JsonType::List) => write!(f, "{field} must be an array."),
            Self::FieldTooLong(field, limit) => write!(f, "{field} has more than {limit} characters."),
            Self::FieldValue(field, rule) => write!(f, "{field} {rule}."),
            Self::NoCustomer => f.write_str("There is no such customer."),
            Self::NoToken => f.write_str("There is no such payment token."),
            Self::NoOrder => f.write_str("There is no such order: no order of this AppID has this order.number or order.reference_number."),
            Self::NoTransaction => f.write_str("There is no such transaction: no order of this AppID has this transaction.uuid."),
            Self::Denied(denial) | Self::Conflict(denial) => denial.fmt(f),
            Self::NotServed(operation) => write!(
                f,
                "The signature is valid. Wonder has this operation ({operation}), but the simulator does not serve it; \
                 deploy/docs/wonder.md lists what it serves."
            ),
            Self::NoRoute => f.write_str(
                "The signature is valid, but no operation of Wonder is known at this path. Usual cause: a misspelt path, a \
                 slash at its end, or another version.",
            ),
            Self::NotWonder => f.write_str("The path is not under /svc/, where all signed calls are."),
            Self::Host => f.write_str(
                "The host is not a name of this simulator; open the page by IP address or as localhost, or start the \
                 simulator with --allowed-host or --tls-name for that name.",
            ),
            Self::ForeignPage => f.write_str(
                "A web page of another origin sent this request; open the page of this simulator and use its buttons.",
            ),
            Self::Fault(status) => {
                write!(f, "A fault on purpose: status={status}. Nothing was carried out. /console/faults shows what is switched on.")
            }
            Self::StateBlocked(reason) => state_file(f, reason, "Nothing was carried out; send the call again afterwards."),
            Self::StateNotWritten(reason) => {
                state_file(f, reason, "The call was carried out, and the simulator writes its change afterwards.")
            }
            Self::NoFault => f.write_str("No fault with this id is switched on; GET /simulator/faults lists those that are."),
            Self::NoTls => f.write_str(
                "Signed calls need TLS here: use https:// in the URL, or start the simulator with --plain. Pages are served without TLS.",
            ),
            Self::Method => {
                f.write_str("The path does not accept this method; the Allow header lists the accepted ones.")
            }
            Self::BodyTimeout => f.write_str("The body did not arrive in time."),
            Self::BodyCut => f.write_str("The body broke off."),
            Self::BodyTooLarge(limit) => write!(f, "The body has more than {limit} bytes."),
            Self::Full(limit) => write!(
                f,
                "The simulator's memory is full ({limit} customers, payment tokens or orders that are not finished); delete some, restart it or raise --capacity."
            ),
        }
    }
}

fn state_file(f: &mut fmt::Formatter<'_>, reason: &str, what: &str) -> fmt::Result {
    write!(f, "The state file (--state) cannot be written: {reason}. Remove the cause, such as a full disk. {what}")
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OneOf(list) => write!(f, "must be one of: {list}"),
            Self::ExactlyOne(list) => write!(f, "needs exactly one of: {list}"),
            Self::Number(from, to) => write!(f, "must be a whole number from {from} to {to}"),
            Self::CardNumber => f.write_str("must be 12 to 19 digits without spaces"),
            Self::Month => f.write_str("must be two digits, 01 to 12"),
            Self::Year => f.write_str("must be the last two digits of the year"),
            Self::Unexpired => f.write_str("and exp_month are in the past: the card has expired"),
            Self::Country => f.write_str("must be an ISO 3166 alpha-3 country code such as HKG"),
            Self::Url => f.write_str("must be a complete http or https URL"),
            Self::UsableToken => f.write_str("must be a payment token in state success"),
            Self::Amount(decimals) => {
                write!(
                    f,
                    "must be greater than 0, at most {MOST}, and have at most {decimals} decimals, as in \"120.00\""
                )
            }
            Self::AmountOrZero(decimals) => {
                write!(f, "must be from 0 to {MOST} and have at most {decimals} decimals, as in \"120.00\"")
            }
            Self::SignedAmount(decimals) => {
                write!(f, "must be from -{MOST} to {MOST} and have at most {decimals} decimals, as in \"-3.50\"")
            }
            Self::Date => f.write_str("must be a date such as 2026-12-31"),
            Self::Uuid => f.write_str("must be a UUID such as 0c6f6a3e-2d53-4f6b-9f55-3a1d6a0c7a10, not all zeros"),
            Self::CurrencyOf(currency) => write!(f, "must be {}, the currency of the order", currency.as_str()),
            Self::Unknown(known) => write!(f, "is unknown; known are {}", known.join(", ")),
            Self::OfCalls => {
                f.write_str("is for faults of calls; for a fault of webhooks, name an action or leave it out")
            }
            Self::OfWebhooks => {
                f.write_str("is for faults of webhooks; for a fault of calls, name an operation or leave it out")
            }
            Self::SameOrder => f.write_str("belongs to another order than the other fields"),
            Self::AtMost(most) => write!(f, "must have at most {most} elements"),
            Self::Operator(operators) => write!(f, "must have one of these operators for this field: {operators}"),
            Self::Like(kind) => write!(f, "must be {kind}"),
            Self::Fixed => f.write_str("cannot be changed"),
            Self::Unsupported => f.write_str("is not supported by the simulator"),
        }
    }
}

/// All begin with Wonder's own sentence for `E000002`.
fn credential(part: CredentialError) -> &'static str {
    match part {
        CredentialError::Algorithm => "Invalid Credential Format. The third part is not Wonder-RSA-SHA256.",
        CredentialError::MobileAlgorithm => {
            "Invalid Credential Format. The third part is Wonder-HMAC-SHA256, the mobile SDK's scheme; a server signs \
             with Wonder-RSA-SHA256."
        }
        CredentialError::AppId => {
            "Invalid Credential Format. The AppID is not a UUID. Usual cause: the name of the app in its place."
        }
        CredentialError::RequestTime => {
            "Invalid Credential Format. The request time is not a UTC time yyyymmddHHMMSS. Usual cause: RFC 3339 or Unix \
             seconds in its place."
        }
        CredentialError::Parts | CredentialError::Nonce => {
            "Invalid Credential Format. It does not have the three parts <AppID>/<request time>/Wonder-RSA-SHA256."
        }
    }
}
