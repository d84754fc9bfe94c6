//! Sends a series of webhooks and judges the answers of the handler.

use bytes::Bytes;

use super::{MakeError, Sender, Tamper, Webhook, order};
use crate::simulator::webhooks::Reply;

/// The judgement of one answer.
pub(crate) enum Finding {
    /// Correct, and why.
    Right(&'static str),
    /// Not a fault, but a result to check.
    Note(String),
    /// A fault.
    Wrong(String),
}

/// One webhook of the series.
pub(crate) struct Line {
    /// The webhook that was sent.
    pub(crate) what: String,
    /// The status, or that there was no answer.
    pub(crate) answer: String,
    /// The judgement.
    pub(crate) finding: Finding,
}

/// Sends a valid webhook, forged ones, a repeat, and a refund. Calls `report` with a line after each answer.
///
/// # Errors
/// When a webhook cannot be made, or `report` fails.
pub(crate) async fn run<E: From<MakeError>>(
    sender: &Sender,
    action: &str,
    body: &Bytes,
    report: impl FnMut(Line) -> Result<(), E>,
) -> Result<(), E> {
    let refunded = order::refunded(body).ok_or(MakeError::NotAnOrder)?;
    let mut series = Series { sender, report };
    let valid = sender.signed(action, body)?;
    series.send(&format!("valid {action}"), &valid, accepts).await?;
    for tamper in [Tamper::Key, Tamper::Body, Tamper::Target, Tamper::Time, Tamper::Nonce] {
        let forged = sender.forged(action, body, tamper)?;
        series.send(&format!("forged: {tamper}"), &forged, |reply| refuses(reply, &tamper.to_string())).await?;
    }
    let mut unsigned = sender.signed(action, body)?;
    for name in ["credential", "nonce", "signature"] {
        unsigned.headers.remove(name);
    }
    series.send("forged: unsigned", &unsigned, |reply| refuses(reply, "it is unsigned")).await?;
    let foreign = sender.forged(action, body, Tamper::AppId)?;
    series.send(&format!("foreign: {}", Tamper::AppId), &foreign, compares_app_id).await?;
    series.send("repeat of the valid webhook", &valid, accepts_repeat).await?;
    series.send("valid order.refunded", &sender.signed("order.refunded", &refunded)?, knows_refund).await
}

struct Series<'a, R> {
    sender: &'a Sender,
    report: R,
}

impl<E, R: FnMut(Line) -> Result<(), E>> Series<'_, R> {
    async fn send(&mut self, what: &str, webhook: &Webhook, judge: impl Fn(&Reply) -> Finding) -> Result<(), E> {
        let reply = self.sender.send(webhook).await;
        let (answer, finding) = match &reply {
            Ok(reply) => (format!("HTTP {}", reply.status.as_u16()), judge(reply)),
            Err(error) => ("no answer".to_owned(), Finding::Wrong(format!("your endpoint did not answer: {error}"))),
        };
        (self.report)(Line { what: what.to_owned(), answer, finding })
    }
}

fn accepts(reply: &Reply) -> Finding {
    match reply.status.as_u16() {
        200 => Finding::Right("accepted"),
        status @ 201..=299 => Finding::Note(format!(
            "accepted with {status}; answer 200, because Wonder's newest documents accept no other acknowledgement"
        )),
        status => Finding::Wrong(format!(
            "your endpoint rejected a valid webhook (HTTP {status}); check its key, its AppID and the reference number"
        )),
    }
}

fn refuses(reply: &Reply, forgery: &str) -> Finding {
    match reply.status.as_u16() {
        status @ 200..=299 => {
            Finding::Wrong(format!("your endpoint accepted a forged webhook ({forgery}; HTTP {status})"))
        }
        status @ 500..=599 => {
            Finding::Note(format!("rejected with {status}, after which Wonder sends it again; answer 401"))
        }
        _ => Finding::Right("rejected"),
    }
}

/// The signature does not cover the AppID, so a foreign AppID is no proof of a forgery.
fn compares_app_id(reply: &Reply) -> Finding {
    if reply.status.is_success() {
        let text = "accepted a foreign AppID; compare it with your own, because another AppID may have the same key";
        return Finding::Note(text.to_owned());
    }
    Finding::Right("rejected")
}

fn accepts_repeat(reply: &Reply) -> Finding {
    match reply.status.as_u16() {
        200..=299 => Finding::Note(
            "accepted, which is correct; check your own records that the repeat changed nothing".to_owned(),
        ),
        status => Finding::Wrong(format!(
            "your endpoint rejected a repeat (HTTP {status}); answer 200, because Wonder sends it again until then"
        )),
    }
}

/// An order stays `completed` after a full refund. Only the text of the answer can show whether the handler treats the order as paid.
fn knows_refund(reply: &Reply) -> Finding {
    let status = reply.status.as_u16();
    let treated = format!("your endpoint treated a refunded order as paid (HTTP {status}; check your own records)");
    match status {
        200..=299 if says_paid(&reply.body) => Finding::Wrong(treated),
        200..=299 => Finding::Note(format!("check whether {treated}")),
        _ => Finding::Wrong(format!("your endpoint rejected a valid webhook (HTTP {status})")),
    }
}

/// Whether an answer calls the order paid or fulfilled, and not refunded.
fn says_paid(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body).to_ascii_lowercase();
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric());
    let negated = ["unpaid", "not", "refund", "refunded", "false"]
        .iter()
        .any(|word| text.split(|c: char| !c.is_ascii_alphanumeric()).any(|other| other == *word));
    !negated && words.any(|word| matches!(word, "paid" | "fulfilled" | "fulfil" | "fulfill" | "fulfilling"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_paid_by_its_words() {
        for body in ["{\"status\":\"paid\"}", "order paid", "{\"fulfilled\":true}"] {
            assert!(says_paid(body.as_bytes()), "{body}");
        }
        for body in
            ["", "ok", "{\"received\":true}", "unpaid", "not paid", "{\"paid\":false}", "refunded, was paid", "prepaid"]
        {
            assert!(!says_paid(body.as_bytes()), "{body}");
        }
    }
}
