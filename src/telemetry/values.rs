//! The values in a line, escaped so that none can break it or control a terminal. A request's line has about twenty of them, so they are
//! written without `fmt` where that is possible. Pure.

use std::{
    error::Error,
    fmt::{self, Write},
};

/// Writes quotes around the output of `text`.
pub(super) fn quoted(line: &mut String, text: impl FnOnce(&mut String)) {
    line.push('"');
    text(line);
    line.push('"');
}

/// A text, with escapes for the characters that a JSON string must not contain, and for all control characters.
pub(super) fn escaped(line: &mut String, text: &str) {
    // Nearly all texts are plain. Without an early exit, the loop checks many bytes at once.
    let plain = |byte: u8| matches!(byte, b' ' | b'!' | b'#'..=b'[' | b']'..=b'~');
    if text.bytes().fold(true, |all, byte| all & plain(byte)) {
        return line.push_str(text);
    }
    let mut plain = 0;
    for (at, found) in text.char_indices() {
        if found != '"' && found != '\\' && !found.is_control() {
            continue;
        }
        line.push_str(&text[plain..at]);
        plain = at + found.len_utf8();
        match found {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            '\n' => line.push_str("\\n"),
            // Writing to a `String` does not fail.
            control => drop(write!(line, "\\u{:04x}", u32::from(control))),
        }
    }
    line.push_str(&text[plain..]);
}

/// The `Debug` form of `value`.
pub(super) fn escaped_debug(line: &mut String, value: &dyn fmt::Debug) {
    let _ = write!(Escaping(line), "{value:?}");
}

/// An error with its causes, outermost first, as one text.
pub(super) fn error(line: &mut String, error: &(dyn Error + 'static)) {
    let mut line = Escaping(line);
    let _ = write!(line, "{error}");
    let mut next = error.source();
    while let Some(cause) = next {
        let _ = write!(line, ": {cause}");
        next = cause.source();
    }
}

pub(super) fn integer(line: &mut String, value: impl itoa::Integer) {
    line.push_str(itoa::Buffer::new().format(value));
}

/// A number in the fewest digits that distinguish it from its neighbours. JSON has no infinity and no NaN: these become texts.
pub(super) fn decimal(line: &mut String, value: f64) {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number below 2^40")]
    let thousandths = (value * 1e3).round() as u64;
    #[expect(clippy::cast_precision_loss, reason = "below 2^40")]
    let is_short =
        value.is_sign_positive() && thousandths < 1 << 40 && (thousandths as f64 / 1e3).to_bits() == value.to_bits();
    if !is_short {
        let _ = if value.is_finite() { write!(line, "{value}") } else { write!(line, "\"{value}\"") };
        return;
    }
    integer(line, thousandths / 1000);
    let rest = thousandths % 1000;
    if rest > 0 {
        // The digits of 1ddd after its 1.
        let mut digits = itoa::Buffer::new();
        line.push('.');
        line.push_str(digits.format(1000 + rest)[1..].trim_end_matches('0'));
    }
}

/// `bytes` as lower-case digits, in `digits`, which is twice as long.
pub(super) fn hexadecimal<'a>(bytes: &[u8], digits: &'a mut [u8]) -> &'a str {
    let digit = |value: u8| b"0123456789abcdef"[usize::from(value)];
    for (byte, pair) in bytes.iter().zip(digits.chunks_exact_mut(2)) {
        pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
    std::str::from_utf8(digits).unwrap_or_default()
}

/// Escapes the text that is written to it.
struct Escaping<'a>(&'a mut String);

impl Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        escaped(self.0, text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(write: impl FnOnce(&mut String)) -> String {
        let mut line = String::new();
        write(&mut line);
        line
    }

    #[test]
    fn writes_numbers_in_few_digits() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (0.001, "0.001"),
            (0.34, "0.34"),
            (-0.5, "-0.5"),
            (1.0, "1"),
            (2.05, "2.05"),
            (1234.567, "1234.567"),
            (0.1234, "0.1234"),
            (1e9, "1000000000"),
            (1_099_511_627.775, "1099511627.775"),
            (1_099_511_627.776, "1099511627.776"),
            (f64::NAN, "\"NaN\""),
            (f64::INFINITY, "\"inf\""),
            (f64::NEG_INFINITY, "\"-inf\""),
        ] {
            assert_eq!(written(|line| decimal(line, value)), text);
        }
    }

    proptest! {
        #[test]
        #[expect(clippy::cast_precision_loss, reason = "whole numbers below 2^41")]
        fn writes_every_number_as_rust_does(thousandths in 0_u64..1 << 41, any in any::<f64>()) {
            for value in [thousandths as f64 / 1e3, thousandths as f64, any] {
                let text = written(|line| decimal(line, value));
                prop_assert_eq!(text.trim_matches('"'), value.to_string());
            }
        }

        #[test]
        fn an_escaped_text_is_read_unchanged(text in "\\PC*|[ -~]*|(?s:.)*") {
            let json = written(|line| quoted(line, |line| escaped(line, &text)));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
            prop_assert!(!json.chars().any(char::is_control));
        }

        #[test]
        fn writes_hexadecimal_digits(bytes: [u8; 16]) {
            let mut digits = [0; 32];
            prop_assert_eq!(hexadecimal(&bytes, &mut digits), format!("{:032x}", u128::from_be_bytes(bytes)));
        }
    }
}
