//! What reached the upstream, request by request.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::Upstream;
use crate::support::{
    strict::{self, Reading},
    wire::Message,
};

/// How much of one request reached the upstream.
#[derive(Debug, Default, Clone)]
pub(crate) struct Entry {
    /// How often a part of it came that shows its id.
    pub(crate) begun: usize,
    /// How often all of it came.
    pub(crate) whole: usize,
}

/// Written by the connections, read by the test.
#[derive(Default)]
pub(super) struct Ledger {
    entries: Mutex<BTreeMap<String, Entry>>,
    messages: Mutex<Vec<Message>>,
    ambiguous: Mutex<Vec<String>>,
    keep_messages: bool,
    connections: AtomicUsize,
    bytes: AtomicUsize,
}

impl Ledger {
    /// For long runs, requests are counted and not kept.
    pub(super) fn new(keep_messages: bool) -> Self {
        Self { keep_messages, ..Self::default() }
    }

    /// One more connection; gives its number, counted from 0.
    pub(super) fn connection(&self) -> usize {
        self.connections.fetch_add(1, Ordering::SeqCst)
    }

    /// So many more bytes.
    pub(super) fn count(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::SeqCst);
    }

    /// Enters a whole request.
    pub(super) fn enter(&self, message: Message) {
        let id = message.value("x-request-id").unwrap_or_default().to_owned();
        let mut entries = self.entries.lock().unwrap();
        let entry = entries.entry(id).or_default();
        entry.begun += 1;
        entry.whole += 1;
        drop(entries);
        if self.keep_messages {
            self.messages.lock().unwrap().push(message);
        }
    }

    /// Enters a request of which not all has come; if all has come without being waited for, that too.
    pub(super) fn note(&self, unread: &[u8]) {
        let Some(id) = strict::request_id(unread) else { return };
        let mut entries = self.entries.lock().unwrap();
        let entry = entries.entry(id).or_default();
        entry.begun += 1;
        if matches!(strict::read(unread), Reading::Whole(..)) {
            entry.whole += 1;
        }
    }

    /// Enters what two readers could read in two ways.
    pub(super) fn doubt(&self, why: String) {
        self.ambiguous.lock().unwrap().push(why);
    }
}

impl Upstream {
    /// How much of the request of that id came.
    pub(crate) fn entry(&self, id: &str) -> Entry {
        self.ledger.entries.lock().unwrap().get(id).cloned().unwrap_or_default()
    }

    /// All ids that came, with how much of them.
    pub(crate) fn entries(&self) -> BTreeMap<String, Entry> {
        self.ledger.entries.lock().unwrap().clone()
    }

    /// Every whole request so far, taken out.
    pub(crate) fn take(&self) -> Vec<Message> {
        std::mem::take(&mut self.ledger.messages.lock().unwrap())
    }

    /// Bytes of requests so far, after TLS.
    pub(crate) fn bytes(&self) -> usize {
        self.ledger.bytes.load(Ordering::SeqCst)
    }

    /// Connections accepted so far.
    pub(crate) fn connections(&self) -> usize {
        self.ledger.connections.load(Ordering::SeqCst)
    }

    /// What came that two readers could read in two ways.
    pub(crate) fn ambiguous(&self) -> Vec<String> {
        self.ledger.ambiguous.lock().unwrap().clone()
    }
}
