//! Reads from a body which order it identifies.

use super::super::{
    fields::{Fields, TEXT},
    refusal::Refusal,
    store::Names,
};

/// `order.number`, `order.reference_number` and `transaction.uuid`; an empty text counts as absent. `app_id` is checked and otherwise
/// ignored, because the signature identifies the caller.
pub(crate) fn read<'a>(fields: &Fields<'a>) -> Result<Names<'a>, Refusal> {
    fields.text("app_id", TEXT)?;
    let mut names = Names::default();
    if let Some(order) = fields.object("order")? {
        names.number = order.filled("number", TEXT)?;
        names.reference_number = order.filled("reference_number", TEXT)?;
    }
    if let Some(transaction) = fields.object("transaction")? {
        names.transaction = transaction.filled("uuid", TEXT)?;
    }
    Ok(names)
}
