//! Connection faults: while connecting, on a kept connection at the next request, and during a request.

use super::{Row, numbered, title, upstream};
use crate::support::{
    caller::ask,
    closed::Closed,
    faults::{Fault, Upstream, Welcome},
    identity::Certificate,
    sidecar::Sidecar,
    wire::OK,
};

#[tokio::test]
async fn a_wrong_certificate_is_rejected_and_nothing_is_sent() {
    title("certificates");
    for (certificate, got) in [
        (Certificate::Right, "200 whole"),
        (Certificate::Expired, "502 upstream_tls no"),
        (Certificate::WrongName, "502 upstream_tls no"),
        (Certificate::UnknownAuthority, "502 upstream_tls no"),
        (Certificate::SelfSigned, "502 upstream_tls no"),
    ] {
        let arrivals: &[usize] = if certificate == Certificate::Right { &[1] } else { &[0] };
        let name = Box::leak(format!("certificate: {certificate:?}").into_boxed_str());
        Row::new(name, Upstream::builder().tls(certificate), got, arrivals).check().await;
    }
}

#[tokio::test]
async fn sent_is_no_when_no_server_listens() {
    let closed = Closed::port();
    let sidecar = Sidecar::before(&closed.origin()).await;
    assert_eq!(ask(sidecar.listen, &numbered(0, b"{}")).await.text(), "502 upstream_connect no");
}

fn doors() -> Vec<(&'static str, Welcome)> {
    vec![
        ("reset when accepted", Welcome::Reset),
        ("closed when accepted", Welcome::Close),
        ("accepted, then silence", Welcome::Silence),
        ("a greeting of another protocol", Welcome::Say(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec())),
        ("an answer comes before the request", Welcome::Say(OK.to_vec())),
    ]
}

#[tokio::test]
async fn sent_is_true_when_a_plain_connection_is_not_served() {
    title("connections that are not served, plain");
    // The sidecar may see the end of the connection before or after it writes the request. An answer sent before the request
    // is the same race: once the request has been written, the sidecar cannot distinguish it from a real answer.
    let lost = "502 upstream_reset maybe | 502 upstream_connect no";
    let spoken = "502 upstream_bad_response maybe | 502 upstream_reset maybe | 502 upstream_connect no";
    let early = "200 whole | 502 upstream_bad_response maybe | 502 upstream_reset maybe | 502 upstream_connect no";
    for ((name, welcome), got) in doors().into_iter().zip([lost, lost, "504 upstream_timeout maybe", spoken, early]) {
        let upstream = upstream().door(move |_| welcome.clone());
        Row::new(name, upstream, got, &[0]).settings("[timeouts]\nresponse_head = \"1s\"").check().await;
    }
}

#[tokio::test]
async fn sent_is_no_when_a_tls_connection_is_not_served() {
    title("connections that are not served, TLS");
    for (name, welcome) in doors() {
        let upstream = upstream().door(move |_| welcome.clone());
        let row = Row::new(name, upstream, "502 upstream_tls no", &[0]).tls();
        row.settings("[timeouts]\ntls_handshake = \"100ms\"").check().await;
    }
}

fn breaks() -> Vec<Row> {
    let reset = |bytes: usize| upstream().plan(move |_| Fault::ResetAfterRequest(bytes));
    let (lost, maybe) = ("502 upstream_reset maybe", &[0][..]);
    vec![
        Row::new("reset after 1 byte of the request", reset(1), lost, maybe),
        Row::new("reset after 100 bytes of the request", reset(100), lost, maybe),
        Row::new("reset within the signature", reset(500), lost, maybe),
        Row::new("reset after 1 MiB of a body of 4 MiB", reset(1 << 20), lost, maybe)
            .body(4 << 20)
            .settings("[limits]\nbody = \"8MiB\""),
        Row::new("reset after the request", upstream().plan(|_| Fault::AnswerThenReset(Vec::new())), lost, &[1]),
        Row::new("closed after the request", upstream().plan(|_| Fault::AnswerThenClose(Vec::new())), lost, &[1]),
        Row::new(
            "silence after the request",
            upstream().plan(|_| Fault::Stall(Vec::new())),
            "504 upstream_timeout maybe",
            &[1],
        )
        .settings("[timeouts]\nresponse_head = \"1s\""),
    ]
}

#[tokio::test]
async fn sent_is_maybe_when_a_request_breaks_off() {
    title("requests that break off, plain");
    for row in breaks() {
        row.check().await;
    }
    title("requests that break off, TLS");
    for row in breaks() {
        row.tls().check().await;
    }
}

fn kept() -> Vec<Row> {
    let lost = "502 upstream_reset maybe";
    let first =
        |fault: Fault| upstream().plan(move |turn| if turn.connection == 0 { fault.clone() } else { Fault::none() });
    let on_next_byte = |read| first(Fault::AnswerThenCloseOnNextByte { answer: OK.to_vec(), read });
    vec![
        Row::new("kept connection closed at the first byte, read", on_next_byte(true), lost, &[0]).second(),
        Row::new("kept connection reset at the first byte, unread", on_next_byte(false), lost, &[0]).second(),
        Row::new(
            "kept connection reset after half of the second request",
            upstream().plan(|turn| match turn.request {
                0 => Fault::none(),
                _ => Fault::ResetAfterRequest(300),
            }),
            lost,
            &[0],
        )
        .second(),
        Row::new(
            "kept connection reset after all of the second request",
            upstream().plan(|turn| match turn.request {
                0 => Fault::none(),
                _ => Fault::AnswerThenReset(Vec::new()),
            }),
            lost,
            &[1],
        )
        .second(),
    ]
}

#[tokio::test]
async fn a_request_that_a_kept_connection_may_have_delivered_is_never_sent_again() {
    title("kept connections that end under a request, plain");
    for row in kept() {
        row.check().await;
    }
    title("kept connections that end under a request, TLS");
    for row in kept() {
        row.tls().check().await;
    }
}
