//! A sidecar with the signature taken out, to see what all the rest costs. It exists in this benchmark only.
//!
//! The product has no switch for this, so none can be left on by mistake: no feature, no flag, no line of its source.
//! Instead the proxy's own files are compiled a second time, in this crate, over a `signing` whose `sign` does nothing;
//! see the modules in `main.rs`. What it puts on a request is no signature, so Wonder would refuse it.

use std::future::pending;

use wonder_signer::config::{Config, Flags};

use super::{
    product::{app::App, runtime},
    telemetry,
};

/// As the command `run` does it.
pub fn run() {
    let config = Config::load(&[], std::env::vars_os(), &Flags::default()).unwrap();
    telemetry::init(config.log.level, config.log.format).unwrap();
    runtime::block_on(async { App::start(config).await.unwrap().run(pending()).await }).unwrap();
}
