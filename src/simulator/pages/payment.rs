//! The payment page, which `payment_link` opens. A person pays, declines, or leaves the payment pending, and returns to the order's
//! unchanged `redirect_url`: nothing is appended to it (`deploy/docs/wonder.md` §7). A pending payment can be settled on the same page
//! later.

use std::{fmt::Write as _, sync::Arc};

use axum::{
    Form,
    extract::{Path, State, rejection::FormRejection},
    response::Response,
};
use http::{HeaderMap, StatusCode};

use super::sheet::{Mood, Sheet};
use crate::{
    html::Escaped,
    simulator::{
        Wonder,
        fields::is_url,
        language::{Language, Text},
        ledger::{Amount, Method, Order, Outcome},
        path::Segment,
        payments::pay::pay,
    },
};

/// `GET /l/{number}`.
pub(crate) async fn show(State(wonder): State<Arc<Wonder>>, number: Segment, headers: HeaderMap) -> Response {
    let language = Language::spoken(&headers);
    let store = wonder.store();
    match number.ok().and_then(|Path(number)| store.orders.by_number(&number).ok()) {
        Some(order) => opened(&Bill::of(order), language).respond(StatusCode::OK),
        None => unknown(language).respond(StatusCode::NOT_FOUND),
    }
}

/// `POST /l/{number}` with an `outcome` (`success`, `failure`, `pending`) and optionally a `method`. If the order can no longer be
/// paid, the response is 409 with a page that gives the reason.
pub(crate) async fn decide(
    State(wonder): State<Arc<Wonder>>,
    number: Segment,
    headers: HeaderMap,
    form: Result<Form<Vec<(String, String)>>, FormRejection>,
) -> Response {
    let language = Language::spoken(&headers);
    let pairs = form.map(|Form(pairs)| pairs).unwrap_or_default();
    let field = |name: &str| pairs.iter().find(|(other, _)| other == name).map(|(_, value)| &value[..]);
    let (method, outcome) = (field("method").map(Method::parse), field("outcome").and_then(Outcome::parse));
    let (None | Some(Some(_)), Some(outcome)) = (method, outcome) else {
        return unreadable(language).respond(StatusCode::BAD_REQUEST);
    };
    let mut store = wonder.store();
    let Some(number) =
        number.ok().and_then(|Path(number)| store.orders.by_number(&number).ok()).map(|order| order.number)
    else {
        return unknown(language).respond(StatusCode::NOT_FOUND);
    };
    let number = number.to_string();
    match pay(&mut store, &number, method.flatten(), None, outcome, wonder.now()).map(Bill::of) {
        Ok(bill) => decided(&bill, outcome, language).respond(StatusCode::OK),
        Err(_) => match store.orders.by_number(&number) {
            Ok(order) => opened(&Bill::of(order), language).respond(StatusCode::CONFLICT),
            Err(_) => unknown(language).respond(StatusCode::NOT_FOUND),
        },
    }
}

/// The order's data on the page.
struct Bill {
    number: String,
    reference_number: String,
    /// With the currency: `HKD 120.00`.
    total: String,
    /// `None` if nothing was paid.
    paid: Option<String>,
    due: String,
    /// An `http` or `https` URL; the call that creates an order refuses any other.
    redirect_url: Option<String>,
    condition: Condition,
}

impl Bill {
    fn of(order: &Order) -> Self {
        let money = |amount: Amount| format!("{} {amount}", order.draft.currency.as_str());
        let pending = order.pending().map(|pending| pending.amount);
        Self {
            number: order.number.to_string(),
            reference_number: order.draft.reference_number.to_string(),
            total: money(order.draft.total),
            paid: order.paid().is_positive().then(|| money(order.paid())),
            due: money(pending.unwrap_or_else(|| order.payable())),
            redirect_url: order.draft.redirect_url.as_deref().filter(|url| is_url(url)).map(str::to_owned),
            condition: Condition::of(order),
        }
    }
}

/// The possible actions on an order here.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Condition {
    Payable,
    Pending,
    Paid,
    Authorized,
    Refunded,
    Voided,
    /// Voided because its due date is past.
    Expired,
}

impl Condition {
    fn of(order: &Order) -> Self {
        if order.pending().is_some() {
            return Self::Pending;
        }
        if order.payable().is_positive() {
            return Self::Payable;
        }
        match order.correspondence_state() {
            "paid" | "over_paid" => Self::Paid,
            "authorized" => Self::Authorized,
            "unpaid" => {
                let is_over = order.draft.due_date.is_some_and(|date| date.end() <= order.updated_at);
                if is_over { Self::Expired } else { Self::Voided }
            }
            _ => Self::Refunded,
        }
    }
}

/// The page of an order before a choice.
fn opened(bill: &Bill, language: Language) -> Sheet {
    let (mood, heading, text) = match bill.condition {
        Condition::Payable => return question(bill, language),
        Condition::Pending => return settlement(bill, language),
        Condition::Paid => (Mood::Good, &PAID, &NOTHING_DUE),
        Condition::Authorized => (Mood::Good, &AUTHORIZED, &NOT_CAPTURED),
        Condition::Refunded => (Mood::Plain, &REFUNDED, &MONEY_BACK),
        Condition::Voided => (Mood::Bad, &VOIDED, &CANCELLED),
        Condition::Expired => (Mood::Bad, &EXPIRED, &TOO_LATE),
    };
    let sheet = facts(Sheet::new(language, &TITLE, mood, heading).paragraph(language.pick(text)), bill);
    match &bill.redirect_url {
        Some(url) => sheet.link_to(url),
        None => sheet,
    }
}

/// The page after a choice was carried out. It returns to the merchant after every choice.
fn decided(bill: &Bill, outcome: Outcome, language: Language) -> Sheet {
    let (mood, heading, text) = match outcome {
        Outcome::Success => (Mood::Good, &THANKS, &RECEIVED),
        Outcome::Failure => (Mood::Bad, &DECLINED, &TRY_AGAIN),
        Outcome::Pending => (Mood::Wait, &PENDING, &UNDECIDED),
    };
    let sheet = facts(Sheet::new(language, &TITLE, mood, heading).paragraph(language.pick(text)), bill);
    match &bill.redirect_url {
        Some(url) => sheet.returning_to(url),
        None => sheet.paragraph(language.pick(&STAY)),
    }
}

/// The page when there is no such order.
fn unknown(language: Language) -> Sheet {
    Sheet::new(language, &TITLE, Mood::Plain, &UNKNOWN).paragraph(language.pick(&CHECK_LINK))
}

/// The page when the form lacks a choice.
fn unreadable(language: Language) -> Sheet {
    Sheet::new(language, &TITLE, Mood::Plain, &UNREADABLE)
}

fn question(bill: &Bill, language: Language) -> Sheet {
    let mut form = String::from("<form method=\"post\"><fieldset><legend>");
    // Writing to a `String` does not fail.
    let _ = write!(form, "{}</legend>", Escaped(language.pick(&METHOD)));
    for method in Method::ALL {
        let checked = if method == Method::CreditCard { " checked" } else { "" };
        let (value, name) = (method.as_str(), Escaped(language.pick(name(method))));
        let _ = write!(form, "<label><input type=\"radio\" name=\"method\" value=\"{value}\"{checked}>{name}</label>");
    }
    let pay = language.fill(&PAY, &[&bill.due]);
    let (decline, wait) = (language.pick(&DECLINE), language.pick(&WAIT));
    let _ = write!(
        form,
        "</fieldset><button class=\"act\" name=\"outcome\" value=\"success\">{}</button><div class=\"pair\"><button \
         name=\"outcome\" value=\"failure\">{}</button><button name=\"outcome\" value=\"pending\">{}</button></div></form>",
        Escaped(pay),
        Escaped(decline),
        Escaped(wait),
    );
    facts(Sheet::new(language, &TITLE, Mood::Plain, &AMOUNT_DUE).amount(&bill.due), bill).html(&form)
}

/// No method: the payment has one.
fn settlement(bill: &Bill, language: Language) -> Sheet {
    let form = format!(
        "<form method=\"post\"><button class=\"act\" name=\"outcome\" value=\"success\">{}</button><button name=\"outcome\" \
         value=\"failure\">{}</button></form>",
        Escaped(language.pick(&SUCCEED)),
        Escaped(language.pick(&FAIL)),
    );
    let sheet =
        Sheet::new(language, &TITLE, Mood::Wait, &PENDING).amount(&bill.due).paragraph(language.pick(&UNDECIDED));
    facts(sheet, bill).html(&form)
}

/// A method's name for a payer.
fn name(method: Method) -> &'static Text {
    match method {
        Method::CreditCard => &Text { en: "Card", hk: "信用卡", cn: "信用卡" },
        Method::ApplePay => &Text { en: "Apple Pay", hk: "Apple Pay", cn: "Apple Pay" },
        Method::UnionPayWallet => &Text { en: "UnionPay", hk: "銀聯", cn: "银联" },
        Method::WeChat => &Text { en: "WeChat Pay", hk: "微信支付", cn: "微信支付" },
        Method::AlipayHk => &Text { en: "AlipayHK", hk: "AlipayHK", cn: "AlipayHK" },
        Method::Alipay => &Text { en: "Alipay", hk: "支付寶", cn: "支付宝" },
        Method::Fps => &Text { en: "FPS", hk: "轉數快", cn: "转数快" },
        Method::Octopus => &Text { en: "Octopus", hk: "八達通", cn: "八达通" },
        Method::PayMe => &Text { en: "PayMe", hk: "PayMe", cn: "PayMe" },
    }
}

fn facts(sheet: Sheet, bill: &Bill) -> Sheet {
    // The total is omitted if all of it is due.
    let total = (bill.due != bill.total).then_some(&bill.total[..]);
    sheet.rows([
        (&MERCHANT, Some(Order::BUSINESS_NAME)),
        (&REFERENCE, Some(&bill.reference_number)),
        (&ORDER, Some(&bill.number)),
        (&TOTAL, total),
        (&ALREADY_PAID, bill.paid.as_deref()),
    ])
}

const TITLE: Text = Text { en: "Simulated payment", hk: "模擬付款", cn: "模拟付款" };
const AMOUNT_DUE: Text = Text { en: "Amount due", hk: "應付金額", cn: "应付金额" };
const MERCHANT: Text = Text { en: "Merchant", hk: "商戶", cn: "商户" };
const REFERENCE: Text = Text { en: "Reference", hk: "參考編號", cn: "参考编号" };
const ORDER: Text = Text { en: "Order", hk: "訂單", cn: "订单" };
const TOTAL: Text = Text { en: "Total", hk: "總額", cn: "总额" };
const ALREADY_PAID: Text = Text { en: "Paid", hk: "已付", cn: "已付" };
const METHOD: Text = Text { en: "Pay with", hk: "付款方式", cn: "支付方式" };
const PAY: Text = Text { en: "Pay {0}", hk: "支付 {0}", cn: "支付 {0}" };
const DECLINE: Text = Text { en: "Decline", hk: "拒絕", cn: "拒绝" };
const WAIT: Text = Text { en: "Leave pending", hk: "保持待處理", cn: "保持待处理" };
const SUCCEED: Text = Text { en: "Let it succeed", hk: "設為成功", cn: "设为成功" };
const FAIL: Text = Text { en: "Let it fail", hk: "設為失敗", cn: "设为失败" };
const THANKS: Text = Text { en: "Payment received", hk: "已收到付款", cn: "已收到付款" };
const RECEIVED: Text = Text {
    en: "The payment succeeded. The order shows it.",
    hk: "付款成功，訂單已更新。",
    cn: "付款成功，订单已更新。",
};
const DECLINED: Text = Text { en: "Payment declined", hk: "付款被拒絕", cn: "付款被拒绝" };
const TRY_AGAIN: Text = Text {
    en: "The payment failed. The order can be paid again.",
    hk: "付款失敗，可以再次支付此訂單。",
    cn: "付款失败，可以再次支付此订单。",
};
const PENDING: Text = Text { en: "Payment pending", hk: "付款待處理", cn: "付款待处理" };
const UNDECIDED: Text =
    Text {
        en: "The outcome of the payment is still open.", hk: "付款結果尚未確定。", cn: "付款结果尚未确定。"
    };
const PAID: Text = Text { en: "Paid already", hk: "已付款", cn: "已付款" };
const NOTHING_DUE: Text = Text { en: "Nothing is due.", hk: "無須付款。", cn: "无须付款。" };
const AUTHORIZED: Text = Text { en: "Payment authorized", hk: "付款已授權", cn: "付款已授权" };
const NOT_CAPTURED: Text = Text {
    en: "The amount is reserved and not captured yet.",
    hk: "金額已預留，尚未扣款。",
    cn: "金额已预留，尚未扣款。",
};
const REFUNDED: Text = Text { en: "Payment returned", hk: "款項已退回", cn: "款项已退回" };
const MONEY_BACK: Text = Text {
    en: "The payment was refunded or voided. Nothing is due.",
    hk: "款項已退款或作廢，無須付款。",
    cn: "款项已退款或作废，无须付款。",
};
const VOIDED: Text = Text { en: "Order voided", hk: "訂單已作廢", cn: "订单已作废" };
const CANCELLED: Text = Text {
    en: "The merchant voided this order. It cannot be paid.",
    hk: "商戶已作廢此訂單，不能付款。",
    cn: "商户已作废此订单，不能付款。",
};
const EXPIRED: Text = Text { en: "Order expired", hk: "訂單已過期", cn: "订单已过期" };
const TOO_LATE: Text = Text {
    en: "The due date is past. The order cannot be paid.",
    hk: "到期日已過，不能付款。",
    cn: "到期日已过，不能付款。",
};
const UNKNOWN: Text = Text { en: "There is no such order", hk: "沒有此訂單", cn: "没有此订单" };
const CHECK_LINK: Text = Text {
    en: "Open the payment_link of an order that this simulator created. A simulator that was started anew has no orders.",
    hk: "請開啟此模擬器所建立訂單的 payment_link。重新啟動的模擬器沒有訂單。",
    cn: "请打开此模拟器所创建订单的 payment_link。重新启动的模拟器没有订单。",
};
const UNREADABLE: Text = Text {
    en: "outcome must be success, failure or pending, and method one of the list.",
    hk: "outcome 必須是 success、failure 或 pending，method 必須在列表之中。",
    cn: "outcome 必须是 success、failure 或 pending，method 必须在列表之中。",
};
const STAY: Text = Text {
    en: "The order has no redirect_url. Close this page.",
    hk: "訂單沒有 redirect_url，請關閉此頁。",
    cn: "订单没有 redirect_url，请关闭此页。",
};
