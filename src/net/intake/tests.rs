//! What hyper gets to read, over an in-memory stream.

use std::io;

use futures_util::FutureExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

use super::*;
use tokio::time::Instant;

impl Socket for tokio::io::DuplexStream {
    fn has_unread(&self) -> bool {
        false
    }

    fn reset_at_close(&self, _: bool) {}
}

const LIMITS: IntakeLimits =
    IntakeLimits { headers: 10, header_bytes: 200, head: Duration::from_secs(10), idle: Duration::from_mins(1) };

const GET: &str = "GET /svc/a HTTP/1.1\r\nHost: localhost\r\n\r\n";
const POST: &str = "POST /svc/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello";
const CHUNKED: &str = "POST /svc/a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";

/// What a reader sees of `bytes`, written in pieces of `size`, until the end or a refusal; and what was refused.
async fn seen(bytes: &[u8], size: usize) -> (String, Option<(usize, HeadError)>) {
    let (mut peer, stream) = duplex(64);
    let line = Arc::new(ConnectionState::default());
    let mut guard = Guard::new(stream, Arc::clone(&line), LIMITS);
    let write = async {
        for piece in bytes.chunks(size) {
            peer.write_all(piece).await.unwrap();
        }
        drop(peer);
        std::future::pending::<()>().await;
    };
    let mut seen = Vec::new();
    let read = async {
        while guard.read_buf(&mut seen).await.unwrap() > 0 {
            if line.refused.get().is_some() && seen.ends_with(IN_PLACE) {
                // Nothing follows, neither bytes nor the end.
                assert!(guard.read(&mut [0; 1]).now_or_never().is_none());
                break;
            }
        }
    };
    tokio::select! {
        () = write => {}
        () = read => {}
    }
    (String::from_utf8(seen).unwrap(), line.refused.get().copied())
}

async fn assert_seen(bytes: &str, expected: &str, refused: Option<(usize, HeadError)>) {
    for size in [1, 2, 3, 7, 50, 10_000] {
        assert_eq!(seen(bytes.as_bytes(), size).await, (expected.to_owned(), refused), "in pieces of {size}");
    }
}

#[tokio::test]
async fn lets_good_requests_through_unchanged_however_they_are_cut() {
    for bytes in [GET.to_owned(), POST.to_owned(), CHUNKED.to_owned(), [GET, POST, CHUNKED, GET].concat()] {
        assert_seen(&bytes, &bytes, None).await;
    }
    assert_seen(&format!("\r\n{GET}\r\n\r\n{POST}"), &format!("\r\n{GET}\r\n\r\n{POST}"), None).await;
}

#[tokio::test]
async fn replaces_a_refused_head_and_lets_nothing_more_through() {
    let refused = "GET /svc/a#b HTTP/1.1\r\n\r\n";
    let stand_in = std::str::from_utf8(IN_PLACE).unwrap();
    assert_seen(&format!("{refused}{GET}"), stand_in, Some((0, HeadError::Fragment))).await;
    let before = [POST, CHUNKED].concat();
    let expected = format!("{before}{stand_in}");
    assert_seen(&format!("{before}{refused}{GET}"), &expected, Some((2, HeadError::Fragment))).await;
}

#[tokio::test]
async fn does_not_wait_for_the_end_of_a_head_that_is_already_wrong() {
    let stand_in = std::str::from_utf8(IN_PLACE).unwrap();
    assert_seen("GET /svc/a HTTP/1.1\nHost", stand_in, Some((0, HeadError::BareLineEnd))).await;
    let long = format!("GET /svc/{} HTTP/1.1", "a".repeat(300));
    assert_seen(&long, stand_in, Some((0, HeadError::HeadTooLarge))).await;
    assert_seen("PRI *", stand_in, Some((0, HeadError::Version))).await;
    assert_seen(&format!("{POST}PRI * HTTP/2.0\r\n"), &format!("{POST}{stand_in}"), Some((1, HeadError::Version)))
        .await;
}

#[tokio::test]
async fn lets_nothing_follow_a_body_that_is_no_chunked_body() {
    let broken = "POST /svc/a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz";
    let (text, refused) = seen(format!("{broken}\r\n\r\n{GET}").as_bytes(), 1).await;
    assert!(broken.starts_with(&text) && text.len() > 50, "{text:?}");
    assert_eq!(refused, None);
}

#[tokio::test(start_paused = true)]
async fn gives_a_head_its_time_and_then_refuses_it() {
    let (mut peer, stream) = duplex(64);
    let line = Arc::new(ConnectionState::default());
    let mut guard = Guard::new(stream, Arc::clone(&line), LIMITS);
    peer.write_all(b"GET /svc/a HTTP/1.1\r\nHo").await.unwrap();
    let began = Instant::now();
    let mut buffer = vec![0; 1024];
    let read = guard.read(&mut buffer).await.unwrap();
    assert_eq!(&buffer[..read], IN_PLACE);
    assert_eq!(began.elapsed().as_secs(), LIMITS.head.as_secs());
    assert_eq!(line.refused.get(), Some(&(0, HeadError::HeadTimeout)));
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed() {
    let (mut peer, stream) = duplex(64);
    let line = Arc::new(ConnectionState::default());
    let mut guard = Guard::new(stream, Arc::clone(&line), LIMITS);
    let began = Instant::now();
    let mut buffer = vec![0; 1024];
    peer.write_all(GET.as_bytes()).await.unwrap();
    assert_eq!(guard.read(&mut buffer).await.unwrap(), GET.len());
    assert_eq!(guard.read(&mut buffer).await.unwrap(), 0);
    assert_eq!(began.elapsed().as_secs(), LIMITS.idle.as_secs());

    let (_silent, stream) = duplex(64);
    let (began, line) = (Instant::now(), Arc::new(ConnectionState::default()));
    assert_eq!(Guard::new(stream, line, LIMITS).read(&mut buffer).await.unwrap(), 0);
    assert_eq!(began.elapsed().as_secs(), LIMITS.head.as_secs());
}

#[tokio::test(start_paused = true)]
async fn does_not_call_a_connection_idle_whose_request_is_at_work() {
    let (mut peer, stream) = duplex(64);
    let line = Arc::new(ConnectionState::default());
    let mut guard = Guard::new(stream, Arc::clone(&line), LIMITS);
    let mut buffer = vec![0; 1024];
    peer.write_all(GET.as_bytes()).await.unwrap();
    assert_eq!(guard.read(&mut buffer).await.unwrap(), GET.len());
    let (active, refusal) = line.call();
    assert_eq!(refusal, None);
    let waited = tokio::time::timeout(2 * LIMITS.idle, guard.read(&mut buffer)).await;
    assert!(waited.is_err(), "it must still be open");
    drop(active);
    let began = Instant::now();
    assert_eq!(guard.read(&mut buffer).await.unwrap(), 0);
    assert_eq!(began.elapsed().as_secs(), LIMITS.idle.as_secs());
}

#[tokio::test(start_paused = true)]
async fn gives_up_on_who_takes_nothing_of_an_answer() {
    let (mut peer, stream) = duplex(64);
    let mut guard = Guard::new(stream, Arc::default(), LIMITS);
    let began = Instant::now();
    let taking = async {
        tokio::time::sleep(LIMITS.idle / 2).await;
        peer.read_exact(&mut [0; 10]).await.unwrap();
    };
    let (written, ()) = tokio::join!(guard.write_all(&[0; 100]), taking);
    assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
    assert_eq!(began.elapsed(), LIMITS.idle / 2 + LIMITS.idle, "from the last byte that was taken");
}

#[tokio::test(start_paused = true)]
async fn closes_with_a_part_of_a_request_unread_when_the_peer_does_or_after_two_seconds() {
    // Part of a body, part of a head, and nothing.
    for (bytes, ends, waits) in [
        (&POST[..POST.len() - 1], false, 2),
        (&GET[..10], false, 2),
        (GET, false, 0),
        (&POST[..POST.len() - 1], true, 0),
    ] {
        let (mut peer, stream) = duplex(1024);
        let mut guard = Guard::new(stream, Arc::default(), LIMITS);
        peer.write_all(bytes.as_bytes()).await.unwrap();
        let _ = guard.read(&mut [0; 1024]).now_or_never();
        if ends {
            peer.shutdown().await.unwrap();
        }
        let began = Instant::now();
        guard.shutdown().await.unwrap();
        assert_eq!(began.elapsed().as_secs(), waits, "{bytes:?}");
        assert_eq!(peer.read(&mut [0; 1]).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn refuses_a_head_over_the_limit_whatever_the_readers_buffer() {
    let limits = IntakeLimits { header_bytes: 65_536, ..LIMITS };
    for size in [1, 100, 8192, 100_000] {
        let (mut peer, stream) = duplex(200_000);
        let line = Arc::new(ConnectionState::default());
        let mut guard = Guard::new(stream, Arc::clone(&line), limits);
        peer.write_all(format!("GET /svc/a HTTP/1.1\r\nX-A: {}\r\n\r\n", "b".repeat(70_000)).as_bytes()).await.unwrap();
        let mut buffer = vec![0; size];
        assert!(guard.read(&mut buffer).await.unwrap() > 0);
        assert_eq!(line.refused.get(), Some(&(0, HeadError::HeadTooLarge)));
    }
}

#[tokio::test]
async fn refuses_after_what_came_before_in_the_same_piece() {
    // A head that is held back first, so that its end, a body and a wrong head are vetted together.
    let (mut peer, stream) = duplex(10_000);
    let mut guard = Guard::new(stream, Arc::default(), LIMITS);
    let (first, rest) = POST.split_at(30);
    peer.write_all(first.as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    let read = async {
        let mut buffer = [0; 1024];
        while seen.len() < POST.len() + IN_PLACE.len() {
            let read = guard.read(&mut buffer).await.unwrap();
            seen.extend_from_slice(&buffer[..read]);
        }
    };
    let write = async {
        tokio::task::yield_now().await;
        peer.write_all(format!("{rest}garbage\r\n\r\n").as_bytes()).await.unwrap();
    };
    tokio::join!(read, write);
    assert_eq!(seen, [POST.as_bytes(), IN_PLACE].concat());
}

#[tokio::test(start_paused = true)]
async fn the_end_of_what_a_peer_sends_is_the_end_of_the_connection_unless_it_comes_right_after_a_request() {
    for (wait, hidden) in [(0, true), (249, true), (250, false), (10_000, false)] {
        for bytes in [GET, POST, CHUNKED] {
            let (mut peer, stream) = duplex(1000);
            let line = Arc::new(ConnectionState::default());
            let mut guard = Guard::new(stream, Arc::clone(&line), LIMITS);
            peer.write_all(bytes.as_bytes()).await.unwrap();
            assert_eq!(guard.read(&mut [0; 1000]).await.unwrap(), bytes.len());
            let (active, _) = line.call();
            tokio::time::advance(Duration::from_millis(wait)).await;
            peer.shutdown().await.unwrap();
            let end = guard.read(&mut [0; 1000]).now_or_never().map(Result::unwrap);
            assert_eq!((end, active.is_last()), (if hidden { None } else { Some(0) }, hidden), "{wait} ms");
            // However long the answer takes.
            tokio::time::advance(Duration::from_secs(20)).await;
            drop(active);
            assert_eq!(guard.read(&mut [0; 1000]).await.unwrap(), 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_within_a_body_is_never_hidden_from_the_request_that_waits_for_it() {
    let (mut peer, stream) = duplex(1000);
    let line = Arc::new(ConnectionState::default());
    let mut guard = Guard::new(stream, Arc::clone(&line), LIMITS);
    peer.write_all(&POST.as_bytes()[..POST.len() - 1]).await.unwrap();
    assert_eq!(guard.read(&mut [0; 1000]).await.unwrap(), POST.len() - 1);
    let _active = line.call();
    peer.shutdown().await.unwrap();
    assert_eq!(guard.read(&mut [0; 1000]).await.unwrap(), 0);
}
