//! The webhooks of the status page: a table by outcome, and the problems.

use super::{seen::Seen, words::span};
use crate::metrics::WebhookOutcome;

/// The outcomes that are the application's fault.
const APPLICATION: [WebhookOutcome; 4] =
    [WebhookOutcome::Failed, WebhookOutcome::Unreachable, WebhookOutcome::Timeout, WebhookOutcome::Refused];

/// A problem begins with more than one webhook in this many. Wonder may suspend an AppID whose webhook address answers with more errors.
const TOLERATED: u64 = 10;

/// The rows of the table, each with its count in the window and since the start; none without a webhook listener.
pub(super) fn rows(seen: &Seen<'_>) -> Vec<(&'static str, [u64; 2])> {
    let (recent, total) = (&seen.recent.webhooks, &seen.total.webhooks);
    if total.is_empty() {
        return Vec::new();
    }
    let in_window = |outcome: &str| recent.iter().find(|(other, _)| *other == outcome).map_or(0, |(_, count)| *count);
    let outcomes = total.iter().map(|(outcome, count)| (*outcome, [in_window(outcome), *count]));
    let all = [sum(recent), sum(total)];
    std::iter::once(("webhooks", all)).chain(outcomes.filter(|(_, [_, total])| *total > 0)).collect()
}

/// The problems of the window, each with the heading of its entry in the runbook.
pub(super) fn problems(seen: &Seen<'_>) -> Vec<(String, &'static str)> {
    let recent = seen.recent;
    let count = |outcome| recent.webhooks(outcome);
    let within = format!("in the last {}", span(seen.window));
    let unacknowledged: u64 = APPLICATION.into_iter().map(count).sum();
    let (rejected, failed) = (count(WebhookOutcome::Rejected), count(WebhookOutcome::Error));
    let verified = unacknowledged + count(WebhookOutcome::Acknowledged) + count(WebhookOutcome::Duplicate);
    let all = verified + rejected + failed;
    let mut found = Vec::new();
    let mut add = |is: bool, text: String, runbook: &'static str| {
        if is {
            found.push((text, runbook));
        }
    };
    add(
        unacknowledged * TOLERATED > verified,
        format!(
            "the application did not acknowledge {unacknowledged} of {} {within} ({}): look at the application",
            webhooks(verified),
            listed(APPLICATION.into_iter().map(|outcome| (outcome.as_str(), count(outcome))))
        ),
        "WonderSignerWebhooksFail",
    );
    add(
        rejected * TOLERATED > all,
        format!(
            "{rejected} of {} {within} got 401: they are forged, or webhook key, path or clock are wrong; the log has the \
             reason",
            webhooks(all)
        ),
        "WonderSignerWebhooksRejected",
    );
    add(
        failed * TOLERATED > all,
        format!(
            "{failed} of {} {within} got an error because of a limit or a malformed request; the log has the reason",
            webhooks(all)
        ),
        "WonderSignerWebhookErrorShare",
    );
    add(
        recent.store_failed > 0,
        format!(
            "Redis failed {} {within}: webhooks are forwarded without it, and repeats may be forwarded again",
            times(recent.store_failed)
        ),
        "WonderSignerWebhookStoreFails",
    );
    found
}

fn sum(outcomes: &[(&'static str, u64)]) -> u64 {
    outcomes.iter().map(|(_, count)| count).sum()
}

fn webhooks(count: u64) -> String {
    if count == 1 { "1 webhook".to_owned() } else { format!("{count} webhooks") }
}

fn times(count: u64) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}

/// `failed 3, timeout 1`.
fn listed(counts: impl Iterator<Item = (&'static str, u64)>) -> String {
    let some: Vec<String> =
        counts.filter(|(_, count)| *count > 0).map(|(name, count)| format!("{name} {count}")).collect();
    some.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        admin::{State, runbook, status::tests::seen},
        metrics::{Lasts, Snapshot},
    };

    fn found(webhooks: &[(&'static str, u64)], store_failed: u64) -> Vec<(String, &'static str)> {
        let snapshot = Snapshot { webhooks: webhooks.to_vec(), store_failed, ..Snapshot::default() };
        problems(&seen(State::Ready, &snapshot, &snapshot, &Lasts::default()))
    }

    #[test]
    fn each_problem_has_its_entry_in_the_runbook() {
        for (webhooks, store_failed, text, entry) in [
            (
                vec![("acknowledged", 8), ("failed", 1), ("timeout", 1)],
                0,
                "the application did not acknowledge 2 of 10 webhooks in the last 5 min (failed 1, timeout 1): look at the application",
                "WonderSignerWebhooksFail",
            ),
            (
                vec![("rejected", 1)],
                0,
                "1 of 1 webhook in the last 5 min got 401: they are forged, or webhook key, path or clock are wrong; the log \
                 has the reason",
                "WonderSignerWebhooksRejected",
            ),
            (
                vec![("acknowledged", 8), ("error", 2)],
                0,
                "2 of 10 webhooks in the last 5 min got an error because of a limit or a malformed request; the log has the reason",
                "WonderSignerWebhookErrorShare",
            ),
            (
                vec![("acknowledged", 8)],
                1,
                "Redis failed once in the last 5 min: webhooks are forwarded without it, and repeats may be forwarded again",
                "WonderSignerWebhookStoreFails",
            ),
        ] {
            assert_eq!(found(&webhooks, store_failed), [(text.to_owned(), entry)]);
            assert!(runbook::entry(entry).is_some(), "{entry}");
        }
    }

    #[test]
    fn a_tenth_is_no_problem_and_neither_is_a_sidecar_without_webhooks() {
        assert_eq!(found(&[("acknowledged", 27), ("rejected", 3)], 0), []);
        assert_eq!(found(&[("duplicate", 9), ("refused", 1)], 0), []);
        assert_eq!(found(&[], 0), []);
        let snapshot = Snapshot::default();
        assert_eq!(rows(&seen(State::Ready, &snapshot, &snapshot, &Lasts::default())), []);
    }
}
