//! The signals that end a program.

use std::{future::Future, io};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Resolves at the first SIGTERM or SIGINT. A second one ends the process at once, as it would any other.
///
/// The handlers are in place when this returns, so that no signal is lost between start and wait.
pub(super) fn shutdown() -> io::Result<impl Future<Output = ()>> {
    let mut term = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        either(&mut term, &mut interrupt).await;
        tokio::spawn(async move {
            either(&mut term, &mut interrupt).await;
            tracing::warn!("second signal: ending at once");
            std::process::exit(1);
        });
    })
}

async fn either(one: &mut Signal, other: &mut Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}
