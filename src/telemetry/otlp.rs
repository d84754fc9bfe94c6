//! Traces: a span for each request, with spans below it for what its time went to, exported as OTLP/JSON over HTTP.
//!
//! ```text
//! customers.create           the request, from head to last byte; in the caller's trace if it sent a traceparent
//! ├── body                   reading its body
//! ├── sign
//! ├── connect                only if it waited for a new connection
//! └── upstream               Wonder, from the request written to the answer's last byte
//! ```
//!
//! Requests never wait for it: a record goes into a bounded queue, and is counted as lost where that is full. What cannot be exported
//! is lost too; a warning, at most one a minute, says how much and why.
//!
//! This is not the OpenTelemetry SDK, whose exporter would bring sixteen crates, gRPC among them, for one POST of JSON.
//!
//! * [`Settings`]: the standard `OTEL_*` variables.
//! * `spans`: what is told of a request.
//! * `export`: batches, and the way to the collector.

mod export;
mod settings;
mod spans;
#[cfg(test)]
mod tests;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::timeout,
};

pub use self::settings::{Settings, SettingsError};
use self::{export::Exporter, settings::Sampler, spans::Record};
use super::{Finished, Recorder, TraceId};

/// How long [`Exporting::finish`] may take: of a pod's 30 s, `shutdown.drain_delay` and `shutdown.grace` leave 5 s for everything
/// else.
const FINISHING: Duration = Duration::from_secs(2);

/// Begins to export. Runs on the current tokio runtime.
///
/// # Errors
/// When the certificates that the settings name cannot be used.
pub fn start(settings: Settings) -> Result<(Arc<Traces>, Exporting), SettingsError> {
    let (queue, records) = mpsc::channel(settings.queue);
    let (stop, stopped) = oneshot::channel();
    let lost = Arc::new(AtomicU64::new(0));
    let traces = Traces { queue, sampler: settings.sampler, lost: Arc::clone(&lost) };
    let task = tokio::spawn(Exporter::new(settings, lost)?.run(records, stopped));
    Ok((Arc::new(traces), Exporting { stop, task }))
}

/// Takes in what is to be exported.
pub struct Traces {
    queue: mpsc::Sender<Record>,
    sampler: Sampler,
    lost: Arc<AtomicU64>,
}

impl Recorder for Traces {
    fn wants(&self, trace: TraceId, parent: Option<bool>) -> bool {
        self.sampler.wants(trace, parent)
    }

    fn record(&self, request: &Finished<'_>) {
        let Ok(place) = self.queue.try_reserve() else {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        };
        if let Some(record) = Record::of(request, SystemTime::now()) {
            place.send(record);
        }
    }
}

/// The export under way. Dropping it ends it, and what is queued is lost.
#[derive(Debug)]
pub struct Exporting {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Exporting {
    /// Exports what is queued, for at most two seconds.
    pub async fn finish(mut self) {
        let _ = self.stop.send(());
        if timeout(FINISHING, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}
