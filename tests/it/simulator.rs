//! The simulator, called over real sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a broken double is a failed test")]

mod cards;
mod catalogue;
mod console;
mod customers;
mod faults;
mod fields;
mod gate;
mod inputs;
mod lifetime;
mod list;
mod orders;
mod page;
mod payment;
mod payments;
mod seed;
mod serving;
mod state;
mod tokens;
mod webhook_faults;
mod webhooks;
pub(crate) mod world;
