//! Masks card numbers in texts of callers before they are stored or shown. Every other byte stays, so that a person can compare the text.
//! Pure.
//!
//! A digit may be written in any script, percent-encoded, or as a JSON escape, and up to three separators may be between two digits.

use std::ops::Range;

/// How many digits a card number has (ISO/IEC 7812-1 and `fields` of the simulator).
const DIGITS: std::ops::RangeInclusive<usize> = 12..=19;
/// The shortest card number with separators. A shorter one would rather be an IP address.
const SHORTEST_SEPARATED: usize = 13;
/// The lengths of card numbers of which the first digits tell a network.
const LENGTHS: [usize; 4] = [14, 15, 16, 19];
/// How many separators may be between two digits.
const SEPARATORS: usize = 3;
/// How many digits of a card number stay at its two ends.
const SHOWN: (usize, usize) = (6, 4);
/// The members that hold a card number, and those that hold its security code.
const NUMBERS: [&str; 5] = ["number", "card_number", "cardnumber", "card", "pan"];
const CODES: [&str; 9] =
    ["cvv", "cvc", "cvv2", "cvc2", "cvn", "csc", "security_code", "card_security_code", "verification_value"];

/// The body as text with every card number masked; `None` for a body that could hide one or has a private key: it is not UTF-8, writes
/// ASCII letters as `\u`, or has a PEM label.
///
/// Masked are:
/// * digits in the value of a member that is named as one with a card number or its security code;
/// * a number of 12 to 19 digits with a right check digit, and one of 13 to 19 with separators that begins as card numbers do;
/// * within longer numbers, what has the first digits, the length and the check digit of a network.
///
/// A digit that is not ASCII counts as every digit.
pub(super) fn masked(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    if hides_letters(text) || text.contains("PRIVATE KEY-----") {
        return None;
    }
    let mut masked = text.as_bytes().to_vec();
    let mut at = 0;
    while let Some(run) = run(text, at) {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { break };
        at = last.place.end;
        for (digit, _) in run.iter().zip(hidden(&run, &text[..first.place.start])).filter(|(_, is_hidden)| *is_hidden) {
            masked[digit.place.clone()].fill(b'*');
        }
    }
    String::from_utf8(masked).ok()
}

/// A text of a caller's, as a page shows it.
pub(super) fn shown(text: &str) -> String {
    masked(text.as_bytes()).unwrap_or_else(|| "not shown, because it could hide a card number or a key".to_owned())
}

/// Whether an ASCII letter is written as `\u`, which no serialiser does. The name of a member could be hidden so.
fn hides_letters(text: &str) -> bool {
    text.match_indices("\\u00").any(|(at, _)| {
        let code = text.get(at + 4..at + 6).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        code.is_some_and(|code| code.is_ascii_alphabetic())
    })
}

/// One digit of a run.
struct Digit {
    place: Range<usize>,
    /// Nothing for one that is not ASCII.
    value: Option<u8>,
    /// Whether it is the first one, or a separator is before it.
    begins: bool,
}

/// The digits from the next one after `from` on that follow one another, with separators between them.
fn run(text: &str, from: usize) -> Option<Vec<Digit>> {
    let mut digits = Vec::new();
    let (mut at, mut separators) = (from, 0);
    while let Some(byte) = text.as_bytes().get(at) {
        // Most bytes begin no digit.
        if digits.is_empty() && byte.is_ascii() && !matches!(byte, b'0'..=b'9' | b'%' | b'\\') {
            at += 1;
            continue;
        }
        let (read, length) = character(&text[at..])?;
        match Kind::of(read) {
            Kind::Digit(value) => {
                digits.push(Digit { place: at..at + length, value, begins: digits.is_empty() || separators > 0 });
                separators = 0;
            }
            _ if digits.is_empty() => {}
            Kind::Separator if separators < SEPARATORS => separators += 1,
            Kind::Separator | Kind::Other => break,
        }
        at += length;
    }
    (!digits.is_empty()).then_some(digits)
}

enum Kind {
    Digit(Option<u8>),
    Separator,
    Other,
}

impl Kind {
    fn of(character: char) -> Self {
        match character {
            '0'..='9' => Self::Digit(u8::try_from(character).ok().map(|byte| byte - b'0')),
            // The structure of JSON, HTML and queries.
            '"' | '{' | '}' | '[' | ']' | '<' | '>' | '=' | '%' | '\\' => Self::Other,
            _ if character.is_numeric() => Self::Digit(None),
            _ if character.is_alphabetic() => Self::Other,
            _ => Self::Separator,
        }
    }
}

/// The first character as its reader decodes it, and the number of bytes that it takes.
fn character(text: &str) -> Option<(char, usize)> {
    let plain = text.chars().next()?;
    let decoded = match plain {
        '%' => percent_encoded(text),
        '\\' => escaped(text),
        _ => None,
    };
    Some(decoded.unwrap_or((plain, plain.len_utf8())))
}

/// `%34`, and `%2534` and so on where it is encoded more than once.
fn percent_encoded(text: &str) -> Option<(char, usize)> {
    let (first, mut length) = octet(text)?;
    let mut bytes = vec![first];
    let count = match first {
        0..0x80 => 1,
        0xc2..0xe0 => 2,
        0xe0..0xf0 => 3,
        0xf0..0xf5 => 4,
        _ => return None,
    };
    while bytes.len() < count {
        let (byte, more) = octet(text.get(length..)?)?;
        bytes.push(byte);
        length += more;
    }
    Some((std::str::from_utf8(&bytes).ok()?.chars().next()?, length))
}

fn octet(text: &str) -> Option<(u8, usize)> {
    let rest = text.strip_prefix('%')?.trim_start_matches("25");
    let hex = rest.get(..2).filter(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    Some((u8::from_str_radix(hex, 16).ok()?, text.len() - rest.len() + 2))
}

/// `\u0034` and the escapes of white space, with as many back slashes as JSON within JSON has.
fn escaped(text: &str) -> Option<(char, usize)> {
    const MOST: usize = 16;
    let slashes = text.bytes().take(MOST).take_while(|byte| *byte == b'\\').count();
    let rest = text.get(slashes..)?;
    match rest.as_bytes().first()? {
        b'u' => {
            let unit = code_unit(rest)?;
            let length = slashes + 5;
            if let Some(plain) = char::from_u32(u32::from(unit)) {
                return Some((plain, length));
            }
            let low = text.get(length..)?;
            let more = low.bytes().take(MOST).take_while(|byte| *byte == b'\\').count();
            let pair = [unit, code_unit(low.get(more..)?)?];
            Some((char::decode_utf16(pair).next()?.ok()?, length + more + 5))
        }
        b'n' | b't' | b'r' | b'b' | b'f' => Some((' ', slashes + 1)),
        b'/' => Some(('/', slashes + 1)),
        _ => None,
    }
}

fn code_unit(text: &str) -> Option<u16> {
    let hex = text.strip_prefix('u')?.get(..4).filter(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    u16::from_str_radix(hex, 16).ok()
}

/// Which digits of a run to mask.
fn hidden(run: &[Digit], before: &str) -> Vec<bool> {
    let mut hidden = vec![false; run.len()];
    let mut cover = |range: Range<usize>| hidden[range.start + SHOWN.0..range.end - SHOWN.1].fill(true);
    if run.len() >= *DIGITS.start() && is_value_of(before, &NUMBERS) {
        cover(0..run.len());
    }
    let begins = |at: &usize| run.get(*at).is_none_or(|digit| digit.begins);
    for start in (0..run.len()).filter(begins) {
        for end in DIGITS.map(|length| start + length).filter(|end| *end <= run.len()).filter(begins) {
            let number = &run[start..end];
            let is_separated = number[1..].iter().any(|digit| digit.begins);
            let is_likely = !is_separated || number.len() >= SHORTEST_SEPARATED && begins_as_a_card(number);
            if is_likely && has_check_digit(number) {
                cover(start..end);
            }
        }
    }
    for start in 0..run.len() {
        for end in LENGTHS.map(|length| start + length).into_iter().filter(|end| *end <= run.len()) {
            let number = &run[start..end];
            if is_of_a_network(number) && has_check_digit(number) {
                cover(start..end);
            }
        }
    }
    if run.len() <= 4 && is_value_of(before, &CODES) {
        hidden.fill(true);
    }
    hidden
}

/// Whether the value that begins after `before` is that of a member with one of these names.
fn is_value_of(before: &str, names: &[&str]) -> bool {
    let quote = |text| -> Option<&str> {
        let text = str::trim_end(text).strip_suffix('"')?;
        Some(text.trim_end_matches('\\'))
    };
    let before = quote(before).unwrap_or(before).trim_end();
    let name = before.strip_suffix(':').and_then(quote);
    name.is_some_and(|text| {
        let name = text.rsplit(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).next().unwrap_or_default();
        names.iter().any(|known| name.eq_ignore_ascii_case(known))
    })
}

/// The first `count` digits as a number; nothing where one is not ASCII.
fn leading(digits: &[Digit], count: usize) -> Option<u16> {
    digits.iter().take(count).try_fold(0, |number, digit| Some(number * 10 + u16::from(digit.value?)))
}

fn begins_as_a_card(digits: &[Digit]) -> bool {
    leading(digits, 2).is_none_or(|two| matches!(two, 22..=27 | 30..=69 | 81 | 97))
}

/// Whether the first digits are of a network whose numbers have this length.
fn is_of_a_network(digits: &[Digit]) -> bool {
    leading(digits, 4).is_none_or(|four| match digits.len() {
        14 => matches!(four, 3000..=3059 | 3095 | 3600..=3699 | 3800..=3999),
        15 => matches!(four, 3400..=3499 | 3700..=3799),
        16 => matches!(four, 2221..=2720 | 3528..=3589 | 4000..=4999 | 5100..=5599 | 6011 | 6200..=6299 | 6440..=6599),
        _ => matches!(four, 4000..=4999 | 6200..=6299),
    })
}

/// By Luhn's formula (ISO/IEC 7812-1, annex B).
fn has_check_digit(digits: &[Digit]) -> bool {
    let doubled = |(at, value): (usize, u32)| if at % 2 == 0 { value } else { value * 2 - 9 * u32::from(value > 4) };
    let values: Option<Vec<u32>> = digits.iter().rev().map(|digit| digit.value.map(u32::from)).collect();
    values.is_none_or(|values| values.into_iter().enumerate().map(doubled).sum::<u32>().is_multiple_of(10))
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
            (r#"{"cardNumber":"4111111111111112"}"#, r#"{"cardNumber":"411111******1112"}"#),
            (r#"{"n":"{\"number\":\"4111111111111112\"}"}"#, r#"{"n":"{\"number\":\"411111******1112\"}"}"#),
            (r#"{"note":"pay with 4111-1111-1111-1111."}"#, r#"{"note":"pay with 4111-11**-****-1111."}"#),
            (r#"["378282246310005"]"#, r#"["378282*****0005"]"#),
            (r#"{"cvv":"123", "CVC" : 1234}"#, r#"{"cvv":"***", "CVC" : ****}"#),
        ] {
            assert_eq!(masked(body.as_bytes()).as_deref(), Some(expected), "{body}");
        }
    }

    #[test]
    fn masks_card_numbers_however_they_are_written() {
        for (text, expected) in [
            ("4111.1111.1111.1111", "4111.11**.****.1111"),
            ("4111  1111 - 1111\u{a0}1111", "4111  11** - ****\u{a0}1111"),
            ("4\u{200b}111\u{2011}1111_1111/1111", "4\u{200b}111\u{2011}11**_****/1111"),
            ("4111\\n1111\\t1111\\/1111", "4111\\n11**\\t****\\/1111"),
            ("4111+1111+1111+1111", "4111+11**+****+1111"),
            ("4111%201111%2D1111%E2%80%911111", "4111%2011**%2D****%E2%80%911111"),
            ("%34111%31111%311111%31%31%31", "%34111%311********1%31%31%31"),
            ("%2534111111111111%31%2531%31", "%253411111******1%31%2531%31"),
            ("\\u003411111\\u0031111111111", "\\u003411111***********1111"),
            ("\\\\u0034111111111111111", "\\\\u003411111******1111"),
            ("４１１１１１１１１１１１１１１１", "４１１１１１******************１１１１"),
            ("\\uff1411111111111111１", "\\uff1411111******111１"),
            ("\\ud835\\udfd2111111111111111", "\\ud835\\udfd211111******1111"),
            // A number beside others.
            ("12 4111111111111111 12/27 123", "12 411111******1111 12/27 123"),
            ("00004111111111111111", "0000411111******1111"),
            ("4111111111111111378282246310005", "411111******1111378282*****0005"),
            ("1,2,4111111111111111", "1,2,411111******1111"),
            ("4.111111111111111e15", "4.11111******1111e15"),
        ] {
            assert_eq!(masked(text.as_bytes()).as_deref(), Some(expected), "{text}");
            assert_eq!(text.len(), expected.len(), "{text}");
        }
    }

    #[test]
    fn leaves_everything_else_byte_for_byte() {
        for body in [
            "",
            r#"{"order":{"number":"93000120417","charge_fee":"120.00","note":"茶 \"two\" sets\r\n"}}"#,
            r#"{"token":"7a4b2f10-9f0e-4c61-8b0e-5d2f1c3e9a77","at":"2026-02-14T09:30:05+08:00"}"#,
            r#"{"reference_number":"20260214093005-0001-99999999999999"}"#,
            r#"{"note":"\u8336\u00e9\u000a\u0026\u003c"}"#,
            r#"{"sizes":[120,130,140,150,160]}"#,
            r#"{"callback_url":"http://192.168.100.206:8080/hook?a=1\u0026b=100%"}"#,
            r#"{"cvv":"absent","exp_month":"12"}"#,
            "not JSON",
        ] {
            assert_eq!(masked(body.as_bytes()).as_deref(), Some(body));
        }
    }

    #[test]
    fn a_body_that_could_hide_a_number_or_has_a_key_is_not_shown() {
        for body in [
            &b"\xff4111111111111111"[..],
            br#"{"n\u0075mber":"4111111111111112"}"#,
            br#"{"note":"-----BEGIN PRIVATE KEY-----\nMIIE"}"#,
            br#"{"note":"-----BEGIN RSA PRIVATE KEY-----\nMIIE"}"#,
        ] {
            assert_eq!(masked(body), None);
        }
    }

    #[test]
    fn a_long_text_is_masked_in_linear_time() {
        for text in ["1 ".repeat(8192), "4".repeat(16_384), "\\".repeat(16_384), "%25".repeat(5000), "%".repeat(16_384)]
        {
            let since = std::time::Instant::now();
            assert!(masked(text.as_bytes()).is_some());
            // A machine under load and a build without optimisation take far less.
            assert!(since.elapsed().as_secs() < 5, "{} {:?}", &text[..4], since.elapsed());
        }
    }
}
