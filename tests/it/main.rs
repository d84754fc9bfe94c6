//! The program from the outside: real sockets and real keys, with doubles only for the peers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a broken double is a failed test"
)]

mod admin;
mod callers;
mod check;
mod contract;
mod credentials;
mod crowds;
mod deadlines;
mod documents;
mod drain;
mod egress;
mod endurance;
mod faults;
mod gateway;
mod half_closed;
mod hardening;
mod house;
mod http2;
mod limits;
mod listeners;
mod local;
mod logs;
mod property;
mod run;
mod secrets;
mod simulator;
mod smuggling;
mod stderr;
mod support;
#[cfg(feature = "otel")]
mod traces;
mod upstream;
mod webhooks;
mod wire;
