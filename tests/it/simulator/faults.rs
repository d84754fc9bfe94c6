//! Faults that a test requests by header, call or console.

use std::time::Instant;

use serde_json::{Value, json};
use tokio::{io::AsyncReadExt as _, io::AsyncWriteExt as _, net::TcpStream};

use super::world::{APP_ID, Call, NOW, P, Reply, World};

fn echo() -> Call {
    Call::signed("POST", &format!("{P}/echo"), r#"{"message":"hello"}"#)
}

async fn faults(world: &World, method: &str, path: &str, body: &Value) -> Reply {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    world.send(&Call::unsigned(method, &format!("/simulator/faults{path}"), &body)).await
}

async fn orders(world: &World) -> usize {
    world.call("GET", &format!("{P}/orders/list"), "").await.data()["orders"].as_array().unwrap().len()
}

fn order() -> Call {
    let body = json!({ "order": { "reference_number": "r", "charge_fee": "1.00", "currency": "HKD" } }).to_string();
    Call::signed("POST", &format!("{P}/orders"), &body)
}

#[tokio::test]
async fn a_status_fault_answers_and_carries_nothing_out() {
    let world = World::plain().await;
    for status in [401, 403, 500] {
        let said = world
            .send(&order().header("X-Simulator-Fault", &format!("status={status}")))
            .await
            .refused(status, "E000051");
        assert!(said.contains("on purpose"), "{said}");
    }
    assert_eq!(orders(&world).await, 0);
    for text in ["explode", "", "delay=2", "status=200"] {
        let said = world.send(&order().header("X-Simulator-Fault", text)).await.refused(400, "E000024");
        assert!(said.starts_with("X-Simulator-Fault must be one of: delay=2s, no-answer"), "{said}");
    }
    let twice = order().header("X-Simulator-Fault", "delay=1ms").header("X-Simulator-Fault", "status=500");
    world.send(&twice).await.refused(400, "E000024");
    assert_eq!(orders(&world).await, 0);
}

#[tokio::test]
async fn a_header_that_has_no_effect_on_its_path_is_refused_there() {
    let world = World::plain().await;
    let number = world.send(&order()).await.data()["order"]["number"].as_str().unwrap().to_owned();
    let pay = Call::unsigned("POST", &format!("/simulator/orders/{number}/pay"), "{}");
    for text in ["status=500", "delay=1ms", "explode", ""] {
        let said = world.send(&pay.clone().header("X-Simulator-Fault", text)).await.refused(400, "E000024");
        assert_eq!(said, "X-Simulator-Fault must be one of: webhook=duplicate, webhook=reorder, webhook=lose.");
    }
    assert_eq!(world.send(&pay).await.data()["order"]["state"], "completed");
}

#[tokio::test]
async fn a_late_slow_or_broken_answer_follows_a_call_that_was_carried_out() {
    let world = World::plain().await;
    for (fault, at_least) in [("delay=300ms", 300), ("slow=300ms", 300)] {
        let since = Instant::now();
        world.send(&order().header("X-Simulator-Fault", fault)).await.data();
        assert!(since.elapsed().as_millis() >= at_least, "{fault}: {:?}", since.elapsed());
    }
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(&order().header("X-Simulator-Fault", "cut=20").bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let declared = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    assert!(declared.parse::<usize>().unwrap() > 100 && body.len() == 20, "{answer}");

    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(&order().header("X-Simulator-Fault", "no-answer").bytes()).await.unwrap();
    // The console shows the call as soon as it has been carried out.
    let seen = async || world.send(&Call::unsigned("GET", "/console", "")).await.body.contains("fault: no-answer");
    while !seen().await {}
    assert_eq!(orders(&world).await, 4, "each was carried out");
    let mut byte = [0];
    let answered = tokio::time::timeout(std::time::Duration::from_millis(200), stream.read(&mut byte)).await;
    assert!(answered.is_err(), "{answered:?}");
}

#[tokio::test]
async fn a_clock_fault_rejects_a_correct_request_time() {
    let world = World::plain().await;
    world.send(&echo().header("X-Simulator-Fault", "clock=+45m")).await.refused(401, "E000004");
    world.send(&echo().header("X-Simulator-Fault", "clock=-45m")).await.refused(401, "E000004");
    let reply = world.send(&echo().header("X-Simulator-Fault", "clock=+29m")).await;
    assert_eq!(
        reply.get("date"),
        Some(httpdate::fmt_http_date(std::time::UNIX_EPOCH + std::time::Duration::from_secs(NOW + 29 * 60))).as_deref()
    );
    reply.data();
}

#[tokio::test]
async fn a_fault_switch_applies_to_its_operation_app_id_and_number_of_calls() {
    let world = World::plain().await;
    let on =
        faults(&world, "POST", "", &json!({ "fault": "status=500", "operation": "echo", "calls": 2 })).await.data();
    assert_eq!(
        on["fault"],
        json!({ "id": 1, "fault": "status=500", "operation": "echo", "action": null, "app_id": null, "calls": 2 })
    );
    world.send(&order()).await.data();
    let top = "<p id=\"faults\" class=\"note\">Switched on: status=500 for the next 2 calls of echo</p>";
    for page in ["/console", "/console/orders", "/console/faults"] {
        let shown = world.send(&Call::unsigned("GET", page, "")).await.body;
        assert!(shown.contains(top), "{page}: {shown}");
    }
    world.send(&echo()).await.refused(500, "E000051");
    world.send(&echo()).await.refused(500, "E000051");
    world.send(&echo()).await.data();
    assert_eq!(faults(&world, "GET", "", &Value::Null).await.data(), json!({ "faults": [] }));

    faults(&world, "POST", "", &json!({ "fault": "status=403", "app_id": APP_ID.to_uppercase() })).await.data();
    faults(&world, "POST", "", &json!({ "fault": "status=401", "app_id": "0c6f6a3e-2d53-4f6b-9f55-3a1d6a0c7a10" }))
        .await
        .data();
    world.send(&echo()).await.refused(403, "E000051");
    faults(&world, "DELETE", "/2", &Value::Null).await.data();
    faults(&world, "DELETE", "/2", &Value::Null).await.refused(404, "E000052");
    world.send(&echo()).await.data();
    faults(&world, "POST", "", &json!({ "fault": "status=403" })).await.data();
    faults(&world, "DELETE", "", &Value::Null).await.data();
    world.send(&echo()).await.data();

    for (body, says) in [
        (json!({}), "fault is required."),
        (json!({ "fault": "x" }), "fault must be one of: delay=2s"),
        (json!({ "fault": "no-answer", "operation": "x" }), "operation must be one of"),
        (json!({ "fault": "no-answer", "action": "order.paid" }), "action is for faults of webhooks"),
        (json!({ "fault": "webhook=lose", "operation": "echo" }), "operation is for faults of calls"),
        (json!({ "fault": "webhook=lose", "action": "order.lost" }), "action must be one of: order.created"),
        (json!({ "fault": "no-answer", "app_id": "shop" }), "app_id must be a UUID"),
        (json!({ "fault": "no-answer", "app_id": "00000000-0000-0000-0000-000000000000" }), "app_id must be a UUID"),
        (json!({ "fault": "no-answer", "calls": 0 }), "calls must be"),
        (json!({ "fault": "no-answer", "calls": -1 }), "calls must be"),
        (json!({ "fault": "no-answer", "calls": "many" }), "calls must be"),
        (
            json!({ "fault": "no-answer", "call": 1 }),
            "call is unknown; known are fault, operation, action, app_id, calls",
        ),
        (json!([]), "body must be"),
    ] {
        let reply = faults(&world, "POST", "", &body).await;
        let said = reply.json()["message"].as_str().unwrap().to_owned();
        assert!(reply.status == 400 && said.starts_with(says), "{body}: {said}");
    }
}

#[tokio::test]
async fn the_console_switches_faults_on_and_off() {
    let world = World::plain().await;
    let press = async |form: &str| {
        let call = Call::unsigned("POST", "/console/faults", form);
        world.send(&call.header("Content-Type", "application/x-www-form-urlencoded")).await
    };
    assert_eq!(press("fault=status%3D500&operation=&calls=&app_id=").await.status, 303);
    world.send(&echo()).await.refused(500, "E000051");
    assert!(world.send(&Call::unsigned("GET", "/console/faults", "")).await.body.contains("status=500 for every call"));
    assert_eq!(press("off=1").await.status, 303);
    world.send(&echo()).await.data();
    let wrong = press("fault=%3Cb%3E").await;
    assert!(
        wrong.status == 400 && wrong.body.contains("fault must be one of") && !wrong.body.contains("<b>"),
        "{wrong:?}"
    );
    press("fault=no-answer").await;
    world.send(&Call::unsigned("POST", "/simulator/reset", "")).await.data();
    world.send(&echo()).await.data();
}
