//! The requests of each caller.

use std::collections::BTreeMap;

use prometheus::IntCounter;

use super::Metrics;

/// The label of all callers that the configuration does not list.
const OTHER_CALLER: &str = "other";

impl Metrics {
    /// The request counts of the callers that the configuration lists, by `names`; each is at zero from now on.
    #[must_use]
    pub(crate) fn callers<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> CallerRequests {
        let count = |name: &str| self.0.callers.with_label_values(&[name]);
        let listed = names.into_iter().map(|name| (name.to_owned(), count(name))).collect();
        CallerRequests { listed, other: count(OTHER_CALLER) }
    }
}

/// How many requests each caller with a certificate has sent.
#[derive(Debug, Clone)]
pub(crate) struct CallerRequests {
    listed: BTreeMap<String, IntCounter>,
    other: IntCounter,
}

impl CallerRequests {
    /// Counts one request. A name that is not listed, and none, counts as `other`, because labels come from closed sets only.
    pub(crate) fn count(&self, name: Option<&str>) {
        name.and_then(|name| self.listed.get(name)).unwrap_or(&self.other).inc();
    }
}
