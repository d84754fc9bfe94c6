//! Traces: a span for each request, with child spans for the parts of its time, exported as OTLP/JSON over HTTP.
//!
//! ```text
//! customers.create           the request, from head to last byte; in the caller's trace if it sent a traceparent
//! ├── body                   reading its body
//! ├── sign
//! ├── connect                only if it waited for a new connection
//! └── upstream               Wonder, from the request written to the answer's last byte
//! ```
//!
//! No request waits for the export: a record goes into a bounded queue. A record that finds it full, or cannot be exported, is lost. A
//! warning, at most one a minute, reports how many were lost, and why.
//!
//! This is not the OpenTelemetry SDK. Measured with version 0.32 (opentelemetry-otlp with HTTP/protobuf, without gRPC and reqwest): it adds
//! 12 crates and 430 KiB to the binary, and would replace the queue, the batches and the encoding, less than half of these 700 lines. The
//! rest would stay:
//!
//! * Its batches are exported by a thread without tokio, so the connection to the collector would need a bridge to the runtime.
//! * It ignores an invalid `OTEL_BSP_*` variable, and reports the number of lost spans only when it ends.
//! * Its span builder accepts no span id. `traceparent` names the span to Wonder before the span is built.
//!
//! * [`Settings`]: the standard `OTEL_*` variables.
//! * `spans`: the spans of a request.
//! * `export`: batches, and the connection to the collector.

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

pub(crate) use self::settings::{Settings, SettingsError};
use self::{export::Exporter, settings::Sampler, spans::Record};
use super::{Finished, Recorder, TraceId};

/// How long [`Exporting::finish`] may take: of a pod's 30 s, `shutdown.drain_delay` and `shutdown.grace` leave 5 s for everything
/// else.
const FINISHING: Duration = Duration::from_secs(2);

/// Starts the export, on the current tokio runtime.
///
/// # Errors
/// If the certificates in the settings cannot be used.
pub(crate) fn start(settings: Settings) -> Result<(Arc<Traces>, Exporting), SettingsError> {
    let (queue, records) = mpsc::channel(settings.queue);
    let (stop, stopped) = oneshot::channel();
    let lost = Arc::new(AtomicU64::new(0));
    let traces = Traces { queue, sampler: settings.sampler, lost: Arc::clone(&lost) };
    let task = tokio::spawn(Exporter::new(settings, lost)?.run(records, stopped));
    Ok((Arc::new(traces), Exporting { stop, task }))
}

/// Queues requests for export.
pub(crate) struct Traces {
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

/// The running export. Dropping it ends the export, and the queue is lost.
#[derive(Debug)]
pub(crate) struct Exporting {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Exporting {
    /// Exports the queue, for at most two seconds.
    pub(crate) async fn finish(mut self) {
        let _ = self.stop.send(());
        if timeout(FINISHING, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}
