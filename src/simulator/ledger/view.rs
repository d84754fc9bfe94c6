//! The order and transaction objects, as answers and webhooks carry them (`deploy/docs/wonder.md` §5.5).

use serde_json::{Value, json};

use super::{Kind, LineItem, Method, Order, Status, Transaction, rfc3339};

impl Order {
    /// The order object. Totals are numbers where Wonder sends numbers; `paid_total` and `unpaid_total` are texts.
    pub(crate) fn view(&self) -> Value {
        let draft = &self.draft;
        let (state, correspondence_state) = (self.state(), self.correspondence_state());
        json!({
            "source": Self::SOURCE,
            "type": Self::TYPE,
            "number": self.number.to_string(),
            "reference_number": &*draft.reference_number,
            "business": { "id": self.business_id(), "business_name": Self::BUSINESS_NAME },
            "currency": draft.currency.as_str(),
            "initial_total": draft.total.number(),
            "initial_tips": draft.tips.number(),
            "subtotal": (draft.total - draft.tips).number(),
            "paid_total": self.paid().to_string(),
            "unpaid_total": self.unpaid().to_string(),
            "state": state,
            "correspondence_state": correspondence_state,
            "note": draft.note.as_deref().unwrap_or_default(),
            "due_date": draft.due_date.map(|date| date.to_string()),
            "notify_url": draft.callback_url.as_deref().unwrap_or_default(),
            "return_url": draft.redirect_url.as_deref().unwrap_or_default(),
            "authCode": self.transactions.iter().find(|sale| sale.is_live_sale()).map_or_else(String::new, auth_code),
            "created_at": rfc3339(self.created_at),
            "updated_at": rfc3339(self.updated_at),
            "line_items": draft.line_items.iter().map(LineItem::view).collect::<Vec<_>>(),
            "transactions": self.sorted().into_iter().map(|transaction| self.transaction_view(transaction)).collect::<Vec<_>>(),
        })
    }

    /// The source of every order that a call creates.
    pub(crate) const SOURCE: &'static str = "Wonder OpenAPI";
    pub(crate) const TYPE: &'static str = "Sales";
    /// The name of every merchant here.
    pub(crate) const BUSINESS_NAME: &'static str = "Simulated Merchant";

    /// One AppID belongs to one business, so its first digits name it.
    fn business_id(&self) -> String {
        u32::from_str_radix(&self.app_id.as_str()[..8], 16).unwrap_or_default().to_string()
    }

    /// Payments that succeeded come first and their refunds after them, because client code treats the first one as the original
    /// payment. Pending and failed transactions come last.
    fn sorted(&self) -> Vec<&Transaction> {
        let mut sorted: Vec<&Transaction> = self.transactions.iter().collect();
        sorted.sort_by_key(|transaction| match (transaction.status, transaction.kind) {
            (Status::Success, Kind::Sale | Kind::Authorization) => 0,
            (_, Kind::Refund) => 1,
            (Status::Pending, _) => 2,
            (Status::Failed, _) => 3,
        });
        sorted
    }

    /// The transaction object.
    pub(crate) fn transaction_view(&self, transaction: &Transaction) -> Value {
        let refunded = self.refunded_of(transaction.uuid);
        let (success, is_pending) = (transaction.status == Status::Success, transaction.status == Status::Pending);
        let refundable = transaction.is_live_sale() && refunded < transaction.amount;
        let mut view = json!({
            "type": transaction.kind.as_str(),
            "uuid": transaction.uuid,
            "source": Self::SOURCE,
            "currency": self.draft.currency.as_str(),
            "amount": transaction.amount.number(),
            "refunded_amount": refunded.number(),
            "success": success,
            "is_pending": is_pending,
            "captured": transaction.is_live_sale(),
            "voided": transaction.voided,
            "void_is_pending": false,
            "allow_void": transaction.is_live_authorization(),
            "allow_refund": refundable,
            "payment_method": transaction.method.as_str(),
            "note": transaction.note.as_deref(),
            "original_transaction_uuid": transaction.original,
            "created_at": rfc3339(transaction.created_at),
            "acquirer_response_body": "",
            "3ds": { "enrolled": "", "redirect_url": "" },
        });
        view["payment_data"] = payment_data(transaction);
        view
    }
}

impl LineItem {
    fn view(&self) -> Value {
        json!({
            "label": &*self.label,
            "purchasable_type": &*self.purchasable_type,
            "purchase_id": &*self.purchase_id,
            "price": self.price.number(),
            "quantity": self.quantity.number(),
            "total": self.total.number(),
        })
    }
}

/// The acquirer's data: invented, but the same in every answer, because they are derived from the uuid.
fn payment_data(transaction: &Transaction) -> Value {
    let digits = format!("{:012}", transaction.uuid.as_u128() % 1_000_000_000_000);
    let (resp_code, resp_msg, state) = match transaction.status {
        Status::Success => ("00", "Approved", "success"),
        Status::Pending => ("", "", "pending"),
        Status::Failed => ("05", "Do not honor", "failed"),
    };
    let mut data = json!({
        "acquirer_name": "Simulator",
        "acquirer_type": "simulator",
        "auth_code": if transaction.status == Status::Success { auth_code(transaction) } else { String::new() },
        "brn": format!("B{digits}"),
        "rrn": digits,
        "new_gateway_txn_id": format!("SIM{digits}"),
        "merchant_id": "000000000000001",
        "transaction_state": state,
        "resp_code": resp_code,
        "resp_msg": resp_msg,
    });
    if matches!(transaction.method, Method::CreditCard | Method::ApplePay) {
        data["card_number_len"] = 16.into();
        data["card_read_mode"] = "ecommerce".into();
        data["credit_card_type"] = "Visa".into();
        data["first_6_digits"] = "411111".into();
        data["last_4_digits"] = "1111".into();
    }
    data
}

fn auth_code(transaction: &Transaction) -> String {
    format!("{:06}", transaction.uuid.as_u128() % 1_000_000)
}
