//! What the webhook listener counts.

use std::{collections::BTreeMap, sync::Arc};

use prometheus::{Histogram, IntCounter};

use super::{
    families::Families,
    labels::{DuplicateStore, Label, StoreOperation, WebhookAction, WebhookOutcome, WebhookPhase},
    make::one_each,
};

/// The credential's label where the webhook names none that is configured.
const NO_CREDENTIAL: &str = "none";
/// The reason that is in no list.
const OTHER: &str = "other";

/// Counts what the webhook listener does; clones count into the same numbers.
#[derive(Clone)]
pub(crate) struct Webhooks(Arc<Counters>);

struct Counters {
    /// By credential, then by action, then by outcome.
    outcomes: BTreeMap<String, Vec<Vec<IntCounter>>>,
    errors: BTreeMap<&'static str, IntCounter>,
    durations: Vec<Histogram>,
    age: Histogram,
    duplicates: Vec<IntCounter>,
    store_failures: Vec<IntCounter>,
}

impl Webhooks {
    /// All at zero, for the credentials of these names. `reasons` is the closed set for [`Self::not_forwarded`]; `other` is added to it.
    pub(super) fn new<'a>(
        families: &Families,
        credentials: impl IntoIterator<Item = &'a str>,
        reasons: impl IntoIterator<Item = &'static str>,
    ) -> Self {
        let of = &families.webhooks;
        let outcomes = |credential: &str| {
            one_each::<WebhookAction, _>(|action| {
                one_each::<WebhookOutcome, _>(|outcome| of.outcomes.with_label_values(&[credential, action, outcome]))
            })
        };
        Self(Arc::new(Counters {
            outcomes: credentials
                .into_iter()
                .chain([NO_CREDENTIAL])
                .map(|name| (name.to_owned(), outcomes(name)))
                .collect(),
            errors: reasons
                .into_iter()
                .chain([OTHER])
                .map(|reason| (reason, of.errors.with_label_values(&[reason])))
                .collect(),
            durations: one_each::<WebhookPhase, _>(|phase| of.durations.with_label_values(&[phase])),
            age: of.age.clone(),
            duplicates: one_each::<DuplicateStore, _>(|store| of.duplicates.with_label_values(&[store])),
            store_failures: one_each::<StoreOperation, _>(|operation| {
                of.store_failures.with_label_values(&[operation])
            }),
        }))
    }

    /// A webhook was answered. `credential` is the one that it names, if that is configured.
    pub(crate) fn answered(&self, credential: Option<&str>, action: WebhookAction, outcome: WebhookOutcome) {
        let known = credential.and_then(|name| self.0.outcomes.get(name));
        if let Some(outcomes) = known.or_else(|| self.0.outcomes.get(NO_CREDENTIAL)) {
            outcomes[action.place()][outcome.place()].inc();
        }
    }

    /// A webhook was answered without being forwarded, for this reason. One that is in no list counts as `other`.
    pub(crate) fn not_forwarded(&self, reason: &str) {
        if let Some(counter) = self.0.errors.get(reason).or_else(|| self.0.errors.get(OTHER)) {
            counter.inc();
        }
    }

    /// A part of the time that a webhook took is over.
    pub(crate) fn phase(&self, phase: WebhookPhase, seconds: f64) {
        self.0.durations[phase.place()].observe(seconds);
    }

    /// A webhook was verified, so many seconds after it was signed.
    #[expect(clippy::cast_precision_loss, reason = "exact for 285 million years")]
    pub(crate) fn age(&self, seconds: u64) {
        self.0.age.observe(seconds as f64);
    }

    /// A repeat of an acknowledged delivery was recognised.
    pub(crate) fn duplicate(&self, store: DuplicateStore) {
        self.0.duplicates[store.place()].inc();
    }

    /// The shared store failed.
    pub(crate) fn store_failed(&self, operation: StoreOperation) {
        self.0.store_failures[operation.place()].inc();
    }
}
