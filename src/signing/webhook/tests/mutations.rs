//! Mutated and random deliveries.

use proptest::prelude::*;

use super::*;

/// Changes one byte of a signed part: method, target, one of three headers, or body. Returns whether the part changed.
fn mutate(sent: &mut Sent, part: usize, at: usize, byte: u8) -> bool {
    let name = ["credential", "nonce", "signature"];
    let bytes: &mut Vec<u8> = match part {
        0 => {
            // A method is ASCII, because the request parser rejects any other.
            let at = at % sent.method.len();
            let mut method = sent.method.clone().into_bytes();
            let old = std::mem::replace(&mut method[at], byte & 0x7f);
            let same = old == method[at];
            sent.method = String::from_utf8(method).unwrap();
            return !same;
        }
        1 => &mut sent.target,
        2..=4 => sent.value(name[part - 2]),
        _ => &mut sent.body,
    };
    let at = at % bytes.len();
    std::mem::replace(&mut bytes[at], byte) != byte
}

#[test]
fn a_delivery_with_one_flipped_bit_is_rejected() {
    let right = Sent::right();
    let lengths = [right.method.len(), right.target.len(), 69, 16, 344, right.body.len()];
    let mut flipped = 0;
    for (part, length) in lengths.into_iter().enumerate() {
        for at in 0..length {
            for bit in 0..8 {
                let mut sent = right.clone();
                let bytes = match part {
                    0 => sent.method.as_bytes(),
                    1 => &sent.target[..],
                    2 => sent.value("credential"),
                    3 => sent.value("nonce"),
                    4 => sent.value("signature"),
                    _ => &sent.body[..],
                };
                assert_eq!(bytes.len(), length, "part {part}");
                let byte = bytes[at] ^ (1 << bit);
                if !mutate(&mut sent, part, at, byte) {
                    continue;
                }
                let verdict = sent.verdict_by(&KEY, "20260214094511", TOLERANCE);
                assert!(verdict.is_err(), "part {part}, byte {at}, bit {bit}");
                flipped += 1;
            }
        }
    }
    assert!(flipped > 6000, "{flipped}");
}

proptest! {
    #[test]
    fn a_mutated_delivery_never_verifies(
        changes in prop::collection::vec((0..6_usize, 0..4096_usize, any::<u8>()), 1..4),
        vector in 0..10_usize,
    ) {
        let vector = &VECTORS[vector];
        let key = if vector.key == WEBHOOK_KEY { KEY.clone() } else { KNOWN.key(&vector.key).1 };
        let right = Sent::from(vector);
        let mut sent = right.clone();
        for (part, at, byte) in changes {
            mutate(&mut sent, part, at, byte);
        }
        let same = sent.method == right.method && sent.target == right.target && sent.headers == right.headers
            && sent.body == right.body;
        let now = vector.credential.split('/').nth(1).unwrap();
        prop_assert_eq!(sent.verdict_by(&key, now, TOLERANCE).is_ok(), same);
    }

    #[test]
    fn bytes_cannot_move_between_target_and_body(cut in 0..19_usize, joint in prop::sample::select(vec!["", "\n", "\r\n"])) {
        let mut sent = Sent::right();
        let moved = sent.target.split_off(cut.max(1));
        sent.body = [&moved[..], joint.as_bytes(), &sent.body].concat();
        prop_assert_eq!(sent.refusal(), if moved.is_empty() && joint.is_empty() { "verified" } else { "signature_mismatch" });
    }

    #[test]
    fn a_signed_delivery_verifies(target in "/[!-\"$-~]{0,80}", body in prop::collection::vec(any::<u8>(), 1..200), nonce in "[0-9A-Za-z]{16}") {
        let (private, public) = KNOWN.key(WEBHOOK_KEY);
        let stamp = Stamp { request_time: "20260214094511".parse().unwrap(), nonce: nonce.parse().unwrap() };
        let signed = sign(&private, &APP_ID.parse().unwrap(), &stamp, &target, &[&body]).unwrap();
        let sent = Sent { target: target.into_bytes(), body, ..Sent::right() };
        let sent = sent.set("nonce", &signed.nonce).set("signature", &signed.signature);
        prop_assert_eq!(sent.verdict_by(&public, "20260214094511", TOLERANCE), Ok(()));
    }
}
