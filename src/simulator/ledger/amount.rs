//! Amounts of money: exact decimals, in major units of a currency.

use std::{
    fmt,
    iter::Sum,
    ops::{Add, Mul, Neg, Sub},
};

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::Number;

/// The largest amount, as a decimal number. JSON numbers have about 15 exact digits, and this limit leaves some of them for sums.
pub(crate) const MOST: &str = "999999999.99";

/// A signed amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) struct Amount(Decimal);

impl Amount {
    pub(crate) const ZERO: Self = Self(Decimal::ZERO);

    /// Reads plain digits with at most one decimal point: no exponent, no plus sign, no separators, no white space.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if text.len() > 24 || !all_digits(whole) || !all_digits(fraction) {
            return None;
        }
        text.parse().ok().map(|decimal: Decimal| Self(decimal.normalize()))
    }

    /// The number of decimals without trailing zeros.
    pub(crate) fn decimals(self) -> u32 {
        self.0.normalize().scale()
    }

    pub(crate) fn is_positive(self) -> bool {
        self > Self::ZERO
    }

    pub(crate) fn is_negative(self) -> bool {
        self < Self::ZERO
    }

    /// Whether its absolute value is at most the largest amount.
    pub(crate) fn is_sane(self) -> bool {
        MOST.parse().is_ok_and(|most| self.0.abs() <= most)
    }

    /// The larger of this and zero.
    pub(crate) fn or_zero(self) -> Self {
        self.max(Self::ZERO)
    }

    /// The JSON number: `120`, `19.9`.
    pub(crate) fn number(self) -> Number {
        let text = self.0.normalize().to_string();
        // A float is printed as the shortest text that parses to the same float. Up to 15 digits, that text is the decimal itself.
        text.parse::<i64>()
            .map(Number::from)
            .ok()
            .or_else(|| text.parse().ok().and_then(Number::from_f64))
            .unwrap_or(0.into())
    }
}

/// The stored form: every decimal, `120` and `19.9`.
impl From<Amount> for String {
    fn from(amount: Amount) -> Self {
        amount.0.normalize().to_string()
    }
}

impl TryFrom<String> for Amount {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        // Not `parse`, because a product of price and quantity may have more decimals than an amount in a request.
        text.parse().map(Self).map_err(|_| "not an amount")
    }
}

/// Two decimals: `120.00`.
impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2}", self.0)
    }
}

impl Add for Amount {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sub for Amount {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Mul for Amount {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        Self(self.0 * other.0)
    }
}

impl Neg for Amount {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl Sum for Amount {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

/// An ISO 4217 code: three capital letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Currency([u8; 3]);

impl Currency {
    /// The currency of an order that names none (`deploy/docs/wonder.md` §5.5).
    pub(crate) const DEFAULT: Self = Self(*b"HKD");

    /// Reads three capital letters.
    #[must_use]
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let code = <[u8; 3]>::try_from(text.as_bytes()).ok()?;
        code.iter().all(u8::is_ascii_uppercase).then_some(Self(code))
    }

    /// The code.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The decimals of the minor unit (ISO 4217); no currency with three decimals is known to be used with Wonder.
    pub(crate) fn decimals(self) -> u32 {
        match &self.0 {
            b"JPY" | b"KRW" | b"VND" | b"CLP" | b"ISK" => 0,
            _ => 2,
        }
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.as_str().to_owned()
    }
}

impl TryFrom<String> for Currency {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("not a currency")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_plain_decimals_alone() {
        for (text, shown, number) in [
            ("120.00", "120.00", "120"),
            ("120", "120.00", "120"),
            ("19.9", "19.90", "19.9"),
            ("0.07", "0.07", "0.07"),
            ("-3.5", "-3.50", "-3.5"),
            ("000120.10", "120.10", "120.1"),
            ("1.000", "1.00", "1"),
            ("999999999.99", "999999999.99", "999999999.99"),
        ] {
            let amount = Amount::parse(text).unwrap();
            assert_eq!(
                (amount.to_string(), amount.number().to_string()),
                (shown.to_owned(), number.to_owned()),
                "{text}"
            );
        }
        for text in ["", "-", ".", "1.", ".5", "1e3", "+1", " 1", "1 ", "1,000.00", "١", "0x1", "NaN", "--1", "1.2.3"]
        {
            assert_eq!(Amount::parse(text), None, "{text}");
        }
    }

    #[test]
    fn every_amount_in_cents_has_itself_as_json_number() {
        for cents in (0..1_000_000_i64).step_by(37).chain(99_999_999_900..100_000_000_000) {
            let text = format!("{}.{:02}", cents / 100, cents % 100);
            let number = Amount::parse(&text).unwrap().number().to_string();
            assert_eq!(Amount::parse(&number), Amount::parse(&text), "{text} {number}");
        }
    }

    #[test]
    fn counts_the_decimals_that_matter() {
        for (text, decimals) in [("1", 0), ("1.50", 1), ("1.55", 2), ("1.005", 3), ("1.000", 0)] {
            assert_eq!(Amount::parse(text).unwrap().decimals(), decimals, "{text}");
        }
    }
}
