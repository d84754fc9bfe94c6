//! `orders/list`: filters, pages and invalid queries.

use serde_json::{Value, json};

use super::world::{NOW, P, Reply, World};

/// Four orders: r1 of 10 HKD unpaid, r2 of 20 HKD paid, r3 of 30 USD with a note and a due date, r4 of 40 HKD with a refund.
async fn world() -> World {
    let world = World::plain().await;
    world.order("r1", "10").await;
    world.set_clock(NOW + 60);
    let paid = world.order("r2", "20").await;
    world.pay(&paid, &json!({ "method": "fps" })).await.data();
    world.set_clock(NOW + 120);
    let order = json!({ "reference_number": "r3", "charge_fee": "30", "currency": "USD", "note": "two sets, \"large\"", "due_date": "2026-12-31" });
    world.post("orders", &json!({ "order": order })).await.data();
    world.set_clock(NOW + 180);
    let refunded = world.order("r4", "40").await;
    world.pay(&refunded, &json!({})).await.data();
    world.refund(&refunded, "15").await.data();
    world
}

async fn list(world: &World, query: &str) -> Reply {
    world.call("GET", &format!("{P}/orders/list?{query}"), "").await
}

fn references(data: &Value) -> String {
    let rows = data["orders"].as_array().unwrap().iter();
    rows.map(|row| row["order"]["reference_number"].as_str().unwrap()).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn every_filter_operator_and_spelling_finds_its_orders() {
    let world = world().await;
    for (query, found) in [
        ("", "r1 r2 r3 r4"),
        ("filter[reference_number][_eq]=r2", "r2"),
        ("filter%5Breference_number%5D%5B_eq%5D=r2", "r2"),
        ("filter[reference_number][_neq]=r2", "r1 r3 r4"),
        ("filter[state][_in]=completed,in_completed", "r2 r4"),
        ("filter[state][_in]=completed%2Cin_completed", "r2 r4"),
        ("filter[state][_not_in]=completed,in_completed", "r1 r3"),
        ("filter[correspondence_state][_eq]=partial_paid", "r4"),
        ("filter[initial_total][_gt]=20", "r3 r4"),
        ("filter[initial_total][_gte]=20.00", "r2 r3 r4"),
        ("filter[initial_total][_lt]=20", "r1"),
        ("filter[initial_total][_lte]=20", "r1 r2"),
        ("filter[paid_total][_eq]=40.00", "r4"),
        ("filter[unpaid_total][_gt]=0", "r1 r3"),
        ("filter[note][_contains]=sets", "r3"),
        ("filter[note][_not_contains]=sets", "r1 r2 r4"),
        ("filter[note][_contains]=two%20sets", "r3"),
        ("filter[note][_contains]=two+sets", "r3"),
        ("filter[note][_eq]=%22two%20sets,%20%5C%22large%5C%22%22", "r3"),
        ("filter[note][_in]=%22a,b%22,%22two%20sets,%20%5C%22large%5C%22%22", "r3"),
        ("filter[note][_null]=1", "r1 r2 r4"),
        ("filter[note][_null]=0", "r3"),
        ("filter[due_date][_lt]=2027-01-01", "r3"),
        // NOW is 2026-02-14T09:30:05Z.
        ("filter[created_at][_gte]=2026-02-14T17:31:05+08:00", "r2 r3 r4"),
        ("filter[created_at][_gte]=2026-02-14T17:31:05%2B08:00", "r2 r3 r4"),
        ("filter[created_at][_gt]=2026-02-14T09:31:05Z&filter[created_at][_lt]=2026-02-14T09:33:05Z", "r3"),
        ("filter[currency][_eq]=HKD&filter[initial_total][_gt]=10", "r2 r4"),
        ("filter[transactions.type][_eq]=Refund", "r4"),
        ("filter[transactions.payment_method][_eq]=fps", "r2"),
        ("filter[transactions.amount][_lt]=16", "r4"),
        ("filter[transactions.success][_eq]=1", "r2 r4"),
        ("filter[transactions.uuid][_null]=1", "r1 r3"),
        ("filter[state][_eq]=voided", ""),
        ("other=1&x[y]=z", "r1 r2 r3 r4"),
    ] {
        let reply = list(&world, query).await;
        let data = reply.data();
        assert_eq!(references(&data), found, "{query}");
        assert_eq!(
            reply.get("x-total-entries"),
            Some(&found.split(' ').filter(|r| !r.is_empty()).count().to_string()[..])
        );
    }
}

#[tokio::test]
async fn pages_count_the_filtered_orders() {
    let world = world().await;
    for (query, found, total) in [
        ("limit=2", "r1 r2", "4"),
        ("limit=2&offset=1", "r2 r3", "4"),
        ("offset=4", "", "4"),
        ("offset=99999999999", "", "4"),
        ("limit=1000", "r1 r2 r3 r4", "4"),
        ("filter[currency][_eq]=HKD&limit=1&offset=1", "r2", "3"),
    ] {
        let reply = list(&world, query).await;
        assert_eq!(
            (references(&reply.data()), reply.get("x-total-entries")),
            (found.to_owned(), Some(total)),
            "{query}"
        );
    }
    let data = list(&world, "limit=1").await.data();
    let row = &data["orders"][0];
    assert_eq!(row["payment_link"], format!("{}/l/{}", world.origin, row["order"]["number"].as_str().unwrap()));
    assert_eq!(row["order"], world.check_order(&row["order"]).await);
}

#[tokio::test]
async fn an_ambiguous_query_is_rejected() {
    let world = world().await;
    for (query, says) in [
        ("limit=0", "limit must be a whole number from 1 to 1000."),
        ("limit=1001", "limit must be a whole number from 1 to 1000."),
        ("offset=-1", "offset must be a whole number from 0"),
        ("filter[state]=completed", "filter must be filter[<field>][<operator>]=<value>."),
        ("filter=state", "filter must be filter[<field>][<operator>]=<value>."),
        ("filter[secret][_eq]=x", "filter must be one of: number, reference_number, state,"),
        ("filter[state][_is]=x", "filter[state] must have one of these operators for this field: _eq, _neq,"),
        ("filter[state][eq]=x", "filter[state] must have one of these operators"),
        ("filter[initial_total][_contains]=1", "filter[initial_total] must have one of these operators"),
        ("filter[initial_total][_gt]=many", "filter[initial_total] must be a decimal number such as 120.00."),
        ("filter[created_at][_gt]=today", "filter[created_at] must be a time such as 2026-01-05T15:43:18+08:00."),
        ("filter[transactions.success][_eq]=maybe", "filter[transactions.success] must be 0 or 1."),
        ("filter[note][_null]=maybe", "filter[note] must be 0 or 1."),
    ] {
        let message = list(&world, query).await.refused(400, "E000024");
        assert!(message.starts_with(says), "{query}: {message}");
    }
}
