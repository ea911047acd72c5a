//! The OpenAPI document, from the routes themselves.

use std::sync::Arc;

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::base::Failure;
use crate::factor::{self, Desk};
use crate::login;
use crate::wire::{HttpValidationError, Problem, Refused, ValidationError};

use super::{health, jwks};

#[derive(OpenApi)]
#[openapi(
    info(title = "mfad", description = "Second factors of people: set up, proved, helped.", license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")),
    components(schemas(HttpValidationError, ValidationError, Problem)),
    tags((name = "mfa", description = "What a person manages of their own second factors"), (name = "login", description = "What login services ask"), (name = "prompt", description = "What the hosted page asks"), (name = "server", description = "The server itself"))
)]
struct Frame;

pub(super) fn routes() -> OpenApiRouter<Arc<Desk>> {
    OpenApiRouter::with_openapi(Frame::openapi())
        .merge(factor::routes())
        .merge(login::routes())
        .routes(routes!(openapi))
        .routes(routes!(jwks::jwks))
}

/// The document.
pub fn document() -> utoipa::openapi::OpenApi {
    // It answers whatever the clock says, so it is routed elsewhere.
    routes().routes(routes!(health::readyz)).into_openapi()
}

/// The document as JSON.
///
/// # Errors
/// `internal` where it cannot be written, which a test would notice.
pub fn document_json() -> Result<String, Failure> {
    document().to_pretty_json().map_err(Failure::internal)
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", operation_id = "openapi", summary = "Openapi", description = "This document.", tag = "server",
    responses((status = 200, description = "The OpenAPI document", body = Object)))]
async fn openapi() -> Result<Response, Refused> {
    Ok(([(CONTENT_TYPE, "application/json")], document_json()?).into_response())
}
