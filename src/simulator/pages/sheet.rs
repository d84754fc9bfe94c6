//! The frame of a payer's pages: one card with a heading, and after a decision the return to the merchant.

use std::{fmt::Write as _, sync::LazyLock};

use axum::response::{Html, IntoResponse, Response};
use http::{StatusCode, header};

use crate::{
    html::{self, Escaped},
    simulator::language::{Language, Text},
};

/// The shared style sheet and the rules of these pages.
static STYLE: LazyLock<String> = LazyLock::new(|| html::STYLE.to_owned() + include_str!("sheet.css"));
/// Forms are sent to this origin only, and scripts are forbidden.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = html::source(&STYLE);
    format!(
        "default-src 'none'; style-src {style}; img-src data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )
});
/// The delay before the browser returns to the merchant, in seconds: long enough to read the result.
const RETURNS_AFTER: u8 = 4;

/// The colour and the icon of a page's heading.
#[derive(Clone, Copy)]
pub(super) enum Mood {
    /// A question, or a notice.
    Plain,
    Good,
    Bad,
    /// Undecided.
    Wait,
}

impl Mood {
    fn class_and_icon(self) -> (&'static str, &'static str) {
        match self {
            Self::Plain => ("", SHIELD),
            Self::Good => ("good", CHECK),
            Self::Bad => ("bad", CROSS),
            Self::Wait => ("wait", CLOCK),
        }
    }
}

/// One page.
pub(super) struct Sheet {
    language: Language,
    title: &'static Text,
    mood: Mood,
    heading: &'static Text,
    /// HTML below the heading.
    inner: String,
    /// The URL that the browser opens after a delay.
    returns_to: Option<String>,
}

impl Sheet {
    pub(super) fn new(language: Language, title: &'static Text, mood: Mood, heading: &'static Text) -> Self {
        Self { language, title, mood, heading, inner: String::new(), returns_to: None }
    }

    /// A paragraph of text.
    pub(super) fn paragraph(mut self, text: &str) -> Self {
        // Writing to a `String` does not fail.
        let _ = write!(self.inner, "<p>{}</p>", Escaped(text));
        self
    }

    /// A sum of money, as the largest text of the page.
    pub(super) fn amount(mut self, text: &str) -> Self {
        let _ = write!(self.inner, "<p class=\"amount\">{}</p>", Escaped(text));
        self
    }

    /// Names and values in two columns; a row without a value is omitted.
    pub(super) fn rows<'a>(mut self, rows: impl IntoIterator<Item = (&'static Text, Option<&'a str>)>) -> Self {
        self.inner.push_str("<dl>");
        for (name, value) in rows {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                let name = Escaped(self.language.pick(name));
                let _ = write!(self.inner, "<div><dt>{name}</dt><dd>{}</dd></div>", Escaped(value));
            }
        }
        self.inner.push_str("</dl>");
        self
    }

    /// HTML that the caller has escaped.
    pub(super) fn html(mut self, html: &str) -> Self {
        self.inner.push_str(html);
        self
    }

    /// A link back to the merchant.
    pub(super) fn link_to(mut self, url: &str) -> Self {
        let text = Escaped(self.language.pick(&BACK));
        let url = Escaped(url);
        let _ = write!(self.inner, "<a href=\"{url}\" class=\"button act\" rel=\"noopener noreferrer\">{text}</a>");
        self
    }

    /// Returns to the merchant after a delay, and has a link to return at once.
    pub(super) fn returning_to(mut self, url: &str) -> Self {
        let seconds = RETURNS_AFTER.to_string();
        let text = self.language.fill(&RETURNING, &[host(url).unwrap_or(url), &seconds]);
        self.returns_to = Some(url.to_owned());
        self.paragraph(&text).link_to(url)
    }

    pub(super) fn respond(self, status: StatusCode) -> Response {
        let Self { language, title, mood, heading, inner, returns_to } = self;
        let (class, icon) = mood.class_and_icon();
        let refresh = returns_to.map_or_else(String::new, |url| {
            format!("<meta http-equiv=\"refresh\" content=\"{RETURNS_AFTER};url={}\">", Escaped(url))
        });
        let html = format!(
            "<!doctype html><html lang=\"{}\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
             content=\"width=device-width, initial-scale=1\">{refresh}<title>{}</title><link rel=\"icon\" href=\"data:,\">\
             <style>{}</style></head><body><main><p class=\"note\">{}</p><h1 class=\"{class}\"><svg viewBox=\"0 0 24 24\" \
             aria-hidden=\"true\"><path d=\"{icon}\"/></svg>{}</h1>{inner}</main></body></html>\n",
            language.tag(),
            Escaped(language.pick(title)),
            *STYLE,
            Escaped(language.pick(&SIMULATED)),
            Escaped(language.pick(heading)),
        );
        let headers = [
            (header::CACHE_CONTROL, "no-store"),
            (header::CONTENT_SECURITY_POLICY, POLICY.as_str()),
            // With `no-referrer`, browsers send `Origin: null` with a form, which the guard refuses.
            (header::REFERRER_POLICY, "same-origin"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        (status, headers, Html(html)).into_response()
    }
}

/// The host of a URL with its port, if any, which identifies the merchant to the payer. It has no user name.
pub(super) fn host(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    authority.rsplit('@').next().filter(|host| !host.is_empty())
}

const SHIELD: &str = "M12 2 4 5v6c0 5 3.4 9.5 8 11 4.6-1.5 8-6 8-11V5z";
const CHECK: &str = "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20zm-1.4 14.6-4.2-4.2 1.4-1.4 2.8 2.8 5.6-5.6 1.4 1.4z";
const CROSS: &str = "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20zm4.9 13.5-1.4 1.4L12 13.4l-3.5 3.5-1.4-1.4 3.5-3.5-3.5-3.5 1.4-1.4 3.5 3.5 3.5-3.5 1.4 1.4-3.5 3.5z";
const CLOCK: &str = "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20zm4.2 14.8L11 13.7V6h2v6.6l4.3 2.5z";

const SIMULATED: Text = Text {
    en: "Simulation: no money moves and no bank is asked.",
    hk: "模擬：不會動用任何款項，亦不會聯絡銀行。",
    cn: "模拟：不会动用任何款项，也不会联系银行。",
};
const RETURNING: Text =
    Text {
        en: "You return to {0} in {1} seconds.", hk: "您將於 {1} 秒後返回 {0}。", cn: "您将在 {1} 秒后返回 {0}。"
    };
const BACK: Text = Text { en: "Back to the merchant", hk: "返回商戶", cn: "返回商户" };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merchant_is_known_by_the_host_it_returns_to() {
        for (url, expected) in [
            ("https://shop.example/ok?a=1", Some("shop.example")),
            ("http://shop.example:8080", Some("shop.example:8080")),
            ("https://bank.example@shop.example/x", Some("shop.example")),
            ("https://[::1]:1/x", Some("[::1]:1")),
            ("nothing", None),
        ] {
            assert_eq!(host(url), expected, "{url}");
        }
    }
}
