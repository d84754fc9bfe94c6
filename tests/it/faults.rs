//! Faults of an upstream, and the answer that the caller receives for each.
//!
//! Two rules hold for every fault: no request reaches the upstream twice, and `sent: no` means that no byte of it arrived.

mod answers;
mod connections;
mod framing;
mod held;
mod races;

use crate::support::{
    caller::{Caller, Outcome},
    faults::{Builder, Upstream},
    identity::Certificate,
    sidecar::assert_signed,
    transport::Transport,
    wire::request,
};

/// One row of the table: a fault and its expected result.
struct Row {
    fault: &'static str,
    upstream: Builder,
    /// More configuration, without `[upstream]`.
    settings: &'static str,
    listener: Transport,
    /// Requests over the same connection before the one under test.
    before: usize,
    body: Vec<u8>,
    /// The outcomes that the caller may see, separated by `|`: [`Outcome::text`].
    got: &'static str,
    /// How often all of the request may have reached the upstream.
    arrivals: &'static [usize],
}

impl Row {
    /// The fault happens to the first request.
    fn new(fault: &'static str, upstream: Builder, got: &'static str, arrivals: &'static [usize]) -> Self {
        let (listener, body) = (Transport::Plain, b"{\"amount\":1}".to_vec());
        Self { fault, upstream, settings: "", listener, before: 0, body, got, arrivals }
    }

    fn settings(mut self, settings: &'static str) -> Self {
        self.settings = settings;
        self
    }

    /// The fault happens to the second request.
    fn second(mut self) -> Self {
        self.before = 1;
        self
    }

    fn body(mut self, bytes: usize) -> Self {
        self.body = vec![b'x'; bytes];
        self
    }

    /// TLS on both sides.
    fn tls(mut self) -> Self {
        self.upstream = self.upstream.tls(Certificate::Right);
        self.listener = Transport::tls();
        self
    }

    /// Runs the row, and checks the two rules and the row's own expectation.
    async fn check(self) {
        let upstream = self.upstream.start().await;
        let settings = format!("{}{}", upstream.settings(), self.settings);
        let sidecar = self.listener.sidecar(&upstream.origin(), &settings).await;
        let mut caller = Caller::over(self.listener.connect(sidecar.listen).await);
        for number in 0..self.before {
            let earlier = numbered(number, b"");
            assert_eq!(caller.ask(&earlier).await.text(), "200 whole", "{} before", self.fault);
        }
        let bytes = upstream.bytes();
        let outcome = caller.ask(&numbered(self.before, &self.body)).await;
        let bytes = upstream.bytes() - bytes;
        let entry = upstream.entry(&id(self.before));
        let got = outcome.text();
        eprintln!("| {} | {got} | {} | {} |", self.fault, outcome.sent().unwrap_or("-"), entry.whole);
        assert!(self.got.split('|').any(|one| one.trim() == got), "{}: {got}, not {}", self.fault, self.got);
        assert!(self.arrivals.contains(&entry.whole), "{}: arrived {} times", self.fault, entry.whole);
        assert!(entry.begun <= 1, "{}: begun {} times", self.fault, entry.begun);
        assert!(outcome.sent() != Some("no") || (entry.begun, bytes) == (0, 0), "{}: it was sent", self.fault);
        assert_eq!(upstream.ambiguous(), [""; 0], "{}", self.fault);
        for message in upstream.take() {
            assert_signed(&message);
        }
        if let Outcome::Rejected { code, sent, .. } = &outcome {
            let series = format!("wonder_signer_proxy_errors_total{{reason=\"{code}\",sent=\"{sent}\"}}");
            let counted = sidecar.metric(&series).await;
            assert!((counted - 1.0).abs() < f64::EPSILON, "{}: {series} is {counted}", self.fault);
        }
    }
}

fn id(number: usize) -> String {
    format!("request-{number}")
}

fn numbered(number: usize, body: &[u8]) -> Vec<u8> {
    request("POST", &format!("/svc/orders/{number}"), &[("X-Request-ID", &id(number))], body)
}

fn title(of: &str) {
    eprintln!("\n{of}\n\n| fault | the caller got | sent | arrivals |\n|---|---|---|---|");
}

fn upstream() -> Builder {
    Upstream::builder()
}
