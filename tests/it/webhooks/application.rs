//! Odd answers of the application: which of them acknowledge a delivery, and that none is taken for the answer to another delivery.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::support::{
    patience::soon,
    upstream::{Act, Recorder},
    webhooks::{Delivery, PAID, receiver, receiver_of},
};

#[tokio::test]
async fn each_odd_answer_acknowledges_or_leads_to_a_retry() {
    let huge = format!("HTTP/1.1 200 OK\r\nX: {}\r\nContent-Length: 0\r\n\r\n", "x".repeat(200_000));
    let many = format!("HTTP/1.1 200 OK\r\n{}Content-Length: 0\r\n\r\n", "X: x\r\n".repeat(200));
    for (what, bytes, expected) in [
        ("100 before 200", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200),
        (
            "102 and 103 before 200",
            "HTTP/1.1 102 X\r\n\r\nHTTP/1.1 103 X\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            200,
        ),
        ("100 before 500", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n", 503),
        ("100 alone", "HTTP/1.1 100 Continue\r\n\r\n", 503),
        ("101", "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", 503),
        ("204", "HTTP/1.1 204 No Content\r\n\r\n", 200),
        ("204 with a length", "HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n", 200),
        ("205", "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n", 200),
        ("206", "HTTP/1.1 206 Partial Content\r\nContent-Length: 0\r\n\r\n", 200),
        ("304", "HTTP/1.1 304 Not Modified\r\n\r\n", 503),
        ("200 without a reason", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 200),
        ("200 in HTTP/1.0 without a length", "HTTP/1.0 200 OK\r\n\r\nreceived", 200),
        ("200 without a length", "HTTP/1.1 200 OK\r\n\r\nreceived", 200),
        ("200 with a broken chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 200),
        ("200 with Connection: close", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", 200),
        ("200 with 200 headers", &many, 200),
        ("200 with a header of 200 kB", &huge, 200),
        ("a 4xx without a length", "HTTP/1.0 422 X\r\n\r\nno", 422),
        ("a status of two digits", "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n", 503),
        ("a status of four digits", "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n", 503),
        ("another version", "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", 503),
        ("two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 503),
        ("a head that ends early", "HTTP/1.1 200 OK\r\nContent-Len", 503),
        ("nothing", "", 503),
    ] {
        let act = Act::AnswerAndClose(bytes.as_bytes().to_vec());
        let application = Recorder::acting(move |_| act.clone()).await;
        let (_sidecar, address) = receiver_of(&application, "").await;
        let answer = soon(Delivery::paid().send(address)).await;
        assert_eq!(answer.status(), expected, "{what}");
        assert_eq!((answer.value("upgrade"), answer.value("link"), answer.value("x")), (None, None, None), "{what}");
        application.next().await;
    }
}

#[tokio::test]
async fn bytes_after_an_answer_are_no_answer_to_the_next_delivery() {
    const TWO: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let application = Recorder::acting(|count| match count {
        0 => Act::Answer(TWO.to_vec()),
        _ => Act::Answer(b"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n".to_vec()),
    })
    .await;
    let (_sidecar, address) = receiver_of(&application, "").await;
    assert_eq!(Delivery::paid().send(address).await.status(), 200);
    let second = Delivery::of("/", "{}");
    assert_eq!(second.send(address).await.status(), 503);
    application.next().await;
    assert_eq!(application.next().await.body, b"{}");
}

/// An application that reads the head of each request alone, answers 200, and then closes or stalls.
async fn hasty(closes: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            // It never reads another request from this connection.
            stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").await.unwrap();
            if closes {
                // So that unread bytes do not reset the connection before the answer is read.
                stream.shutdown().await.unwrap();
            }
            kept.push(stream);
        }
    });
    address
}

#[tokio::test]
async fn an_application_that_answers_before_it_reads_the_body_acknowledges() {
    for closes in [false, true] {
        let application = hasty(closes).await;
        let toml = "limits.webhook_body = \"8MiB\"\nwebhook.forward_timeout = \"10m\"";
        let (_sidecar, address) = receiver(&format!("http://{application}"), toml).await;
        for size in [0, 900_000, 7 << 20] {
            let body = format!("{PAID}{}", " ".repeat(size));
            for _ in 0..2 {
                let delivery = Delivery::of("/", &body);
                assert_eq!(soon(delivery.send(address)).await.status(), 200, "{closes} {size}");
            }
        }
    }
}

#[tokio::test]
async fn the_newest_deliveries_are_remembered_when_there_is_no_more_room() {
    let application = Recorder::start().await;
    let (_sidecar, address) = receiver_of(&application, "webhook.remember = 2").await;
    let all: Vec<Delivery> = (0..3).map(|_| Delivery::paid()).collect();
    for delivery in &all {
        assert_eq!(delivery.send(address).await.status(), 200);
        application.next().await;
    }
    // The second and third are repeats. The first has been forgotten, and is delivered at least once.
    for delivery in [&all[1], &all[2], &all[0]] {
        assert_eq!(delivery.send(address).await.status(), 200);
    }
    let nonce_of_first = application.next().await;
    assert_eq!(nonce_of_first.body, PAID.as_bytes());
    assert_eq!(application.waiting(), 0);
}
