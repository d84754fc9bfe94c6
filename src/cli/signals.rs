//! The signals that stop the program, and those that change the log level.

use std::{future::Future, io};

use futures_util::TryFutureExt as _;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
};

use crate::{
    app::Stop,
    config::LogLevel,
    files::Reload,
    telemetry::{self, Telemetry},
};

/// The signals that stop the program, in their order.
pub(super) struct Ends<F, S> {
    /// Resolves at the first SIGTERM or SIGINT. An orchestrator sends SIGTERM, and load balancers still send requests for a moment. A
    /// person at a terminal sends SIGINT.
    pub(super) first: F,
    /// Resolves at the second signal of either kind. A third ends the process at once.
    pub(super) second: S,
}

/// Installs the handlers before it returns, so that no signal is lost between start and wait.
pub(super) fn shutdown() -> io::Result<Ends<impl Future<Output = Stop>, impl Future<Output = ()> + Send + 'static>> {
    let mut term = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (first, stop) = oneshot::channel();
    let (second, hurry) = oneshot::channel();
    tokio::spawn(async move {
        // Fails if the drain began in another way, because then nothing waits for the first signal.
        let _ = first.send(either(&mut term, &mut interrupt).await);
        either(&mut term, &mut interrupt).await;
        tracing::warn!("second signal: ending without delay and grace period");
        let _ = second.send(());
        either(&mut term, &mut interrupt).await;
        tracing::warn!("third signal: ending at once");
        telemetry::flush();
        std::process::exit(1);
    });
    // The task ends only with the process, or with its runtime.
    Ok(Ends { first: stop.unwrap_or_else(|_| Stop::AtOnce), second: hurry.unwrap_or_else(|_| ()) })
}

/// From now on SIGHUP has files read again.
///
/// The handler is in place when this returns: without it, the signal would end the program.
pub(super) fn reload(reload: Reload) -> io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            reload.now();
        }
    });
    Ok(())
}

async fn either(term: &mut Signal, interrupt: &mut Signal) -> Stop {
    tokio::select! {
        _ = term.recv() => Stop::AfterDelay,
        _ = interrupt.recv() => Stop::AtOnce,
    }
}

/// From now on SIGUSR1 raises the log level by one and SIGUSR2 lowers it by one. Each logs one line at the new level.
///
/// The handlers are installed when this returns, because without them these signals would end the program.
pub(super) fn levels(telemetry: Telemetry) -> io::Result<()> {
    let mut more = signal(SignalKind::user_defined1())?;
    let mut less = signal(SignalKind::user_defined2())?;
    tokio::spawn(async move {
        loop {
            let level = tokio::select! {
                signal = more.recv() => signal.map(|()| telemetry.more()),
                signal = less.recv() => signal.map(|()| telemetry.less()),
            };
            let Some(level) = level else { return };
            log_change(level);
        }
    });
    Ok(())
}

fn log_change(level: LogLevel) {
    let log_level = level.as_str();
    match level {
        LogLevel::Off => {}
        LogLevel::Error => tracing::error!(log_level, "log level changed"),
        LogLevel::Warn => tracing::warn!(log_level, "log level changed"),
        LogLevel::Info => tracing::info!(log_level, "log level changed"),
        LogLevel::Debug => tracing::debug!(log_level, "log level changed"),
        LogLevel::Trace => tracing::trace!(log_level, "log level changed"),
    }
}
