//! A sidecar that signs, forwards and verifies calls to the Wonder payment gateway.
//!
//! # Layout
//!
//! Arrows between the modules point downwards only.
//!
//! ```text
//! 6   main.rs → cli
//! 5   app
//! 4   proxy   webhook   echo   admin   simulator (feature)       no imports between them
//! 3   net   credentials   telemetry
//! 2   config
//! 1   metrics   files   overload   clock
//! 0   signing   policy   operations   contract   html
//!                                               pure: no I/O, clock, randomness, async, logging
//! ```
//!
//! Most requests pass through [`proxy`]. Its purpose is [`signing`].
//!
//! # Public items
//!
//! [`signing`] is a library, public as a whole. Of the other modules, what `main.rs`, the tests, the benchmarks and the fuzz targets
//! call is public; everything else is `pub(crate)`.

pub mod admin;
pub mod app;
pub mod cli;
mod clock;
pub mod config;
pub mod contract;
mod credentials;
mod echo;
pub mod files;
mod html;
pub mod metrics;
pub mod net;
pub mod operations;
mod overload;
mod policy;
pub mod proxy;
pub mod signing;
#[cfg(feature = "simulator")]
pub mod simulator;
pub mod telemetry;
mod webhook;
