//! Card numbers: checked and masked in one step, so that a full one is never kept.

/// What is kept of a card.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Card {
    /// First six and last four digits, stars between.
    pub(super) masked: String,
    pub(super) brand: &'static str,
    /// `01` to `12`.
    pub(super) exp_month: String,
    /// The last two digits of the year.
    pub(super) exp_year: String,
    pub(super) holder_name: String,
}

/// Masks a card number of 12 to 19 digits and names its brand; `None` for anything else, and for a wrong check digit
/// (ISO/IEC 7812-1, the Luhn formula).
pub(super) fn mask(number: &str) -> Option<(String, &'static str)> {
    let plausible = (12..=19).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
    if !plausible || !luhn_sum(number).is_multiple_of(10) {
        return None;
    }
    let hidden = number.len() - 10;
    Some((format!("{}{}{}", &number[..6], "*".repeat(hidden), &number[6 + hidden..]), brand(number)))
}

fn luhn_sum(digits: &str) -> u32 {
    let digits = digits.bytes().rev().map(|byte| u32::from(byte - b'0'));
    digits
        .enumerate()
        .map(|(at, digit)| if at.is_multiple_of(2) { digit } else { digit * 2 - 9 * u32::from(digit > 4) })
        .sum()
}

/// By the first digits, as the schemes publish their ranges.
fn brand(number: &str) -> &'static str {
    let first = |digits: usize| number[..digits].parse::<u32>().unwrap_or(0);
    match (first(2), first(4)) {
        (40..=49, _) => "Visa",
        (51..=55, _) | (_, 2221..=2720) => "Mastercard",
        (34 | 37, _) => "American Express",
        (62 | 81, _) => "UnionPay",
        (_, 3528..=3589) => "JCB",
        (30 | 36 | 38 | 39, _) => "Diners Club",
        (64 | 65, _) | (_, 6011) => "Discover",
        _ => "Unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_first_six_and_the_last_four_digits() {
        assert_eq!(mask("4111111111111111"), Some(("411111******1111".to_owned(), "Visa")));
        assert_eq!(mask("5555555555554444"), Some(("555555******4444".to_owned(), "Mastercard")));
        assert_eq!(mask("2223003122003222"), Some(("222300******3222".to_owned(), "Mastercard")));
        assert_eq!(mask("378282246310005"), Some(("378282*****0005".to_owned(), "American Express")));
        assert_eq!(mask("6200000000000005"), Some(("620000******0005".to_owned(), "UnionPay")));
        assert_eq!(mask("3530111333300000"), Some(("353011******0000".to_owned(), "JCB")));
    }

    #[test]
    fn refuses_what_cannot_be_a_card_number() {
        for number in [
            "",
            "4111 1111 1111 1111",
            "4111111111111112",
            "41111111111",
            "４１１１１１１１１１１１",
            "00000000000000000000",
        ] {
            assert_eq!(mask(number), None, "{number}");
        }
    }
}
