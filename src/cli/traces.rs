//! Traces go to the collector that the environment names (`OTEL_*`), if it names one and the build has the feature `otel`.

use crate::app::App;

/// The export of traces, if there is one.
pub(super) struct Traces {
    #[cfg(feature = "otel")]
    exporting: Option<crate::telemetry::otlp::Exporting>,
}

/// Has `app` traced as the environment asks. What is wrong with that costs the traces, never the start.
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
    /// Exports what is left; short.
    #[cfg_attr(not(feature = "otel"), expect(clippy::unused_async, reason = "there is nothing to wait for"))]
    pub(super) async fn finish(self) {
        #[cfg(feature = "otel")]
        if let Some(exporting) = self.exporting {
            exporting.finish().await;
        }
    }
}
