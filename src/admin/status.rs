//! What the status page says, as words and figures: the same for the HTML page and for `/status.json`, from which the page renews itself.

use std::time::Duration;

use serde::Serialize;

use super::{CredentialFact, State};
use crate::metrics::{Distribution, Snapshot};

/// All that is shown, in order.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    /// `good`, `warn` or `bad`.
    pub(super) health: &'static str,
    pub(super) headline: String,
    /// Why `health` is not `good`, and what to do.
    pub(super) problems: Vec<String>,
    pub(super) sections: Vec<Section>,
}

#[derive(Debug, Serialize)]
pub(super) struct Section {
    pub(super) title: String,
    /// Label and value.
    pub(super) rows: Vec<(String, String)>,
}

/// What a status is made from.
pub(super) struct Seen<'a> {
    pub(super) state: State,
    pub(super) version: &'a str,
    pub(super) environment: &'a str,
    pub(super) origin: &'a str,
    pub(super) credentials: &'a [CredentialFact],
    pub(super) uptime: Duration,
    /// Totals since the start.
    pub(super) now: &'a Snapshot,
    /// What happened within `window`.
    pub(super) recent: &'a Snapshot,
    pub(super) window: Duration,
}

impl Status {
    pub(super) fn of(seen: &Seen<'_>) -> Self {
        let problems = problems(seen);
        let (health, headline) = match (seen.state, problems.len()) {
            (State::Ready, 0) => ("good", "ready".to_owned()),
            (State::Ready, 1) => ("warn", "ready, with a problem".to_owned()),
            (State::Ready, count) => ("warn", format!("ready, with {count} problems")),
            (state, _) => ("bad", format!("not ready: {}", state.as_str())),
        };
        let sections = vec![running(seen), credentials(seen), traffic(seen), latency(seen), errors(seen)];
        Self { health, headline, problems, sections }
    }
}

fn problems(seen: &Seen<'_>) -> Vec<String> {
    let (now, recent) = (seen.now, seen.recent);
    let mut problems = Vec::new();
    let mut problem = |is: bool, text: String| {
        if is {
            problems.push(text);
        }
    };
    problem(
        seen.state == State::Starting,
        "keys are not loaded or listeners not bound yet; if it lasts, read the log".to_owned(),
    );
    problem(seen.state == State::Draining, "finishing its last requests; new ones are refused".to_owned());
    problem(
        recent.signatures_failed > 0,
        format!("{} could not be signed: run `wonder-signer check`", requests(recent.signatures_failed)),
    );
    let answers: u64 = recent.upstream.iter().sum();
    problem(
        recent.rejected > 0,
        format!(
            "Wonder rejected the authentication of {} of {}: check clock, key, AppID and egress address",
            recent.rejected,
            requests(answers)
        ),
    );
    let unknown: u64 = recent.errors.iter().map(|(_, sent)| sent[1]).sum();
    problem(
        unknown > 0,
        format!(
            "{} failed after having perhaps reached Wonder: query the outcome before repeating anything",
            requests(unknown)
        ),
    );
    problem(
        recent.signer[1] > 0,
        format!("{} got an error of our own (5xx): see the codes below", requests(recent.signer[1])),
    );
    problem(
        now.in_flight_limit > 0 && now.in_flight * 5 >= now.in_flight_limit * 4,
        format!("{} of {} requests in flight: Wonder is slow or the limit too low", now.in_flight, now.in_flight_limit),
    );
    problem(
        now.clock_skew.abs() >= 300.0,
        format!("the clock is {}; Wonder refuses more than 30 minutes: correct the host's clock", skew(now.clock_skew)),
    );
    problems
}

fn running(seen: &Seen<'_>) -> Section {
    let clock = if seen.now.upstream == [0; 4] {
        "not known before Wonder's first answer".to_owned()
    } else {
        skew(seen.now.clock_skew)
    };
    section(
        "Running",
        [
            ("version", seen.version.to_owned()),
            ("environment", seen.environment.to_owned()),
            ("upstream", seen.origin.to_owned()),
            ("up for", span(seen.uptime)),
            ("clock", clock),
        ],
    )
}

fn credentials(seen: &Seen<'_>) -> Section {
    let rows = seen
        .credentials
        .iter()
        .map(|fact| (fact.name.clone(), format!("key {}, RSA {} bits", fact.fingerprint, fact.bits)))
        .collect();
    or_none("Credentials", rows)
}

fn traffic(seen: &Seen<'_>) -> Section {
    let recent = seen.recent;
    let [ok, redirected, refused, failed] = recent.upstream;
    let limit = match seen.now.in_flight_limit {
        0 => String::new(),
        limit => format!(" of {limit}"),
    };
    section(
        &format!("Traffic, last {}", span(seen.window)),
        [
            ("requests", format!("{} ({})", recent.requests(), rate(recent.requests(), seen.window))),
            ("Wonder: 2xx, 3xx, 4xx, 5xx", format!("{ok}, {redirected}, {refused}, {failed}")),
            ("ours: 4xx, 5xx", format!("{}, {}", recent.signer[0], recent.signer[1])),
            ("in flight", format!("{}{limit}", seen.now.in_flight)),
            ("connections to Wonder", seen.now.connections.to_string()),
        ],
    )
}

fn latency(seen: &Seen<'_>) -> Section {
    section(
        &format!("Latency, last {} (half, 95 %, 99 % are faster than)", span(seen.window)),
        [
            ("whole request", spread(&seen.recent.duration)),
            ("Wonder's answer", spread(&seen.recent.upstream_head)),
            ("signature", spread(&seen.recent.signing)),
        ],
    )
}

fn errors(seen: &Seen<'_>) -> Section {
    let mut rows = Vec::new();
    for (reason, [not_sent, maybe_sent]) in &seen.recent.errors {
        if *not_sent > 0 {
            rows.push(((*reason).to_owned(), not_sent.to_string()));
        }
        if *maybe_sent > 0 {
            rows.push((format!("{reason}, may have reached Wonder"), maybe_sent.to_string()));
        }
    }
    or_none(&format!("Errors of ours, last {}", span(seen.window)), rows)
}

fn section<const N: usize>(title: &str, rows: [(&str, String); N]) -> Section {
    Section {
        title: title.to_owned(),
        rows: rows.into_iter().map(|(label, value)| (label.to_owned(), value)).collect(),
    }
}

fn or_none(title: &str, mut rows: Vec<(String, String)>) -> Section {
    if rows.is_empty() {
        rows.push(("none".to_owned(), String::new()));
    }
    Section { title: title.to_owned(), rows }
}

/// `3 d 4 h`, `5 min 6 s`, `7 s`.
fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match seconds {
        86_400.. => format!("{days} d {hours} h"),
        3600.. => format!("{hours} h {minutes} min"),
        60.. => format!("{minutes} min {} s", seconds % 60),
        _ => format!("{seconds} s"),
    }
}

fn requests(count: u64) -> String {
    if count == 1 { "1 request".to_owned() } else { format!("{count} requests") }
}

fn rate(count: u64, window: Duration) -> String {
    // A count of a minute fits into 32 bits; what does not is shown as the most there can be.
    let count = f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    format!("{:.1}/s", count / window.as_secs_f64().max(1.0))
}

fn spread(of: &Distribution) -> String {
    let parts: Option<Vec<_>> = [500, 950, 990].into_iter().map(|share| of.quantile(share).map(duration)).collect();
    parts.map_or_else(|| "no data".to_owned(), |parts| parts.join(", "))
}

fn duration(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.2} ms", seconds * 1000.0) } else { format!("{seconds:.2} s") }
}

fn skew(seconds: f64) -> String {
    let side = if seconds < 0.0 { "behind" } else { "ahead of" };
    format!("{:.1} s {side} Wonder's", seconds.abs())
}

#[cfg(test)]
mod tests;
