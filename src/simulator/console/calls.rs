//! The newest calls, in bounded memory. Possible card numbers and keys are removed before a call is stored.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::watch;

use crate::{signing::message::Chain, simulator::mask::masked};

/// The maximum number of calls to keep.
const MOST: usize = 10_000;
/// The maximum size of all of them, in bytes; above it, the oldest are dropped.
const MOST_BYTES: usize = 16 * 1024 * 1024;
/// The largest body that is kept, in bytes.
const LARGEST_BODY: usize = 16 * 1024;
/// The estimated size of a call without its texts, in bytes.
const FIXED_COST: usize = 512;

/// One call.
pub(super) struct Call {
    /// Counts from 1.
    pub(super) id: u64,
    /// When its answer was ready, in seconds since 1970.
    pub(super) at: u64,
    pub(super) took: Duration,
    pub(super) method: String,
    /// Path and query, exactly as in the request line.
    pub(super) target: String,
    pub(super) operation: &'static str,
    pub(super) app_id: Option<String>,
    pub(super) status: u16,
    /// The envelope's `code` and message, unless the code is 200.
    pub(super) error: Option<(String, String)>,
    pub(super) verdict: Verdict,
    /// The headers to show, with their values.
    pub(super) headers: Box<[(&'static str, String)]>,
    pub(super) request: Text,
    pub(super) answer: Text,
    pub(super) chain: Option<Chain>,
    /// The fault that was carried out.
    pub(super) fault: Option<String>,
}

/// The result of the signature's verification.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// It was not verified, because the call was incomplete or a fault answered it.
    Unsigned,
    Right,
    Wrong {
        /// The step that failed.
        step: &'static str,
        /// The number of equal bytes at the start of the signed message and that of the request.
        parts_at: Option<usize>,
    },
}

/// The kept form of a body.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Text {
    Whole(String),
    /// Not kept: a body of this many bytes that is too long, or could contain a hidden card number.
    Withheld(usize),
}

impl Text {
    pub(super) fn of(body: &[u8]) -> Self {
        let kept = (body.len() <= LARGEST_BODY).then(|| masked(body)).flatten();
        kept.map_or(Self::Withheld(body.len()), Self::Whole)
    }

    fn len(&self) -> usize {
        match self {
            Self::Whole(text) => text.len(),
            Self::Withheld(_) => 0,
        }
    }
}

impl Call {
    fn cost(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(_, value)| value.len()).sum();
        FIXED_COST + self.target.len() + self.request.len() + self.answer.len() + headers
    }
}

/// The kept calls.
pub(super) struct Calls {
    kept: Mutex<Kept>,
    /// The number of calls so far.
    made: watch::Sender<u64>,
}

#[derive(Default)]
struct Kept {
    calls: VecDeque<Arc<Call>>,
    bytes: usize,
    made: u64,
}

impl Calls {
    pub(super) fn new() -> Self {
        Self { kept: Mutex::default(), made: watch::Sender::new(0) }
    }

    /// Adds a call and assigns its `id`.
    pub(super) fn add(&self, mut call: Call) {
        let mut kept = self.kept();
        kept.made += 1;
        call.id = kept.made;
        kept.bytes += call.cost();
        kept.calls.push_back(Arc::new(call));
        while kept.calls.len() > MOST || kept.bytes > MOST_BYTES {
            let Some(oldest) = kept.calls.pop_front() else { break };
            kept.bytes -= oldest.cost();
        }
        let made = kept.made;
        drop(kept);
        self.made.send_replace(made);
    }

    pub(super) fn get(&self, id: u64) -> Option<Arc<Call>> {
        let kept = self.kept();
        let oldest = kept.calls.front()?.id;
        kept.calls.get(usize::try_from(id.checked_sub(oldest)?).ok()?).cloned()
    }

    /// At most `limit` of the calls before `before` that `wanted` accepts, the newest first.
    pub(super) fn newest(&self, before: Option<u64>, limit: usize, wanted: impl Fn(&Call) -> bool) -> Vec<Arc<Call>> {
        let kept = self.kept();
        let calls = kept.calls.iter().rev().filter(|call| before.is_none_or(|before| call.id < before));
        calls.filter(|call| wanted(call)).take(limit).cloned().collect()
    }

    /// The number of kept calls, and of all calls so far.
    pub(super) fn count(&self) -> (usize, u64) {
        let kept = self.kept();
        (kept.calls.len(), kept.made)
    }

    pub(super) fn clear(&self) {
        let mut kept = self.kept();
        kept.calls.clear();
        kept.bytes = 0;
        drop(kept);
        self.touch();
    }

    pub(super) fn touch(&self) {
        self.made.send_modify(|_| ());
    }

    /// Changes with every call.
    pub(super) fn made(&self) -> watch::Receiver<u64> {
        self.made.subscribe()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(body: &str) -> Call {
        Call {
            id: 0,
            at: 0,
            took: Duration::ZERO,
            method: "POST".to_owned(),
            target: "/svc/x".to_owned(),
            operation: "echo",
            app_id: None,
            status: 200,
            error: None,
            verdict: Verdict::Right,
            headers: Box::default(),
            request: Text::of(body.as_bytes()),
            answer: Text::of(b"{}"),
            chain: None,
            fault: None,
        }
    }

    #[test]
    fn keeps_the_newest_ten_thousand() {
        let calls = Calls::new();
        for _ in 0..MOST + 3 {
            calls.add(call("{}"));
        }
        assert_eq!(calls.count(), (MOST, MOST as u64 + 3));
        assert!(calls.get(3).is_none() && calls.get(0).is_none() && calls.get(MOST as u64 + 4).is_none());
        assert_eq!(calls.get(4).unwrap().id, 4);
        let newest: Vec<u64> = calls.newest(None, 2, |_| true).iter().map(|call| call.id).collect();
        assert_eq!(newest, [10_003, 10_002]);
        let older: Vec<u64> = calls.newest(Some(6), 9, |call| call.id != 5).iter().map(|call| call.id).collect();
        assert_eq!(older, [4]);
    }

    #[test]
    fn large_bodies_drive_the_memory_no_higher_than_its_bound() {
        let calls = Calls::new();
        let body = "x".repeat(LARGEST_BODY);
        for _ in 0..3000 {
            calls.add(call(&body));
        }
        let (kept, made) = calls.count();
        assert!(made == 3000 && kept < 2000 && calls.kept().bytes <= MOST_BYTES, "{kept}");
        assert_eq!(Text::of(&vec![b'x'; LARGEST_BODY + 1]), Text::Withheld(LARGEST_BODY + 1));
    }
}
