//! The problems on the status page: the fault, the remedy, and the entry in the runbook.

use serde::Serialize;

use super::{
    State,
    cause::{Cause, errors_by_cause},
    seen::Seen,
    webhooks,
    words::{moment, requests, skew, span},
};
use crate::metrics::{LastAnswer, Snapshot};

#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Problem {
    pub(super) text: String,
    /// The heading of its entry in the runbook.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) runbook: Option<&'static str>,
    /// Whether no request succeeds.
    pub(super) stops_everything: bool,
}

/// Every problem of the window, the worst first.
pub(super) fn problems(seen: &Seen<'_>) -> Vec<Problem> {
    let mut found: Vec<Problem> = state(seen).into_iter().chain(failures(seen)).chain(clock(seen)).collect();
    found.extend(webhooks::problems(seen).into_iter().map(|(text, entry)| problem(text, Some(entry))));
    if let Some(of_before) = last_failed(seen).filter(|_| found.is_empty()) {
        found.push(of_before);
    }
    found
}

/// A fault that single requests may have by chance counts as a problem above one request in this many.
const TOLERATED: u64 = 10;

fn state(seen: &Seen<'_>) -> Option<Problem> {
    match seen.state {
        State::Ready => None,
        State::Starting => {
            let text = "no request is accepted yet; a credential with rotate = \"when_proven\" waits up to 5 s for Wonder's judgement";
            Some(problem(text.to_owned(), None))
        }
        State::NoKey => Some(problem(
            "the files of a credential cannot be used, so its requests get 503 no_key: the log names the file and the remedy"
                .to_owned(),
            Some("WonderSignerNoKey"),
        )),
        State::Draining => Some(problem(
            "it is shutting down: it finishes the requests that it has and rejects new ones".to_owned(),
            Some("WonderSignerDrainSlow"),
        )),
    }
}

/// The reasons of failed requests, in the order in which a person should check them.
fn failures(seen: &Seen<'_>) -> Vec<Problem> {
    let recent = seen.recent;
    let counts = errors_by_cause(recent);
    let count = |cause: Cause| counts[cause.place()];
    let stopped = nothing_got_through(recent);
    let answers: u64 = recent.upstream.iter().sum();
    let all = recent.requests();
    let many = |count: u64| count > 0 && (stopped || count * TOLERATED > all);
    let codes = |cause| codes_of(recent, cause);
    let unknown: u64 = recent.errors.iter().map(|(_, sent)| sent[1]).sum();
    let host = seen.host();
    let within = format!("in the last {}", span(seen.window));
    let mut found = Vec::new();
    let mut add = |is: bool, text: String, runbook| {
        if is {
            found.push(Problem { stops_everything: stopped, ..problem(text, Some(runbook)) });
        }
    };
    add(
        count(Cause::Signer) + recent.signatures_failed > 0,
        format!(
            "{} failed in wonder-signer itself {within} ({}): run `wonder-signer check`, read the log",
            requests(count(Cause::Signer).max(recent.signatures_failed)),
            codes(Cause::Signer)
        ),
        if recent.signatures_failed > 0 { "WonderSignerCannotSign" } else { "WonderSignerErrorBudgetBurnsFast" },
    );
    // If the origin rejects the client certificate after TLS 1.3 has begun, the request may have been sent; it is in `unknown`.
    let unconnected = not_sent(recent, Cause::Network);
    add(
        unconnected > 0,
        format!(
            "{} found no connection to {host} {within} ({}), and none of them was sent: check DNS, egress and TLS",
            requests(unconnected),
            codes_not_sent(recent, Cause::Network)
        ),
        "WonderSignerUpstreamUnreachable",
    );
    add(
        recent.rejected > 0,
        format!(
            "Wonder rejected the authentication of {} of {} {within} (401 or 403): check clock, key, AppID and egress address",
            recent.rejected,
            requests(answers)
        ),
        "WonderSignerAuthRejected",
    );
    add(
        many(recent.upstream[3]),
        format!(
            "Wonder answered {} of {} with 5xx {within}: tell Wonder, with request ids",
            recent.upstream[3],
            requests(answers)
        ),
        "WonderSignerUpstreamFails",
    );
    let unanswered = not_sent(recent, Cause::Wonder);
    add(
        unanswered > 0,
        format!(
            "{} got no answer from Wonder {within} and were not sent ({})",
            requests(unanswered),
            codes_not_sent(recent, Cause::Wonder)
        ),
        "WonderSignerUpstreamErrors",
    );
    add(
        unknown > 0,
        format!(
            "{} failed {within} after having perhaps reached Wonder ({}): ask Wonder for the outcome before you repeat anything",
            requests(unknown),
            unknown_codes(recent)
        ),
        "WonderSignerUnknownOutcome",
    );
    add(
        count(Cause::Load) > 0 && seen.state == State::Ready,
        format!(
            "{} were rejected because of the limits, or because of the shutdown, {within} ({})",
            requests(count(Cause::Load)),
            codes(Cause::Load)
        ),
        "WonderSignerOverloaded",
    );
    add(
        many(count(Cause::Service)) && recent.signer[0] > 0,
        format!(
            "wonder-signer rejected {} of the service {within} ({})",
            requests(recent.signer[0]),
            codes(Cause::Service)
        ),
        "WonderSignerRefusesRequests",
    );
    let (in_flight, limit) = (seen.total.in_flight, seen.total.in_flight_limit);
    if limit > 0 && in_flight * 5 >= limit * 4 {
        let text = format!("{in_flight} of {limit} requests are in flight: Wonder is slow or the limit too low");
        found.push(problem(text, Some("WonderSignerSaturated")));
    }
    found
}

fn clock(seen: &Seen<'_>) -> Option<Problem> {
    let off = seen.total.clock_skew;
    let entry = if off.abs() >= 1200.0 { "WonderSignerClockSkewCritical" } else { "WonderSignerClockSkew" };
    let text = format!(
        "the clock is {}; Wonder rejects requests more than 30 minutes off: correct the host's clock",
        skew(off)
    );
    (off.abs() >= 300.0).then(|| problem(text, Some(entry)))
}

/// The last request to Wonder failed, and nothing has succeeded since.
fn last_failed(seen: &Seen<'_>) -> Option<Problem> {
    let failure = seen.last_failure()?;
    let since = seen.lasts.success.is_none_or(|success| success.unix_seconds < failure.unix_seconds);
    let what = match failure.answer {
        LastAnswer::Upstream(status) => format!("Wonder answered {status}"),
        LastAnswer::Signer(code, _) => code.to_owned(),
    };
    let entry = match Cause::of(failure.answer) {
        Cause::Service | Cause::Load => None,
        Cause::Credentials => Some("WonderSignerAuthRejected"),
        Cause::Network => Some("WonderSignerUpstreamUnreachable"),
        Cause::Wonder => Some("WonderSignerUpstreamErrors"),
        Cause::Signer => Some("WonderSignerErrorBudgetBurnsFast"),
    };
    let text = format!(
        "the last request that was to reach Wonder failed ({what}, {})",
        moment(failure.unix_seconds, seen.now)
    );
    (since && seen.recent.requests() == 0 && seen.state == State::Ready).then(|| problem(text, entry))
}

/// Whether there were requests and none succeeded: Wonder rejected or failed all that it answered.
fn nothing_got_through(recent: &Snapshot) -> bool {
    let [ok, redirected, refused, _] = recent.upstream;
    recent.requests() > 0 && ok + redirected + refused.saturating_sub(recent.rejected) == 0
}

/// `upstream_dns 3, upstream_tls 1`.
fn codes_of(recent: &Snapshot, cause: Cause) -> String {
    listed(
        recent
            .errors
            .iter()
            .filter(|(code, _)| Cause::of_code(code) == cause)
            .map(|(code, sent)| (*code, sent[0] + sent[1])),
    )
}

fn not_sent(recent: &Snapshot, cause: Cause) -> u64 {
    recent.errors.iter().filter(|(code, _)| Cause::of_code(code) == cause).map(|(_, sent)| sent[0]).sum()
}

fn codes_not_sent(recent: &Snapshot, cause: Cause) -> String {
    let of_cause = recent.errors.iter().filter(|(code, _)| Cause::of_code(code) == cause);
    listed(of_cause.map(|(code, sent)| (*code, sent[0])))
}

fn unknown_codes(recent: &Snapshot) -> String {
    listed(recent.errors.iter().map(|(code, sent)| (*code, sent[1])))
}

fn listed(counts: impl Iterator<Item = (&'static str, u64)>) -> String {
    let some: Vec<String> =
        counts.filter(|(_, count)| *count > 0).map(|(code, count)| format!("{code} {count}")).collect();
    if some.is_empty() { "no code".to_owned() } else { some.join(", ") }
}

fn problem(text: String, runbook: Option<&'static str>) -> Problem {
    Problem { text, runbook, stops_everything: false }
}

#[cfg(test)]
mod tests;
