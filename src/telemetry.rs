//! Logs: one line per event on standard error, JSON when it is not a terminal.
//!
//! The level can be changed while the program runs. Whatever it is, other crates are never heard below `warn`: hyper, h2 and rustls
//! write header values and bytes of bodies at their finer levels, and those may be card numbers and signatures.
//!
//! A line holds the event's fields and those of the spans around it, all at the top level:
//!
//! ```json
//! {"timestamp":"2026-02-14T09:30:05.123456Z","level":"info","message":"request","target":"wonder_signer::proxy","request_id":"…"}
//! ```

mod lines;
#[cfg(test)]
mod tests;

use std::{
    io::{self, IsTerminal, Write},
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::SystemTime,
};

use tracing::{Metadata, Subscriber, level_filters::LevelFilter, subscriber::Interest};
use tracing_subscriber::{
    Layer, Registry,
    layer::{Context, Filter, SubscriberExt},
};

use self::lines::Lines;

/// The crate whose events may be finer than `warn`: this one.
const OWN: &str = "wonder_signer";

/// Sets up logging for the whole process, and for its panics. Can be done once.
pub fn init(level: Level, format: Format) -> Result<Telemetry, TelemetryError> {
    let style = match format {
        Format::Text => Style::Text,
        Format::Auto if io::stderr().is_terminal() => Style::Text,
        Format::Auto | Format::Json => Style::Json,
    };
    let (subscriber, telemetry) = subscriber(level, style, SystemTime::now, |line| {
        // One write for a line, so that lines of several threads do not mix. A closed standard error is no reason to stop.
        let _ = io::stderr().lock().write_all(line);
    });
    tracing::subscriber::set_global_default(subscriber).map_err(|_| TelemetryError)?;
    log_panics();
    Ok(telemetry)
}

/// What [`init`] sets up, with the clock and the place for finished lines (each with its line feed) handed in.
pub fn subscriber(
    level: Level,
    style: Style,
    clock: fn() -> SystemTime,
    write: impl Fn(&[u8]) + Send + Sync + 'static,
) -> (impl Subscriber + Send + Sync, Telemetry) {
    let telemetry = Telemetry(Arc::new(AtomicU8::new(level as u8)));
    let layer = Lines::new(style, clock, write).with_filter(telemetry.clone());
    (Registry::default().with(layer), telemetry)
}

/// A panic becomes a line too. Its message is left out, since it may hold a value; the place is enough to find it.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let at = panic.location().map(|at| (at.file(), at.line()));
        let (file, line) = at.unwrap_or(("unknown", 0));
        tracing::error!(target: OWN, file, line, "panicked");
    }));
}

/// The way to the level of a running program; clones change the same one.
#[derive(Debug, Clone)]
pub struct Telemetry(Arc<AtomicU8>);

impl Telemetry {
    /// The level in force.
    #[must_use]
    pub fn level(&self) -> Level {
        Level::ALL.into_iter().find(|level| *level as u8 == self.0.load(Ordering::Relaxed)).unwrap_or(Level::Info)
    }

    /// Sets the level, from the next event on.
    pub fn set_level(&self, level: Level) {
        self.0.store(level as u8, Ordering::Relaxed);
        // Every place that logs remembers whether it is wanted; ask them again.
        tracing::callsite::rebuild_interest_cache();
    }

    fn wants(&self, event: &Metadata<'_>) -> bool {
        let own = event.target().strip_prefix(OWN).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
        let level = self.level().filter();
        *event.level() <= if own { level } else { level.min(LevelFilter::WARN) }
    }
}

impl<S> Filter<S> for Telemetry {
    fn enabled(&self, event: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        self.wants(event)
    }

    fn callsite_enabled(&self, event: &'static Metadata<'static>) -> Interest {
        if self.wants(event) { Interest::always() } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level().filter())
    }
}

/// How much is logged. Each level holds those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// Nothing.
    Off,
    /// A person is needed.
    Error,
    /// Something went wrong and was recovered.
    Warn,
    /// One line per request, start and stop.
    Info,
    /// The steps of a request.
    Debug,
    /// Everything.
    Trace,
}

impl Level {
    const ALL: [Self; 6] = [Self::Off, Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace];

    /// The word for it in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }

    fn filter(self) -> LevelFilter {
        match self {
            Self::Off => LevelFilter::OFF,
            Self::Error => LevelFilter::ERROR,
            Self::Warn => LevelFilter::WARN,
            Self::Info => LevelFilter::INFO,
            Self::Debug => LevelFilter::DEBUG,
            Self::Trace => LevelFilter::TRACE,
        }
    }
}

impl FromStr for Level {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        Self::ALL
            .into_iter()
            .find(|level| level.as_str() == word)
            .ok_or(UnknownWord("a log level is off, error, warn, info, debug or trace"))
    }
}

/// How lines are asked to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// JSON always.
    Json,
    /// Text always.
    Text,
}

impl FromStr for Format {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        match word {
            "auto" => Ok(Self::Auto),
            "json" => Ok(Self::Json),
            "text" => Ok(Self::Text),
            _ => Err(UnknownWord("a log format is auto, json or text")),
        }
    }
}

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// One JSON object per line, for machines.
    Json,
    /// Time, level, message, `name=value`, for people.
    Text,
}

/// The word names no level or no format; the text says which there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnknownWord(&'static str);

/// Logging was set up already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("logging is set up already")]
pub struct TelemetryError;
