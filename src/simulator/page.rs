//! The 3-D Secure page: what `verify_url` opens. A person approves or declines there, by hand; it stands outside
//! `/svc/` and nobody signs for it, as with the real one. It links to the merchant's return URL and never goes there
//! by itself.

use std::sync::Arc;

use axum::{
    Form,
    extract::{Path, State, rejection::FormRejection},
    response::{Html, IntoResponse, Response},
};
use http::{StatusCode, header};

use super::{
    Wonder,
    customers::Segment,
    messages::{Language, Text},
    records::{Means, Token, TokenState},
    store::parse_uuid,
};

/// `GET /3ds/{verify_uuid}`.
pub(super) async fn show(State(wonder): State<Arc<Wonder>>, id: Segment, headers: http::HeaderMap) -> Response {
    let verify_uuid = id.ok().and_then(|Path(id)| parse_uuid(&id));
    match verify_uuid.map(|id| wonder.store().to_verify(id).cloned()) {
        Some(Ok(token)) => page(StatusCode::OK, token.language, &state(&token)),
        _ => page(StatusCode::NOT_FOUND, Language::of(&headers), &paragraph(Language::of(&headers).pick(&UNKNOWN))),
    }
}

/// `POST /3ds/{verify_uuid}` with `decision=approve` or `decision=decline`. The first decision stands.
pub(super) async fn decide(
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
            return page(StatusCode::BAD_REQUEST, language, &paragraph(language.pick(&UNDECIDED)));
        }
    };
    if let Some(id) = id.as_ref().ok().and_then(|Path(id)| parse_uuid(id)) {
        // A uuid that is unknown is so for the page as well, which says it.
        let _ = wonder.store().decide(id, approved);
    }
    show(State(wonder), id, headers).await
}

/// The inner part of the page for a token.
fn state(token: &Token) -> String {
    let language = token.language;
    let (text, return_url) = match token.state {
        TokenState::Pending => {
            let means = match &token.means {
                Means::Card(card) => format!("{} {}", card.brand, card.masked),
                Means::Alipay => "Alipay".to_owned(),
                Means::Wechat => "WeChat Pay".to_owned(),
            };
            return format!(
                "{}<form method=\"post\"><button name=\"decision\" value=\"approve\">{}</button> <button \
                 name=\"decision\" value=\"decline\">{}</button></form>",
                paragraph(&language.fill(&ASK, &[&means])),
                escape(language.pick(&APPROVE)),
                escape(language.pick(&DECLINE)),
            );
        }
        TokenState::Success => (&APPROVED, &token.return_urls[0]),
        TokenState::Failed => (&DECLINED, &token.return_urls[1]),
    };
    let link = return_url.as_deref().map(|url| {
        let (url, text) = (escape(url), escape(language.pick(&BACK)));
        format!("<p><a href=\"{url}\" rel=\"noopener noreferrer\">{text}</a></p>")
    });
    paragraph(language.pick(text)) + &link.unwrap_or_default()
}

fn page(status: StatusCode, language: Language, inner: &str) -> Response {
    let title = escape(language.pick(&TITLE));
    let html = format!(
        "<!doctype html><html lang=\"{}\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{title}</title><style>body{{font:1.1rem system-ui;max-width:32rem;\
         margin:15vh auto;padding:0 1rem}}button{{font:inherit;padding:.5rem 1.5rem}}</style></head>\
         <body><h1>{title}</h1>{inner}</body></html>\n",
        language.tag()
    );
    let headers = [
        (header::CACHE_CONTROL, "no-store"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        ),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (status, headers, Html(html)).into_response()
}

fn paragraph(text: &str) -> String {
    format!("<p>{}</p>", escape(text))
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

const TITLE: Text =
    Text { en: "Simulated 3-D Secure verification", hk: "模擬 3-D Secure 驗證", cn: "模拟 3-D Secure 验证" };
const ASK: Text = Text {
    en: "Bind {0}? No money moves and no bank is asked.",
    hk: "綁定 {0}？不會動用任何款項，亦不會聯絡銀行。",
    cn: "绑定 {0}？不会动用任何款项，也不会联系银行。",
};
const APPROVE: Text = Text { en: "Approve", hk: "批准", cn: "批准" };
const DECLINE: Text = Text { en: "Decline", hk: "拒絕", cn: "拒绝" };
const APPROVED: Text = Text {
    en: "Approved. The payment token is ready for use.",
    hk: "已批准。付款令牌可供使用。",
    cn: "已批准。支付令牌可供使用。",
};
const DECLINED: Text = Text {
    en: "Declined. The payment token cannot be used.",
    hk: "已拒絕。付款令牌不能使用。",
    cn: "已拒绝。支付令牌不能使用。",
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
}
