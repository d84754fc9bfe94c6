//! Requests that an HTTP/2 origin certainly did not process, and those that it may have processed (RFC 9113 §6.8, §8.7).

use http::Response;
use http_body_util::BodyExt as _;
use tokio::task::{JoinHandle, JoinSet};

use wonder_signer::net::upstream::{SendError, Streamed};

use crate::support::{
    client::Client,
    frames::{DATA, END_HEADERS, END_STREAM, HEADERS, RST_STREAM, frame},
    logged::Logged,
    origin::{ALL, CANCEL, ENHANCE_YOUR_CALM, INTERNAL_ERROR, NO_ERROR, Origin, Peer, REFUSED_STREAM},
    patience::soon,
    sidecar::Sidecar,
    wire::{Message, exchange, request},
};

const HTTP2: &str = "upstream.http_version = \"http2\"\ntimeouts.sign = \"1m\"";
const SIGNED: &str = "wonder_signer_signatures_total{result=\"ok\"}";
const RETRIES: &str = "wonder_signer_upstream_connect_retries_total";

/// A sidecar in front of an origin, and calls that have no response yet.
struct Calls {
    origin: Origin,
    sidecar: Sidecar,
    under_way: JoinSet<Message>,
}

impl Calls {
    /// `count` calls, before the origin has accepted a connection.
    async fn begun(count: usize, settings: &str) -> Self {
        let origin = Origin::start().await;
        let sidecar = Sidecar::with(&origin.url(), settings).await;
        let mut under_way = JoinSet::new();
        let listen = sidecar.listen;
        for _ in 0..count {
            under_way.spawn(async move { exchange(listen, &request("POST", "/svc/a", &[], b"{}")).await });
        }
        Self { origin, sidecar, under_way }
    }

    /// `COUNT` calls, and the first connection, on which all of them have arrived as streams 1, 3 and so on.
    async fn arrived<const COUNT: usize>() -> (Self, Peer) {
        let calls = Self::begun(COUNT, HTTP2).await;
        let mut peer = calls.origin.accept(None).await;
        let _: [u32; COUNT] = peer.requests().await;
        (calls, peer)
    }

    /// Accepts the next connection and answers the one call on it: the call that the first connection did not process.
    async fn answer_elsewhere(&mut self) {
        let mut peer = self.origin.accept(None).await;
        let [id] = peer.requests().await;
        peer.answer(id).await;
        assert_eq!(self.outcome().await, "200");
    }

    /// The response of the next call that ends.
    async fn answer(&mut self) -> Message {
        soon(self.under_way.join_next()).await.unwrap().unwrap()
    }

    /// The same as text: `200`, or the sidecar's own error.
    async fn outcome(&mut self) -> String {
        let answer = self.answer().await;
        if answer.status() == 200 {
            return "200".to_owned();
        }
        let (status, code, sent) = answer.contract();
        format!("{status} {code} {sent}")
    }

    /// How many signatures were made, and how many of them for a second attempt.
    async fn attempts(&self) -> (f64, f64) {
        (self.sidecar.metric(SIGNED).await, self.sidecar.metric(RETRIES).await)
    }
}

/// A call whose response head the origin has sent, on the stream of this id.
async fn answering() -> (JoinHandle<Result<Response<Streamed>, SendError>>, Peer, u32) {
    let origin = Origin::start().await;
    let client = Client::of(&origin.url(), HTTP2);
    let answer = tokio::spawn(client.start("/svc/a", b"{}"));
    let mut peer = origin.accept(None).await;
    let [id] = peer.requests().await;
    peer.head(id, 0).await;
    (answer, peer, id)
}

#[tokio::test]
async fn a_stream_above_goaway_gets_a_second_attempt_elsewhere_and_one_that_it_covers_goes_on() {
    for code in [NO_ERROR, ENHANCE_YOUR_CALM, INTERNAL_ERROR] {
        let (mut calls, mut first) = Calls::arrived::<3>().await;
        first.goaway(1, code).await;
        let mut second = calls.origin.accept(None).await;
        for id in second.requests::<2>().await {
            second.answer(id).await;
            assert_eq!(calls.outcome().await, "200");
        }
        first.answer(1).await;
        assert_eq!(calls.outcome().await, "200", "code {code}");
        assert_eq!(calls.attempts().await, (5.0, 2.0));
    }
}

#[tokio::test]
async fn a_stream_that_goaway_covers_is_never_sent_again() {
    for (last, code) in [(ALL, NO_ERROR), (1, NO_ERROR), (1, ENHANCE_YOUR_CALM), (ALL, INTERNAL_ERROR)] {
        let (mut calls, mut first) = Calls::arrived::<1>().await;
        first.goaway(last, code).await;
        drop(first);
        assert_eq!(calls.outcome().await, "502 upstream_reset maybe", "{last} {code}");
        assert_eq!(calls.attempts().await, (1.0, 0.0));
    }
}

#[tokio::test]
async fn streams_above_the_second_goaway_are_sent_again() {
    let (mut calls, mut first) = Calls::arrived::<2>().await;
    first.goaway(ALL, NO_ERROR).await;
    first.goaway(1, NO_ERROR).await;
    calls.answer_elsewhere().await;
    drop(first);
    assert_eq!(calls.outcome().await, "502 upstream_reset maybe");
    assert_eq!(calls.attempts().await, (3.0, 1.0));
}

#[tokio::test]
async fn streams_of_a_connection_that_ends_without_goaway_are_not_sent_again() {
    let (mut calls, first) = Calls::arrived::<2>().await;
    drop(first);
    for _ in 0..2 {
        assert_eq!(calls.outcome().await, "502 upstream_reset maybe");
    }
    assert_eq!(calls.attempts().await, (2.0, 0.0));
}

#[tokio::test]
async fn a_refused_stream_gets_a_second_attempt_elsewhere_and_the_other_streams_go_on() {
    let (mut calls, mut first) = Calls::arrived::<2>().await;
    first.reset(3, REFUSED_STREAM).await;
    calls.answer_elsewhere().await;
    first.answer(1).await;
    assert_eq!(calls.outcome().await, "200");
    assert_eq!(calls.attempts().await, (3.0, 1.0));
}

#[tokio::test]
async fn a_stream_that_is_reset_with_any_other_code_may_have_been_processed() {
    for code in (0..=13).chain([99]).filter(|code| *code != REFUSED_STREAM) {
        let (mut calls, mut first) = Calls::arrived::<1>().await;
        first.reset(1, code).await;
        assert_eq!(calls.outcome().await, "502 upstream_reset maybe", "{code}");
        assert_eq!(calls.attempts().await, (1.0, 0.0), "{code}");
    }
}

#[tokio::test]
async fn a_request_whose_answer_began_counts_as_processed() {
    for refuses in [true, false] {
        let (mut calls, mut first) = Calls::arrived::<1>().await;
        first.early_hints(1).await;
        if refuses {
            first.reset(1, REFUSED_STREAM).await;
        } else {
            first.goaway(0, NO_ERROR).await;
        }
        assert_eq!(calls.outcome().await, "502 upstream_reset maybe");
        assert_eq!(calls.attempts().await, (1.0, 0.0));
    }
}

#[tokio::test]
async fn a_request_refused_by_two_connections_is_unsent_and_not_tried_again() {
    let (mut calls, mut first) = Calls::arrived::<1>().await;
    first.goaway(0, NO_ERROR).await;
    let mut second = calls.origin.accept(None).await;
    let [id] = second.requests().await;
    second.reset(id, REFUSED_STREAM).await;
    let answer = calls.answer().await;
    assert_eq!(answer.contract(), (502, "upstream_connect".to_owned(), "no".to_owned()));
    assert!(
        answer.text().contains("the origin refused the request before processing it (HTTP/2 GOAWAY or REFUSED_STREAM)")
    );
    assert_eq!(calls.attempts().await, (2.0, 1.0));
}

#[tokio::test]
async fn a_reset_after_the_head_is_an_answer_that_broke_off_whatever_its_code() {
    for code in [NO_ERROR, REFUSED_STREAM, CANCEL, INTERNAL_ERROR] {
        let (answer, mut peer, id) = answering().await;
        peer.write(&frame(DATA, 0, id, b"{\"half\":")).await;
        peer.reset(id, code).await;
        match soon(answer).await.unwrap() {
            Ok(answer) => assert!(soon(answer.into_body().collect()).await.is_err(), "{code} looks whole"),
            Err(error) => panic!("{code}: {error:?}"),
        }
    }
}

/// Both frames have arrived when the first is read. The head shows that the origin had begun to process the request.
#[tokio::test]
async fn a_head_and_a_reset_in_one_write_are_an_answer_that_broke_off_and_nothing_is_sent_again() {
    for code in [NO_ERROR, REFUSED_STREAM, CANCEL, INTERNAL_ERROR] {
        let (mut calls, mut peer) = Calls::arrived::<1>().await;
        let head = frame(HEADERS, END_HEADERS, 1, &[0x88]);
        peer.write(&[head, frame(RST_STREAM, 0, 1, &code.to_be_bytes())].concat()).await;
        assert_eq!(calls.outcome().await, "502 upstream_reset maybe", "{code}");
        assert_eq!(calls.attempts().await, (1.0, 0.0), "{code}");
    }
}

#[tokio::test]
async fn a_reset_after_the_end_of_an_answer_is_ignored() {
    let (answer, mut peer, id) = answering().await;
    peer.write(&frame(DATA, END_STREAM, id, b"{}")).await;
    peer.reset(id, NO_ERROR).await;
    let answer = soon(answer).await.unwrap().unwrap();
    assert_eq!(soon(answer.into_body().collect()).await.unwrap().to_bytes(), "{}");
}

#[tokio::test]
async fn a_204_answer_is_whole_even_if_a_body_follows() {
    let origin = Origin::start().await;
    let program = Logged::before(&origin.url(), &[("WONDER_SIGNER_UPSTREAM__HTTP_VERSION", "http2")]).await;
    let listen = program.listen;
    let call = tokio::spawn(async move { exchange(listen, &request("POST", "/svc/a", &[], b"{}")).await });
    let mut peer = origin.accept(None).await;
    let [id] = peer.requests().await;
    // Status 204 by its index in HPACK's table, and a body that must not exist.
    peer.write(&[frame(HEADERS, END_HEADERS, id, &[0x89]), frame(DATA, END_STREAM, id, b"{}")].concat()).await;
    assert_eq!(soon(call).await.unwrap().status(), 204);
    let line = program.line("request").await;
    assert_eq!((line["level"].as_str(), line["sent"].as_str()), (Some("info"), Some("yes")), "{line}");
    assert!(line["cancelled"].is_null(), "{line}");
}

#[tokio::test]
async fn a_request_to_an_origin_without_streams_is_unsent_and_the_error_names_it() {
    let mut calls = Calls::begun(1, &format!("{HTTP2}\ntimeouts.connect = \"2s\"")).await;
    let mut peer = calls.origin.accept(Some(0)).await;
    peer.acknowledged().await;
    let answer = calls.answer().await;
    assert_eq!(answer.contract(), (502, "upstream_connect".to_owned(), "no".to_owned()));
    let expected = "no HTTP/2 stream was free within timeouts.connect; the origin allows 0 on each connection \
                    (SETTINGS_MAX_CONCURRENT_STREAMS)";
    assert!(answer.text().contains(expected), "{}", answer.text());
}

#[tokio::test]
async fn requests_wait_for_an_origin_that_allows_streams_later() {
    let origin = Origin::start().await;
    let client = Client::of(&origin.url(), HTTP2);
    let calls: Vec<_> = (0..3).map(|_| tokio::spawn(client.start("/svc/a", b"{}"))).collect();
    let mut peer = origin.accept(Some(0)).await;
    peer.acknowledged().await;
    peer.allow(Some(3)).await;
    for id in peer.requests::<3>().await {
        peer.answer(id).await;
    }
    for call in calls {
        assert_eq!(soon(call).await.unwrap().unwrap().status(), 200);
    }
}

#[tokio::test]
async fn requests_above_the_streams_of_a_connection_go_over_another() {
    let origin = Origin::start().await;
    let client = Client::of(&origin.url(), HTTP2);
    let calls: Vec<_> = (0..40).map(|_| tokio::spawn(client.start("/svc/a", b"{}"))).collect();
    let mut peers = Vec::new();
    for _ in 0..4 {
        let mut peer = origin.accept(Some(10)).await;
        let ids: [u32; 10] = peer.requests().await;
        peers.push((peer, ids));
    }
    for (peer, ids) in &mut peers {
        for id in ids {
            peer.answer(*id).await;
        }
    }
    for call in calls {
        assert_eq!(soon(call).await.unwrap().unwrap().status(), 200);
    }
    assert!((client.metric("wonder_signer_upstream_connections_opened_total") - 4.0).abs() < f64::EPSILON);
}

#[tokio::test]
async fn an_origin_that_does_not_start_http2_receives_nothing() {
    for greeting in [None, Some(&b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"[..])] {
        let mut calls = Calls::begun(1, &format!("{HTTP2}\ntimeouts.connect = \"200ms\"")).await;
        let mut peer = calls.origin.silent().await;
        if let Some(bytes) = greeting {
            peer.write(bytes).await;
        }
        let answer = calls.answer().await;
        assert_eq!(answer.contract(), (502, "upstream_connect".to_owned(), "no".to_owned()));
        assert!(
            answer.text().contains("the origin does not begin HTTP/2 (upstream.http_version)"),
            "{}",
            answer.text()
        );
    }
}

#[tokio::test]
async fn an_http2_protocol_error_is_a_bad_answer() {
    let (mut calls, mut first) = Calls::arrived::<1>().await;
    // DATA before HEADERS (RFC 9113 §8.1).
    first.write(&frame(DATA, END_STREAM, 1, b"{}")).await;
    assert_eq!(calls.outcome().await, "502 upstream_bad_response maybe");
    assert_eq!(calls.attempts().await, (1.0, 0.0));
}

/// A real server, which decodes the fields: the second attempt is a new request.
#[tokio::test]
async fn the_second_attempt_has_a_stamp_and_a_signature_of_its_own() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let sidecar = Sidecar::with(&format!("http://{}", listener.local_addr().unwrap()), HTTP2).await;
    let listen = sidecar.listen;
    let call = tokio::spawn(async move { exchange(listen, &request("POST", "/svc/a", &[], b"{}")).await });
    let mut seen = Vec::new();
    for refuses in [true, false] {
        let (stream, _) = soon(listener.accept()).await.unwrap();
        let mut connection = soon(h2::server::handshake(stream)).await.unwrap();
        let (request, mut respond) = soon(connection.accept()).await.unwrap().unwrap();
        seen.push(["nonce", "signature", "x-request-id"].map(|name| request.headers()[name].clone()));
        if refuses {
            respond.send_reset(h2::Reason::REFUSED_STREAM);
        } else {
            respond.send_response(http::Response::new(()), true).unwrap();
        }
        tokio::spawn(async move { while connection.accept().await.is_some() {} });
    }
    assert_eq!(soon(call).await.unwrap().status(), 200);
    assert!(seen[0][0] != seen[1][0] && seen[0][1] != seen[1][1], "{seen:?}");
    assert_eq!(seen[0][2], seen[1][2], "it is the same call");
}
