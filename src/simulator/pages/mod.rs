//! The pages for a payer's browser. They are outside `/svc/` and need no signature.

pub(super) mod guard;
pub(super) mod payment;
mod sheet;
pub(super) mod three_d_secure;
