//! The pages for people: status, configuration, runbook, and their protection from other web pages.

use std::time::Duration;

use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;
use wonder_signer::{
    admin::{Readiness, Sampler, router},
    contract::Sent,
    metrics::Metrics,
};

use super::{admin, admin_of, facts};

#[tokio::test]
async fn the_configuration_page_shows_the_given_text() {
    let answer = admin().await.get("/config").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
    let config: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(config["credentials"]["default"]["private_key"], "***");
}

#[tokio::test]
async fn the_status_page_and_its_json_show_the_same() {
    let admin = admin().await;
    admin.readiness.set_ready();
    admin.metrics.proxy_error("overloaded", Sent::Maybe);
    let page = admin.get("/").await;
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(page.header("content-security-policy").starts_with("default-src 'none'; style-src 'sha256-"));
    let status: Value = serde_json::from_str(&admin.get("/status.json").await.body).unwrap();
    assert_eq!((&status["health"], &status["headline"]), (&json!("warn"), &json!("ready, with 2 problems")));
    assert_eq!(status["problems"][0]["runbook"], "WonderSignerUnknownOutcome");
    for text in [
        "ready, with 2 problems",
        "shop-7d9f-x2x8k",
        "0a1b2c3d",
        "overloaded, may have reached Wonder",
        "<a href=\"/runbook/WonderSignerUnknownOutcome\">",
        "<svg role=\"img\" aria-label=\"0 requests in the last hour",
        "/metrics",
    ] {
        assert!(page.body.contains(text), "{text}");
    }
    for outside in ["src=", "http-equiv=\"Content", "url(", "@import", "http://", "//cdn"] {
        assert!(!page.body.contains(outside), "{outside}");
    }
}

#[tokio::test]
async fn the_runbook_is_served_whole_and_by_entry() {
    let admin = admin().await;
    let whole = admin.get("/runbook").await;
    assert_eq!((whole.status, whole.header("content-type")), (200, "text/plain; charset=utf-8"));
    assert_eq!(whole.body, include_str!("../../../deploy/runbook.md"));
    let entry = admin.get("/runbook/WonderSignerAuthRejected").await;
    assert!(
        entry.status == 200
            && entry.body.starts_with("## WonderSignerAuthRejected\n")
            && !entry.body[1..].contains("\n## ")
    );
    for target in ["/runbook/", "/runbook/Nothing", "/runbook/%FF", "/runbook/a/b"] {
        assert_eq!(admin.get(target).await.status_and_body(), (404, "not found\n"), "{target}");
    }
}

/// The page is opened only after the errors, so the sampler alone records them.
#[tokio::test(start_paused = true)]
async fn the_history_is_recorded_while_no_page_is_open() {
    let (metrics, readiness) = (Metrics::new(&["upstream_dns"]), Readiness::new());
    let (router, sampler) = router(metrics.clone(), readiness.clone(), facts("staging"));
    readiness.set_ready();
    let pass = async |time: Duration| {
        for _ in 0..time.as_secs() / Sampler::SPACING.as_secs() {
            tokio::time::sleep(Sampler::SPACING).await;
            sampler.sample();
        }
    };
    let page = async || {
        let request = http::Request::get("/").body(axum::body::Body::empty()).unwrap();
        let body = router.clone().oneshot(request).await.unwrap().into_body();
        String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap()
    };
    pass(Duration::from_mins(10)).await;
    metrics.proxy_error("upstream_dns", Sent::No);
    metrics.proxy_error("upstream_dns", Sent::No);
    pass(Duration::from_mins(2)).await;
    for _ in 0..3 {
        assert!(page().await.contains("2 requests found no connection to gateway-stg.wonder.today in the last 5 min"));
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
    // Five minutes later the figures no longer show the errors; the chart and the totals do.
    pass(Duration::from_mins(5)).await;
    let later = page().await;
    assert!(!later.contains("found no connection"), "{later}");
    assert!(later.contains("aria-label=\"errors in the last hour: 2 by network\""), "{later}");
    assert!(later.contains("the last request that was to reach Wonder failed (upstream_dns"), "{later}");
    pass(Duration::from_hours(1)).await;
    assert!(page().await.contains("aria-label=\"no errors in the last hour\""));
}

#[tokio::test]
async fn the_status_page_escapes_html() {
    let admin = admin_of("<img src=x onerror=alert(1)>").await;
    let page = admin.get("/").await;
    assert!(page.body.contains("&lt;img src=x onerror=alert(1)&gt;") && !page.body.contains("<img"));
}

#[tokio::test]
async fn every_response_has_the_hardening_headers() {
    let admin = admin().await;
    for (target, host) in
        [("/", "10.1.2.3:9090"), ("/", "evil.example"), ("/livez", ""), ("/nothing", "x"), ("/metrics", "x")]
    {
        let answer = admin.send("GET", target, host).await;
        assert_eq!(answer.header("cache-control"), "no-store", "{target}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{target}");
        assert_eq!(answer.header("cross-origin-resource-policy"), "same-origin", "{target}");
    }
}

/// A web page can point a name of its own at this machine (DNS rebinding); its requests have that name in `Host`.
#[tokio::test]
async fn html_pages_check_the_host_and_probes_and_metrics_do_not() {
    let admin = admin().await;
    admin.readiness.set_ready();
    for host in ["admin.example", "LOCALHOST:9090", "127.0.0.1", "10.1.2.3:9090", "[fd00::1]:9090", "[::1]"] {
        for target in ["/", "/config", "/status.json"] {
            assert_eq!(admin.send("GET", target, host).await.status, 200, "{target} {host}");
        }
    }
    for host in ["evil.example", "evil.example:9090", "127.0.0.1.evil.example", "", "localhost, evil.example"] {
        for target in ["/", "/config", "/status.json"] {
            let answer = admin.send("GET", target, host).await;
            assert_eq!(answer.status, 421, "{target} {host}");
            assert!(answer.body.contains("listen.allowed_hosts") && !answer.body.contains("evil"), "{}", answer.body);
        }
        for target in ["/livez", "/readyz", "/metrics"] {
            assert_eq!(admin.send("GET", target, host).await.status, 200, "{target} {host}");
        }
    }
}
