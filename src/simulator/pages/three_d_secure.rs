//! The 3-D Secure page: what `verify_url` opens. A person approves or declines there, by hand; it is outside `/svc/` and nobody signs
//! for it, as with the real one. After the decision it returns to the merchant by itself.

use std::{
    fmt::Write as _,
    sync::{Arc, LazyLock},
};

use axum::{
    Form,
    extract::{Path, State, rejection::FormRejection},
    response::{Html, IntoResponse, Response},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{StatusCode, header};
use sha2::{Digest as _, Sha256};

use super::super::{
    Wonder,
    language::{Language, Text},
    path::{Segment, parse_uuid},
    store::records::{Means, Token, TokenState},
};

const STYLE: &str = include_str!("page.css");
/// After how many seconds it returns to the merchant: long enough to read the result.
const RETURNS_AFTER: u8 = 4;

static POLICY: LazyLock<String> = LazyLock::new(|| {
    format!(
        "default-src 'none'; style-src 'sha256-{}'; img-src data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        BASE64_STANDARD.encode(Sha256::digest(STYLE))
    )
});

/// `GET /3ds/{verify_uuid}`.
pub(in super::super) async fn show(
    State(wonder): State<Arc<Wonder>>,
    id: Segment,
    headers: http::HeaderMap,
) -> Response {
    let verify_uuid = id.ok().and_then(|Path(id)| parse_uuid(&id));
    match verify_uuid.map(|id| wonder.store().customers.to_verify(id).cloned()) {
        Some(Ok(token)) => page(StatusCode::OK, token.language, &Content::of(&token)),
        _ => page(StatusCode::NOT_FOUND, Language::of(&headers), &Content::notice(&UNKNOWN, Language::of(&headers))),
    }
}

/// `POST /3ds/{verify_uuid}` with `decision=approve` or `decision=decline`. The first decision stands.
pub(in super::super) async fn decide(
    State(wonder): State<Arc<Wonder>>,
    id: Segment,
    headers: http::HeaderMap,
    form: Result<Form<Vec<(String, String)>>, FormRejection>,
) -> Response {
    let pairs = form.map(|Form(pairs)| pairs).unwrap_or_default();
    let approved = match pairs.iter().find(|(name, _)| name == "decision").map(|(_, value)| &value[..]) {
        Some("approve") => true,
        Some("decline") => false,
        _ => {
            let language = Language::of(&headers);
            return page(StatusCode::BAD_REQUEST, language, &Content::notice(&UNDECIDED, language));
        }
    };
    if let Some(id) = id.as_ref().ok().and_then(|Path(id)| parse_uuid(id)) {
        // An unknown uuid is reported by the page.
        let _ = wonder.store().customers.decide(id, approved);
    }
    show(State(wonder), id, headers).await
}

/// What differs from page to page. All of it is HTML.
struct Content {
    /// `good`, `bad` or nothing.
    class: &'static str,
    icon: &'static str,
    heading: String,
    inner: String,
    /// Where the browser goes by itself.
    returns_to: Option<String>,
}

impl Content {
    fn notice(text: &Text, language: Language) -> Self {
        Self { class: "", icon: SHIELD, heading: escape(language.pick(text)), inner: String::new(), returns_to: None }
    }

    fn of(token: &Token) -> Self {
        let language = token.language;
        let (class, icon, heading, text, return_url) = match token.state {
            TokenState::Pending => return Self::question(token),
            TokenState::Success => ("good", CHECK, &APPROVED, &READY, &token.return_urls[0]),
            TokenState::Failed => ("bad", CROSS, &DECLINED, &UNUSABLE, &token.return_urls[1]),
        };
        let mut inner = paragraph(language.pick(text));
        if let Some(url) = return_url {
            let merchant = host(url).unwrap_or(url);
            inner += &paragraph(&language.fill(&RETURNING, &[merchant, &RETURNS_AFTER.to_string()]));
            let (url, text) = (escape(url), escape(language.pick(&BACK)));
            // Writing to a `String` does not fail.
            let _ = write!(inner, "<a href=\"{url}\" class=\"back act\" rel=\"noopener noreferrer\">{text}</a>");
        }
        let heading = escape(language.pick(heading));
        Self { class, icon, heading, inner, returns_to: return_url.as_deref().map(escape) }
    }

    fn question(token: &Token) -> Self {
        let language = token.language;
        let merchant = token.return_urls[0].as_deref().and_then(host).map(str::to_owned);
        let (means, holder) = match &token.means {
            Means::Card(card) => (format!("{} {}", card.brand, card.masked), Some(card.holder_name.clone())),
            Means::Alipay => ("Alipay".to_owned(), None),
            Means::Wechat => ("WeChat Pay".to_owned(), None),
        };
        // Binding a payment token moves no money, so there is no amount but this.
        let rows = [
            (&MERCHANT, merchant),
            (&AMOUNT, Some(language.pick(&NO_CHARGE).to_owned())),
            (&MEANS, Some(means)),
            (&HOLDER, holder),
        ];
        let rows = rows.into_iter().filter_map(|(label, value)| {
            let value = value.filter(|value| !value.is_empty())?;
            Some(format!("<div><dt>{}</dt><dd>{}</dd></div>", escape(language.pick(label)), escape(&value)))
        });
        let inner = format!(
            "{}<dl>{}</dl><form method=\"post\"><button class=\"act\" name=\"decision\" value=\"approve\">{}</button><button \
             name=\"decision\" value=\"decline\">{}</button></form>",
            paragraph(language.pick(&ASK)),
            rows.collect::<String>(),
            escape(language.pick(&APPROVE)),
            escape(language.pick(&DECLINE)),
        );
        Self { class: "", icon: SHIELD, heading: escape(language.pick(&CONFIRM)), inner, returns_to: None }
    }
}

fn page(status: StatusCode, language: Language, content: &Content) -> Response {
    let Content { class, icon, heading, inner, returns_to } = content;
    let refresh = returns_to
        .as_ref()
        .map_or_else(String::new, |url| format!("<meta http-equiv=\"refresh\" content=\"{RETURNS_AFTER};url={url}\">"));
    let html = format!(
        "<!doctype html><html lang=\"{}\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\">{refresh}<title>{}</title><link rel=\"icon\" href=\"data:,\">\
         <style>{STYLE}</style></head><body><main><p class=\"note\">{}</p><h1 class=\"{class}\"><svg viewBox=\"0 0 24 24\" \
         aria-hidden=\"true\"><path d=\"{icon}\"/></svg>{heading}</h1>{inner}</main></body></html>\n",
        language.tag(),
        escape(language.pick(&TITLE)),
        escape(language.pick(&SIMULATED)),
    );
    let headers = [
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, POLICY.as_str()),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (status, headers, Html(html)).into_response()
}

fn paragraph(text: &str) -> String {
    format!("<p>{}</p>", escape(text))
}

/// The host of a URL, and its port where it has one, as a payer knows the merchant. User names do not belong to it.
fn host(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    authority.rsplit('@').next().filter(|host| !host.is_empty())
}

/// Makes a text safe between tags and within a quoted attribute.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

const SHIELD: &str = "M12 2 4 5v6c0 5 3.4 9.5 8 11 4.6-1.5 8-6 8-11V5z";
const CHECK: &str = "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20zm-1.4 14.6-4.2-4.2 1.4-1.4 2.8 2.8 5.6-5.6 1.4 1.4z";
const CROSS: &str = "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20zm4.9 13.5-1.4 1.4L12 13.4l-3.5 3.5-1.4-1.4 3.5-3.5-3.5-3.5 1.4-1.4 3.5 3.5 3.5-3.5 1.4 1.4-3.5 3.5z";

const TITLE: Text =
    Text { en: "Simulated 3-D Secure verification", hk: "模擬 3-D Secure 驗證", cn: "模拟 3-D Secure 验证" };
const SIMULATED: Text = Text {
    en: "Simulation: no money moves and no bank is asked.",
    hk: "模擬：不會動用任何款項，亦不會聯絡銀行。",
    cn: "模拟：不会动用任何款项，也不会联系银行。",
};
const CONFIRM: Text = Text { en: "Confirm it is you", hk: "確認是您本人", cn: "确认是您本人" };
const ASK: Text = Text {
    en: "The merchant asks to store this means of payment for later.",
    hk: "商戶要求儲存此付款方式以供日後使用。",
    cn: "商户要求保存此支付方式以供日后使用。",
};
const MERCHANT: Text = Text { en: "Merchant", hk: "商戶", cn: "商户" };
const AMOUNT: Text = Text { en: "Amount", hk: "金額", cn: "金额" };
const NO_CHARGE: Text = Text { en: "no charge", hk: "不收費", cn: "不收费" };
const MEANS: Text = Text { en: "Pay with", hk: "付款方式", cn: "支付方式" };
const HOLDER: Text = Text { en: "Cardholder", hk: "持卡人", cn: "持卡人" };
const APPROVE: Text = Text { en: "Approve", hk: "批准", cn: "批准" };
const DECLINE: Text = Text { en: "Decline", hk: "拒絕", cn: "拒绝" };
const APPROVED: Text = Text { en: "Approved.", hk: "已批准。", cn: "已批准。" };
const READY: Text =
    Text {
        en: "The payment token is ready for use.", hk: "付款令牌可供使用。", cn: "支付令牌可供使用。"
    };
const DECLINED: Text = Text { en: "Declined.", hk: "已拒絕。", cn: "已拒绝。" };
const UNUSABLE: Text =
    Text {
        en: "The payment token cannot be used.", hk: "付款令牌不能使用。", cn: "支付令牌不能使用。"
    };
const RETURNING: Text =
    Text {
        en: "You return to {0} in {1} seconds.", hk: "您將於 {1} 秒後返回 {0}。", cn: "您将在 {1} 秒后返回 {0}。"
    };
const BACK: Text = Text { en: "Back to the merchant", hk: "返回商戶", cn: "返回商户" };
const UNKNOWN: Text =
    Text {
        en: "There is nothing to verify here.", hk: "此處沒有需要驗證的項目。", cn: "此处没有需要验证的项目。"
    };
const UNDECIDED: Text = Text {
    en: "decision must be approve or decline.",
    hk: "decision 必須是 approve 或 decline。",
    cn: "decision 必须是 approve 或 decline。",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_all_that_html_gives_a_meaning() {
        assert_eq!(escape("<a href=\"x\">'&</a>"), "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&lt;/a&gt;");
    }

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
