//! Webhooks: what Wonder sends, what Redis answers, and the keys of both, at every level of the log.

use std::{fs, net::SocketAddr};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinHandle,
};
use wonder_signer::signing::SigningKey;

use super::{ANSWER, AUTHORIZATION, CARD, COOKIE, HEADER, Markers, NAME, PATH, QUERY, Watched};
use crate::support::{
    sidecar::APP_ID,
    upstream::{Act, Recorder},
    webhooks::{Delivery, WONDER, WONDER_PEM, now},
    wire::exchange,
};

const OTP: &str = "otp-marker-7a3a";
const PASSWORD: &str = "password-marker-7a3b";
const ACTION: &str = "action-marker-7a3c";
const USER: &str = "redis-user-marker-7a3d";

/// Rejects commands, and repeats what it received, as Redis does with an unknown command. On every second connection it
/// accepts the password and the number of the database.
async fn echoing_redis() -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        for accepts in [true, false].into_iter().cycle() {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut received = vec![0; 4096];
                while let Ok(length @ 1..) = stream.read(&mut received).await {
                    let text = String::from_utf8_lossy(&received[..length]).into_owned();
                    let answers = text.split('*').skip(1).map(|command| {
                        if accepts && ["AUTH", "SELECT"].iter().any(|name| command.contains(name)) {
                            return "+OK\r\n".to_owned();
                        }
                        let arguments = command.replace(['\r', '\n'], " ");
                        format!("-ERR unknown command, with args beginning with: {PASSWORD} {arguments}\r\n")
                    });
                    if stream.write_all(answers.collect::<String>().as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (address, serving)
}

fn body() -> String {
    format!(
        r#"{{"number":"{CARD}","otp":"{OTP}","name":"{NAME}","correspondence_state":"paid","order":{{"correspondence_state":"{OTP}"}}}}"#
    )
}

/// A delivery that is full of markers.
fn delivery(target: &str, body: &str) -> Delivery {
    full(Delivery::of(target, body))
}

fn full(delivery: Delivery) -> Delivery {
    delivery
        .with("X-Action", ACTION)
        .and("X-Marker", HEADER)
        .and("Cookie", COOKIE)
        .and("Authorization", AUTHORIZATION)
        .and("X-Forwarded-For", HEADER)
        .and("User-Agent", HEADER)
        .and("X-Request-ID", HEADER)
}

/// Deliveries that end in every way, with the status of their answer.
fn deliveries() -> Vec<(Delivery, u16)> {
    let target = format!("/hooks/{PATH}?token={QUERY}&card={CARD}");
    let good = || delivery(&target, &body());
    let credential = |text: &str| good().with("Credential", text);
    let (other, _) = SigningKey::generate(&mut rand::thread_rng(), 2048).unwrap();
    let mut cut = good();
    cut.body.truncate(20);
    vec![
        (good(), 200),
        (good(), 422),
        (good(), 503),
        (good(), 503),
        (Delivery { method: "PUT".to_owned(), ..good() }, 401),
        (Delivery { target: format!("{target}x"), ..good() }, 401),
        (cut, 401),
        (full(Delivery::signed(&other, APP_ID, now(), &target, &body())), 401),
        (full(Delivery::at(now() - 48 * 3600, &target, &body())), 401),
        (full(Delivery::at(now() + 8 * 3600, &target, &body())), 401),
        (good().with("Nonce", HEADER), 401),
        (good().with("Signature", HEADER), 401),
        (good().and("Signature", HEADER), 401),
        (credential(HEADER), 401),
        (credential(&format!("{APP_ID}/{HEADER}/{HEADER}")), 401),
        (good().and("Content-Encoding", HEADER), 401),
        (Delivery { body: vec![b'x'; 2000], ..good() }, 413),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_of_a_webhook_its_key_or_redis_shows_at_any_level() {
    let directory = TempDir::new().unwrap();
    let [key, password] = ["webhook.pem", "password"].map(|name| directory.path().join(name));
    let public = WONDER.verifying_key().to_pem().unwrap();
    fs::write(&key, &public).unwrap();
    fs::write(&password, PASSWORD).unwrap();
    let (redis, serving) = echoing_redis().await;
    let url = format!("redis://{USER}@{redis}/3");
    for (level, format) in
        [("trace", "json"), ("trace", "text"), ("debug", "json"), ("info", "text"), ("warn", "json"), ("error", "text")]
    {
        let answer = |status: &str| {
            let body = format!("{ANSWER} {CARD} {NAME}");
            let head =
                format!("HTTP/1.1 {status} {ANSWER}\r\nSet-Cookie: {ANSWER}\r\nContent-Length: {}\r\n\r\n", body.len());
            Act::Answer([head.as_bytes(), body.as_bytes()].concat())
        };
        let application = Recorder::acting(move |number| match number {
            0 => answer("200"),
            1 => answer("422"),
            2 => answer("500"),
            _ => Act::AnswerAndClose(format!("{ANSWER}\r\n\r\n").into_bytes()),
        })
        .await;
        let origin = application.origin();
        let variables = [
            ("WONDER_SIGNER_LOG__LEVEL", level),
            ("WONDER_SIGNER_WEBHOOK__ADDRESS", "127.0.0.1:0"),
            ("WONDER_SIGNER_WEBHOOK__FORWARD_TO", &origin),
            ("WONDER_SIGNER_LIMITS__WEBHOOK_BODY", "1KiB"),
            ("WONDER_SIGNER_WEBHOOK__REDIS__URL", &url),
            ("WONDER_SIGNER_WEBHOOK__REDIS__PASSWORD_FILE", password.to_str().unwrap()),
            ("WONDER_SIGNER_CREDENTIALS__DEFAULT__WEBHOOK_PUBLIC_KEY_FILE", key.to_str().unwrap()),
        ];
        let mut watched = Watched::at_any_level(format, &variables);
        for text in [OTP, PASSWORD, ACTION] {
            watched.markers.add(text);
        }
        // The user of Redis is a part of its URL, which is masked in no more than its password.
        for line in public.lines().chain(WONDER_PEM.lines()).filter(|line| line.len() == 64).skip(1) {
            watched.markers.add(line);
        }
        let address = watched.running.webhook.unwrap();
        for (delivery, status) in deliveries() {
            for name in ["Credential", "Nonce", "Signature"] {
                watched.markers.add(delivery.value(name));
            }
            let answer = exchange(address, &delivery.bytes()).await;
            assert_eq!(answer.status(), status, "{level}: {delivery:?}");
            // The application's own 4xx is Wonder's to see.
            if status != 422 {
                watched.markers.assert_absent("an answer", &format!("{}{}", answer.head, answer.text()));
            }
        }
        let ended = watched.search_without_ids().await;
        assert_eq!(
            ended.err.contains("signature_mismatch"),
            ["trace", "debug", "info"].contains(&level),
            "{}",
            ended.err
        );
        assert_eq!(ended.err.contains("Redis failed"), level != "error", "{}", ended.err);
    }
    serving.abort();
}

#[test]
fn markers_are_found_where_they_are() {
    let mut markers = Markers::new();
    markers.add(PASSWORD);
    let found = std::panic::catch_unwind(move || markers.assert_absent("a text", &format!("error={PASSWORD}")));
    assert!(found.is_err());
}
