//! Errors of our own by code and `sent`.

use crate::{
    contract::Sent,
    metrics::{counters::Counters, labels::Label as _, make::Make},
};

/// A counter for each code and value of `sent`.
pub(crate) struct Errors {
    /// The last is `other`, for an unlisted code.
    reasons: Vec<&'static str>,
    counters: Counters<2>,
}

impl Errors {
    pub(super) fn new(make: &Make, reasons: impl Iterator<Item = &'static str>) -> Self {
        let reasons: Vec<_> = reasons.collect();
        let counters = make.closed_counters(
            "wonder_signer_proxy_errors_total",
            "Errors answered here, and answers of Wonder that broke off after their head was forwarded, by code. With sent=\"maybe\" \
             Wonder may have carried the request out: ask Wonder before you repeat it, above all for payments. reason=\"other\" is a defect \
             of this program.",
            ["reason", "sent"],
            reasons.iter().flat_map(|reason| Sent::ALL.iter().map(|sent| [*reason, sent.text()])),
        );
        Self { reasons, counters }
    }

    /// Counts one error, and returns the place of its reason, which is that of `other` for one that is not listed.
    pub(crate) fn count(&self, reason: &str, sent: Sent) -> usize {
        let known = self.reasons.iter().position(|known| *known == reason);
        let place = known.unwrap_or(self.reasons.len() - 1);
        self.counters.count(place * Sent::ALL.len() + sent.place());
        place
    }

    /// The errors of each reason by `sent`, *no* and *maybe*.
    pub(crate) fn all(&self) -> Vec<(&'static str, [u64; 2])> {
        let counts: Vec<u64> = self.counters.counts().collect();
        self.reasons.iter().zip(counts.as_chunks().0).map(|(reason, sent)| (*reason, *sent)).collect()
    }
}
