//! Logs: one line per event on standard error, JSON when it is not a terminal.
//!
//! The level can be changed while the program runs. Other crates are logged at `warn` and above only, at every level: hyper, h2 and
//! rustls log header values and bytes of bodies at their finer levels, and those may be card numbers and signatures.
//!
//! A slow reader of standard error delays no request. Lines that it does not accept are lost, and `wonder_signer_log_lines_lost_total`
//! counts them.
//!
//! A line has the event's fields, all at the top level. There are no spans: a request is reported once, when it is over.
//!
//! ```json
//! {"timestamp":"2026-02-14T09:30:05.123456Z","level":"info","message":"request","target":"wonder_signer::proxy","request_id":"…"}
//! ```

mod lines;
#[cfg(feature = "otel")]
pub(crate) mod otlp;
mod output;
mod quota;
mod request;
#[cfg(test)]
pub(crate) mod tests;
mod values;

use std::{
    io::{self, IsTerminal},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU8, Ordering},
    },
    time::{Duration, SystemTime},
};

use tracing::{Metadata, Subscriber, level_filters::LevelFilter, subscriber::Interest};
use tracing_subscriber::{
    Layer, Registry,
    layer::{Context, Filter, SubscriberExt},
};

pub(crate) use self::quota::Quota;
#[cfg(any(feature = "otel", test))]
pub(crate) use self::request::Recorder;
pub(crate) use self::request::{Finished, Phase, Phases, Requests, SpanId, Trace, TraceId};
use self::{lines::Lines, output::Output};
use crate::{
    config::{LogFormat, LogLevel},
    metrics,
};

/// This crate, whose events are logged at every level.
const OWN: &str = "wonder_signer";
/// How long [`say`] waits for room, and how long the end of the process waits for the last lines.
const PATIENCE: Duration = Duration::from_millis(100);
const LAST_LINES: Duration = Duration::from_secs(1);

/// The output of [`init`].
static OUTPUT: OnceLock<Arc<Output>> = OnceLock::new();

/// Sets up logging for the whole process, panics included. Fails if it is called twice.
pub(crate) fn init(level: LogLevel, format: LogFormat) -> Result<Telemetry, TelemetryError> {
    let style = match format {
        LogFormat::Text => Style::Text,
        LogFormat::Auto if io::stderr().is_terminal() => Style::Text,
        LogFormat::Json | LogFormat::Auto => Style::Json,
    };
    let notice = move |lines| lines::lost(style, SystemTime::now(), lines);
    let output = Output::start(io::stderr(), output::LINES, metrics::log_lines_lost, notice);
    let output = Arc::new(output.map_err(TelemetryError::Thread)?);
    OUTPUT.set(Arc::clone(&output)).map_err(|_| TelemetryError::Twice)?;
    let (subscriber, telemetry) = subscriber(level, style, SystemTime::now, move |line| output.write(line));
    tracing::subscriber::set_global_default(subscriber).map_err(|_| TelemetryError::Twice)?;
    log_panics();
    Ok(telemetry)
}

/// Writes `line` and a line feed to standard error, after the log. It does not wait long for the reader.
pub(crate) fn say(line: &str) {
    flush();
    // A reader that does not accept the line leaves no other place for it.
    let _ = output::write_all(&io::stderr(), format!("{line}\n").as_bytes(), Some(PATIENCE));
}

/// Waits until the log lines so far are written. A stuck reader ends the wait after a second.
pub(crate) fn flush() {
    if let Some(output) = OUTPUT.get() {
        output.flush(LAST_LINES);
    }
}

/// Calls [`flush`] when it is dropped, by a return or by a panic.
#[derive(Debug)]
pub(crate) struct FlushOnDrop;

impl Drop for FlushOnDrop {
    fn drop(&mut self) {
        flush();
    }
}

/// The subscriber of `init`, with its clock and the function that receives finished lines (each with its line feed).
pub fn subscriber(
    level: LogLevel,
    style: Style,
    clock: fn() -> SystemTime,
    write: impl Fn(&[u8]) + Send + Sync + 'static,
) -> (impl Subscriber + Send + Sync, Telemetry) {
    let telemetry = Telemetry(Arc::new(AtomicU8::new(level as u8)));
    let layer = Lines::new(style, clock, write).with_filter(telemetry.clone());
    (Registry::default().with(layer), telemetry)
}

/// Logs each panic with its place. Its message is left out, because it may contain a value.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let at = panic.location().map(|at| (at.file(), at.line()));
        let (file, line) = at.unwrap_or(("unknown", 0));
        tracing::error!(target: OWN, file, line, "panicked");
    }));
}

/// Changes the level of the running program; clones change the same level.
#[derive(Debug, Clone)]
pub struct Telemetry(Arc<AtomicU8>);

impl Telemetry {
    /// The level in force.
    #[must_use]
    pub(crate) fn level(&self) -> LogLevel {
        let level = self.0.load(Ordering::Relaxed);
        LogLevel::ALL.iter().copied().find(|known| *known as u8 == level).unwrap_or(LogLevel::Info)
    }

    /// Sets the level, from the next event on.
    pub(crate) fn set_level(&self, level: LogLevel) {
        self.0.store(level as u8, Ordering::Relaxed);
        // tracing caches for each call site whether it is enabled.
        tracing::callsite::rebuild_interest_cache();
    }

    /// One level more, up to trace. Returns the new level.
    pub(crate) fn more(&self) -> LogLevel {
        self.step(1)
    }

    /// One level less, down to error: events that need a person are still logged. Returns the new level.
    pub(crate) fn less(&self) -> LogLevel {
        self.step(-1)
    }

    fn step(&self, by: isize) -> LogLevel {
        let all = LogLevel::ALL;
        let at = |level| all.iter().position(|known| *known == level).unwrap_or_default();
        let now = at(self.level());
        let lowest = at(LogLevel::Error).min(now);
        let level = all[now.saturating_add_signed(by).clamp(lowest, all.len() - 1)];
        self.set_level(level);
        level
    }

    fn is_enabled(&self, event: &Metadata<'_>) -> bool {
        let own = event.target().strip_prefix(OWN).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
        let level = filter(self.level());
        *event.level() <= if own { level } else { level.min(LevelFilter::WARN) }
    }
}

impl<S> Filter<S> for Telemetry {
    fn enabled(&self, event: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        self.is_enabled(event)
    }

    fn callsite_enabled(&self, event: &'static Metadata<'static>) -> Interest {
        if self.is_enabled(event) { Interest::always() } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(filter(self.level()))
    }
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Off => LevelFilter::OFF,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

/// The format of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// One JSON object per line, for machines.
    Json,
    /// Time, level, message, `name=value`, for people.
    Text,
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TelemetryError {
    /// It is set up already.
    #[error("logging is set up already")]
    Twice,
    /// The system could not create a thread.
    #[error("cannot start the thread of the log; raise the limit of processes (podPidsLimit, pids.max, ulimit -u)")]
    Thread(#[source] io::Error),
}
