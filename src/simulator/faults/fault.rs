//! The faults that can be requested, and their text form. Pure.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

/// The longest delay, slow answer and difference of clocks.
const LONGEST: Duration = Duration::from_hours(24);

/// One fault, of an answer or of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The call is carried out, and its answer is delayed by this time.
    Delay(Duration),
    /// The call is carried out, and no answer is sent.
    NoAnswer,
    /// The call is carried out, and its answer breaks off after this many bytes of the body.
    Cut(usize),
    /// The body of the answer is sent in pieces over this time.
    Slow(Duration),
    /// The call is not carried out, and its answer has this status: 401, 403 or 500.
    Status(u16),
    /// The simulator's clock is this many seconds ahead when it verifies the call and dates the answer.
    Clock(i64),
    /// The webhook of a change has a fault. The call itself is answered as usual.
    Webhook(WebhookFault),
}

/// What happens to a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum WebhookFault {
    /// It is sent once more after it was acknowledged, with the same headers and body.
    #[serde(rename = "webhook=duplicate")]
    Duplicate,
    /// It is sent after the next webhook of the same order to the same URL.
    #[serde(rename = "webhook=reorder")]
    Reorder,
    /// It is never sent.
    #[serde(rename = "webhook=lose")]
    Lose,
}

impl fmt::Display for WebhookFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Duplicate => "webhook=duplicate",
            Self::Reorder => "webhook=reorder",
            Self::Lose => "webhook=lose",
        })
    }
}

impl Fault {
    /// Every form, for messages.
    pub(crate) const FORMS: &'static str = "delay=2s, no-answer, cut=20, slow=5s, status=401, status=403, status=500, clock=+45m, clock=-45m, webhook=duplicate, \
         webhook=reorder, webhook=lose";

    /// Every form of a fault of webhooks.
    pub(crate) const FORMS_OF_WEBHOOKS: &'static str = "webhook=duplicate, webhook=reorder, webhook=lose";

    /// The fault of a webhook; `None` for a fault of a call.
    pub(crate) fn of_webhook(self) -> Option<WebhookFault> {
        match self {
            Self::Webhook(fault) => Some(fault),
            _ => None,
        }
    }
}

impl FromStr for Fault {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let duration = |text: &str| {
            let parsed = humantime::parse_duration(text).ok();
            parsed.filter(|duration| *duration <= LONGEST).ok_or(())
        };
        let (name, value) = text.trim().split_once('=').unwrap_or((text.trim(), ""));
        match name {
            "delay" => duration(value).map(Self::Delay),
            "no-answer" if value.is_empty() => Ok(Self::NoAnswer),
            "cut" => value.parse().map(Self::Cut).map_err(|_| ()),
            "slow" => duration(value).map(Self::Slow),
            "status" => match value {
                "401" => Ok(Self::Status(401)),
                "403" => Ok(Self::Status(403)),
                "500" => Ok(Self::Status(500)),
                _ => Err(()),
            },
            "webhook" => match value {
                "duplicate" => Ok(Self::Webhook(WebhookFault::Duplicate)),
                "reorder" => Ok(Self::Webhook(WebhookFault::Reorder)),
                "lose" => Ok(Self::Webhook(WebhookFault::Lose)),
                _ => Err(()),
            },
            "clock" => {
                let (sign, value) = match (value.strip_prefix('+'), value.strip_prefix('-')) {
                    (Some(value), _) => (1, value),
                    (_, Some(value)) => (-1, value),
                    _ => return Err(()),
                };
                let seconds = i64::try_from(duration(value)?.as_secs()).map_err(|_| ())?;
                Ok(Self::Clock(sign * seconds))
            }
            _ => Err(()),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delay(duration) => write!(f, "delay={}", humantime::format_duration(*duration)),
            Self::NoAnswer => f.write_str("no-answer"),
            Self::Cut(bytes) => write!(f, "cut={bytes}"),
            Self::Slow(duration) => write!(f, "slow={}", humantime::format_duration(*duration)),
            Self::Status(status) => write!(f, "status={status}"),
            Self::Webhook(fault) => fault.fmt(f),
            Self::Clock(seconds) => {
                let sign = if *seconds < 0 { '-' } else { '+' };
                write!(f, "clock={sign}{}", humantime::format_duration(Duration::from_secs(seconds.unsigned_abs())))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_each_form_and_writes_it_back() {
        for form in Fault::FORMS.split(", ") {
            let fault: Fault = form.parse().unwrap();
            assert_eq!(fault.to_string(), form);
        }
        assert!(Fault::FORMS.ends_with(Fault::FORMS_OF_WEBHOOKS));
        assert_eq!(" delay=1500ms ".parse(), Ok(Fault::Delay(Duration::from_millis(1500))));
    }

    #[test]
    fn refuses_every_other_form() {
        for text in [
            "",
            "delay",
            "delay=",
            "delay=2",
            "delay=-2s",
            "delay=25h",
            "no-answer=1",
            "cut=",
            "cut=-1",
            "cut=x",
            "slow=",
            "status=200",
            "status=",
            "clock=45m",
            "clock=+",
            "clock=+-45m",
            "webhook",
            "webhook=",
            "webhook=loose",
            "crash",
            "delay=2s;cut=1",
            "DELAY=2s",
        ] {
            assert_eq!(text.parse::<Fault>(), Err(()), "{text}");
        }
    }
}
