//! Reads the order to create from a body.

use std::sync::Arc;

use serde_json::Value;

use super::super::{
    fields::{Fields, TEXT},
    ledger::{Amount, Currency, Denial, Draft, LineItem},
    refusal::{Refusal, Rule},
};

/// The most line items of an order; Wonder documents no limit.
pub(crate) const MOST_ITEMS: usize = 500;

/// Checks the `order` object of `POST orders`.
///
/// The total is `charge_fee` plus `tips`. If `charge_fee` is zero or absent, the sum of the line items replaces it.
pub(crate) fn read(fields: &Fields<'_>, currencies: &[Currency]) -> Result<Draft, Refusal> {
    let reference_number = fields.required("reference_number", TEXT)?;
    let currency = currency(fields, currencies)?;
    let decimals = currency.decimals();
    let line_items = line_items(fields, decimals)?;
    let tips = fields.amount_or_zero("tips", decimals)?.unwrap_or_default();
    fields.amount_or_zero("subtotal", decimals)?;
    let charge_fee = fields.amount_or_zero("charge_fee", decimals)?;
    if charge_fee.is_none() && line_items.is_empty() {
        return Err(Refusal::FieldMissing(fields.name("charge_fee")));
    }
    let charged = charge_fee.filter(|fee| fee.is_positive());
    let total = charged.unwrap_or_else(|| line_items.iter().map(|item| item.total).sum()) + tips;
    // The sum of the items may exceed the limit for one item.
    if !total.is_positive() || !total.is_sane() {
        return Err(fields.broken("charge_fee", Rule::Amount(decimals)));
    }
    let due_date = fields.filled("due_date", TEXT)?;
    let due_date = due_date.map(|text| text.parse().map_err(|()| fields.broken("due_date", Rule::Date))).transpose()?;
    fields.text("language", TEXT)?;
    fields.object("customer")?;
    Ok(Draft {
        reference_number: Arc::from(reference_number),
        currency,
        total,
        tips,
        note: fields.filled("note", TEXT)?.map(Into::into),
        due_date,
        callback_url: fields.url("callback_url")?.map(Into::into),
        redirect_url: fields.url("redirect_url")?.map(Into::into),
        line_items: line_items.into(),
        only_pre_auth: fields.flag("is_only_pre_auth")?,
    })
}

/// The currency, in capital letters and enabled. An order without one is in Hong Kong dollars.
fn currency(fields: &Fields<'_>, enabled: &[Currency]) -> Result<Currency, Refusal> {
    let currency = fields.text("currency", TEXT)?.map_or(Some(Currency::DEFAULT), Currency::parse);
    currency.filter(|currency| enabled.contains(currency)).ok_or(Refusal::Denied(Denial::InvalidCurrency))
}

fn line_items(fields: &Fields<'_>, decimals: u32) -> Result<Vec<LineItem>, Refusal> {
    let items = fields.objects("line_items", MOST_ITEMS)?;
    items.iter().map(|item| line_item(item, decimals)).collect()
}

/// A price may be negative, for a discount. Without `total`, it is price times quantity.
fn line_item(item: &Fields<'_>, decimals: u32) -> Result<LineItem, Refusal> {
    let one = Amount::parse("1").unwrap_or_default();
    let quantity = item.signed_amount("quantity", 6)?.unwrap_or(one);
    let given = item.signed_amount("total", decimals)?;
    let price = item.signed_amount("price", decimals)?;
    let total = match (given, price) {
        (Some(total), _) => total,
        (None, Some(price)) => price * quantity,
        (None, None) => return Err(Refusal::FieldMissing(item.name("price"))),
    };
    if total.decimals() > decimals || !total.is_sane() {
        return Err(item.broken("total", Rule::SignedAmount(decimals)));
    }
    let id = |field| match item.value(field) {
        Ok(Value::Number(number)) => Ok(Some(number.to_string())),
        _ => Ok::<_, Refusal>(item.text(field, TEXT)?.map(str::to_owned)),
    };
    let purchase_id = id("purchase_id")?.or(id("purchasable_id")?).unwrap_or_default();
    Ok(LineItem {
        label: item.text("label", TEXT)?.unwrap_or_default().into(),
        purchasable_type: item.filled("purchasable_type", TEXT)?.unwrap_or("Charge").into(),
        purchase_id: purchase_id.into(),
        price: price.unwrap_or(total),
        quantity,
        total,
    })
}
