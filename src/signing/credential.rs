//! The words of the signature headers: AppID, request time, nonce, and the credential made of them
//! (`deploy/docs/wonder.md` §2.1 to §2.3). Each is parsed once; what exists is well formed.

use std::{fmt, str::FromStr, sync::Arc};

use rand::{CryptoRng, Rng, distributions::Alphanumeric};

use super::{ALGORITHM, MOBILE_ALGORITHM};

/// The id of the merchant's application at Wonder: a UUID, kept in its given spelling.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AppId(Arc<str>);

impl AppId {
    /// The UUID as text, 36 characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AppId {
    type Err = CredentialError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let well_formed = text.len() == 36
            && text.bytes().enumerate().all(|(at, byte)| match at {
                8 | 13 | 18 | 23 => byte == b'-',
                _ => byte.is_ascii_hexdigit(),
            });
        if well_formed { Ok(Self(text.into())) } else { Err(CredentialError::AppId) }
    }
}

impl fmt::Display for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// When a request was signed: UTC to the second, from year 1970 to 9999, written `yyyymmddHHMMSS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestTime {
    unix_seconds: u64,
}

impl RequestTime {
    const LAST: u64 = 253_402_300_799; // 99991231235959

    /// From seconds since 1970-01-01T00:00:00Z; later than the year 9999 becomes its last second.
    #[must_use]
    pub fn from_unix_seconds(seconds: u64) -> Self {
        Self { unix_seconds: seconds.min(Self::LAST) }
    }

    /// Seconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn unix_seconds(self) -> u64 {
        self.unix_seconds
    }

    /// The 14 digits, `20260214093005`.
    #[must_use]
    pub fn to_text(self) -> RequestTimeText {
        let (year, month, day) = civil_from_days(self.unix_seconds / 86_400);
        let second = self.unix_seconds % 86_400;
        let mut text = [b'0'; 14];
        let mut put = |from: usize, digits: usize, mut value: u64| {
            for at in (from..from + digits).rev() {
                text[at] = b'0' + u8::try_from(value % 10).unwrap_or(0);
                value /= 10;
            }
        };
        put(0, 4, year);
        put(4, 2, month);
        put(6, 2, day);
        put(8, 2, second / 3600);
        put(10, 2, second / 60 % 60);
        put(12, 2, second % 60);
        RequestTimeText(text)
    }
}

impl FromStr for RequestTime {
    type Err = CredentialError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = text.as_bytes();
        if bytes.len() != 14 || !bytes.iter().all(u8::is_ascii_digit) {
            return Err(CredentialError::RequestTime);
        }
        let number = |from: usize, to: usize| bytes[from..to].iter().fold(0, |n, b| n * 10 + u64::from(b - b'0'));
        let (year, month, day) = (number(0, 4), number(4, 6), number(6, 8));
        let (hour, minute, second) = (number(8, 10), number(10, 12), number(12, 14));
        let exists = year >= 1970
            && (1..=12).contains(&month)
            && (1..=days_in_month(year, month)).contains(&day)
            && hour < 24
            && minute < 60
            && second < 60;
        if !exists {
            return Err(CredentialError::RequestTime);
        }
        let unix_seconds = days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
        Ok(Self { unix_seconds })
    }
}

impl RequestTime {
    /// The time in the form of RFC 3339: `2026-02-14T09:45:11Z`.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        let digits = self.to_text();
        let text = digits.as_str();
        let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
        format!("{}-{}-{}T{}:{}:{}Z", part(0, 4), part(4, 6), part(6, 8), part(8, 10), part(10, 12), part(12, 14))
    }
}

impl fmt::Display for RequestTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.to_text().as_str())
    }
}

/// The 14 digits of a [`RequestTime`], on the stack.
#[derive(Debug, Clone, Copy)]
pub struct RequestTimeText([u8; 14]);

impl RequestTimeText {
    /// The digits as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The digits as ASCII bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// 16 characters of `0-9A-Za-z`, used once (`deploy/docs/wonder.md` §2.3).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Nonce([u8; 16]);

impl Nonce {
    /// Draws a new nonce; each of the 62 characters is equally likely.
    ///
    /// `Alphanumeric` draws 6 bits and rejects the two values too many, so there is no modulo bias.
    pub fn generate<R: Rng + CryptoRng>(random: &mut R) -> Self {
        Self(std::array::from_fn(|_| random.sample(Alphanumeric)))
    }

    /// The nonce as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl FromStr for Nonce {
    type Err = CredentialError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match <[u8; 16]>::try_from(text.as_bytes()) {
            Ok(bytes) if bytes.iter().all(u8::is_ascii_alphanumeric) => Ok(Self(bytes)),
            _ => Err(CredentialError::Nonce),
        }
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Kept out of `Debug`: with its signature it is a valid request until it has been used.
impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nonce(..)")
    }
}

/// The unique part of one attempt: its time and its nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// When the attempt was signed.
    pub request_time: RequestTime,
    /// The number used once.
    pub nonce: Nonce,
}

/// The `Credential` header: `<AppID>/<request time>/Wonder-RSA-SHA256`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// The application that signs.
    pub app_id: AppId,
    /// The time of the signature.
    pub request_time: RequestTime,
}

impl FromStr for Credential {
    type Err = CredentialError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split('/');
        let (Some(app_id), Some(time), Some(algorithm), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(CredentialError::Parts);
        };
        match algorithm {
            ALGORITHM => {}
            MOBILE_ALGORITHM => return Err(CredentialError::MobileAlgorithm),
            _ => return Err(CredentialError::Algorithm),
        }
        Ok(Self { app_id: app_id.parse()?, request_time: time.parse()? })
    }
}

impl fmt::Display for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{ALGORITHM}", self.app_id, self.request_time)
    }
}

/// The malformed part of the signature headers. Its text is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// Not a UUID.
    #[error("the AppID is not a UUID (8-4-4-4-12 hex digits)")]
    AppId,
    /// Not 14 digits, or not a valid date and time.
    #[error("the request time is not a UTC time of the form yyyymmddHHMMSS")]
    RequestTime,
    /// Not 16 letters and digits.
    #[error("the nonce is not 16 characters of 0-9, A-Z, a-z")]
    Nonce,
    /// Not three parts.
    #[error("the credential does not have the three parts <AppID>/<request time>/Wonder-RSA-SHA256")]
    Parts,
    /// An unknown algorithm.
    #[error("the third part of the credential is not Wonder-RSA-SHA256")]
    Algorithm,
    /// The algorithm of the mobile SDK.
    #[error(
        "the third part of the credential is Wonder-HMAC-SHA256, the mobile SDK's scheme, which signs nothing; a server signs with \
         Wonder-RSA-SHA256"
    )]
    MobileAlgorithm,
}

// The proleptic Gregorian calendar in eras of 400 years that begin on 1 March, so that the leap day is the last day of
// its year. Days are counted from 1970-01-01.
const DAYS_PER_ERA: u64 = 146_097;
const DAYS_FROM_0000_03_01: u64 = 719_468;

fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let days = days + DAYS_FROM_0000_03_01;
    let (era, day_of_era) = (days / DAYS_PER_ERA, days % DAYS_PER_ERA);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

fn days_from_civil(year: u64, month: u64, day: u64) -> u64 {
    let year = year - u64::from(month <= 2);
    let (era, year_of_era) = (year / 400, year % 400);
    let month_from_march = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    era * DAYS_PER_ERA + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - DAYS_FROM_0000_03_01
}

fn days_in_month(year: u64, month: u64) -> u64 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests;
