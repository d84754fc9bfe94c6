//! Whether the sidecar accepts requests. It does not depend on Wonder: an outage upstream must not take the service's pod out of rotation.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use tokio::sync::watch;

/// The state of the whole program, shared by its parts: starting, ready, draining. It never returns to an earlier state. It is ready
/// only while every credential can sign.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    state: Arc<AtomicU8>,
    /// Whether it is decided which keys sign, and whether each can; none where that is not in question.
    keys: Option<[watch::Receiver<bool>; 2]>,
}

impl Readiness {
    /// The state of a starting program.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The state of a program that starts, is starting until `decided` is true, and is ready only while `usable` is true.
    #[must_use]
    pub(crate) fn with_keys(decided: watch::Receiver<bool>, usable: watch::Receiver<bool>) -> Self {
        Self { keys: Some([decided, usable]), ..Self::default() }
    }

    /// The listeners are bound. Has no effect while the program drains.
    pub fn set_ready(&self) {
        self.advance(1);
    }

    /// The program finishes its requests in flight and accepts no new ones.
    pub fn set_draining(&self) {
        self.advance(2);
    }

    /// The current state.
    #[must_use]
    pub(crate) fn state(&self) -> State {
        let [decided, usable] = self.keys.as_ref().map_or([true; 2], |keys| keys.each_ref().map(|key| *key.borrow()));
        match self.state.load(Ordering::Acquire) {
            0 => State::Starting,
            1 if !decided => State::Starting,
            1 if !usable => State::NoKey,
            1 => State::Ready,
            _ => State::Draining,
        }
    }

    fn advance(&self, to: u8) {
        self.state.fetch_max(to, Ordering::AcqRel);
    }
}

/// A stage in the life of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// The listeners are not bound, or a proof decides which unit of a credential signs.
    Starting,
    /// A credential cannot sign, because its files cannot be used.
    NoKey,
    /// The program accepts requests.
    Ready,
    /// The program accepts no new requests.
    Draining,
}

impl State {
    /// The body of `/readyz`.
    #[must_use]
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::NoKey => "no_key",
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
    fn is_ready_only_while_every_credential_can_sign() {
        let ((proofs, decided), (keys, usable)) = (watch::channel(false), watch::channel(false));
        let readiness = Readiness::with_keys(decided, usable);
        assert_eq!(readiness.state(), State::Starting);
        readiness.set_ready();
        assert_eq!(readiness.state(), State::Starting);
        proofs.send_replace(true);
        assert_eq!(readiness.state().as_str(), "no_key");
        keys.send_replace(true);
        assert_eq!(readiness.state(), State::Ready);
        keys.send_replace(false);
        readiness.set_draining();
        assert_eq!(readiness.state(), State::Draining);
    }

    #[test]
    fn may_drain_before_it_was_ready() {
        let readiness = Readiness::new();
        readiness.set_draining();
        assert_eq!(readiness.state().as_str(), "draining");
    }
}
