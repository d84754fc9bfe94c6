//! Whether the sidecar accepts requests. It does not depend on Wonder: an outage upstream must not take the service's pod out of rotation.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

/// The state of the whole program, shared by its parts: starting, ready, draining. It never goes back.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<AtomicU8>);

impl Readiness {
    /// The state of a program that starts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Keys are loaded and listeners bound. Has no effect while the program drains.
    pub fn set_ready(&self) {
        self.advance(State::Ready);
    }

    /// The program finishes its requests in flight and accepts no new ones.
    pub fn set_draining(&self) {
        self.advance(State::Draining);
    }

    /// The current state.
    #[must_use]
    pub fn state(&self) -> State {
        match self.0.load(Ordering::Acquire) {
            0 => State::Starting,
            1 => State::Ready,
            _ => State::Draining,
        }
    }

    fn advance(&self, to: State) {
        self.0.fetch_max(to as u8, Ordering::AcqRel);
    }
}

/// A stage in the life of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum State {
    /// Keys are not loaded, or listeners not bound.
    Starting,
    /// The program accepts requests.
    Ready,
    /// The program accepts no new requests.
    Draining,
}

impl State {
    /// The body of `/readyz`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Draining => "draining",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_forward_only_and_is_shared_by_clones() {
        let readiness = Readiness::new();
        let clone = readiness.clone();
        assert_eq!(clone.state(), State::Starting);
        readiness.set_ready();
        assert_eq!(clone.state(), State::Ready);
        clone.set_draining();
        readiness.set_ready();
        assert_eq!(readiness.state(), State::Draining);
    }

    #[test]
    fn may_drain_before_it_was_ready() {
        let readiness = Readiness::new();
        readiness.set_draining();
        assert_eq!(readiness.state().as_str(), "draining");
    }
}
