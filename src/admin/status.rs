//! The content of the status page, as words and figures. The HTML page and `/status.json` show the same.

use std::time::Duration;

use serde::Serialize;

use super::{
    CredentialFact, State,
    cause::{Cause, errors_by_cause},
    problems::{Problem, problems},
    seen::Seen,
    webhooks,
    words::{ago, duration, moment, rate, skew, span},
};
use crate::{
    contract::Sent,
    metrics::{Distribution, Last, LastAnswer, Snapshot},
};

/// The content, in the order of the page.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    /// `good`, `idle`, `warn` or `bad`.
    pub(super) health: &'static str,
    pub(super) headline: String,
    /// Why `health` is `warn` or `bad`, and what to do.
    pub(super) problems: Vec<Problem>,
    pub(super) environment: String,
    /// The name of this instance, in Kubernetes that of its pod.
    pub(super) instance: String,
    /// The last success and the last error.
    pub(super) last: Section,
    pub(super) sections: Vec<Section>,
}

/// A table with a heading for each row and, if there is more than one column, for each column.
#[derive(Debug, Serialize)]
pub(super) struct Section {
    pub(super) title: String,
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<Row>,
}

#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) label: String,
    /// One for each column.
    pub(super) cells: Vec<String>,
}

impl Status {
    pub(super) fn of(seen: &Seen<'_>) -> Self {
        let problems = problems(seen);
        let (health, headline) = headline(seen, &problems);
        Self {
            health,
            headline,
            problems,
            environment: seen.environment.to_owned(),
            instance: seen.instance.to_owned(),
            last: last(seen),
            sections: [answers(seen), errors(seen), latency(seen), codes(seen)]
                .into_iter()
                .chain(webhooks(seen))
                .chain([instance(seen), credentials(seen)])
                .collect(),
        }
    }
}

fn headline(seen: &Seen<'_>, problems: &[Problem]) -> (&'static str, String) {
    match (seen.state, problems) {
        (State::Starting | State::NoKey | State::Draining, _) => ("bad", format!("not ready: {}", seen.state.as_str())),
        (State::Ready, []) if seen.recent.requests() == 0 && seen.total.in_flight > 0 => {
            // A request is counted when it ends. If Wonder does not answer, all of them are in flight.
            let window = span(seen.window);
            ("idle", format!("ready; no request ended in the last {window}, {} in flight", seen.total.in_flight))
        }
        (State::Ready, []) if seen.total.requests() == 0 => ("idle", "ready; no request yet".to_owned()),
        (State::Ready, []) if seen.recent.requests() == 0 => {
            ("idle", format!("ready; no request in the last {}", span(seen.window)))
        }
        (State::Ready, []) => ("good", "ready".to_owned()),
        (State::Ready, [_, ..]) if problems.iter().any(|problem| problem.stops_everything) => {
            ("bad", "problem: no request succeeds".to_owned())
        }
        (State::Ready, [_]) => ("warn", "ready, with a problem".to_owned()),
        (State::Ready, problems) => ("warn", format!("ready, with {} problems", problems.len())),
    }
}

fn last(seen: &Seen<'_>) -> Section {
    let told = |last: &Last| {
        let host = seen.host();
        let what = match last.answer {
            LastAnswer::Upstream(status) => format!("{status} from {host}"),
            LastAnswer::Signer(code, sent) => {
                let at = match Cause::of_code(code) {
                    Cause::Network | Cause::Wonder => format!(" at {host}"),
                    _ => String::new(),
                };
                let maybe = if sent == Sent::Maybe { ", may have reached Wonder" } else { "" };
                format!("{code}{at}{maybe}")
            }
        };
        format!("{what}, {}", moment(last.unix_seconds, seen.now))
    };
    let newest = seen.lasts.failures.iter().max_by_key(|last| last.unix_seconds);
    section(
        "",
        &[""],
        [
            ("last success", vec![seen.lasts.success.as_ref().map_or_else(|| "none yet".to_owned(), told)]),
            ("last error", vec![newest.map_or_else(|| "none".to_owned(), told)]),
        ],
    )
}

fn answers(seen: &Seen<'_>) -> Section {
    let per_second = |snapshot: &Snapshot, time: Duration| rate(approximate(snapshot.requests()), time);
    let both = |text: fn(&Snapshot) -> String| vec![text(seen.recent), text(seen.total)];
    section(
        "Requests",
        &[&recently(seen), "since start"],
        [
            ("requests", both(|snapshot| snapshot.requests().to_string())),
            ("rate", vec![per_second(seen.recent, seen.window), per_second(seen.total, seen.uptime)]),
            ("answers by Wonder", both(|snapshot| classes(&["2xx", "3xx", "4xx", "5xx"], &snapshot.upstream))),
            ("answers by wonder-signer", both(|snapshot| classes(&["4xx", "5xx"], &snapshot.signer))),
        ],
    )
}

/// `2xx 230 · 4xx 27`.
fn classes(names: &[&str], counts: &[u64]) -> String {
    let some: Vec<String> = names
        .iter()
        .zip(counts)
        .filter(|(_, count)| **count > 0)
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    if some.is_empty() { "none".to_owned() } else { some.join(" · ") }
}

fn errors(seen: &Seen<'_>) -> Section {
    let (recent, total) = (errors_by_cause(seen.recent), errors_by_cause(seen.total));
    let rows = Cause::ALL
        .into_iter()
        .filter(|cause| total[cause.place()] > 0)
        .map(|cause| {
            let of_cause = seen.lasts.failures.iter().filter(|last| Cause::of(last.answer) == cause);
            let last = of_cause.map(|last| last.unix_seconds).max();
            row(
                cause.name(),
                vec![
                    recent[cause.place()].to_string(),
                    total[cause.place()].to_string(),
                    last.map_or_else(String::new, |at| ago(at, seen.now)),
                ],
            )
        })
        .collect();
    or_none("Errors by cause", &[&recently(seen), "since start", "last"], rows)
}

fn codes(seen: &Seen<'_>) -> Section {
    let mut rows = Vec::new();
    for (code, totals) in &seen.total.errors {
        let recent = seen.recent.errors.iter().find(|(other, _)| other == code).map_or([0, 0], |(_, counts)| *counts);
        for (place, maybe) in [(0, ""), (1, ", may have reached Wonder")] {
            if totals[place] > 0 {
                rows.push(row(&format!("{code}{maybe}"), vec![recent[place].to_string(), totals[place].to_string()]));
            }
        }
    }
    or_none("Errors answered by wonder-signer", &[&recently(seen), "since start"], rows)
}

/// By outcome, if there is a webhook listener.
fn webhooks(seen: &Seen<'_>) -> Option<Section> {
    let rows = webhooks::rows(seen).into_iter();
    let rows: Vec<Row> =
        rows.map(|(label, counts)| row(label, counts.map(|count| count.to_string()).to_vec())).collect();
    (!rows.is_empty()).then(|| or_none("Webhooks", &[&recently(seen), "since start"], rows))
}

fn latency(seen: &Seen<'_>) -> Section {
    section(
        &format!("Latency, {}", recently(seen)),
        &["p50", "p95", "p99"],
        [
            ("whole request", spread(&seen.recent.duration)),
            ("Wonder's answer", spread(&seen.recent.upstream_head)),
            ("signature", spread(&seen.recent.signing)),
        ],
    )
}

fn instance(seen: &Seen<'_>) -> Section {
    let clock = if seen.total.upstream == [0; 4] {
        "not known before Wonder's first answer".to_owned()
    } else {
        skew(seen.total.clock_skew)
    };
    let limit = match seen.total.in_flight_limit {
        0 => String::new(),
        limit => format!(" of {limit}"),
    };
    section(
        "Instance",
        &[""],
        [
            ("upstream", vec![seen.origin.to_owned()]),
            ("up for", vec![span(seen.uptime)]),
            ("clock", vec![clock]),
            ("in flight", vec![format!("{}{limit}", seen.total.in_flight)]),
            ("connections to Wonder", vec![seen.total.connections.to_string()]),
            ("version", vec![seen.version.to_owned()]),
        ],
    )
}

fn credentials(seen: &Seen<'_>) -> Section {
    let cells = |fact: &CredentialFact| match &fact.key {
        Some(key) => vec![key.fingerprint.clone(), format!("RSA {} bits", key.bits), fact.state.to_owned()],
        None => vec!["–".to_owned(), "–".to_owned(), fact.state.to_owned()],
    };
    let rows = seen.credentials.iter().map(|fact| row(&fact.name, cells(fact))).collect();
    or_none("Credentials", &["key's fingerprint", "key", "state"], rows)
}

fn recently(seen: &Seen<'_>) -> String {
    format!("last {}", span(seen.window))
}

fn section<const N: usize>(title: &str, columns: &[&str], rows: [(&str, Vec<String>); N]) -> Section {
    Section {
        title: title.to_owned(),
        columns: columns.iter().map(|column| (*column).to_owned()).collect(),
        rows: rows.into_iter().map(|(label, cells)| row(label, cells)).collect(),
    }
}

fn or_none(title: &str, columns: &[&str], rows: Vec<Row>) -> Section {
    if rows.is_empty() {
        return section(title, &[""], [("none", vec![String::new()])]);
    }
    Section { rows, ..section(title, columns, []) }
}

fn row(label: &str, cells: Vec<String>) -> Row {
    Row { label: label.to_owned(), cells }
}

fn spread(of: &Distribution) -> Vec<String> {
    [500, 950, 990].into_iter().map(|share| of.quantile(share).map_or_else(|| "–".to_owned(), duration)).collect()
}

#[expect(clippy::cast_precision_loss, reason = "a rate is shown to one digit")]
fn approximate(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
pub(super) mod tests;
