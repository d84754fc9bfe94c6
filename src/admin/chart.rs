//! The last hour as four small charts: inline SVG without a script, each with its figures in words.

use std::fmt::Write;

use super::{
    cause::Cause,
    history::{POINTS, Point, SPACING},
    words::{self, duration, rate, skew},
};

/// The height of the drawing; its width is one unit for each point. The page scales both.
const HEIGHT: f64 = 60.0;
/// The minimum height of a bar, so that one error among thousands of requests is visible.
const LEAST_BAR: f64 = 2.0;

/// One chart.
pub(super) struct Chart {
    pub(super) title: &'static str,
    /// The drawing in words, also for screen readers.
    pub(super) description: String,
    /// The value at the upper edge.
    pub(super) top: String,
    /// The value at the lower edge.
    pub(super) bottom: String,
    /// Class and path of each line or area, the first at the back.
    pub(super) shapes: Vec<(String, String)>,
    /// Class, name and figure of each line or area.
    pub(super) legend: Vec<(String, &'static str, String)>,
}

/// All of them.
pub(super) fn charts(points: &[Point]) -> [Chart; 4] {
    [requests(points), errors(points), latency(points), clock(points)]
}

fn requests(points: &[Point]) -> Chart {
    let total: u64 = points.iter().map(|point| u64::from(point.requests)).sum();
    let counts = points.iter().map(|point| f64::from(point.requests));
    let most = counts.clone().fold(0.0, f64::max);
    let per_second = |count: f64| rate(count, SPACING);
    let newest = points.last().map_or(0.0, |point| f64::from(point.requests));
    let scale = nice(most);
    let bars = bars(counts.map(|count| (0.0, count)), scale);
    Chart {
        title: "Requests",
        description: format!(
            "{} in the last hour, {} at most, {} in the last ten seconds",
            words::requests(total),
            per_second(most),
            per_second(newest)
        ),
        top: per_second(scale),
        bottom: "0".to_owned(),
        shapes: vec![("requests".to_owned(), bars)],
        legend: vec![("requests".to_owned(), "now", per_second(newest))],
    }
}

fn errors(points: &[Point]) -> Chart {
    let sum = |point: &Point| point.errors.iter().copied().map(f64::from).sum::<f64>();
    let scale = nice(points.iter().map(sum).fold(0.0, f64::max));
    let (mut shapes, mut legend, mut words) = (Vec::new(), Vec::new(), Vec::new());
    for cause in Cause::ALL {
        let place = cause.place();
        let count: u64 = points.iter().map(|point| u64::from(point.errors[place])).sum();
        if count == 0 {
            continue;
        }
        let stacked = points.iter().map(|point| {
            let below: f64 = point.errors[..place].iter().copied().map(f64::from).sum();
            (below, f64::from(point.errors[place]))
        });
        shapes.push((format!("cause{place}"), bars(stacked, scale)));
        legend.push((format!("cause{place}"), cause.name(), count.to_string()));
        words.push(format!("{count} by {}", cause.name()));
    }
    let none = words.is_empty();
    Chart {
        title: "Errors by cause",
        description: if none {
            "no errors in the last hour".to_owned()
        } else {
            format!("errors in the last hour: {}", words.join(", "))
        },
        top: if none { String::new() } else { format!("{scale} in 10 s") },
        bottom: "0".to_owned(),
        shapes,
        legend: if none { vec![(String::new(), "none", String::new())] } else { legend },
    }
}

fn latency(points: &[Point]) -> Chart {
    let most =
        points.iter().map(|point| f64::from(point.latency[2])).filter(|value| !value.is_nan()).fold(0.0, f64::max);
    let scale = nice(most);
    let newest = points.iter().rev().find(|point| !point.latency[0].is_nan());
    let (mut shapes, mut legend) = (Vec::new(), Vec::new());
    for (place, name) in ["p50", "p95", "p99"].into_iter().enumerate() {
        let line = line(points, |point| f64::from(point.latency[place]), |value| HEIGHT * (1.0 - value / scale));
        let figure = newest.map_or_else(|| "no data".to_owned(), |point| duration(f64::from(point.latency[place])));
        shapes.push((name.to_owned(), line));
        legend.push((name.to_owned(), name, figure));
    }
    let figures: Vec<String> = legend.iter().map(|(_, name, figure)| format!("{name} {figure}")).collect();
    Chart {
        title: "Whole request, answers by Wonder",
        description: format!("last: {}; {} at most in the last hour", figures.join(", "), duration(most)),
        top: if newest.is_some() { duration(scale) } else { String::new() },
        bottom: "0".to_owned(),
        shapes,
        legend,
    }
}

fn clock(points: &[Point]) -> Chart {
    let most =
        points.iter().map(|point| f64::from(point.clock).abs()).filter(|value| !value.is_nan()).fold(0.0, f64::max);
    let scale = nice(most.max(1.0));
    let newest = points.last().map(|point| f64::from(point.clock)).filter(|value| !value.is_nan());
    let figure = newest.map_or_else(|| "not known before Wonder's first answer".to_owned(), skew);
    Chart {
        title: "Clock against Wonder's",
        description: format!("the clock is now: {figure}"),
        top: format!("+{scale} s"),
        bottom: format!("\u{2212}{scale} s"),
        shapes: vec![
            ("zero".to_owned(), format!("M0 {}H{POINTS}", HEIGHT / 2.0)),
            (
                "clock".to_owned(),
                line(points, |point| f64::from(point.clock), |value| HEIGHT / 2.0 * (1.0 - value / scale)),
            ),
        ],
        legend: vec![("clock".to_owned(), "now", figure)],
    }
}

/// One bar for each point, the newest at the right edge. A bar is its distance from the lower edge, and its height.
fn bars(values: impl ExactSizeIterator<Item = (f64, f64)>, scale: f64) -> String {
    let first = POINTS.saturating_sub(values.len());
    let mut path = String::new();
    for (at, (below, value)) in values.enumerate().filter(|(_, (_, value))| *value > 0.0) {
        let height = (HEIGHT * value / scale).max(LEAST_BAR);
        // Writing to a `String` does not fail.
        let _ = write!(path, "M{} {:.1}v{:.1}h1v{:.1}z", first + at, HEIGHT * (1.0 - below / scale), -height, height);
    }
    path
}

/// A line in steps, newest at the right edge, with a gap where a value is not a number.
fn line(points: &[Point], value: impl Fn(&Point) -> f64, height: impl Fn(f64) -> f64) -> String {
    let first = POINTS.saturating_sub(points.len());
    let mut path = String::new();
    let mut drawn = false;
    for (at, point) in points.iter().enumerate() {
        let value = value(point);
        if value.is_nan() {
            drawn = false;
            continue;
        }
        let (left, y) = (first + at, height(value));
        let _ = if drawn { write!(path, "V{y:.1}H{}", left + 1) } else { write!(path, "M{left} {y:.1}H{}", left + 1) };
        drawn = true;
    }
    path
}

/// The next of 1, 2, 5, 10, 20, … that is not below `value`, likewise below 1; 1 for nothing.
fn nice(value: f64) -> f64 {
    if value <= 0.0 || !value.is_finite() {
        return 1.0;
    }
    let ten = 10_f64.powf(value.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().find(|step| step * ten >= value * 0.999_999).unwrap_or(10.0);
    step * ten
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(requests: u32, errors: [u32; 6], latency: f32, clock: f32) -> Point {
        Point { requests, errors, latency: [latency, latency * 2.0, latency * 4.0], clock }
    }

    #[test]
    fn scales_are_round() {
        for (value, expected) in
            [(0.0, 1.0), (0.03, 0.05), (1.0, 1.0), (1.1, 2.0), (5.0, 5.0), (5.1, 10.0), (230.0, 500.0)]
        {
            assert!((nice(value) - expected).abs() < 1e-9, "{value} {}", nice(value));
        }
    }

    #[test]
    fn the_newest_point_is_at_the_right_edge_and_a_gap_stays_a_gap() {
        let points = [point(10, [0; 6], 0.1, 0.5), point(0, [0; 6], f32::NAN, f32::NAN), point(20, [0; 6], 0.2, 0.5)];
        let [requests, errors, latency, clock] = charts(&points);
        assert_eq!(requests.shapes[0].1, "M357 60.0v-30.0h1v30.0zM359 60.0v-60.0h1v60.0z");
        assert_eq!((requests.top.as_str(), requests.legend[0].2.as_str()), ("2.0/s", "2.0/s"));
        assert_eq!(latency.shapes[0].1, "M357 54.0H358M359 48.0H360");
        assert_eq!(clock.shapes[1].1, "M357 15.0H358M359 15.0H360");
        assert_eq!((errors.shapes.len(), errors.description.as_str()), (0, "no errors in the last hour"));
    }

    #[test]
    fn errors_are_stacked_and_named_by_cause() {
        let [_, errors, ..] = charts(&[point(9, [0, 3, 0, 2, 0, 0], 0.1, 0.0)]);
        assert_eq!(errors.shapes[0], ("cause1".to_owned(), "M359 60.0v-36.0h1v36.0z".to_owned()));
        assert_eq!(errors.shapes[1], ("cause3".to_owned(), "M359 24.0v-24.0h1v24.0z".to_owned()));
        assert_eq!(errors.description, "errors in the last hour: 3 by key, AppID, clock or address, 2 by Wonder");
    }

    #[test]
    fn an_empty_history_is_drawn_and_described() {
        let charts = charts(&[]);
        assert_eq!(charts[0].description, "0 requests in the last hour, 0.0/s at most, 0.0/s in the last ten seconds");
        assert!(charts[2].description.contains("no data") && charts[3].description.contains("not known"));
    }
}
