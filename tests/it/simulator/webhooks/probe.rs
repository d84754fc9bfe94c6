//! The webhook probe of the console.

use super::{super::world::Call, *};

async fn probe(world: &World, form: &str) -> super::super::world::Reply {
    let call = Call::unsigned("POST", "/console/probe", form);
    world.send(&call.header("Content-Type", "application/x-www-form-urlencoded")).await
}

fn form(receiver: &Recorder) -> String {
    format!(
        "url={}%2Fhook%3Fa%3D1&reference_number=INV-7781",
        receiver.origin().replace(':', "%3A").replace('/', "%2F")
    )
}

#[tokio::test]
async fn a_handler_that_verifies_does_nothing_wrong() {
    let receiver = Recorder::judging(|message| {
        let right = verdict(message, &WEBHOOK_KEY, "/hook?a=1", NOW).is_ok();
        status(if right { 200 } else { 401 })
    })
    .await;
    let world = world(&receiver.origin(), |_| {}).await;
    let page = probe(&world, &form(&receiver)).await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("The answers show no fault in your endpoint."), "{}", page.body);
    assert_eq!(page.body.matches("\"nowrap\">HTTP 200<").count(), 3);
    assert_eq!(page.body.matches("\"nowrap\">HTTP 401<").count(), 7);
    let first = receiver.next().await;
    assert_eq!((target(&first), order(&first)["reference_number"].as_str()), ("/hook?a=1", Some("INV-7781")));
    // The form keeps what was entered.
    assert!(page.body.contains(&format!("value=\"{}/hook?a=1\"", receiver.origin())), "{}", page.body);
}

#[tokio::test]
async fn each_mistake_of_a_handler_that_accepts_everything_is_listed() {
    let receiver = Recorder::start().await;
    let world = world(&receiver.origin(), |_| {}).await;
    let page = probe(&world, &form(&receiver)).await.body;
    for text in [
        "Your endpoint failed 6 checks.",
        "your endpoint accepted a forged webhook (another key signed it; HTTP 200)",
        "your endpoint accepted a forged webhook (the body was changed after it was signed; HTTP 200)",
        "your endpoint accepted a forged webhook (it is unsigned; HTTP 200)",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
}

#[tokio::test]
async fn a_handler_that_is_down_is_reported() {
    let world = world("http://127.0.0.1:1/hook", |_| {}).await;
    let shown = world.send(&Call::unsigned("GET", "/console/probe", "")).await.body;
    assert!(shown.contains("value=\"http://127.0.0.1:1/hook\""), "{shown}");
    let closed = Closed::port();
    let page = probe(&world, &format!("url={}", closed.origin())).await.body;
    assert!(
        page.contains("Your endpoint failed 10 checks.") && page.contains("your endpoint did not answer: "),
        "{page}"
    );
}

#[tokio::test]
async fn a_url_that_no_webhook_goes_to_is_rejected_and_no_other_page_can_start_a_probe() {
    let receiver = Recorder::start().await;
    let world = world(&receiver.origin(), |_| {}).await;
    for (url, reason) in [
        ("", "The URL cannot be used: not an origin"),
        ("ftp%3A%2F%2F127.0.0.1%2F", "The URL cannot be used: "),
        (
            "http%3A%2F%2F169.254.169.254%2Flatest",
            "169.254.169.254 is not loopback and not allowed; allow it with --webhook-allow 169.254.169.254",
        ),
        ("http%3A%2F%2Flocalhost.evil.example%2F", "localhost.evil.example is not loopback and not allowed"),
        ("http%3A%2F%2F0.0.0.0%2F", "0.0.0.0 is not loopback and not allowed"),
    ] {
        let page = probe(&world, &format!("url={url}")).await;
        assert!(page.status == 400 && page.body.contains(reason), "{url}: {}", page.body);
    }
    let foreign = Call::unsigned("POST", "/console/probe", &form(&receiver))
        .header("Content-Type", "application/x-www-form-urlencoded")
        .header("Origin", "https://evil.example");
    world.send(&foreign).await.refused(403, "E000049");
    let unknown = probe(&world, &format!("{}&app_id=0c6f6a3e-2d53-4f6b-9f55-3a1d6a0c7a10", form(&receiver))).await;
    assert!(unknown.status == 400 && unknown.body.contains("The simulator has no such AppID."));
    let escaped = probe(&world, "url=%22%3E%3Cscript%3E").await;
    assert!(escaped.status == 400 && !escaped.body.contains("\"><script>"), "{}", escaped.body);
    assert_eq!(receiver.waiting(), 0);
}
