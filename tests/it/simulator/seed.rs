//! `--seed`, `--deterministic` and the reset.

use std::sync::Arc;

use serde_json::{Value, json};
use tempfile::TempDir;
use wonder_signer::simulator::{BindError, Options, Seed, Simulator, StateFile};

use super::world::{APP_ID, Call, KEY, P, World, new_key};
use crate::support::{program::Program, upstream::Recorder};

const OTHER_APP: &str = "2f0e5b52-6c0a-4a55-9a0e-2f6b8d0c7e22";

/// The example of the document.
fn example() -> Value {
    let document = include_str!("../../../deploy/docs/simulator.md");
    let text = document.split("```json\n").nth(1).unwrap().split("```").next().unwrap();
    serde_json::from_str(text).unwrap()
}

fn seed(value: &Value) -> Seed {
    Seed::read(value.to_string().as_bytes()).unwrap()
}

async fn world(seed_file: &Value, change: impl FnOnce(&mut Options)) -> World {
    World::with(|options| {
        options.tls = false;
        options.seed = Some(seed(seed_file));
        change(options);
    })
    .await
}

impl World {
    async fn reset(&self) {
        self.send(&Call::unsigned("POST", "/simulator/reset", "")).await.data();
    }

    /// Everything that its calls show.
    async fn shown(&self) -> Value {
        let orders = self.call("GET", &format!("{P}/orders/list?limit=1000"), "").await.data();
        let orders: Vec<Value> = orders["orders"].as_array().unwrap().iter().map(|row| row["order"].clone()).collect();
        json!([orders, self.call("GET", &format!("{P}/customers?limit=1000"), "").await.data()])
    }
}

#[tokio::test]
async fn the_example_of_the_document_is_there_from_the_start_and_after_each_reset() {
    let receiver = Recorder::start().await;
    let world = world(&example(), |options| options.webhooks.url = Some(receiver.origin().parse().unwrap())).await;
    for _ in 0..3 {
        let orders = world.call("GET", &format!("{P}/orders/list"), "").await.data()["orders"].clone();
        let states: Vec<_> =
            orders.as_array().unwrap().iter().map(|row| &row["order"]["correspondence_state"]).collect();
        // Sorted by number, and the third one has a small one.
        assert_eq!(states.len(), 3);
        let check = async |reference: &str| {
            let order = json!({ "order": { "reference_number": reference } });
            world.post("orders/check", &order).await.data()["order"].clone()
        };
        let unpaid = check("INV-1").await;
        assert_eq!((&unpaid["state"], &unpaid["currency"]), (&"invoiced".into(), &"HKD".into()));
        let paid = check("INV-2").await;
        assert_eq!(
            (&paid["correspondence_state"], &paid["created_at"]),
            (&"paid".into(), &"2026-01-05T07:43:18Z".into())
        );
        let third = check("INV-3").await;
        assert_eq!((&third["number"], &third["correspondence_state"]), (&"93000120417".into(), &"partial_paid".into()));
        assert_eq!(third["transactions"].as_array().unwrap().len(), 3);
        let customer = world.call("GET", &format!("{P}/customers/ref/KTR-0042"), "").await.data()["customer"].clone();
        assert_eq!(customer["default_payment_token"]["token"], "5d3c8f0a-7a11-4b57-9b1e-0f4e2d6b8c33");
        assert_eq!(customer["default_payment_token"]["credit_card"]["number"], "411111******1111");
        assert_eq!(receiver.waiting(), 0, "no webhook of the seed");
        world.order("INV-4", "1").await;
        receiver.next().await;
        world.pay(&third, &json!({})).await.data();
        receiver.next().await;
        world.reset().await;
    }
}

#[tokio::test]
async fn each_state_of_an_order_is_the_one_that_calls_lead_to() {
    let states = ["unpaid", "pending", "failed", "authorized", "paid", "refunded", "voided"];
    let orders: Vec<Value> = states
        .iter()
        .map(|state| json!({ "reference_number": state, "charge_fee": 12, "currency": "USD", "state": state }))
        .chain([json!({ "reference_number": "overdue", "charge_fee": 1, "due_date": "2020-01-01" })])
        .collect();
    let world = world(&json!({ "orders": orders }), |_| {}).await;
    let shown = world.shown().await;
    let found: Vec<(&str, &str, usize)> = shown[0]
        .as_array()
        .unwrap()
        .iter()
        .map(|order| {
            let text = |name: &str| order[name].as_str().unwrap();
            (text("state"), text("correspondence_state"), order["transactions"].as_array().unwrap().len())
        })
        .collect();
    assert_eq!(
        found,
        [
            ("invoiced", "unpaid", 0),
            ("invoiced", "unpaid", 1),
            ("invoiced", "unpaid", 1),
            ("in_completed", "authorized", 1),
            ("completed", "paid", 1),
            ("completed", "refunded", 2),
            ("voided", "unpaid", 0),
            ("voided", "unpaid", 0),
        ]
    );
}

/// A seed of more than 1 MiB is read from a temporary file, at the start and at each reset.
#[tokio::test]
async fn a_large_seed_is_there_from_the_start_and_after_a_reset() {
    let note = "x".repeat(255);
    let order = |number: usize| json!({ "number": number, "reference_number": "r", "charge_fee": 1, "note": note });
    let orders: Vec<Value> = (1..=5000).map(order).collect();
    let world = world(&json!({ "orders": orders }), |_| {}).await;
    for _ in 0..2 {
        let target = format!("{P}/orders/list?limit=1000&offset=4999");
        let last = world.call("GET", &target, "").await.data()["orders"].clone();
        assert_eq!(last.as_array().unwrap().len(), 1);
        assert_eq!(last[0]["order"]["number"], "5000");
        world.order("more", "1").await;
        world.reset().await;
    }
}

/// What is said about a seed.
async fn refused(text: &str, change: impl FnOnce(&mut Options)) -> String {
    let apps = vec![(APP_ID.parse().unwrap(), KEY.verifying_key().clone())];
    let seed = Some(Seed::read(text.as_bytes()).unwrap());
    let mut options = Options { tls: false, apps, seed, ..Options::default() };
    change(&mut options);
    match Simulator::bind(options).await {
        Err(BindError::Seed(error)) => error.to_string(),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("accepted {text}"),
    }
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn each_mistake_in_a_seed_is_named_with_its_place_and_remedy() {
    let order = |more: Value| {
        let mut order = json!({ "reference_number": "r", "charge_fee": "10.00" });
        order.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "orders": [{ "reference_number": "other", "charge_fee": 1, "number": 7 }, order] }).to_string()
    };
    let customer = |more: Value| {
        let mut customer = json!({ "reference_number": "r", "name": "n", "phone": "5" });
        customer.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "customers": [customer] }).to_string()
    };
    let uuid = "5d3c8f0a-7a11-4b57-9b1e-0f4e2d6b8c33";
    let twice = json!([{ "amount": 1, "uuid": uuid }, { "amount": 1, "uuid": uuid }]);
    for (text, expected) in [
        (String::new(), "is not JSON: EOF while parsing a value at line 1 column 0"),
        ("[]".to_owned(), "must be a JSON object with customers and orders"),
        ("{\"order\":[]}".to_owned(), "order is unknown; did you mean orders?"),
        ("{\"orders\":{}}".to_owned(), "orders must be an array"),
        ("{\"orders\":[7]}".to_owned(), "orders[0] must be an object"),
        ("{\"orders\":[{},]}".to_owned(), "is not JSON: expected value at line 1 column 15"),
        ("{} {}".to_owned(), "is not JSON: trailing characters at line 1 column 4"),
        ("{\"orders\":[{\"charge_fee\":1e999}]}".to_owned(), "is not JSON: number out of range at line 1 column 31"),
        ("{\"orders\":[],\"orders\":[]}".to_owned(), "orders is in the seed twice; write one list"),
        ("null".to_owned(), "must be a JSON object with customers and orders"),
        ("{\"schema\":\"\"}".to_owned(), "schema is unknown; known are customers, orders"),
        ("{\"zz\":1}".to_owned(), "zz is unknown; known are customers, orders"),
        (
            order(json!({ "refrence_number": "x" })),
            "orders[1].refrence_number is unknown; did you mean reference_number?",
        ),
        (
            order(json!({ "charge_fee": "10.005" })),
            "orders[1].charge_fee must be from 0 to 999999999.99 and have at most 2 decimals, as in \"120.00\"",
        ),
        (order(json!({ "charge_fee": null })), "orders[1].charge_fee is required"),
        (
            order(json!({ "currency": "XXX" })),
            "orders[1].currency must be an enabled currency in capital letters (--currencies)",
        ),
        (order(json!({ "number": 7 })), "orders[1].number is in the seed twice; each must be another one"),
        (order(json!({ "number": 0 })), "orders[1].number must be a whole number from 1 to 999999999999999"),
        (order(json!({ "number": "-1" })), "orders[1].number must be a whole number from 1 to 999999999999999"),
        (
            order(json!({ "created_at": "yesterday" })),
            "orders[1].created_at must be a time such as 2026-01-05T07:43:18Z",
        ),
        (
            order(json!({ "state": "payed" })),
            "orders[1].state must be one of: unpaid, pending, failed, authorized, paid, refunded, voided",
        ),
        (
            order(json!({ "state": "paid", "payments": [{}] })),
            "orders[1].state goes without payments, which lead to a state of their own; remove one of the two",
        ),
        (
            order(json!({ "payments": [{ "amount": 11 }] })),
            "orders[1].payments[0]: amount must be at most 10.00, which is unpaid",
        ),
        (
            order(json!({ "payments": [{ "method": "cash" }] })),
            "orders[1].payments[0].method must be one of: credit_card, card, apple_pay, unionpay_wallet, wechat, alipay_hk, alipay, fps, octopus, payme",
        ),
        (order(json!({ "payments": [{ "refunds": [{}] }] })), "orders[1].payments[0].refunds[0].amount is required"),
        (
            order(json!({ "payments": [{ "refunds": [{ "amount": 11 }] }] })),
            "orders[1].payments[0].refunds[0]: refund.amount must be at most 10.00, which is not yet refunded of this transaction",
        ),
        (
            order(json!({ "payments": twice })),
            "orders[1].payments[1].uuid is in the seed twice; each must be another one",
        ),
        (order(json!({ "app_id": OTHER_APP })), "orders[1].app_id must be an AppID of this simulator (--app-id)"),
        (customer(json!({ "phone": " " })), "customers[0].phone is required"),
        (
            customer(json!({ "uuid": "x" })),
            "customers[0].uuid must be a UUID such as 0c6f6a3e-2d53-4f6b-9f55-3a1d6a0c7a10, not all zeros",
        ),
        (
            customer(json!({ "payment_tokens": [{}] })),
            "customers[0].payment_tokens[0].card needs exactly one of: card, alipay, wechatpay",
        ),
        (
            customer(json!({ "payment_tokens": [{ "alipay": { "a": 1 } }] })),
            "customers[0].payment_tokens[0].alipay.a is unknown; the object has no fields here",
        ),
        (
            customer(json!({ "payment_tokens": [{ "card": { "number": "4111" } }] })),
            "customers[0].payment_tokens[0].card.number must be 12 to 19 digits without spaces",
        ),
        (
            customer(json!({ "payment_tokens": [{ "alipay": {}, "state": "pending", "default": true }] })),
            "customers[0].payment_tokens[0].default must be a payment token in state success",
        ),
        (
            customer(
                json!({ "payment_tokens": [{ "alipay": {}, "default": true }, { "alipay": {}, "default": true }] }),
            ),
            "customers[0].payment_tokens[1].default is true for another token already",
        ),
        (
            customer(json!({ "payment_tokens": [{ "alipay": {}, "token": uuid }, { "alipay": {}, "token": uuid }] })),
            "customers[0].payment_tokens[1].token is in the seed twice; each must be another one",
        ),
    ] {
        assert_eq!(refused(&text, |_| {}).await, expected, "{text}");
    }
    let one = order(json!({}));
    let full = refused(&one, |options| options.capacity = 1).await;
    assert_eq!(full, "has more than 1 customers, payment tokens or orders; raise --capacity");
    let several = refused(&one, |options| {
        options.apps.push((OTHER_APP.parse().unwrap(), new_key().verifying_key().clone()));
    });
    assert_eq!(several.await, "orders[0].app_id is required, because the simulator has several AppIDs");

    let directory = TempDir::new().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("seed.json"), "{\"orders\":[{}]}").unwrap();
    let ended = Program::run(
        &["dev", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--seed", &path("seed.json")],
        &[],
        b"",
    );
    assert_eq!(
        ended.refused(64),
        format!("start: --seed {}: orders[0].reference_number is required", path("seed.json"))
    );
}

#[tokio::test]
async fn the_same_seed_and_calls_have_the_same_answers_also_after_a_reset() {
    let run = async |world: &World| {
        let customer = world.customer("KTR-1").await;
        let token = world.card(&customer).await;
        world.press(&token, "approve").await;
        let order = world.order("INV-9", "120.00").await;
        world.pay(&order, &json!({})).await.data();
        world.refund(&order, "20.00").await.data();
        json!([customer, token["token"], token["verify_uuid"], world.shown().await])
    };
    let start = async |deterministic: Option<&str>, clock: u64| {
        let world = world(&example(), |options| options.deterministic = deterministic.map(str::to_owned)).await;
        world.set_clock(clock);
        world
    };
    let now = super::world::NOW;
    let (first, second, other, drawn) = (
        start(Some("a"), now).await,
        start(Some("a"), now + 777).await,
        start(Some("b"), now).await,
        start(None, now).await,
    );
    let expected = run(&first).await;
    assert_eq!(run(&second).await, expected);
    assert_ne!(run(&other).await, expected);
    assert_ne!(run(&drawn).await, expected);
    for _ in 0..2 {
        first.reset().await;
        assert_eq!(run(&first).await, expected);
    }
    assert_eq!(expected[3][0][1]["created_at"], "2026-01-01T00:00:00Z");
}

#[tokio::test]
async fn nonces_of_webhooks_are_the_same_for_the_same_seed() {
    let nonces = async || {
        let receiver = Recorder::start().await;
        let world = world(&json!({}), |options| {
            options.deterministic = Some("a".to_owned());
            options.webhooks.url = Some(receiver.origin().parse().unwrap());
        })
        .await;
        let order = world.order("r", "1").await;
        world.pay(&order, &json!({})).await.data();
        [receiver.next().await, receiver.next().await].map(|message| message.value("nonce").unwrap().to_owned())
    };
    let first = nonces().await;
    assert_eq!(nonces().await, first);
    assert_ne!(first[0], first[1]);
}

#[tokio::test]
async fn a_state_file_is_stronger_than_the_seed_until_a_reset() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("state");
    let start = async || {
        let state = Some(Arc::new(StateFile::open(&path).unwrap()));
        world(&example(), |options| {
            options.state = state;
            options.deterministic = Some("a".to_owned());
        })
        .await
    };
    let world = start().await;
    let seeded = world.shown().await;
    let order = world.order("INV-9", "1").await;
    let changed = world.shown().await;
    world.stop().await;
    let world = start().await;
    assert_eq!(world.shown().await, changed, "the seed is not put in again");
    let next = world.order("INV-10", "1").await;
    assert_ne!(next["number"], order["number"]);
    world.reset().await;
    assert_eq!(world.shown().await, seeded);
    world.stop().await;
    assert_eq!(start().await.shown().await, seeded);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resets_among_calls_leave_the_seed_and_nothing_else() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("state");
    let receiver = Recorder::start().await;
    let world = Arc::new(
        world(&example(), |options| {
            options.state = Some(Arc::new(StateFile::open(&path).unwrap()));
            options.deterministic = Some("a".to_owned());
            options.webhooks.url = Some(receiver.origin().parse().unwrap());
        })
        .await,
    );
    let seeded = world.shown().await;
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..8 {
        let world = Arc::clone(&world);
        callers.spawn(async move {
            for at in 0..15 {
                if (caller + at) % 5 == 0 {
                    world.reset().await;
                    continue;
                }
                let order = json!({ "reference_number": format!("{caller}-{at}"), "charge_fee": 1 });
                let made = world.post("orders", &json!({ "order": order })).await.data()["order"].clone();
                // A reset may have come between.
                let paid = world.pay(&made, &json!({})).await;
                assert!(matches!(paid.status, 200 | 404 | 409), "{paid:?}");
            }
        });
    }
    while let Some(ended) = callers.join_next().await {
        ended.unwrap();
    }
    world.reset().await;
    assert_eq!(world.shown().await, seeded);
    let deliveries = world.send(&Call::unsigned("GET", "/simulator/webhooks", "")).await.data();
    assert_eq!(deliveries["webhooks"], json!([]));
    Arc::into_inner(world).unwrap().stop().await;
    let state = Some(Arc::new(StateFile::open(&path).unwrap()));
    let again = World::with(|options| {
        options.tls = false;
        options.state = state;
    })
    .await;
    assert_eq!(again.shown().await, seeded);
}
