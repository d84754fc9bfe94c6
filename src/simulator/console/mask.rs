//! Masks card numbers in the bytes of a body before it is stored. The rest stays unchanged byte for byte, so that a person can compare it.
//! Pure.

/// The number of digits of a card number (ISO/IEC 7812-1 and `fields` of the simulator).
const DIGITS: std::ops::RangeInclusive<usize> = 12..=19;

/// The body as text with every card number masked. `None` for a body that could contain a hidden one: it is not UTF-8, or it writes ASCII
/// as `\u`.
///
/// It masks every run of 12 to 19 digits in the value of a member named `number`, and elsewhere every such run with a correct check digit.
/// One space or hyphen may be between two digits.
pub(super) fn masked(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    if hides_ascii(text) {
        return None;
    }
    let mut masked = text.as_bytes().to_vec();
    let mut at = 0;
    while at < masked.len() {
        if !masked[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let digits = run(&masked[at..]);
        let found: Vec<usize> = digits.iter().map(|offset| at + offset).collect();
        let is_card = DIGITS.contains(&found.len()) && (is_number(&text[..at]) || luhn(&masked, &found));
        if is_card {
            for &place in &found[6..found.len() - 4] {
                masked[place] = b'*';
            }
        }
        at = found.last().map_or(at, |last| last + 1);
    }
    String::from_utf8(masked).ok()
}

/// A text from a caller, as a page shows it.
pub(super) fn shown(text: &str) -> String {
    masked(text.as_bytes()).unwrap_or_else(|| "not shown, because it could hide a card number".to_owned())
}

/// Whether a printable ASCII character is written as `\u`, as no serialiser writes it.
fn hides_ascii(text: &str) -> bool {
    text.match_indices("\\u00")
        .any(|(at, _)| text.as_bytes().get(at + 4).is_some_and(|digit| matches!(digit, b'2'..=b'7')))
}

/// The positions of the run of digits that begins at the first byte.
fn run(bytes: &[u8]) -> Vec<usize> {
    let mut places = Vec::new();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'0'..=b'9' => places.push(at),
            b' ' | b'-' if bytes.get(at + 1).is_some_and(u8::is_ascii_digit) => {}
            _ => break,
        }
        at += 1;
    }
    places
}

/// Whether the value that begins after `before` is that of a member named `number`.
fn is_number(before: &str) -> bool {
    let before = before.trim_end().strip_suffix('"').unwrap_or(before).trim_end();
    before.strip_suffix(':').is_some_and(|name| name.trim_end().ends_with("\"number\""))
}

fn luhn(bytes: &[u8], places: &[usize]) -> bool {
    let digits = places.iter().rev().map(|&place| u32::from(bytes[place] - b'0'));
    let sum: u32 = digits
        .enumerate()
        .map(|(at, digit)| if at.is_multiple_of(2) { digit } else { digit * 2 - 9 * u32::from(digit > 4) })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_card_numbers_wherever_they_are() {
        for (body, expected) in [
            (r#"{"card":{"number":"4111111111111111"}}"#, r#"{"card":{"number":"411111******1111"}}"#),
            (r#"{"card":{"number" : "4111111111111112"}}"#, r#"{"card":{"number" : "411111******1112"}}"#),
            (r#"{"number":4111111111111111}"#, r#"{"number":411111******1111}"#),
            (r#"{"number":"4111 1111 1111 1112"}"#, r#"{"number":"4111 11** **** 1112"}"#),
            (r#"{"note":"pay with 4111-1111-1111-1111."}"#, r#"{"note":"pay with 4111-11**-****-1111."}"#),
            (r#"["378282246310005"]"#, r#"["378282*****0005"]"#),
        ] {
            assert_eq!(masked(body.as_bytes()).as_deref(), Some(expected), "{body}");
        }
    }

    #[test]
    fn leaves_everything_else_byte_for_byte() {
        for body in [
            "",
            r#"{"order":{"number":"93000120417","charge_fee":"120.00","note":"茶 \"two\" sets\r\n"}}"#,
            r#"{"token":"7a4b2f10-9f0e-4c61-8b0e-5d2f1c3e9a77","at":"2026-02-14T09:30:05+08:00"}"#,
            r#"{"reference_number":"20260214093005-0001-99999999999999"}"#,
            r#"{"note":"\u8336\u00e9\u000a"}"#,
            "not JSON",
        ] {
            assert_eq!(masked(body.as_bytes()).as_deref(), Some(body));
        }
    }

    #[test]
    fn a_body_that_could_hide_a_number_is_not_shown() {
        for body in [
            &b"\xff4111111111111111"[..],
            br#"{"number":"\u0034111111111111111"}"#,
            br#"{"n\u0075mber":"4111111111111112"}"#,
        ] {
            assert_eq!(masked(body), None);
        }
    }
}
