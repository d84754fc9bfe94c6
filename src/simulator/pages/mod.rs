//! The pages for a payer's browser. They are outside `/svc/`, and no signature protects them.

pub(super) mod guard;
pub(super) mod payment;
mod sheet;
pub(super) mod three_d_secure;
