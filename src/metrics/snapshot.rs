//! The figures of the status page at one moment. Two snapshots make a rate.

use prometheus::{Histogram, core::Metric};

use super::{
    families::Families,
    labels::{Label, Phase, Responder, WebhookOutcome},
};

/// Totals since the start, except where a field says that it is a state.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Snapshot {
    /// Responses of upstream: 2xx, 3xx, 4xx, 5xx.
    pub(crate) upstream: [u64; 4],
    /// Our own responses: 4xx, 5xx.
    pub(crate) signer: [u64; 2],
    /// Responses of upstream that reject the authentication: 401 and 403.
    pub(crate) rejected: u64,
    /// Errors by reason, with `sent` *no* and *maybe*. Always all reasons, in one order.
    pub(crate) errors: Vec<(&'static str, [u64; 2])>,
    /// Signatures that could not be made.
    pub(crate) signatures_failed: u64,
    /// Webhooks by outcome. Always all outcomes, in one order; none without a webhook listener.
    pub(crate) webhooks: Vec<(&'static str, u64)>,
    /// Operations of the webhook listener on Redis that failed.
    pub(crate) store_failed: u64,
    /// Seconds from the request head to the end of upstream's response.
    pub(crate) duration: Distribution,
    /// Seconds for a signature.
    pub(crate) signing: Distribution,
    /// Seconds until upstream's response head.
    pub(crate) upstream_head: Distribution,
    /// State: requests in flight.
    pub(crate) in_flight: i64,
    /// State: the configured limit of `in_flight`; 0 before it is set.
    pub(crate) in_flight_limit: i64,
    /// State: open connections to upstream.
    pub(crate) connections: i64,
    /// State: seconds that this host's clock is ahead of upstream's; 0 until the first response.
    pub(crate) clock_skew: f64,
}

impl Snapshot {
    pub(super) fn of(from: &Families) -> Self {
        let [success, redirection, client_error, server_error, own_client_error, own_server_error] =
            from.requests.totals();
        Self {
            upstream: [success, redirection, client_error, server_error],
            signer: [own_client_error, own_server_error],
            rejected: from.upstream_rejected.get(),
            errors: from.errors.all(),
            signatures_failed: from.signatures_failed.get(),
            webhooks: from.webhooks.by_outcome(),
            store_failed: from.webhooks.store_failed(),
            duration: Distribution::of(&from.request_duration[Responder::Upstream.place()]),
            signing: Distribution::of(&from.signing_duration),
            upstream_head: Distribution::of(&from.upstream_duration[Phase::Head.place()]),
            in_flight: from.in_flight.get(),
            in_flight_limit: from.in_flight_limit.get(),
            connections: from.connections_open.get(),
            clock_skew: from.clock_skew.get(),
        }
    }

    /// The difference to `earlier`; states keep their current values.
    #[must_use]
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        Self {
            upstream: less(self.upstream, earlier.upstream),
            signer: less(self.signer, earlier.signer),
            rejected: self.rejected.saturating_sub(earlier.rejected),
            errors: self
                .errors
                .iter()
                .map(|(reason, now)| {
                    let then =
                        earlier.errors.iter().find(|(other, _)| other == reason).map_or([0, 0], |(_, then)| *then);
                    (*reason, less(*now, then))
                })
                .collect(),
            signatures_failed: self.signatures_failed.saturating_sub(earlier.signatures_failed),
            webhooks: self
                .webhooks
                .iter()
                .map(|(outcome, now)| (*outcome, now.saturating_sub(count(&earlier.webhooks, outcome))))
                .collect(),
            store_failed: self.store_failed.saturating_sub(earlier.store_failed),
            duration: self.duration.since(&earlier.duration),
            signing: self.signing.since(&earlier.signing),
            upstream_head: self.upstream_head.since(&earlier.upstream_head),
            ..*self
        }
    }

    /// Webhooks with this outcome.
    #[must_use]
    pub(crate) fn webhooks(&self, outcome: WebhookOutcome) -> u64 {
        count(&self.webhooks, outcome.as_str())
    }

    /// All responses.
    #[must_use]
    pub(crate) fn requests(&self) -> u64 {
        self.upstream.iter().chain(&self.signer).sum()
    }
}

/// The observations of a histogram by bucket.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Distribution {
    /// The finite upper bounds in ascending order, each with the number of observations up to it.
    buckets: Vec<(f64, u64)>,
    pub(super) count: u64,
}

impl Distribution {
    fn of(histogram: &Histogram) -> Self {
        let metric = histogram.metric();
        let found = metric.get_histogram();
        Self {
            buckets: found
                .get_bucket()
                .iter()
                .map(|bucket| (bucket.upper_bound(), bucket.cumulative_count()))
                .filter(|(bound, _)| bound.is_finite())
                .collect(),
            count: found.get_sample_count(),
        }
    }

    fn since(&self, earlier: &Self) -> Self {
        let then = |at: usize| earlier.buckets.get(at).map_or(0, |(_, count)| *count);
        Self {
            buckets: self
                .buckets
                .iter()
                .enumerate()
                .map(|(at, (bound, count))| (*bound, count.saturating_sub(then(at))))
                .collect(),
            count: self.count.saturating_sub(earlier.count),
        }
    }

    /// The value that a share of `per_mille` of the observations does not exceed, interpolated within its bucket as Prometheus does.
    /// `None` without observations; the last finite bound if the value is above it.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "an estimate between two bounds")]
    pub(crate) fn quantile(&self, per_mille: u16) -> Option<f64> {
        if self.count == 0 {
            return None;
        }
        let rank = self.count as f64 * f64::from(per_mille) / 1000.0;
        let (mut below, mut under) = (0.0, 0);
        for (bound, count) in &self.buckets {
            if *count as f64 >= rank && *count > under {
                let share = (rank - under as f64) / (count - under) as f64;
                return Some(below + (bound - below) * share);
            }
            (below, under) = (*bound, *count);
        }
        Some(below)
    }
}

fn count(counts: &[(&'static str, u64)], name: &str) -> u64 {
    counts.iter().find(|(of, _)| *of == name).map_or(0, |(_, count)| *count)
}

fn less<const N: usize>(now: [u64; N], then: [u64; N]) -> [u64; N] {
    std::array::from_fn(|at| now[at].saturating_sub(then[at]))
}
