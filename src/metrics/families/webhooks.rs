//! The metrics of the webhook listener. They have no series without one.

use prometheus::{Histogram, HistogramVec, IntCounterVec, core::Collector as _, proto::MetricFamily};

use super::super::{
    labels::{Label as _, StoreOperation, WebhookOutcome},
    make::Make,
};

/// Seconds, 0.05 ms to 30 s: from a fast verification to an application that takes all its time.
const SECONDS: &[f64] =
    &[0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Seconds, 1 s to a day: a first delivery is seconds old, the last retry a day.
const AGE_SECONDS: &[f64] = &[1.0, 5.0, 30.0, 120.0, 600.0, 1800.0, 3600.0, 7200.0, 21_600.0, 43_200.0, 86_400.0];

pub(crate) struct WebhookFamilies {
    pub(crate) outcomes: IntCounterVec,
    pub(crate) errors: IntCounterVec,
    pub(crate) durations: HistogramVec,
    pub(crate) age: Histogram,
    pub(crate) duplicates: IntCounterVec,
    pub(crate) store_failures: IntCounterVec,
}

impl WebhookFamilies {
    pub(super) fn new(make: &Make) -> Self {
        Self {
            outcomes: make.counters(
                "wonder_signer_webhooks_total",
                "Webhooks answered. acknowledged and duplicate got 200. failed (5xx, 3xx, 404, 408, 425, 429), unreachable and timeout are \
                 the application's: Wonder sends these again. refused (another 4xx of the application) may never be sent again. rejected \
                 was not signed by Wonder or not for this AppID, error is of this program's limits: \
                 wonder_signer_webhook_errors_total has the reason. action is what X-Action claims, which is not signed.",
                &["credential", "action", "outcome"],
            ),
            errors: make.counters(
                "wonder_signer_webhook_errors_total",
                "Webhooks that were not forwarded, by reason: why the verification refused it, or the error code. Only \
                 signature_mismatch: the key is wrong or a proxy rewrites path or body. Many reasons: someone probes the address.",
                &["reason"],
            ),
            durations: make.histograms(
                "wonder_signer_webhook_duration_seconds",
                "verify: checking one webhook. forward: the application's part. total: from the request head to the answer. When \
                 forward rises, look at the application; Wonder may give up and send again.",
                &["phase"],
                SECONDS,
            ),
            age: make.histogram(
                "wonder_signer_webhook_age_seconds",
                "Time between Wonder's signature and the arrival of a verified webhook. Minutes and hours are retries: the application or \
                 the way to it failed before.",
                AGE_SECONDS,
            ),
            duplicates: make.counters(
                "wonder_signer_webhook_duplicates_total",
                "Repeats of an acknowledged webhook, which got 200 and were not forwarded, by the store that had it. Many: Wonder did not \
                 see the first 200, so look at the answer's way back.",
                &["store"],
            ),
            store_failures: make.counters(
                "wonder_signer_webhook_store_failures_total",
                "Operations on Redis that failed. While it rises webhooks are forwarded all the same, and a repeat at another replica \
                 is forwarded again: look at Redis.",
                &["operation"],
            ),
        }
    }
}

impl WebhookFamilies {
    /// Webhooks by outcome, over all credentials and actions; nothing without a webhook listener.
    pub(crate) fn by_outcome(&self) -> Vec<(&'static str, u64)> {
        totals(&self.outcomes, "outcome", WebhookOutcome::ALL.iter().map(|outcome| outcome.as_str()))
    }

    /// Operations on the shared store that failed.
    pub(crate) fn store_failed(&self) -> u64 {
        let operations = StoreOperation::ALL.iter().map(|operation| operation.as_str());
        totals(&self.store_failures, "operation", operations).iter().map(|(_, count)| count).sum()
    }
}

/// The sums of the series that have each value of a label, in the order of `values`; nothing if there are no series.
fn totals(
    counters: &IntCounterVec,
    label: &str,
    values: impl Iterator<Item = &'static str>,
) -> Vec<(&'static str, u64)> {
    let families = counters.collect();
    let series: Vec<(&str, u64)> = families
        .iter()
        .flat_map(MetricFamily::get_metric)
        .filter_map(|metric| {
            let value = metric.get_label().iter().find(|pair| pair.name() == label)?.value();
            Some((value, whole(metric.get_counter().get_value())))
        })
        .collect();
    if series.is_empty() {
        return Vec::new();
    }
    let sum = |value| series.iter().filter(|(of, _)| *of == value).map(|(_, count)| count).sum();
    values.map(|value| (value, sum(value))).collect()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a counter of whole events")]
fn whole(count: f64) -> u64 {
    count as u64
}
