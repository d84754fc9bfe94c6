//! The 3-D Secure page.

use serde_json::{Value, json};

use super::world::{CARD, Call, P, World, exchange};

async fn open(world: &World, token: &Value) -> super::world::Reply {
    let path = token["verify_url"].as_str().unwrap().strip_prefix(&world.origin).unwrap().to_owned();
    world.send(&Call::unsigned("GET", &path, "")).await
}

#[tokio::test]
async fn an_approved_challenge_makes_the_token_success_and_returns_to_the_merchant() {
    let world = World::plain().await;
    let uuid = world.customer("r").await;
    let token = world.card(&uuid).await;
    let page = open(&world, &token).await;
    assert_eq!((page.status, page.get("content-type")), (200, Some("text/html; charset=utf-8")));
    for text in [
        "<button class=\"act\" name=\"decision\" value=\"approve\">Approve<",
        "<button name=\"decision\" value=\"decline\">Decline<",
        "<dt>Merchant</dt><dd>shop.example</dd>",
        "<dt>Amount</dt><dd>no charge</dd>",
        "<dt>Pay with</dt><dd>Visa 411111******1111</dd>",
        "<dt>Cardholder</dt><dd>K TEA</dd>",
        "Simulation: no money moves",
    ] {
        assert!(page.body.contains(text), "{text}: {}", page.body);
    }
    assert!(!page.body.contains("http-equiv"), "before a decision it stays");
    assert_eq!(world.check(&uuid, &token).await["state"], "pending", "opening decides nothing");

    let page = world.press(&token, "approve").await;
    assert_eq!((page.status, page.get("location")), (200, None));
    assert!(page.body.contains("<a href=\"https://shop.example/ok?a=1&amp;b=2\""), "{}", page.body);
    let refresh = "<meta http-equiv=\"refresh\" content=\"4;url=https://shop.example/ok?a=1&amp;b=2\">";
    assert!(
        page.body.contains(refresh) && page.body.contains("You return to shop.example in 4 seconds."),
        "{}",
        page.body
    );
    let checked = world.check(&uuid, &token).await;
    assert_eq!((&checked["state"], &checked["default"]), (&"success".into(), &true.into()));
    assert_eq!(checked.get("error_code"), None);
}

#[tokio::test]
async fn a_declined_challenge_makes_the_token_failed_with_a_localized_reason() {
    let world = World::plain().await;
    let uuid = world.customer("r").await;
    let token = world.card(&uuid).await;
    let page = world.press(&token, "decline").await;
    assert!(page.body.contains("<a href=\"https://shop.example/no\""), "{}", page.body);
    let checked = world.check(&uuid, &token).await;
    assert_eq!((&checked["state"], &checked["default"]), (&"failed".into(), &false.into()));
    assert_eq!(checked["error_code"], "3DS_DECLINED");
    assert_eq!(checked["error_msg"], "The cardholder declined the verification.");
    let body = json!({ "payment_token": { "token": token["token"] } }).to_string();
    let call = Call::signed("POST", &format!("{P}/customers/uuid/payment_tokens/check"), &body);
    let reply = world.send(&call.header("x-i18n-lang", "zh-HK")).await.json();
    assert_eq!(reply["data"]["payment_token"]["error_msg"], "持卡人拒絕了驗證。");
}

#[tokio::test]
async fn the_first_decision_is_final() {
    let world = World::plain().await;
    let uuid = world.customer("r").await;
    let token = world.card(&uuid).await;
    world.press(&token, "decline").await;
    assert!(world.press(&token, "approve").await.body.contains("Declined."));
    assert_eq!(world.check(&uuid, &token).await["state"], "failed");
}

#[tokio::test]
async fn the_page_escapes_html_of_the_merchant() {
    let world = World::plain().await;
    let uuid = world.customer("r").await;
    let mut body: Value = serde_json::from_str(CARD).unwrap();
    body["card"]["holder_name"] = "<script>alert(1)</script>".into();
    body["card"]["3ds"]["success_return_url"] = "https://shop.example/?q='&amp;".into();
    let target = format!("{P}/customers/{uuid}/payment_tokens");
    let call = Call::signed("POST", &target, &body.to_string()).header("x-i18n-lang", "zh-HK");
    let token = world.send(&call).await.json()["data"]["payment_token"].clone();
    let page = open(&world, &token).await;
    assert!(page.body.contains("<html lang=\"zh-HK\">") && page.body.contains(">批准<"), "{}", page.body);
    assert!(!page.body.contains("<script"), "{}", page.body);
    let policy = page.get("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none';"), "{policy}");
    let page = world.press(&token, "approve").await;
    assert!(page.body.contains("https://shop.example/?q=&#39;&amp;amp;\""), "{}", page.body);
}

#[tokio::test]
async fn a_page_without_a_challenge_reports_it() {
    let world = World::plain().await;
    for path in ["/3ds/e2b1d0c9-11aa-4d3f-9f1b-6f7e8d9c0a1b", "/3ds/x", "/3ds/%FF"] {
        let reply = world.send(&Call::unsigned("GET", path, "")).await;
        assert_eq!(reply.status, 404);
        assert!(reply.body.contains("There is nothing to verify here."), "{reply:?}");
    }
    let uuid = world.customer("r").await;
    let token = world.card(&uuid).await;
    assert_eq!(world.press(&token, "maybe").await.status, 400);
    assert_eq!(world.check(&uuid, &token).await["state"], "pending");
}

/// A web page can point its own name at this machine (DNS rebinding), and can send forms here without the person's consent.
#[tokio::test]
async fn other_web_pages_can_neither_read_nor_submit_the_page() {
    let world = World::plain().await;
    let uuid = world.customer("r").await;
    let token = world.card(&uuid).await;
    let path = token["verify_url"].as_str().unwrap().strip_prefix(&world.origin).unwrap().to_owned();
    let as_host = async |method: &str, host: &str, headers: &[(&str, &str)]| {
        let mut call = Call::unsigned(method, &path, if method == "POST" { "decision=approve" } else { "" })
            .header("Content-Type", "application/x-www-form-urlencoded");
        for (name, value) in headers {
            call = call.header(name, value);
        }
        let bytes = String::from_utf8(call.bytes()).unwrap().replace("Host: localhost", &format!("Host: {host}"));
        exchange(tokio::net::TcpStream::connect(world.address).await.unwrap(), bytes.as_bytes()).await
    };
    as_host("GET", "evil.example", &[]).await.refused(421, "E000048");
    as_host("POST", "evil.example", &[]).await.refused(421, "E000048");
    for origin in ["https://evil.example", "null", "http://localhost:1", "https://localhost.evil.example"] {
        as_host("POST", "localhost:4443", &[("Origin", origin)]).await.refused(403, "E000049");
    }
    as_host("POST", "localhost", &[("Sec-Fetch-Site", "cross-site")]).await.refused(403, "E000049");
    assert_eq!(world.check(&uuid, &token).await["state"], "pending");
    let shown = as_host("GET", "127.0.0.1:4443", &[("Sec-Fetch-Site", "cross-site")]).await;
    assert_eq!((shown.status, shown.get("referrer-policy")), (200, Some("same-origin")), "a link of the shop");
    assert_eq!(as_host("POST", "localhost:4443", &[("Origin", "http://localhost:4443")]).await.status, 200);
    assert_eq!(world.check(&uuid, &token).await["state"], "success");
}
