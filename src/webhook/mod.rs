//! The webhook listener: verifies each webhook, and forwards those that Wonder signed to the application.
//!
//! # Layout
//!
//! * `source`: where a webhook came from, as far as that is known; `target`: which target Wonder signed; both pure.
//! * `rejection`: why a webhook is answered with 401; pure.
//! * [`duplicates`]: which deliveries were acknowledged before.
//! * `paid`: whether the order in the body is paid; pure.
//! * `answers`: the application's answer as Wonder's; pure.

#![allow(dead_code)]
mod answers;
pub mod duplicates;
mod paid;
mod rejection;
mod source;
mod target;
