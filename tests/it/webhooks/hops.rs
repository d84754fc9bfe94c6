//! What a sender, or a program between Wonder and the listener, adds to a right delivery: it changes neither what the application reads nor
//! which deliveries are accepted.

use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::support::{
    patience::soon,
    sidecar::{APP_ID, Sidecar},
    upstream::Recorder,
    webhooks::{Delivery, PAID, receiver_of},
    wire::read_message,
};

async fn count(sidecar: &Sidecar, reason: &str) -> f64 {
    sidecar.metric(&format!("wonder_signer_webhook_errors_total{{reason=\"{reason}\"}}")).await
}

#[tokio::test]
async fn a_sender_that_waits_for_100_continue_gets_it_unless_its_head_is_rejected() {
    let application = Recorder::start().await;
    let (_sidecar, address) = receiver_of(&application, "webhook.path_prefixes = [\"/hooks\"]").await;
    let expecting = |delivery: &Delivery| {
        let length = delivery.body.len().to_string();
        let head = Delivery { body: Vec::new(), ..delivery.clone() };
        head.and("Expect", "100-continue").and("Content-Length", &length).bytes()
    };
    let good = Delivery::paid();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&expecting(&good)).await.unwrap();
    assert_eq!(soon(read_message(&mut stream, true)).await.unwrap().status(), 100);
    stream.write_all(&good.body).await.unwrap();
    assert_eq!(soon(read_message(&mut stream, false)).await.unwrap().status(), 200);
    let received = application.next().await;
    assert_eq!((received.value("expect"), &received.body), (None, &good.body));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&expecting(&Delivery::of("/admin", PAID))).await.unwrap();
    let answer = soon(read_message(&mut stream, false)).await.unwrap();
    assert_eq!((answer.status(), answer.value("connection")), (401, Some("close")));
}

#[tokio::test]
async fn requests_of_one_connection_are_judged_one_by_one() {
    let application = Recorder::start().await;
    let (_sidecar, address) = receiver_of(&application, "").await;
    let (first, second) = (Delivery::paid(), Delivery::of("/second", "{\"number\":\"2\"}"));
    let forged = Delivery { body: b"{\"number\":\"3\"}".to_vec(), ..first.clone() };
    // The body of the forged one begins like a request.
    let hidden = Delivery { body: second.bytes(), ..first.clone() };
    let all = [&first, &forged, &hidden, &second, &first].map(Delivery::bytes).concat();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&all).await.unwrap();
    for expected in [200, 401, 401, 200, 200] {
        assert_eq!(soon(read_message(&mut stream, false)).await.unwrap().status(), expected);
    }
    assert_eq!(application.next().await.body, first.body);
    assert_eq!(application.next().await.start_line(), "POST /second HTTP/1.1");
    assert_eq!(application.waiting(), 0);
}

#[tokio::test]
async fn a_path_that_programs_read_in_another_way_is_under_no_prefix() {
    let application = Recorder::start().await;
    let (sidecar, address) = receiver_of(&application, "webhook.path_prefixes = [\"/pay\", \"/a%2Fb\"]").await;
    let mut rejected = 0.0;
    for target in [
        "/pay%2e%2e/",
        "/pay%2e%2e/admin",
        "//pay",
        "//pay/x",
        "/pay/../admin",
        "/pay/..",
        "/pay/..?x",
        "/pay/.",
        "/pay/./x",
        "/pay//../admin",
        "/pay/%2e%2e/admin",
        "/pay/%2E./admin",
        "/pay/.%2e",
        "/pay/..;/admin",
        "/pay/..;x=1/admin",
        "/pay/%2e%2e;/a",
        "/pay/..%2fadmin",
        "/pay/..%5cadmin",
        "/pay/%252e%252e/admin",
        "/pay/x%2f..%2f..%2fadmin",
        "/pay;x",
        "/pay;/../admin",
        "/pay%2f",
        "/pay%00",
        "/pay%3f",
        "/payx",
        "/PAY",
        "/p%61y",
        "/%70ay/x",
        "/",
        "/?/pay",
        "/x/pay",
        "/pay/..%3b/admin",
        "/a/b",
        "/a%2fb",
    ] {
        assert_eq!(Delivery::of(target, PAID).send(address).await.status(), 401, "{target}");
        rejected += 1.0;
        assert!((count(&sidecar, "path").await - rejected).abs() < f64::EPSILON, "{target}");
    }
    for target in
        ["/pay", "/pay/", "/pay?x=/../", "/pay//x", "/pay/a;b=1/c", "/pay/...", "/pay/a..b", "/pay/%20", "/pay/%C3%A4"]
    {
        assert_eq!(Delivery::of(target, PAID).send(address).await.status(), 200, "{target}");
        assert_eq!(application.next().await.start_line(), format!("POST {target} HTTP/1.1"));
    }
    assert_eq!(application.waiting(), 0);
}

#[tokio::test]
async fn only_what_a_trusted_proxy_appended_shows_the_source() {
    let application = Recorder::start().await;
    let toml = "webhook.source_addresses = [\"119.8.39.23\", \"2001:db8::/32\"]\nwebhook.trusted_proxies = [\"127.0.0.0/8\", \"10.0.0.0/8\"]";
    let (sidecar, address) = receiver_of(&application, toml).await;
    let (mut rejected, mut sent) = (0.0, 0);
    for (lines, accepted) in [
        (&["119.8.39.23"][..], true),
        (&["::ffff:119.8.39.23"], true),
        (&["[::ffff:119.8.39.23]:443"], true),
        (&["119.8.39.23:50000"], true),
        (&["2001:db8::1"], true),
        (&["[2001:db8::1]"], true),
        (&["192.0.2.1, 119.8.39.23"], true),
        (&["garbage, 119.8.39.23"], true),
        (&["garbage", "119.8.39.23, 10.1.1.1", "10.2.2.2"], true),
        (&["119.8.39.23, ::ffff:10.1.1.1"], true),
        (&[], false),
        (&[""], false),
        (&["119.8.39.23", ""], false),
        (&["119.8.39.23,"], false),
        (&["119.8.39.23, 192.0.2.1"], false),
        (&["119.8.39.23", "192.0.2.1"], false),
        (&["119.8.39.23, garbage"], false),
        (&["119.8.39.23, unknown, 10.1.1.1"], false),
        (&["119.8.39.23 192.0.2.1"], false),
        (&["119.8.39.23.example"], false),
        (&["119.8.39.023"], false),
        (&["0x77.8.39.23"], false),
        (&["2003007255"], false),
        (&["for=119.8.39.23"], false),
        (&["\"119.8.39.23\""], false),
        (&["fe80::1%eth0"], false),
        (&["119.8.39.23:99999"], false),
        (&["\u{e4}"], false),
        (&["10.1.1.1"], false),
        (&["2001:db9::1"], false),
    ] {
        // Other headers with a source are claims.
        let claims = Delivery::paid()
            .and("X-Real-IP", "119.8.39.23")
            .and("Forwarded", "for=119.8.39.23")
            .and("X_Forwarded_For", "119.8.39.23");
        let delivery = lines.iter().fold(claims, |delivery, line| delivery.and("X-Forwarded-For", line));
        assert_eq!(delivery.send(address).await.status(), if accepted { 200 } else { 401 }, "{lines:?}");
        if accepted {
            sent += 1;
        } else {
            rejected += 1.0;
        }
        assert!((count(&sidecar, "source_address").await - rejected).abs() < f64::EPSILON, "{lines:?}");
        assert_eq!(application.waiting(), sent, "{lines:?}");
    }
}

#[tokio::test]
async fn no_header_of_the_sender_is_taken_for_one_of_ours() {
    let application = Recorder::start().await;
    let (_sidecar, address) = receiver_of(&application, "").await;
    let ours =
        [("x-wonder-signer-verified", "default"), ("x-wonder-signer-app-id", APP_ID), ("x-wonder-signer-paid", "no")];
    let body = r#"{"number":"1","correspondence_state":"unpaid"}"#;
    let mut delivery = Delivery::of("/", body).and(
        "Connection",
        "X-Wonder-Signer-Paid, X-Wonder-Signer-Verified, X-Wonder-Signer-App-Id, X-Wonder-Signer-Webhook-Time, Content-Length, \
         Content-Type, Credential, Signature, Nonce, X-Request-ID, Host, keep-alive, bad name, ,",
    );
    for name in ["Verified", "App-Id", "Paid", "Webhook-Time", "Sent", "Error", "Credential", "New", ""] {
        for prefix in [
            "X-Wonder-Signer-",
            "x-WONDER-signer-",
            "X_Wonder_Signer_",
            "X-Wonder_Signer-",
            "X.Wonder.Signer.",
            "X-Wonder-Signer--",
        ] {
            delivery = delivery.and(&format!("{prefix}{name}"), "forged");
        }
    }
    delivery = delivery.and("X-Wonder-Signer-Paid", "yes");
    assert_eq!(delivery.send(address).await.status(), 200);
    let received = application.next().await;
    for (name, value) in ours {
        assert_eq!(received.value(name), Some(value), "{name}");
    }
    assert_eq!(received.values("content-length"), [body.len().to_string()]);
    assert_eq!((received.value("content-type"), received.value("connection")), (Some("application/json"), None));
    assert!(!received.head.contains("forged"), "{}", received.head);
    let names = received
        .head
        .lines()
        .filter(|line| line.to_ascii_lowercase().replace(['_', '.'], "-").starts_with("x-wonder-signer"));
    assert_eq!(names.count(), 4, "{}", received.head);
}
