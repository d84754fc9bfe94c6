//! The ledger of the requests that reached the upstream.

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
    /// How often at least a part of it, with its id, arrived.
    pub(crate) begun: usize,
    /// How often all of it arrived.
    pub(crate) whole: usize,
}

/// The connections write it; the test reads it.
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
    /// With `keep_messages` false, requests are only counted, for long runs.
    pub(super) fn new(keep_messages: bool) -> Self {
        Self { keep_messages, ..Self::default() }
    }

    /// Counts a connection and returns its number, from 0.
    pub(super) fn connection(&self) -> usize {
        self.connections.fetch_add(1, Ordering::SeqCst)
    }

    /// Counts bytes.
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

    /// Enters an unfinished request, or a whole one if all of it is in `unread` already.
    pub(super) fn note(&self, unread: &[u8]) {
        let Some(id) = strict::request_id(unread) else { return };
        let mut entries = self.entries.lock().unwrap();
        let entry = entries.entry(id).or_default();
        entry.begun += 1;
        if matches!(strict::read(unread), Reading::Whole(..)) {
            entry.whole += 1;
        }
    }

    /// Enters bytes that two parsers could read as different requests.
    pub(super) fn doubt(&self, why: String) {
        self.ambiguous.lock().unwrap().push(why);
    }
}

impl Upstream {
    /// How much of the request with that id arrived.
    pub(crate) fn entry(&self, id: &str) -> Entry {
        self.ledger.entries.lock().unwrap().get(id).cloned().unwrap_or_default()
    }

    /// All ids that arrived, each with how much of it arrived.
    pub(crate) fn entries(&self) -> BTreeMap<String, Entry> {
        self.ledger.entries.lock().unwrap().clone()
    }

    /// Removes and returns every whole request so far.
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

    /// The ambiguous requests, which two parsers could read as different requests.
    pub(crate) fn ambiguous(&self) -> Vec<String> {
        self.ledger.ambiguous.lock().unwrap().clone()
    }
}
