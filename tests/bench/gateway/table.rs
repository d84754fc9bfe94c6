//! The table: measured rows, and their medians and spreads.

use std::{collections::BTreeMap, time::Duration};

use super::child::{Idle, Kind};

/// One case, measured once.
#[derive(Debug, Clone)]
pub struct Row {
    pub per_second: f64,
    /// Processor time of one request in µs.
    pub cpu: f64,
    /// Processor time of one bare signature in µs.
    pub signature: f64,
    /// p50, p90, p99 and p99.9 in ms.
    pub quantiles: [f64; 4],
    /// Largest resident memory in MiB.
    pub peak: f64,
    /// Connections opened upstream.
    pub opened: u64,
    /// Answers other than 200.
    pub failures: usize,
}

impl Row {
    pub fn brief(&self) -> String {
        // A row at a fixed rate has no measured rate.
        let rate = if self.per_second.is_finite() { format!("{:6.0}/s ", self.per_second) } else { String::new() };
        format!(
            "{rate}{:6.1} µs {:5.3} × {:5.1} µs, p50 {:.2} p99 {:.2} ms, peak {:.1} MiB, {} opened, {} failed",
            self.cpu,
            self.cpu / self.signature,
            self.signature,
            self.quantiles[0],
            self.quantiles[2],
            self.peak,
            self.opened,
            self.failures
        )
    }
}

/// An idle sidecar, measured once.
#[derive(Debug, Clone, Copy)]
pub struct IdleRow {
    pub start: Duration,
    pub idle: Idle,
}

/// All measurements.
#[derive(Debug, Default)]
pub struct Table {
    rows: BTreeMap<(usize, Kind, usize), (&'static str, Vec<Row>)>,
    idle: BTreeMap<(usize, Kind), Vec<IdleRow>>,
}

impl Table {
    pub fn row(&mut self, workers: usize, kind: Kind, case: &'static str, row: Row) {
        let place = super::load::CASES.iter().position(|known| known.name == case).unwrap_or_default();
        self.rows.entry((workers, kind, place)).or_insert((case, Vec::new())).1.push(row);
    }

    pub fn idle(&mut self, workers: usize, kind: Kind, idle: IdleRow) {
        self.idle.entry((workers, kind)).or_default().push(idle);
    }

    /// As Markdown, on standard output.
    pub fn print(&self) {
        println!(
            "| workers | sidecar | case | requests/s | CPU per request, µs | × bare signature | less the signature, µs \
             | p50 ms | p90 ms | p99 ms | p99.9 ms | peak MiB | opened upstream | failed |\n\
             |--:|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
        );
        for ((workers, kind, _), (case, rows)) in &self.rows {
            let of = |value: &dyn Fn(&Row) -> f64, digits| shown(rows.iter().map(value).collect(), digits);
            println!(
                "| {workers} | {kind} | {case} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
                of(&|row| row.per_second, 0),
                of(&|row| row.cpu, 1),
                of(&|row| row.cpu / row.signature, 3),
                if *kind == Kind::Signing { of(&|row| row.cpu - row.signature, 1) } else { String::new() },
                of(&|row| row.quantiles[0], 2),
                of(&|row| row.quantiles[1], 2),
                of(&|row| row.quantiles[2], 2),
                of(&|row| row.quantiles[3], 2),
                of(&|row| row.peak, 1),
                of(&|row| row.opened as f64, 0),
                of(&|row| row.failures as f64, 0),
            );
        }
        println!(
            "\n| workers | sidecar | start to first answer, ms | idle resident MiB | of that its own | wake-ups/s idle |\n\
             |--:|---|--:|--:|--:|--:|"
        );
        for ((workers, kind), idle) in &self.idle {
            let of = |value: &dyn Fn(&IdleRow) -> f64, digits| shown(idle.iter().map(value).collect(), digits);
            println!(
                "| {workers} | {kind} | {} | {} | {} | {} |",
                of(&|idle| idle.start.as_secs_f64() * 1e3, 1),
                of(&|idle| idle.idle.resident, 1),
                of(&|idle| idle.idle.anonymous, 1),
                of(&|idle| idle.idle.wake_ups, 1),
            );
        }
        let bare = self.rows.values().flat_map(|(_, rows)| rows).map(|row| row.signature).collect();
        println!("\nBare signature in the same runs: {} µs.", shown(bare, 1));
    }
}

/// The median, and half the distance between the least and the greatest.
pub fn shown(mut values: Vec<f64>, digits: usize) -> String {
    values.retain(|value| value.is_finite());
    values.sort_by(f64::total_cmp);
    let (Some(least), Some(greatest)) = (values.first(), values.last()) else { return "–".to_owned() };
    let middle = f64::midpoint(values[(values.len() - 1) / 2], values[values.len() / 2]);
    match (greatest - least) / 2.0 {
        spread if values.len() > 1 && *least != *greatest => format!("{middle:.digits$} ± {spread:.digits$}"),
        _ => format!("{middle:.digits$}"),
    }
}
