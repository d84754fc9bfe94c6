//! No card number is in what the simulator shows or logs of a call, however the number is written.

use std::fmt::Write as _;

use serde_json::json;

use super::world::{Call, P, Reply, World};

const NUMBER: &str = "4111111111111111";

/// The number in every spelling that a person or a program gives it.
fn spellings() -> Vec<String> {
    let separated = |separator: &str| ["4111", "1111", "1111", "1111"].join(separator);
    let mut all: Vec<String> =
        ["", " ", "-", ".", "_", "/", ",", ":", "&", "\t", "  ", " - ", "\u{a0}", "\u{2011}", "\u{200b}"]
            .map(separated)
            .into();
    all.extend(["12 4111111111111111", "4111111111111111 12/31 123", "00004111111111111111"].map(str::to_owned));
    all.push(NUMBER.chars().map(|digit| char::from_u32(0xff10 + digit.to_digit(10).unwrap()).unwrap()).collect());
    all
}

/// Every digit of `text` as `write` makes it, and every other one where `half` is set.
fn written(text: &str, half: bool, write: impl Fn(&mut String, char)) -> String {
    text.chars().enumerate().fold(String::new(), |mut written, (at, digit)| {
        if half && at % 2 == 0 {
            written.push(digit);
        } else {
            write(&mut written, digit);
        }
        written
    })
}

fn percent_encoded(text: &str, percent: &str, half: bool) -> String {
    written(text, half, |out, digit| {
        for byte in digit.to_string().bytes() {
            write!(out, "{percent}{byte:02X}").unwrap();
        }
    })
}

fn escaped(text: &str, half: bool) -> String {
    written(text, half, |out, digit| write!(out, "\\u{:04x}", u32::from(digit)).unwrap())
}

/// Whether a reader of `text` finds the number in it: entities, percent-encoding and JSON escapes are decoded, digits of any width
/// are the same, and what is between digits does not count.
fn has_number(text: &str) -> bool {
    let text = text.replace("&amp;", "&");
    let text = ["&quot;", "&lt;", "&gt;", "&#39;"].iter().fold(text, |text, entity| text.replace(entity, "\""));
    let decoded = |text: &str| {
        let percent = percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
        percent_encoding::percent_decode_str(&percent).decode_utf8_lossy().into_owned()
    };
    let unescaped = |text: &str| {
        text.split("\\u").enumerate().fold(String::new(), |mut out, (at, part)| {
            let code = part.get(..4).filter(|_| at > 0).and_then(|hex| u32::from_str_radix(hex, 16).ok());
            match code.and_then(char::from_u32) {
                Some(character) => {
                    out.push(character);
                    out.push_str(&part[4..]);
                }
                None => out.push_str(part),
            }
            out
        })
    };
    [decoded(&text), unescaped(&text), decoded(&unescaped(&text))].iter().any(|text| {
        let digits: String = text
            .chars()
            .map(|digit| match digit {
                '０'..='９' => char::from_u32(u32::from(digit) - 0xff10 + 0x30).unwrap(),
                digit => digit,
            })
            .filter(|digit| digit.is_alphanumeric() || "\"<>{}[]*".contains(*digit))
            .collect();
        digits.contains(NUMBER)
    })
}

#[test]
fn a_number_is_found_in_each_spelling() {
    for spelling in spellings() {
        assert!(has_number(&spelling), "{spelling}");
        for half in [false, true] {
            assert!(has_number(&percent_encoded(&spelling, "%", half)), "{spelling}");
            assert!(has_number(&percent_encoded(&spelling, "%25", half)), "{spelling}");
            assert!(has_number(&escaped(&spelling, half)), "{spelling}");
        }
    }
    assert!(!has_number("411111******1111"));
}

/// Everything that the simulator shows.
async fn shown(world: &World, more: &[String]) -> Vec<(String, String)> {
    let list = world.send(&Call::unsigned("GET", "/console", "")).await.body;
    let calls: u64 = list.split(" calls so far").next().unwrap().rsplit('>').next().unwrap().parse().unwrap();
    let mut paths: Vec<String> = [
        "/console",
        "/console?before=101",
        "/console?only=errors",
        "/console/orders",
        "/console/customers",
        "/console/webhooks",
        "/console/faults",
        "/simulator/webhooks",
        "/simulator/faults",
        "/simulator/openapi.json",
    ]
    .map(str::to_owned)
    .into();
    paths.extend((1..=calls).map(|id| format!("/console/calls/{id}")));
    paths.extend_from_slice(more);
    let mut shown = Vec::new();
    for path in paths {
        let Reply { body, status, .. } = world.send(&Call::unsigned("GET", &path, "")).await;
        assert_eq!(status, 200, "{path}");
        shown.push((path, body));
    }
    shown
}

#[tokio::test]
async fn no_page_shows_a_card_number_of_a_target_a_header_or_a_body() {
    let world = World::plain().await;
    for spelling in spellings() {
        for half in [false, true] {
            // What JSON cannot hold as it is.
            for text in [spelling.clone(), escaped(&spelling, half), percent_encoded(&spelling, "%", half)] {
                let text = text.replace('\t', "\\t");
                world.call("POST", &format!("{P}/echo"), &format!("{{\"message\":\"{text}\"}}")).await.data();
            }
            for percent in ["%", "%25"] {
                let text = percent_encoded(&spelling, percent, half);
                if text.is_ascii() && !text.contains([' ', '\t']) {
                    world.call("POST", &format!("{P}/echo?n={text}"), "{\"message\":1}").await.data();
                    world.call("GET", &format!("{P}/nothing/{text}"), "").await;
                }
            }
        }
        let mut call = Call::unsigned("GET", &format!("{P}/customers"), "");
        for name in ["Credential", "Nonce", "Signature", "Content-Type", "X-Request-ID", "x-i18n-lang", "User-Agent"] {
            call = call.header(name, &spelling);
        }
        world.send(&call).await;
        world.send(&call.header("X-Simulator-Fault", &spelling)).await;
    }
    // A part of a number that a limit cuts is one as well.
    let cut = format!("{}{NUMBER}", "x".repeat(190));
    world.send(&Call::signed("GET", &format!("{P}/customers"), "").header("User-Agent", &cut)).await.data();
    world.send(&Call::unsigned(&format!("PUT{NUMBER}"), &format!("{P}/customers"), "")).await;
    for (path, body) in shown(&world, &[]).await {
        assert!(!has_number(&body) && !body.contains("4111111111"), "{path}: {body}");
    }
}

#[tokio::test]
async fn no_page_shows_a_card_number_that_a_merchant_stores() {
    let world = World::plain().await;
    let mut pages = Vec::new();
    for (at, spelling) in spellings().into_iter().enumerate() {
        let reference = format!("{spelling} {at}");
        let customer = json!({ "customer": { "name": spelling, "phone": spelling, "email": spelling, "reference_number": reference } });
        world.call("POST", &format!("{P}/customers"), &customer.to_string()).await.data();
        let url = format!("http://127.0.0.1:9/{}", percent_encoded(&spelling, "%", true).replace(['\t', ' '], "%20"));
        let url = if url.is_ascii() { url } else { "http://127.0.0.1:9/".to_owned() };
        let order = json!({ "order": {
            "reference_number": reference, "charge_fee": "1.00", "note": spelling, "callback_url": url, "redirect_url": url,
            "line_items": [{ "label": spelling, "purchase_id": spelling, "total": "1.00" }],
        }});
        let order = world.call("POST", &format!("{P}/orders"), &order.to_string()).await.data()["order"].clone();
        let number = order["number"].as_str().unwrap();
        let pay = json!({ "method": spelling }).to_string();
        world.send(&Call::unsigned("POST", &format!("/simulator/orders/{number}/pay"), &pay)).await;
        for field in ["fault", "operation", "action", "app_id", "calls"] {
            let mut fault = json!({ "fault": "webhook=lose" });
            fault[field] = spelling.as_str().into();
            world.send(&Call::unsigned("POST", "/simulator/faults", &fault.to_string())).await.refused(400, "E000024");
        }
        pages.push(format!("/console/orders/{number}"));
    }
    for (path, body) in shown(&world, &pages).await {
        assert!(!has_number(&body), "{path}: {body}");
    }
}
