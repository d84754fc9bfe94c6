//! Exports traces to the collector that the environment names (`OTEL_*`), in a build with the feature `otel`.

use crate::app::App;

/// The export of traces, if there is one.
pub(super) struct Traces {
    #[cfg(feature = "otel")]
    exporting: Option<crate::telemetry::otlp::Exporting>,
}

/// Adds the export of traces that the environment configures. An error there disables traces; it does not stop the start.
#[cfg(feature = "otel")]
pub(super) fn of(app: App) -> (App, Traces) {
    use crate::telemetry::otlp::{self, Settings};
    let settings = Settings::read(std::env::vars_os());
    match settings.and_then(|settings| settings.map(otlp::start).transpose()) {
        Ok(Some((recorder, exporting))) => (app.recorded_by(recorder), Traces { exporting: Some(exporting) }),
        Ok(None) => (app, Traces { exporting: None }),
        Err(error) => {
            tracing::warn!(variable = error.variable, reason = error.reason, "no traces are exported");
            (app, Traces { exporting: None })
        }
    }
}

/// Leaves `app` as it is: this build cannot export traces.
#[cfg(not(feature = "otel"))]
pub(super) fn of(app: App) -> (App, Traces) {
    (app, Traces {})
}

impl Traces {
    /// Exports the remaining spans, within a short time.
    #[cfg_attr(not(feature = "otel"), expect(clippy::unused_async, reason = "there is nothing to wait for"))]
    pub(super) async fn finish(self) {
        #[cfg(feature = "otel")]
        if let Some(exporting) = self.exporting {
            exporting.finish().await;
        }
    }
}
