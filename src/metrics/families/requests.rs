//! Requests by operation, method, class of the response, and responder.

use http::{Method, StatusCode};

use crate::{
    metrics::{
        counters::Counters,
        labels::{CodeClass, Label, Responder, Verb},
        make::Make,
    },
    operations::{CATALOGUE, OTHER, Operation},
};

/// The classes of responses of one operation: four of upstream, then two of our own, which are always errors.
const CLASSES: [(CodeClass, Responder); 6] = [
    (CodeClass::Success, Responder::Upstream),
    (CodeClass::Redirection, Responder::Upstream),
    (CodeClass::ClientError, Responder::Upstream),
    (CodeClass::ServerError, Responder::Upstream),
    (CodeClass::ClientError, Responder::Signer),
    (CodeClass::ServerError, Responder::Signer),
];

/// A row of classes for each operation, then one for each method of the operation `other`.
pub(crate) struct Requests(Counters<4>);

impl Requests {
    pub(super) fn new(make: &Make) -> Self {
        let named = CATALOGUE.iter().filter(|operation| !operation.is_other());
        let rows = named
            .map(|operation| (operation.name(), operation.method()))
            .chain(Verb::ALL.iter().map(|verb| (OTHER.name(), verb.text())));
        Self(make.closed_counters(
            "wonder_signer_requests_total",
            "Requests answered, by operation. origin=\"upstream\" is Wonder's answer: look at the service when 4xx rises, at Wonder when \
             5xx rises. origin=\"signer\" is an error answered here: the service causes 4xx; the network, Wonder, the load or this program \
             causes 5xx. wonder_signer_proxy_errors_total has the code.",
            ["code_class", "method", "operation", "origin"],
            rows.flat_map(|(name, method)| CLASSES.map(|(class, by)| [class.text(), method, name, by.text()])),
        ))
    }

    /// Counts one request with a response.
    pub(crate) fn count(&self, operation: &Operation, method: &Method, status: StatusCode, by: Responder) {
        let verb = if operation.is_other() { Verb::of(method).place() } else { 0 };
        let class = match (by, CodeClass::of(status)) {
            (Responder::Upstream, class) => class.place(),
            (Responder::Signer, CodeClass::ClientError) => 4,
            (Responder::Signer, _) => 5,
        };
        // `other` is the last operation.
        self.0.count((operation.index() + verb) * CLASSES.len() + class);
    }

    /// All requests of each class, in the order of `CLASSES`.
    pub(crate) fn totals(&self) -> [u64; 6] {
        let mut totals = [0; CLASSES.len()];
        for (place, count) in self.0.counts().enumerate() {
            totals[place % CLASSES.len()] += count;
        }
        totals
    }
}
