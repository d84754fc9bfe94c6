//! The 3-D Secure page, which `verify_url` opens. A person approves or declines there and returns to the merchant without another
//! click. It is outside `/svc/`, and its requests are not signed.

use std::sync::Arc;

use axum::{
    Form,
    extract::{Path, State, rejection::FormRejection},
    response::Response,
};
use http::StatusCode;

use super::sheet::{Mood, Sheet, host};
use crate::{
    html::Escaped,
    simulator::{
        Wonder,
        language::{Language, Text},
        path::{Segment, parse_uuid},
        store::records::{Means, Token, TokenState},
    },
};

/// `GET /3ds/{verify_uuid}`.
pub(crate) async fn show(State(wonder): State<Arc<Wonder>>, id: Segment, headers: http::HeaderMap) -> Response {
    let verify_uuid = id.ok().and_then(|Path(id)| parse_uuid(&id));
    match verify_uuid.map(|id| wonder.store().customers.to_verify(id).cloned()) {
        Some(Ok(token)) => sheet(&token).respond(StatusCode::OK),
        _ => notice(&UNKNOWN, Language::of(&headers)).respond(StatusCode::NOT_FOUND),
    }
}

/// `POST /3ds/{verify_uuid}` with `decision=approve` or `decision=decline`. The first decision is final.
pub(crate) async fn decide(
    State(wonder): State<Arc<Wonder>>,
    id: Segment,
    headers: http::HeaderMap,
    form: Result<Form<Vec<(String, String)>>, FormRejection>,
) -> Response {
    let pairs = form.map(|Form(pairs)| pairs).unwrap_or_default();
    let approved = match pairs.iter().find(|(name, _)| name == "decision").map(|(_, value)| &value[..]) {
        Some("approve") => true,
        Some("decline") => false,
        _ => return notice(&UNDECIDED, Language::of(&headers)).respond(StatusCode::BAD_REQUEST),
    };
    if let Some(id) = id.as_ref().ok().and_then(|Path(id)| parse_uuid(id)) {
        // An unknown uuid is reported by the page.
        let _ = wonder.store().customers.decide(id, approved);
    }
    show(State(wonder), id, headers).await
}

fn notice(text: &'static Text, language: Language) -> Sheet {
    Sheet::new(language, &TITLE, Mood::Plain, text)
}

fn sheet(token: &Token) -> Sheet {
    let language = token.language;
    let (mood, heading, text, return_url) = match token.state {
        TokenState::Pending => return question(token),
        TokenState::Success => (Mood::Good, &APPROVED, &READY, &token.return_urls[0]),
        TokenState::Failed => (Mood::Bad, &DECLINED, &UNUSABLE, &token.return_urls[1]),
    };
    let sheet = Sheet::new(language, &TITLE, mood, heading).paragraph(language.pick(text));
    match return_url {
        Some(url) => sheet.returning_to(url),
        None => sheet,
    }
}

fn question(token: &Token) -> Sheet {
    let language = token.language;
    let (means, holder) = match &token.means {
        Means::Card(card) => (format!("{} {}", card.brand, card.masked), Some(&card.holder_name[..])),
        Means::Alipay => ("Alipay".to_owned(), None),
        Means::Wechat => ("WeChat Pay".to_owned(), None),
    };
    let form = format!(
        "<form method=\"post\"><button class=\"act\" name=\"decision\" value=\"approve\">{}</button><button name=\"decision\" \
         value=\"decline\">{}</button></form>",
        Escaped(language.pick(&APPROVE)),
        Escaped(language.pick(&DECLINE)),
    );
    Sheet::new(language, &TITLE, Mood::Plain, &CONFIRM)
        .paragraph(language.pick(&ASK))
        // Binding a payment token moves no money, so this is the only amount.
        .rows([
            (&MERCHANT, token.return_urls[0].as_deref().and_then(host)),
            (&AMOUNT, Some(language.pick(&NO_CHARGE))),
            (&MEANS, Some(&means[..])),
            (&HOLDER, holder),
        ])
        .html(&form)
}

const TITLE: Text =
    Text { en: "Simulated 3-D Secure verification", hk: "模擬 3-D Secure 驗證", cn: "模拟 3-D Secure 验证" };
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
const UNKNOWN: Text =
    Text {
        en: "There is nothing to verify here.", hk: "此處沒有需要驗證的項目。", cn: "此处没有需要验证的项目。"
    };
const UNDECIDED: Text = Text {
    en: "decision must be approve or decline.",
    hk: "decision 必須是 approve 或 decline。",
    cn: "decision 必须是 approve 或 decline。",
};
