//! What a handler returns: an [`Answer`] or a [`Refusal`]. Each is a response extension until the envelope is made of it.

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue};
use serde_json::Value;

use super::refusal::Refusal;

const TOTAL_ENTRIES: HeaderName = HeaderName::from_static("x-total-entries");

/// A success: `{"code":200,"message":"success","data":…}` (`deploy/docs/wonder.md` §4).
#[derive(Debug, Clone)]
pub(super) struct Answer {
    data: Value,
    total: Option<usize>,
}

impl Answer {
    /// An answer with this `data`.
    pub(super) fn new(data: Value) -> Self {
        Self { data, total: None }
    }

    /// An answer with one page of a list that has `total` rows, said in `X-Total-Entries`.
    pub(super) fn page(data: Value, total: usize) -> Self {
        Self { data, total: Some(total) }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = Response::default();
        if let Some(total) = self.total {
            response.headers_mut().insert(TOTAL_ENTRIES, HeaderValue::from(total));
        }
        response.extensions_mut().insert(self.data);
        response
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}
