//! Makes and registers metrics, and resolves their handles once, so that counting needs no look-up.

use std::sync::{Mutex, PoisonError};

use prometheus::{
    Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    core::Collector,
};

use super::{counters::Counters, labels::Label};

/// Series that are replaced together when the configuration or a key is reloaded.
pub(super) struct Table {
    family: IntGaugeVec,
    present: Mutex<Vec<[String; 2]>>,
}

impl Table {
    pub(super) fn new(family: IntGaugeVec) -> Self {
        Self { family, present: Mutex::new(Vec::new()) }
    }

    /// Sets these rows and removes all others. New ones are set first, so that no scrape finds the table empty.
    pub(super) fn replace(&self, rows: &[([&str; 2], i64)]) {
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        for (labels, value) in rows {
            self.family.with_label_values(labels).set(*value);
        }
        for gone in present.iter().filter(|old| rows.iter().all(|(labels, _)| old[..] != labels[..])) {
            // The only error is that the series does not exist.
            let _ = self.family.remove_label_values(&[gone[0].as_str(), gone[1].as_str()]);
        }
        *present = rows.iter().map(|(labels, _)| labels.map(str::to_owned)).collect();
    }

    /// Sets one row and removes the others with the same first label.
    pub(super) fn replace_one(&self, labels: [&str; 2], value: i64) {
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        self.family.with_label_values(&labels).set(value);
        for gone in present.extract_if(.., |old| old[0] == labels[0]).filter(|old| old[1] != labels[1]) {
            let _ = self.family.remove_label_values(&[gone[0].as_str(), gone[1].as_str()]);
        }
        present.push(labels.map(str::to_owned));
    }
}

/// Makes a metric and registers it.
pub(super) struct Make(Registry);

impl Make {
    pub(super) fn new() -> Self {
        Self(Registry::new())
    }

    /// The registry of all metrics made so far.
    pub(super) fn registry(self) -> Registry {
        self.0
    }

    pub(super) fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.registered(IntCounter::new(name, help))
    }

    pub(super) fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.registered(IntCounterVec::new(Opts::new(name, help), labels))
    }

    /// A family whose series are known at the start. `labels` are sorted.
    pub(super) fn closed_counters<const LABELS: usize>(
        &self,
        name: &str,
        help: &str,
        labels: [&'static str; LABELS],
        series: impl IntoIterator<Item = [&'static str; LABELS]>,
    ) -> Counters<LABELS> {
        self.registered(Counters::new(name, help, labels, series))
    }

    pub(super) fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.registered(IntGauge::new(name, help))
    }

    pub(super) fn float_gauge(&self, name: &str, help: &str) -> Gauge {
        self.registered(Gauge::new(name, help))
    }

    pub(super) fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        self.registered(IntGaugeVec::new(Opts::new(name, help), labels))
    }

    pub(super) fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Histogram {
        self.registered(Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec())))
    }

    pub(super) fn histograms(&self, name: &str, help: &str, labels: &[&str], buckets: &[f64]) -> HistogramVec {
        self.registered(HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), labels))
    }

    pub(super) fn process(&self) {
        #[cfg(target_os = "linux")]
        self.register(prometheus::process_collector::ProcessCollector::for_self());
    }

    fn registered<C: Collector + Clone + 'static>(&self, made: prometheus::Result<C>) -> C {
        let metric = constant(made);
        self.register(metric.clone());
        metric
    }

    pub(super) fn register(&self, collector: impl Collector + 'static) {
        constant(self.0.register(Box::new(collector)));
    }
}

/// The handles of the values of a closed set, in its order.
pub(super) fn one_each<L: Label, T>(handle: impl Fn(&'static str) -> T) -> Vec<T> {
    L::ALL.iter().map(|value| handle(value.text())).collect()
}

/// Names, labels and buckets are constants in `families`, so a test that builds them once covers every error.
#[expect(clippy::expect_used, reason = "fails for given constants or not at all")]
pub(super) fn constant<T>(made: prometheus::Result<T>) -> T {
    made.expect("metric names and buckets are well formed and used once")
}
