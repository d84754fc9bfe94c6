//! The names, help texts, labels and buckets of all metrics.
//!
//! Handles are resolved here once, at the start. So counting is an array index and an atomic addition, and every series exists at zero
//! before its first event. A help text names the action that a value calls for.

mod errors;
mod requests;
mod webhooks;

use std::sync::LazyLock;

use prometheus::{Gauge, Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry};

use self::{errors::Errors, requests::Requests, webhooks::WebhookFamilies};
use super::{
    labels::{Certificates, Closed, CodeClass, Label, Phase, Responder, Stripped},
    last::LastCells,
    make::{Make, Table, constant, one_each},
};
use crate::contract::Sent;

/// Seconds, 0.05 ms to 50 ms: from a quarter of an RSA-2048 signature to a starved processor.
const SIGNING_SECONDS: &[f64] = &[0.000_05, 0.000_1, 0.000_2, 0.000_3, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05];
/// Seconds, 1 ms to 60 s: twice the default of `timeouts.request`.
const REQUEST_SECONDS: &[f64] =
    &[0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// Bytes, 256 B to 16 MiB in steps of four.
const BODY_BYTES: &[f64] =
    &[256.0, 1024.0, 4096.0, 16_384.0, 65_536.0, 262_144.0, 1_048_576.0, 4_194_304.0, 16_777_216.0];

/// One for the process, as its log is; all other metrics belong to one [`Families`].
pub(super) static LOG_LINES_LOST: LazyLock<IntCounter> = LazyLock::new(|| {
    constant(IntCounter::new(
        "wonder_signer_log_lines_lost_total",
        "Log lines that were lost because standard error accepted none while 4096 of them waited: the container runtime's log reader is \
         slow or stuck, or its disk is full. Requests do not wait for it.",
    ))
});

/// All handles, and their registry.
pub(super) struct Families {
    pub(super) registry: Registry,
    pub(super) requests: Requests,
    pub(super) request_duration: Vec<Histogram>,
    /// By the callers' names in the configuration; `other` alone without client certificates.
    pub(super) callers: IntCounterVec,
    pub(super) handshakes_failed: IntCounter,
    pub(super) in_flight: IntGauge,
    pub(super) in_flight_limit: IntGauge,
    pub(super) body_read_duration: Histogram,
    pub(super) added_duration: Histogram,
    pub(super) signatures_ok: IntCounter,
    pub(super) signatures_failed: IntCounter,
    pub(super) signing_duration: Histogram,
    pub(super) upstream_duration: Vec<Histogram>,
    /// By code class; 401 and 403 go to `upstream_rejected`.
    pub(super) upstream_accepted: Vec<IntCounter>,
    pub(super) upstream_rejected: IntCounter,
    pub(super) connections_open: IntGauge,
    pub(super) connections_opened: IntCounter,
    pub(super) connections_closed: Vec<IntCounter>,
    pub(super) connect_retries: IntCounter,
    pub(super) evictions: IntCounter,
    pub(super) errors: Errors,
    pub(super) stripped: Vec<IntCounter>,
    pub(super) request_body: Histogram,
    pub(super) response_body: Histogram,
    pub(super) buffered: IntGauge,
    pub(super) draining: IntGauge,
    pub(super) drain_cut: [IntCounter; 2],
    pub(super) cancelled: [IntCounter; 2],
    pub(super) keys: Table,
    /// By credential and result, `ok` or `failed`.
    pub(super) credential_reloads: IntCounterVec,
    /// By credential, unit (`main`, `next`) and result (`accepted`, `rejected`, `unknown`).
    pub(super) credential_proofs: IntCounterVec,
    /// By credential and result, `accepted` or `rejected`.
    pub(super) credential_responses: IntCounterVec,
    pub(super) credential_usable: IntGaugeVec,
    pub(super) credential_outdated: IntGaugeVec,
    /// By what they are of; those that succeeded, and those that failed.
    pub(super) certificate_reloads: Vec<[IntCounter; 2]>,
    pub(super) certificates_outdated: Vec<IntGauge>,
    pub(super) config: Table,
    pub(super) clock_skew: Gauge,
    pub(super) webhooks: WebhookFamilies,
    /// Times for the status page; not a metric.
    pub(super) last: LastCells,
}

impl Families {
    #[expect(clippy::too_many_lines, reason = "a table: one entry for each metric, and no step depends on another")]
    pub(super) fn new(reasons: &[&'static str]) -> Self {
        let make = Make::new();
        let reasons = || reasons.iter().copied().filter(|reason| *reason != "other").chain(["other"]);
        let durations = make.histograms(
            "wonder_signer_request_duration_seconds",
            "From the request head to the last byte of the answer. When it rises, compare with \
             wonder_signer_upstream_duration_seconds (Wonder), _body_read_ (the service) and _added_ (this program).",
            &["origin"],
            REQUEST_SECONDS,
        );
        let signatures = make.counters(
            "wonder_signer_signatures_total",
            "Signatures made. Any result=\"failed\" means that the key cannot be used: page, and run `wonder-signer check`.",
            &["result"],
        );
        let upstream_durations = make.histograms(
            "wonder_signer_upstream_duration_seconds",
            "Time spent on Wonder: connect (look-up, TCP, TLS; only for new connections), head (until the answer begins), body. \
             A rise here is the network (connect) or Wonder (head).",
            &["phase"],
            REQUEST_SECONDS,
        );
        let upstream_responses = make.counters(
            "wonder_signer_upstream_responses_total",
            "Answers from Wonder. auth=\"rejected\" counts 401 and 403: Wonder does not accept the signature or the AppID. When most \
             are rejected, look at the clock, the key and the egress address.",
            &["code_class", "auth"],
        );
        let connections = make.gauges(
            "wonder_signer_upstream_connections",
            "Connections to Wonder that are open now. Zero under traffic means that Wonder cannot be reached.",
            &["state"],
        );
        let closed = make.counters(
            "wonder_signer_upstream_connections_closed_total",
            "Connections to Wonder that ended. Many \"error\" point to the network or an egress proxy; many \"peer\" to a time-out \
             at Wonder or at the proxy that is shorter than upstream.pool_idle.",
            &["reason"],
        );
        let stripped = make.counters(
            "wonder_signer_stripped_headers_total",
            "Headers of the caller that were not forwarded. \"signature\" means that the service still signs by itself; \
             \"skip_signature\" that it carries a test shortcut: correct the service.",
            &["kind"],
        );
        let drain_cut = make.counters(
            "wonder_signer_drain_cut_requests_total",
            "Requests that were answered with draining, or whose answer broke off, because shutdown.grace ended. More than zero: \
             lengthen it; with sent=\"maybe\" ask Wonder for their outcome.",
            &["sent"],
        );
        let cancelled = make.counters(
            "wonder_signer_cancelled_requests_total",
            "Requests for which the service closed the connection before it had the whole answer. When it rises, the service's time-out is \
             too short; with sent=\"maybe\" the service does not know the outcome at Wonder.",
            &["sent"],
        );
        let certificate_reloads = make.counters(
            "wonder_signer_certificate_reloads_total",
            "Readings of certificates after the start, because their files changed or at SIGHUP. With result=\"failed\" the old ones stay in \
             use: the log names the file and the remedy.",
            &["files", "result"],
        );
        let certificates_outdated = make.gauges(
            "wonder_signer_certificates_outdated",
            "1 while files with certificates cannot be used and the old ones are in use. Correct the files before those expire, and before \
             a restart.",
            &["files"],
        );
        let build = make.gauges(
            "wonder_signer_build_info",
            "Always 1; the labels name the version. More than one version across pods for long means that a rollout is stuck.",
            &["version", "revision", "rustc"],
        );
        let version = env!("CARGO_PKG_VERSION");
        let revision = option_env!("WONDER_SIGNER_REVISION").unwrap_or("unknown");
        build.with_label_values(&[version, revision, env!("CARGO_PKG_RUST_VERSION")]).set(1);
        make.register(LOG_LINES_LOST.clone());
        make.process();

        let sent =
            |family: &IntCounterVec| [Sent::No, Sent::Maybe].map(|sent| family.with_label_values(&[sent.text()]));
        Self {
            requests: Requests::new(&make),
            request_duration: one_each::<Responder, _>(|by| durations.with_label_values(&[by])),
            callers: make.counters(
                "wonder_signer_caller_requests_total",
                "Requests by the caller's certificate, with listen.tls. When caller=\"other\" rises, a caller that is not in \
                 listen.tls.callers is rejected with 403; the log line has its name.",
                &["caller"],
            ),
            handshakes_failed: make.counter(
                "wonder_signer_listener_handshakes_failed_total",
                "TLS handshakes with callers that failed, with listen.tls. A rise means that a caller's certificate is missing, expired or \
                 of another authority, or that callers do not trust the gateway's certificate: see the log.",
            ),
            in_flight: make.gauge(
                "wonder_signer_requests_in_flight",
                "Requests in flight, until the last byte of their answer. Near wonder_signer_requests_in_flight_limit new ones are \
                 rejected: Wonder is slow, or the limit is too low.",
            ),
            in_flight_limit: make.gauge(
                "wonder_signer_requests_in_flight_limit",
                "limits.requests_in_flight as configured; divide wonder_signer_requests_in_flight by it for saturation.",
            ),
            body_read_duration: make.histogram(
                "wonder_signer_body_read_duration_seconds",
                "From the request head to the last byte of the request body. A rise means that the service is slow to send.",
                REQUEST_SECONDS,
            ),
            added_duration: make.histogram(
                "wonder_signer_added_duration_seconds",
                "Time that this program adds to a request: queueing, signing, copying; without the service's and Wonder's time. A rise \
                 means too little processor time: see wonder_signer_signing_duration_seconds and the container's limits.",
                SIGNING_SECONDS,
            ),
            signatures_ok: signatures.with_label_values(&["ok"]),
            signatures_failed: signatures.with_label_values(&["failed"]),
            signing_duration: make.histogram(
                "wonder_signer_signing_duration_seconds",
                "Time for one signature, waiting for a processor included. When it rises with constant traffic, the container has too \
                 little processor time; more replicas or a higher limit help.",
                SIGNING_SECONDS,
            ),
            upstream_duration: one_each::<Phase, _>(|phase| upstream_durations.with_label_values(&[phase])),
            upstream_accepted: one_each::<CodeClass, _>(|class| {
                upstream_responses.with_label_values(&[class, "accepted"])
            }),
            upstream_rejected: upstream_responses.with_label_values(&[CodeClass::ClientError.text(), "rejected"]),
            connections_open: connections.with_label_values(&["open"]),
            connections_opened: make.counter(
                "wonder_signer_upstream_connections_opened_total",
                "Connections to Wonder that were opened. A rate near that of requests means that they are not reused: look at the \
                 reasons in wonder_signer_upstream_connections_closed_total.",
            ),
            connections_closed: one_each::<Closed, _>(|reason| closed.with_label_values(&[reason])),
            connect_retries: make.counter(
                "wonder_signer_upstream_connect_retries_total",
                "Second attempts. A request gets one only if no byte of it was written, or if Wonder gave it back unprocessed (HTTP/2). It is signed \
                 again. A steady rate means that pooled connections are closed unnoticed: shorten upstream.pool_idle.",
            ),
            evictions: make.counter(
                "wonder_signer_listener_connections_evicted_total",
                "Connections to our listeners, without a request in flight, that were closed because a new one needed their place. A steady rate \
                 means that callers keep more connections than limits.connections, or that a peer opens connections and sends no requests. \
                 A client that reuses a connection at that moment gets no answer.",
            ),
            errors: Errors::new(&make, reasons()),
            stripped: one_each::<Stripped, _>(|kind| stripped.with_label_values(&[kind])),
            request_body: make.histogram(
                "wonder_signer_request_body_bytes",
                "Size of request bodies. Near limits.body the next one may be rejected with 413: raise the limit.",
                BODY_BYTES,
            ),
            response_body: make.histogram(
                "wonder_signer_response_body_bytes",
                "Size of response bodies as forwarded. The service should page large lists with limit and offset.",
                BODY_BYTES,
            ),
            buffered: make.gauge(
                "wonder_signer_buffered_bytes",
                "Bytes of request bodies and held answers in memory now. At limits.buffered, requests are rejected with overloaded \
                 and answers are not held: raise it together with the container's memory limit.",
            ),
            draining: make.gauge(
                "wonder_signer_draining",
                "1 from the start of a shutdown until the program exits. If that takes longer than shutdown.drain_delay, requests are still \
                 in flight: see wonder_signer_requests_in_flight.",
            ),
            drain_cut: sent(&drain_cut),
            cancelled: sent(&cancelled),
            keys: Table::new(make.gauges(
                "wonder_signer_key_loaded_timestamp_seconds",
                "When each signing key was loaded, seconds since 1970. Pods with different fingerprints for one credential sign \
                 differently: finish the rotation.",
                &["credential", "fingerprint"],
            )),
            credential_reloads: make.counters(
                "wonder_signer_credential_reloads_total",
                "Readings of a credential's files after the start, because they changed or at SIGHUP. With result=\"failed\" the unit that was \
                 read before stays in use: the log names the file and the remedy.",
                &["credential", "result"],
            ),
            credential_proofs: make.counters(
                "wonder_signer_credential_proofs_total",
                "Echo calls that asked Wonder whether it accepts a unit of a credential: unit=\"next\" before a switch, both units after a \
                 rejection. result=\"rejected\" for unit=\"next\" means that Wonder does not have its key yet, or AppID and key do not belong \
                 together; \"unknown\" that Wonder did not judge it.",
                &["credential", "unit", "result"],
            ),
            credential_responses: make.counters(
                "wonder_signer_credential_responses_total",
                "Answers from Wonder by credential. result=\"rejected\" counts 401 and 403: look at that credential's AppID, key and IP \
                 restriction.",
                &["credential", "result"],
            ),
            credential_usable: make.gauges(
                "wonder_signer_credential_usable",
                "Whether a credential can sign. At 0 its requests get 503 no_key, and the instance is not ready: correct the files that the \
                 log names.",
                &["credential"],
            ),
            credential_outdated: make.gauges(
                "wonder_signer_credential_outdated",
                "1 while the files of a credential, or of its next unit, cannot be used; it signs with what was read before, if anything. \
                 A restart would lose that too: correct the files first.",
                &["credential"],
            ),
            certificate_reloads: one_each::<Certificates, _>(|files| {
                ["ok", "failed"].map(|result| certificate_reloads.with_label_values(&[files, result]))
            }),
            certificates_outdated: one_each::<Certificates, _>(|files| certificates_outdated.with_label_values(&[files])),
            config: Table::new(make.gauges(
                "wonder_signer_config_info",
                "Always 1; environment and a hash of the effective configuration without its secrets. Pods that differ need a \
                 restart or a finished rollout.",
                &["environment", "hash"],
            )),
            clock_skew: make.float_gauge(
                "wonder_signer_clock_skew_seconds",
                "How far this host's clock is ahead of Wonder's, estimated from its Date header; 0 until the first answer. Wonder \
                 rejects requests more than 1800 s off: correct the host's clock long before.",
            ),
            webhooks: WebhookFamilies::new(&make),
            registry: make.registry(),
            last: LastCells::new(reasons()),
        }
    }
}
