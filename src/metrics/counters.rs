//! A family of counters whose label values are all known at the start.
//!
//! `prometheus` keeps name, help and labels as texts of their own for each of its series, which is 1.2 KiB. Here a series is a number and
//! references to its constant label values. The families of requests and errors have 330 series, and so less than 30 KiB in place of
//! 390 KiB.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use prometheus::{
    core::{Collector, Desc},
    proto::{Counter, LabelPair, Metric, MetricFamily, MetricType},
};

/// The family; clones count into the same series.
#[derive(Clone)]
pub(super) struct Counters<const LABELS: usize>(Arc<Family<LABELS>>);

struct Family<const LABELS: usize> {
    description: Desc,
    names: [&'static str; LABELS],
    series: Box<[Series<LABELS>]>,
}

struct Series<const LABELS: usize> {
    values: [&'static str; LABELS],
    count: AtomicU64,
}

impl<const LABELS: usize> Counters<LABELS> {
    /// Makes the series with these label values, at zero. `names` are the labels, in the order of Prometheus: sorted.
    pub(super) fn new(
        name: &str,
        help: &str,
        names: [&'static str; LABELS],
        series: impl IntoIterator<Item = [&'static str; LABELS]>,
    ) -> prometheus::Result<Self> {
        debug_assert!(names.is_sorted(), "{names:?}");
        let labels = names.map(str::to_owned).into();
        let description = Desc::new(name.to_owned(), help.to_owned(), labels, HashMap::new())?;
        let series = series.into_iter().map(|values| Series { values, count: AtomicU64::new(0) }).collect();
        Ok(Self(Arc::new(Family { description, names, series })))
    }

    /// Counts one event of the series at this place in the given order.
    pub(super) fn count(&self, place: usize) {
        self.0.series[place].count.fetch_add(1, Relaxed);
    }

    /// The events of each series so far.
    pub(super) fn counts(&self) -> impl Iterator<Item = u64> {
        self.0.series.iter().map(|series| series.count.load(Relaxed))
    }
}

impl<const LABELS: usize> Collector for Counters<LABELS> {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.0.description]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Family { description, names, series } = &*self.0;
        let mut family = MetricFamily::default();
        family.set_name(description.fq_name.clone());
        family.set_help(description.help.clone());
        family.set_field_type(MetricType::COUNTER);
        family.set_metric(series.iter().map(|series| series.metric(names)).collect());
        vec![family]
    }
}

impl<const LABELS: usize> Series<LABELS> {
    fn metric(&self, names: &[&'static str; LABELS]) -> Metric {
        let label = |(name, value): (&&str, &&str)| {
            let mut label = LabelPair::default();
            label.set_name((*name).to_owned());
            label.set_value((*value).to_owned());
            label
        };
        let mut metric = Metric::from_label(names.iter().zip(&self.values).map(label).collect());
        let mut counter = Counter::default();
        // As `prometheus` does: its text format has floating-point numbers.
        #[expect(clippy::cast_precision_loss, reason = "a count above 2^53 is not reached")]
        counter.set_value(self.count.load(Relaxed) as f64);
        metric.set_counter(counter);
        metric
    }
}
