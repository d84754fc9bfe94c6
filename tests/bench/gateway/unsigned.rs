//! A sidecar without the signature, which shows the cost of everything else. It exists in this benchmark only.
//!
//! The product has no feature, flag or line of source for this, so it cannot be left on by mistake. Instead this crate compiles
//! the product's own files a second time with a `signing` module whose `sign` does nothing; see the modules in `main.rs`. Wonder
//! rejects its requests, because they have no valid signature.

use std::future::pending;

use super::{
    config::{Config, Flags},
    product::{app::App, runtime},
    telemetry,
};

/// Runs the sidecar as the command `run` does.
pub fn run() {
    let config = Config::load(&[], std::env::vars_os(), &Flags::default()).unwrap();
    telemetry::init(config.log.level, config.log.format).unwrap();
    runtime::block_on(async { App::start(config).await.unwrap().run(pending()).await }).unwrap();
}
