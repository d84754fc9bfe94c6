//! The operations that the simulator serves agree with the table in its documentation.

use super::world::{Call, P, World};

/// Method, path, operation, mark, and whether the simulator serves it, of each row of the table.
fn rows() -> Vec<[String; 5]> {
    let page = include_str!("../../../deploy/docs/wonder.md");
    let rows = page.lines().filter(|line| line.contains("| `/svc/"));
    rows.map(|line| {
        let cells = line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`').to_owned());
        cells.collect::<Vec<_>>().try_into().unwrap()
    })
    .collect()
}

/// Method, path with its parameters filled in, operation, and whether the table lists it as served.
fn documented() -> Vec<(String, String, String, bool)> {
    let filled = rows().into_iter().map(|[method, path, operation, _, serves]| {
        let path = path
            .replace("{id}", "0c6f6a3e-2d53-4f6b-9f55-3a1d6a0c7a10")
            .replace("{token}", "7a4b2f10-9f0e-4c61-8b0e-5d2f1c3e9a77")
            .replace("{ref}", "KTR-0042");
        (method, path, operation, serves == "serves it")
    });
    filled.collect()
}

#[tokio::test]
async fn the_operations_of_the_table_are_served_and_the_others_named() {
    let world = World::plain().await;
    let rows = documented();
    assert!(rows.len() > 30 && rows.iter().any(|row| row.3) && rows.iter().any(|row| !row.3));
    for (method, path, operation, served) in rows {
        let reply = world.send(&Call::signed(&method, &path, "")).await;
        let code = reply.json()["code"].as_str().unwrap_or("200").to_owned();
        // A served operation rejects a missing body or customer with a text of its own.
        assert_eq!(!["E000032", "E000034", "E000040"].contains(&&code[..]), served, "{method} {path}: {code}");
        if !served {
            let said = reply.refused(404, "E000034");
            assert!(said.contains(&format!("Wonder has this operation ({operation})")), "{said}");
        }
    }
}

#[tokio::test]
async fn an_unknown_path_is_distinguished_from_an_operation_of_wonder() {
    let world = World::plain().await;
    for path in [
        format!("{P}/ordres"),
        format!("{P}/orders/"),
        "/svc/payment/api/v2/openapi/orders".to_owned(),
        "/svc/".to_owned(),
    ] {
        let said = world.send(&Call::signed("POST", &path, "{}")).await.refused(404, "E000032");
        assert!(said.contains("no operation of Wonder is known at this path"), "{path}: {said}");
    }
    // A path that exists for another method, and one of the mobile SDK.
    let said = world.send(&Call::signed("GET", &format!("{P}/orders/close"), "")).await.refused(404, "E000034");
    assert!(said.contains("orders.close"), "{said}");
    let said = world.send(&Call::signed("GET", "/svc/payment/public/api/v1/openapi/payment_methods", "")).await;
    assert!(said.refused(404, "E000034").contains("of the mobile SDK"));
}

/// `/simulator/openapi.json`.
async fn description(world: &World) -> serde_json::Value {
    let reply = world.send(&Call::unsigned("GET", "/simulator/openapi.json", "")).await;
    serde_json::from_str(&reply.body).unwrap()
}

#[tokio::test]
async fn every_call_of_the_openapi_document_is_served() {
    let world = World::plain().await;
    let document = description(&world).await;
    assert_eq!(document["openapi"], "3.1.0");
    let mut calls = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, _) in methods.as_object().unwrap().iter().filter(|(_, value)| value.get("responses").is_some()) {
            let target = path.replace(['{', '}'], "");
            let reply = world.call(&method.to_uppercase(), &target, "{}").await;
            // E000032 to E000034 mean that there is no such route.
            let routeless = ["E000032", "E000033", "E000034", "E000040"].iter().any(|code| reply.body.contains(code));
            assert!(!routeless && reply.status < 500, "{method} {path}: {reply:?}");
            calls += 1;
        }
    }
    assert!(calls >= 29, "{calls}");
}

#[tokio::test]
async fn the_openapi_document_has_every_operation_that_is_served_with_its_mark() {
    let document = description(&World::plain().await).await;
    for [method, path, operation, mark, serves] in rows() {
        let described = &document["paths"][&path][method.to_lowercase()];
        if serves != "serves it" {
            assert!(described.is_null(), "{method} {path} is described and not served");
            continue;
        }
        let id = described["operationId"].as_str().unwrap_or_default();
        assert!(id == operation || id == format!("{operation}_2"), "{method} {path}: {id}");
        assert_eq!(described["x-mark"], mark, "{method} {path}");
    }
}
