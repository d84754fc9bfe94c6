//! `POST open_payments`: charges without a page, by a payment token or by a QR code that the merchant or the payer shows.

use http::HeaderMap;
use serde_json::json;
use uuid::Uuid;

use super::super::{
    Wonder,
    answer::Answer,
    fields::{Fields, TEXT, URL},
    ledger::{Amount, Denial, Draft, Method, Outcome, Payment},
    orders,
    refusal::{Refusal, Rule},
    request::{Json, Merchant},
    store::{
        Names, Store,
        records::{Means, TokenState},
    },
};
use crate::signing::AppId;

/// Chooses the outcome of one call, for tests of a merchant. Wonder has no such header.
const OUTCOME: &str = "x-wonder-simulator-outcome";
/// The means of payment; a body has exactly one of them.
const WAYS: &str = "payment_token, wechatpay, alipay, consumer_presented_qr_code";

/// Handles the call. The order is an existing one (`reference_number`) or is created (`order`).
pub(crate) async fn create(
    Merchant { app_id, wonder }: Merchant,
    headers: HeaderMap,
    Json(body): Json,
) -> Result<Answer, Refusal> {
    let fields = Fields::of(&body)?;
    fields.text("app_id", TEXT)?;
    let request = fields.required_object("payment")?;
    let chosen = headers.get(OUTCOME).map(|value| {
        let chosen = value.to_str().ok().and_then(Outcome::parse);
        chosen.ok_or_else(|| Refusal::FieldValue(OUTCOME.to_owned(), Rule::OneOf(Outcome::NAMES)))
    });
    let chosen = chosen.transpose()?;
    let uuid = request.uuid("uuid")?;
    let target = Target::read(&fields, &request, &wonder)?;

    let mut store = wonder.store();
    if uuid.is_some_and(|uuid| store.orders.has_transaction(uuid)) {
        return Err(Denial::PaymentRepeated.into());
    }
    let decimals = target.decimals(&store, &app_id)?;
    let way = Way::read(&request, decimals, &store, &app_id)?;
    let uuid = uuid.unwrap_or_else(|| store.ids.uuid());
    let payment = Payment {
        uuid,
        method: Some(way.method),
        amount: Some(way.amount),
        authorize: way.authorize,
        outcome: chosen.unwrap_or(way.outcome),
    };
    let now = store.ids.time(wonder.now());
    let order = match target {
        Target::Existing(names) => {
            let number = store.orders.find(&app_id, names)?.number;
            store.orders.change(number, now, |order| order.pay(payment, now))?
        }
        Target::New(draft) => store.orders.create(&app_id, draft, now, |order| order.pay(payment, now))?,
    };
    let transaction = order.transaction(uuid).map(|transaction| order.transaction_view(transaction));
    Ok(Answer::new(json!({ "order": order.view(), "transaction": transaction })))
}

/// The order to pay.
enum Target<'a> {
    Existing(Names<'a>),
    New(Draft),
}

impl<'a> Target<'a> {
    /// An `order` with an amount or items is created. An `order` with only a number or a reference number is looked up.
    fn read(fields: &Fields<'a>, payment: &Fields<'a>, wonder: &Wonder) -> Result<Self, Refusal> {
        let reference_number = match fields.filled("reference_number", TEXT)? {
            Some(reference_number) => Some(reference_number),
            None => payment.filled("reference_number", TEXT)?,
        };
        match (fields.object("order")?, reference_number) {
            (Some(order), None) if order.has("charge_fee") || order.has("line_items") => {
                Ok(Self::New(orders::read_draft(&order, &wonder.currencies)?))
            }
            (Some(order), None) => Ok(Self::Existing(Names {
                number: order.filled("number", TEXT)?,
                reference_number: order.filled("reference_number", TEXT)?,
                transaction: None,
            })),
            (None, Some(reference_number)) => {
                Ok(Self::Existing(Names { reference_number: Some(reference_number), ..Names::default() }))
            }
            (Some(_), Some(_)) => {
                Err(Refusal::FieldValue("body".to_owned(), Rule::ExactlyOne("reference_number, order")))
            }
            (None, None) => Err(Refusal::FieldMissing("reference_number or order".to_owned())),
        }
    }

    fn decimals(&self, store: &Store, app_id: &AppId) -> Result<u32, Refusal> {
        let currency = match self {
            Self::Existing(names) => store.orders.find(app_id, *names)?.draft.currency,
            Self::New(draft) => draft.currency,
        };
        Ok(currency.decimals())
    }
}

/// The means of payment.
struct Way {
    method: Method,
    amount: Amount,
    authorize: bool,
    outcome: Outcome,
}

impl Way {
    fn read(payment: &Fields<'_>, decimals: u32, store: &Store, app_id: &AppId) -> Result<Self, Refusal> {
        let names = ["payment_token", "wechatpay", "alipay", "consumer_presented_qr_code"];
        let mut ways = Vec::new();
        for name in names {
            ways.extend(payment.object(name)?.map(|fields| (name, fields)));
        }
        let [(name, fields)] = &ways[..] else {
            return Err(Refusal::FieldValue("payment".to_owned(), Rule::ExactlyOne(WAYS)));
        };
        let amount = fields.required_amount("amount", decimals)?;
        match *name {
            "payment_token" => Self::by_token(fields, amount, store, app_id),
            "consumer_presented_qr_code" => Self::by_payers_code(fields, amount),
            name => {
                // The payer must still scan the code, so the payment is pending.
                fields.required_object("merchant_presented_qr_code")?.required("payinfo", URL)?;
                let method = if name == "wechatpay" { Method::WeChat } else { Method::Alipay };
                Ok(Self { method, amount, authorize: false, outcome: Outcome::Pending })
            }
        }
    }

    fn by_token(fields: &Fields<'_>, amount: Amount, store: &Store, app_id: &AppId) -> Result<Self, Refusal> {
        let mode = fields.ruled("consume_mode", Rule::OneOf("sales, pre_authorize"), |mode| {
            matches!(mode, "sales" | "pre_authorize")
        })?;
        fields.ruled("entry_type", Rule::OneOf("mit"), |entry| entry == "mit")?;
        fields.required("token", TEXT)?;
        let token: Uuid = fields.uuid("token").ok().flatten().ok_or(Refusal::NoToken)?;
        let token = store.customers.any_token(app_id, token)?;
        if token.state != TokenState::Success {
            return Err(Denial::TokenNotUsable.into());
        }
        let method = match token.means {
            Means::Card(_) => Method::CreditCard,
            Means::Alipay => Method::Alipay,
            Means::Wechat => Method::WeChat,
        };
        Ok(Self { method, amount, authorize: mode == "pre_authorize", outcome: Outcome::Success })
    }

    /// The first digits of a payer's code identify the wallet that issued it.
    fn by_payers_code(fields: &Fields<'_>, amount: Amount) -> Result<Self, Refusal> {
        fields.ruled("code_type", Rule::OneOf("qrcode"), |code_type| code_type == "qrcode")?;
        let content = fields.required("content", URL)?;
        let method = match content.as_bytes() {
            [b'1', b'0'..=b'5', ..] => Method::WeChat,
            [b'6', b'2', ..] => Method::UnionPayWallet,
            _ => Method::Alipay,
        };
        Ok(Self { method, amount, authorize: false, outcome: Outcome::Success })
    }
}
