//! Turns events into lines. Values are escaped, so none can break a line or control a terminal.
//!
//! A layer of its own, not a `FormatEvent` of tracing-subscriber's `fmt` layer: that would replace the twenty lines that reuse a buffer, need
//! as many for a `MakeWriter`, and write each value through a dynamic call.

use std::{
    cell::RefCell,
    error::Error,
    fmt::{self, Write},
    time::SystemTime,
};

use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context};

use super::{Style, values};

/// The layer that formats events.
pub(super) struct Lines<W> {
    style: Style,
    clock: fn() -> SystemTime,
    write: W,
}

impl<W> Lines<W> {
    pub(super) fn new(style: Style, clock: fn() -> SystemTime, write: W) -> Self {
        Self { style, clock, write }
    }
}

thread_local! {
    /// The current line. One per thread, so that a line costs no allocation.
    static LINE: RefCell<String> = const { RefCell::new(String::new()) };
}

impl<S, W> Layer<S> for Lines<W>
where
    S: Subscriber,
    W: Fn(&[u8]) + Send + Sync + 'static,
{
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        LINE.with(|line| match line.try_borrow_mut() {
            Ok(mut line) => {
                line.clear();
                self.line(&mut line, event);
                // A single long value must not keep its memory forever.
                line.shrink_to(16 * 1024);
            }
            // The value of a field logs while it is formatted.
            Err(_) => self.line(&mut String::new(), event),
        });
    }
}

impl<W: Fn(&[u8])> Lines<W> {
    fn line(&self, line: &mut String, event: &Event<'_>) {
        let meta = event.metadata();
        let level = match *meta.level() {
            tracing::Level::ERROR => "error",
            tracing::Level::WARN => "warn",
            tracing::Level::INFO => "info",
            tracing::Level::DEBUG => "debug",
            tracing::Level::TRACE => "trace",
        };
        open(line, self.style, (self.clock)(), level, meta.target(), |line| event.record(&mut Message(line)));
        event.record(&mut EventVisitor { style: self.style, line });
        close(line, self.style);
        (self.write)(line.as_bytes());
    }
}

/// The line that reports lost lines.
pub(super) fn lost(style: Style, time: SystemTime, lines: usize) -> String {
    let mut line = String::new();
    open(&mut line, style, time, "error", module_path!(), |line| line.push_str("log lines were lost"));
    write_field(&mut line, style, "lines", |line| values::integer(line, lines));
    close(&mut line, style);
    line
}

fn open(
    line: &mut String,
    style: Style,
    time: SystemTime,
    level: &str,
    target: &str,
    message: impl FnOnce(&mut String),
) {
    // The formatter panics on a clock before 1970.
    let time = humantime::format_rfc3339_micros(time.max(SystemTime::UNIX_EPOCH));
    // Writing to a `String` does not fail.
    let _ = match style {
        Style::Json => write!(line, r#"{{"timestamp":"{time}","level":"{level}","message":""#),
        Style::Text => write!(line, "{time} {level:>5} "),
    };
    message(line);
    if style == Style::Json {
        line.push_str(r#"","target":""#);
        line.push_str(target);
        line.push('"');
    }
}

fn close(line: &mut String, style: Style) {
    line.push_str(match style {
        Style::Json => "}\n",
        Style::Text => "\n",
    });
}

/// Writes the message without quotes.
struct Message<'a>(&'a mut String);

impl Visit for Message<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            values::escaped_debug(self.0, value);
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            values::escaped(self.0, value);
        }
    }
}

/// Writes all fields except the message.
struct EventVisitor<'a> {
    style: Style,
    line: &'a mut String,
}

impl EventVisitor<'_> {
    fn field(&mut self, field: &Field, value: impl FnOnce(&mut String)) {
        if field.name() != "message" {
            write_field(self.line, self.style, field.name(), value);
        }
    }
}

fn write_field(line: &mut String, style: Style, name: &str, value: impl FnOnce(&mut String)) {
    line.push_str(match style {
        Style::Json => ",\"",
        Style::Text => " ",
    });
    line.push_str(name);
    line.push_str(match style {
        Style::Json => "\":",
        Style::Text => "=",
    });
    value(line);
}

impl Visit for EventVisitor<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.field(field, |line| values::quoted(line, |line| values::escaped_debug(line, value)));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.field(field, |line| values::quoted(line, |line| values::escaped(line, value)));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.field(field, |line| values::quoted(line, |line| values::error(line, value)));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.field(field, |line| line.push_str(if value { "true" } else { "false" }));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.field(field, |line| values::integer(line, value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.field(field, |line| values::integer(line, value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.field(field, |line| values::decimal(line, value));
    }
}
