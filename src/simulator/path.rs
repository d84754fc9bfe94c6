//! The parts of a request target: segments of the path, and the query.

use axum::extract::{Path, Query, rejection::PathRejection};
use http::Uri;
use uuid::Uuid;

use super::refusal::{Refusal, Rule};

/// The largest number of rows of a page (`deploy/docs/wonder.md` §6).
pub(super) const MOST_ROWS: usize = 1000;
/// The default number of rows of a page; Wonder documents none.
const USUAL_ROWS: usize = 20;

/// A path segment, percent-decoded by the router. Decoding fails if the result is not UTF-8.
pub(super) type Segment = Result<Path<String>, PathRejection>;

/// A customer's uuid from the path. A text that is not a uuid belongs to no customer.
pub(super) fn customer_id(id: Segment) -> Result<Uuid, Refusal> {
    id.ok().and_then(|Path(id)| parse_uuid(&id)).ok_or(Refusal::NoCustomer)
}

/// Reads an id as this simulator writes them: 36 characters.
pub(super) fn parse_uuid(text: &str) -> Option<Uuid> {
    if text.len() == 36 { Uuid::try_parse(text).ok() } else { None }
}

/// The pairs of a query, decoded as a form.
pub(super) fn query(uri: &Uri) -> Vec<(String, String)> {
    Query::try_from_uri(uri).map(|Query(pairs)| pairs).unwrap_or_default()
}

/// Which rows of a list to return.
pub(super) struct Page {
    pub(super) offset: usize,
    pub(super) limit: usize,
}

impl Default for Page {
    fn default() -> Self {
        Self { offset: 0, limit: USUAL_ROWS }
    }
}

impl Page {
    /// Reads `limit` or `offset` from a pair of the query; returns whether the pair was one of them.
    pub(super) fn take(&mut self, name: &str, value: &str) -> Result<bool, Refusal> {
        match name {
            "limit" => self.limit = number(name, value, 1, MOST_ROWS)?,
            "offset" => self.offset = number(name, value, 0, usize::MAX)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn number(field: &str, text: &str, from: usize, to: usize) -> Result<usize, Refusal> {
    let number = text.parse().ok().filter(|number| (from..=to).contains(number));
    number.ok_or_else(|| Refusal::FieldValue(field.to_owned(), Rule::Number(from, to)))
}
