//! `check --echo`, run as a process against the simulator, and against other servers that may answer in Wonder's place.

use std::{process::Command, sync::Arc, time::SystemTime};

use wonder_signer::signing::RequestTime;

use crate::{
    simulator::world::{Call, World},
    support::{
        closed::Closed,
        program::{Ended, Program, environment},
        sidecar::{APP_ID, verifying_key},
        upstream::{Act, Recorder},
        volume::UNITS,
    },
};

/// As `kubectl exec` runs it in the image: another process, with the configuration of the sidecar.
async fn check(origin: &str) -> Ended {
    let origin = origin.to_owned();
    tokio::task::spawn_blocking(move || Program::run(&["check", "--echo"], &environment(&origin), b"")).await.unwrap()
}

/// The same with more variables.
async fn check_with(origin: &str, more: Vec<(&'static str, String)>) -> Ended {
    let origin = origin.to_owned();
    let run = move || {
        let more = more.iter().map(|(name, value)| (*name, value.as_str()));
        let variables: Vec<_> = environment(&origin).into_iter().chain(more).collect();
        Program::run(&["check", "--echo"], &variables, b"")
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

/// Standard error after the part that names credential and origin.
async fn fails(origin: &str) -> String {
    let ended = check(origin).await;
    assert_eq!((ended.code(), ended.err.lines().count()), (Some(1), 1), "{ended:?}");
    assert!(ended.out.starts_with("ok: credential default: AppID ") && !ended.out.contains("ok: echo"), "{ended:?}");
    let start = format!("wonder-signer: check: echo with credential default at {origin}: ");
    ended.err.trim_end().strip_prefix(&start).unwrap_or_else(|| panic!("{ended:?}")).to_owned()
}

/// A server that answers every request with this head and body.
async fn answering(head: &str, body: &str) -> Recorder {
    let head = head.to_owned();
    answering_with(move || head.clone(), body).await
}

/// The same with a head that is made for each answer.
async fn answering_with(head: impl Fn() -> String + Send + Sync + 'static, body: &str) -> Recorder {
    let rest = format!("\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    Recorder::acting(move |_| Act::Answer(format!("HTTP/1.1 {}{rest}", head()).into_bytes())).await
}

fn date(seconds_ahead: i64) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let theirs = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(now.saturating_add_signed(seconds_ahead));
    format!("Date: {}", httpdate::fmt_http_date(theirs))
}

fn now() -> RequestTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    RequestTime::from_unix_seconds(since.as_secs())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_succeeds_when_the_message_comes_back_unchanged() {
    let world = World::with(|options| {
        options.tls = false;
        options.clock = Arc::new(now);
        options.apps = vec![(APP_ID.parse().unwrap(), verifying_key())];
    })
    .await;
    let ended = check(&world.origin).await;
    assert_eq!((ended.code(), ended.err.as_str()), (Some(0), ""), "{ended:?}");
    let line = ended.out.lines().nth(1).unwrap();
    let start = format!("ok: echo with credential default at {}: 200 OK in ", world.origin);
    assert!(line.starts_with(&start) && line.contains(" ms, Wonder returned the message, clock "), "{line}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_echo_has_a_new_message_and_a_valid_signature() {
    let recorder = answering("200 OK\r\nContent-Type: application/json", r#"{"code":200,"data":{}}"#).await;
    let mut messages = Vec::new();
    for _ in 0..2 {
        fails(&recorder.origin()).await;
        let request = recorder.next().await;
        assert_eq!(request.start_line(), "POST /svc/payment/api/v1/openapi/echo HTTP/1.1");
        let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
        messages.push(body["message"].as_str().unwrap().to_owned());
    }
    assert!(messages[0] != messages[1] && messages[0].len() >= 16, "{messages:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rejection_shows_wonders_code_and_message_and_their_cause() {
    let world = World::with(|options| {
        options.tls = false;
        options.clock = Arc::new(now);
    })
    .await;
    // The same AppID with another key.
    let said = fails(&world.origin).await;
    assert!(said.starts_with("401 Unauthorized, code E000008, \"The signature does not match the request"), "{said}");
    assert!(
        said.contains(&format!(
            "key: the public key in Wonder's portal for this AppID must have the fingerprint {}",
            verifying_key().fingerprint()
        )),
        "{said}"
    );
    assert!(said.contains("openssl pkey -pubin -in public_key.pem -outform DER | openssl dgst -sha256"), "{said}");

    let world = World::with(|options| {
        options.tls = false;
        options.clock = Arc::new(now);
        options.apps.clear();
    })
    .await;
    let said = fails(&world.origin).await;
    assert!(
        said.starts_with("401 Unauthorized, code E000003, \"The AppID of the credential is unknown here."),
        "{said}"
    );
    assert!(said.ends_with(&format!("AppID and environment: AppID {APP_ID} must be active in custom; each environment has its own AppIDs, and this one may exist only in the other")), "{said}");

    // The simulator's clock is months behind the sidecar's, and its Date header does not show it.
    let world = World::with(|options| {
        options.tls = false;
        options.apps = vec![(APP_ID.parse().unwrap(), verifying_key())];
    })
    .await;
    let said = fails(&world.origin).await;
    assert!(said.contains("code E000004") && said.contains(": clock: Wonder rejects the request time"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restriction_of_addresses_is_the_first_cause_of_a_403_and_the_last_of_a_401() {
    let world = World::with(|options| {
        options.tls = false;
        options.clock = Arc::new(now);
        options.apps = vec![(APP_ID.parse().unwrap(), verifying_key())];
    })
    .await;
    for (status, first) in [("403 Forbidden", "IP restriction: "), ("401 Unauthorized", "AppID and environment: ")] {
        let fault = format!(r#"{{"fault":"status={}","operation":"echo"}}"#, &status[..3]);
        assert_eq!(world.send(&Call::unsigned("POST", "/simulator/faults", &fault)).await.status, 200);
        let said = fails(&world.origin).await;
        assert!(said.starts_with(status), "{said}");
        assert!(said.contains(&format!("the answer gives no reason; check in this order: {first}")), "{said}");
        for cause in ["IP restriction: the AppID's list", "AppID and environment: AppID ", "key: the public key"] {
            assert!(said.contains(cause), "{cause}: {said}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_kind_of_answer_has_a_cause_of_its_own() {
    let json = "Content-Type: application/json";
    let even = date(0);
    for (head, body, expected) in [
        ("403 Forbidden", r#"{"code":"E000010","message":"IP not in whitelist"}"#, "IP restriction: the AppID's list"),
        ("401 Unauthorized", r#"{"error_code":"E9","error_message":"App ID not found"}"#, "AppID and environment: "),
        (
            "200 OK",
            r#"{"code":100001,"message":"Signature invalid","data":null}"#,
            "200 OK, code 100001, \"Signature invalid\", clock",
        ),
        (
            "401 Unauthorized",
            r#"{"code":"E000001","message":"Unauthorized"}"#,
            "check in this order: AppID and environment: ",
        ),
        ("403 Forbidden", r#"{"message":"Forbidden"}"#, "check in this order: IP restriction: "),
        ("404 Not Found", r#"{"message":"no route"}"#, "there is no echo at http://127.0.0.1:"),
        ("503 Service Unavailable", r#"{"message":"maintenance"}"#, "a fault at Wonder or at a proxy in front of it"),
        ("429 Too Many Requests", r#"{"message":"slow down"}"#, "not an answer of Wonder's echo"),
    ] {
        let recorder = answering(&format!("{head}\r\n{json}\r\n{even}"), body).await;
        let said = fails(&recorder.origin()).await;
        assert!(said.contains(expected), "{head} {body}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_clock_is_reported_before_any_other_cause() {
    for (ahead, words) in [(7200, "7200 s behind"), (-4000, "4000 s ahead of")] {
        let head = move || format!("401 Unauthorized\r\nContent-Type: application/json\r\n{}", date(ahead));
        let recorder = answering_with(head, r#"{"code":"E1","message":"Signature invalid"}"#).await;
        let said = fails(&recorder.origin()).await;
        // Date has whole seconds.
        let start = |words: &str| {
            said.starts_with(&format!(
                "clock: the clock of this machine is {words} Wonder's, and Wonder rejects more than 1800 s"
            ))
        };
        let later = words.replace("7200", "7199").replace("4000", "4001");
        assert!(start(words) || start(&later), "{said}");
    }
    let head = format!("401 Unauthorized\r\nContent-Type: application/json\r\n{}\r\nAge: 7200", date(-7200));
    let said = fails(&answering(&head, r#"{"message":"no"}"#).await.origin()).await;
    assert!(said.contains("no Date header to compare the clock with"), "the time of a cache is not Wonder's: {said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_from_another_server_is_a_failure() {
    for (head, body, expected) in [
        (
            "200 OK\r\nContent-Type: text/html",
            "<html>Sign in to the airport's network</html>",
            "not Wonder's JSON but text/html",
        ),
        (
            "200 OK\r\nContent-Type: application/json",
            r#"{"login":"required"}"#,
            "does not have the message that was sent",
        ),
        (
            "200 OK\r\nContent-Type: application/json",
            r#"{"message":"wonder-signer check"}"#,
            "does not have the message that was sent",
        ),
        ("200 OK", "", "not Wonder's JSON but no body"),
        ("204 No Content", "", "not Wonder's JSON but no body"),
        (
            "302 Found\r\nLocation: http://portal.example/login?token=s3cret",
            "",
            "no body, and redirects to http://portal.example/login; another server answers in its place",
        ),
        (
            "407 Proxy Authentication Required\r\nContent-Type: text/plain",
            "who are you",
            "not Wonder's JSON but text/plain",
        ),
    ] {
        let said = fails(&answering(head, body).await.origin()).await;
        assert!(said.contains(expected) && !said.contains("s3cret"), "{head}: {said}");
    }
    let endless = "x".repeat(70_000);
    let said = fails(&answering("200 OK", &endless).await.origin()).await;
    assert!(said.contains("cannot be read to its end"), "{said}");
}

/// A shell runs the `openssl` line of the help over the file that the user uploads to the portal.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_gets_no_answer_is_explained_by_the_part_that_failed() {
    let with_tls = World::with(|_| ()).await;
    let (closed, reset) = (Closed::port(), Recorder::acting(|_| Act::AnswerAndClose(Vec::new())).await);
    let refusing = answering("407 Proxy Authentication Required", "").await;
    let forbidding = answering("403 Forbidden", "").await;
    let plain = World::plain().await;
    let through = |proxy: String| vec![("WONDER_SIGNER_UPSTREAM__PROXY", proxy)];
    let remedy_of_the_proxy = "; check upstream.proxy: the proxy must be reachable, accept its user and password, and allow a tunnel to \
                               the origin";
    let address = |closed: &Closed| closed.origin().replace("http://", "");
    for (origin, more, start, end) in [
        (
            "https://gateway.invalid".to_owned(),
            vec![],
            "DNS: the name of the origin cannot be resolved: gateway.invalid: ".to_owned(),
            "; check the name in upstream.origin and this machine's resolver (in a pod: dnsPolicy, and a network policy that allows port 53)",
        ),
        (
            closed.origin(),
            vec![],
            format!("connection: no connection to the origin: {}: ", address(&closed)),
            "; check upstream.origin and the egress of this machine: firewall, network policy, or an egress proxy (upstream.proxy)",
        ),
        (
            reset.origin(),
            vec![],
            "connection: the connection to the origin broke before the answer: connection closed before message completed".to_owned(),
            "; try again, and check the network between here and upstream.origin",
        ),
        (
            with_tls.origin.clone(),
            vec![],
            "TLS: no TLS connection to the origin: the origin's certificate is from an issuer that is not trusted; if the issuer is \
             yours (a private authority, an egress proxy that inspects TLS), set upstream.ca_file to its root certificate: 127.0.0.1:"
                .to_owned(),
            "",
        ),
        (
            plain.origin.replace("http:", "https:"),
            vec![],
            "TLS: no TLS connection to the origin: the origin does not serve TLS on this port (upstream.origin)".to_owned(),
            "",
        ),
        (
            "https://gateway.invalid".to_owned(),
            through(closed.origin()),
            format!("egress proxy: cannot connect to the egress proxy (upstream.proxy): {}: ", address(&closed)),
            remedy_of_the_proxy,
        ),
        (
            "https://gateway.invalid".to_owned(),
            through("http://proxy.invalid:3128".to_owned()),
            "egress proxy: cannot resolve the name of the egress proxy (upstream.proxy): proxy.invalid: ".to_owned(),
            remedy_of_the_proxy,
        ),
        (
            "https://gateway.invalid".to_owned(),
            through(refusing.origin()),
            "egress proxy: the egress proxy does not accept the user and password of upstream.proxy (status 407): 127.0.0.1:".to_owned(),
            remedy_of_the_proxy,
        ),
        (
            "https://gateway.invalid".to_owned(),
            through(forbidding.origin()),
            "egress proxy: the egress proxy refuses a tunnel to the origin with status 403 (upstream.proxy): 127.0.0.1:".to_owned(),
            remedy_of_the_proxy,
        ),
    ] {
        let ended = check_with(&origin, more).await;
        assert_eq!((ended.code(), ended.err.lines().count()), (Some(1), 1), "{ended:?}");
        let named = format!("wonder-signer: check: echo with credential default at {origin}: {start}");
        assert!(ended.err.starts_with(&named) && ended.err.trim_end().ends_with(end), "{origin}: {}", ended.err);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_loaded_unit_is_proved_and_the_failures_come_together() {
    let world = World::with(|options| {
        options.tls = false;
        options.clock = Arc::new(now);
        options.apps = vec![
            (APP_ID.parse().unwrap(), verifying_key()),
            (UNITS[1].app_id.parse().unwrap(), UNITS[1].public.clone()),
        ];
    })
    .await;
    let more = vec![
        ("WONDER_SIGNER_CREDENTIALS__DEFAULT__NEXT__APP_ID", UNITS[0].app_id.clone()),
        ("WONDER_SIGNER_CREDENTIALS__DEFAULT__NEXT__PRIVATE_KEY", UNITS[0].pem.clone()),
        ("WONDER_SIGNER_CREDENTIALS__PAYOUTS__APP_ID", UNITS[1].app_id.clone()),
        ("WONDER_SIGNER_CREDENTIALS__PAYOUTS__PRIVATE_KEY", UNITS[1].pem.clone()),
        ("WONDER_SIGNER_CREDENTIALS__SHOP__APP_ID", UNITS[1].app_id.clone()),
        ("WONDER_SIGNER_CREDENTIALS__SHOP__PRIVATE_KEY", UNITS[2].pem.clone()),
    ];
    let ended = check_with(&world.origin, more).await;
    assert_eq!((ended.code(), ended.err.lines().count()), (Some(1), 1), "{ended:?}");
    let loaded: Vec<&str> = ended.out.lines().filter_map(|line| line.strip_prefix("ok: credential ")).collect();
    let names: Vec<&str> = loaded.iter().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(names, ["default", "default (next)", "payouts", "shop"]);
    let proved: Vec<&str> =
        ended.out.lines().filter_map(|line| line.strip_prefix("ok: echo with credential ")).collect();
    assert!(
        proved.len() == 2 && proved[0].starts_with("default at ") && proved[1].starts_with("payouts at "),
        "{proved:?}"
    );
    let unknown = format!("echo with credential default (next) at {}: 401 Unauthorized, code E000003", world.origin);
    let environment = "this one may exist only in the other; and ";
    let mismatch = format!("echo with credential shop at {}: 401 Unauthorized, code E000008", world.origin);
    let key = format!("must have the fingerprint {}", UNITS[2].public.fingerprint());
    for part in [unknown.as_str(), environment, &mismatch, &key] {
        assert!(ended.err.contains(part), "{part:?} in {}", ended.err);
    }
}

#[test]
fn the_fingerprint_is_what_the_openssl_line_computes() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("public_key.pem"), verifying_key().to_pem().unwrap()).unwrap();
    let help = Program::run(&["check", "--help"], &[], b"").out;
    let line = help.lines().map(str::trim).find(|line| line.starts_with("openssl pkey ")).expect("a line in the help");
    let output = Command::new("sh").args(["-c", line]).current_dir(directory.path()).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let digest = printed.trim().rsplit(' ').next().unwrap();
    assert!(digest.len() == 64 && digest.starts_with(verifying_key().fingerprint()), "{printed}");
    for page in ["README.md", "deploy/README.md"] {
        let text = std::fs::read_to_string(page).unwrap();
        assert!(text.contains(line), "{page} explains the fingerprint");
    }
}
