//! The three languages of Wonder's `x-i18n-lang` header (`deploy/docs/wonder.md` §2.1): how a call chooses one, and how
//! values are inserted into a text.

use http::{HeaderMap, header};
use serde::{Deserialize, Serialize};

/// The header that selects the language.
pub(super) const LANGUAGE_HEADER: &str = "x-i18n-lang";

/// A language of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Language {
    /// `en`, also if the header is absent or names another language.
    English,
    /// `zh-HK`: Chinese as written in Hong Kong.
    HongKong,
    /// `zh-CN`: Chinese as written on the mainland.
    Mainland,
}

impl Language {
    /// The language of the header, compared without regard to case (RFC 5646 §2.1.1).
    pub(super) fn of(headers: &HeaderMap) -> Self {
        match headers.get(LANGUAGE_HEADER).map(|value| value.as_bytes().to_ascii_lowercase()).as_deref() {
            Some(b"zh-hk") => Self::HongKong,
            Some(b"zh-cn") => Self::Mainland,
            _ => Self::English,
        }
    }

    /// The browser's preferred language of the three (RFC 9110 §12.5.4): the known range with the highest weight, the first of equals.
    pub(super) fn spoken(headers: &HeaderMap) -> Self {
        let ranges = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let known = ranges.split(',').filter_map(|range| {
            let (tag, weight) = range.split_once(";q=").unwrap_or((range, "1"));
            let tag = tag.trim().to_ascii_lowercase();
            let language = match tag.split('-').collect::<Vec<_>>()[..] {
                ["en", ..] => Self::English,
                ["zh", "hk" | "tw" | "mo" | "hant", ..] => Self::HongKong,
                ["zh", ..] => Self::Mainland,
                _ => return None,
            };
            Some((language, weight.trim().parse::<f32>().unwrap_or(0.0)))
        });
        let best = known.fold(None, |best: Option<(Self, f32)>, (language, weight)| match best {
            Some((_, highest)) if highest >= weight => best,
            _ => Some((language, weight)),
        });
        best.map_or(Self::English, |(language, _)| language)
    }

    /// The language tag for an HTML `lang` attribute.
    pub(super) fn tag(self) -> &'static str {
        self.pick(&Text { en: "en", hk: "zh-HK", cn: "zh-CN" })
    }

    /// The text in this language, with its placeholders `{0}`, `{1}` …
    pub(super) fn pick(self, text: &Text) -> &'static str {
        match self {
            Self::English => text.en,
            Self::HongKong => text.hk,
            Self::Mainland => text.cn,
        }
    }

    /// The text in this language with `values` in place of `{0}`, `{1}` …
    pub(super) fn fill(self, text: &Text, values: &[&str]) -> String {
        let mut filled = String::new();
        let mut rest = self.pick(text);
        // One pass from the left, so that a "{0}" in a value is not replaced.
        while let Some((before, after)) = rest.split_once('{') {
            filled.push_str(before);
            let (place, after) = after.split_once('}').unwrap_or((after, ""));
            filled.push_str(place.parse().ok().and_then(|at: usize| values.get(at).copied()).unwrap_or_default());
            rest = after;
        }
        filled + rest
    }
}

/// One text in every language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) en: &'static str,
    pub(super) hk: &'static str,
    pub(super) cn: &'static str,
}

/// The message of every answer that is not a refusal.
pub(super) const SUCCESS: Text = Text { en: "success", hk: "成功", cn: "成功" };

/// The `error_msg` of a token whose 3-D Secure page was declined.
pub(super) const DECLINED: Text =
    Text {
        en: "The cardholder declined the verification.", hk: "持卡人拒絕了驗證。", cn: "持卡人拒绝了验证。"
    };

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn picks_the_language_that_was_asked_for_and_english_otherwise() {
        let asked = |value: &'static str| {
            Language::of(&HeaderMap::from_iter([(LANGUAGE_HEADER.parse().unwrap(), HeaderValue::from_static(value))]))
        };
        assert_eq!(asked("zh-HK"), Language::HongKong);
        assert_eq!(asked("ZH-cn"), Language::Mainland);
        assert_eq!(asked("en"), Language::English);
        assert_eq!(asked("fr"), Language::English);
        assert_eq!(Language::of(&HeaderMap::new()), Language::English);
    }

    #[test]
    fn a_page_is_in_the_language_that_the_browser_prefers() {
        let spoken = |value: &'static str| {
            Language::spoken(&HeaderMap::from_iter([(header::ACCEPT_LANGUAGE, HeaderValue::from_static(value))]))
        };
        for (value, expected) in [
            ("zh-HK,zh;q=0.9,en;q=0.8", Language::HongKong),
            ("zh-TW", Language::HongKong),
            ("zh-Hant-HK", Language::HongKong),
            ("zh-CN,en", Language::Mainland),
            ("zh", Language::Mainland),
            ("fr,de;q=0.9,en;q=0.1,zh-CN;q=0.5", Language::Mainland),
            ("en-GB, zh-HK", Language::English),
            ("fr", Language::English),
            (";q=,,*", Language::English),
        ] {
            assert_eq!(spoken(value), expected, "{value}");
        }
        assert_eq!(Language::spoken(&HeaderMap::new()), Language::English);
    }

    #[test]
    fn fills_places_in_any_order_and_leaves_values_alone() {
        let text = Text { en: "{1} before {0}, {1}", hk: "", cn: "" };
        assert_eq!(Language::English.fill(&text, &["a{1}", "b"]), "b before a{1}, b");
    }
}
