//! The parts of a request that the handlers of Wonder's calls receive.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{FromRequest, FromRequestParts, Request, rejection::ExtensionRejection},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::request::Parts;
use serde_json::Value;

use super::{Wonder, fields::json};
use crate::signing::AppId;

/// The AppID whose signature the gate accepted, and the shared state of all handlers.
pub(super) struct Merchant {
    pub(super) app_id: AppId,
    pub(super) wonder: Arc<Wonder>,
}

impl FromRequestParts<Arc<Wonder>> for Merchant {
    type Rejection = ExtensionRejection;

    async fn from_request_parts(parts: &mut Parts, wonder: &Arc<Wonder>) -> Result<Self, ExtensionRejection> {
        let Extension(app_id) = Extension::from_request_parts(parts, wonder).await?;
        Ok(Self { app_id, wonder: Arc::clone(wonder) })
    }
}

/// The body, read as JSON before the handler runs. A handler that must check something else first reads the bytes itself.
pub(super) struct Json(pub(super) Value);

impl FromRequest<Arc<Wonder>> for Json {
    type Rejection = Response;

    async fn from_request(request: Request, wonder: &Arc<Wonder>) -> Result<Self, Response> {
        let body = Bytes::from_request(request, wonder).await.map_err(IntoResponse::into_response)?;
        json(&body).map(Self).map_err(IntoResponse::into_response)
    }
}
