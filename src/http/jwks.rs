//! The keys that check what we sign.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use utoipa::ToSchema;

use crate::factor::Desk;
use crate::signing::JWKS_MAX_AGE;

/// A set of public keys (RFC 7517 section 5).
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what the signer writes")]
pub(super) struct JwkSet {
    /// The key that signs stands first.
    keys: Vec<JwkOfSigner>,
}

/// A public key on the curve P-256 (RFC 7518 section 6.2.1).
#[derive(ToSchema)]
#[schema(as = Jwk)]
#[expect(dead_code, reason = "describes what the signer writes")]
pub(super) struct JwkOfSigner {
    /// Always `EC`.
    kty: String,
    /// Always `P-256`.
    crv: String,
    /// The first coordinate, 32 bytes as base64url.
    x: String,
    /// The second coordinate, 32 bytes as base64url.
    y: String,
    /// Always `sig`.
    r#use: String,
    /// Always `ES256`.
    alg: String,
    /// The key's name, which stands in the head of what it signed: its thumbprint (RFC 7638).
    kid: String,
}

/// The public keys that check what this server signs.
///
/// Sent as `application/json`: RFC 7517 has `application/jwk-set+json`, but clients that know it also take
/// plain JSON, and not the other way round.
#[utoipa::path(get, path = "/.well-known/jwks.json", operation_id = "jwks", summary = "Jwks",
    description = "The public keys that check the results of verifications, as a JWK Set.", tag = "server",
    responses((status = 200, description = "The JWK Set, good for 300 seconds", body = JwkSet)))]
pub(super) async fn jwks(State(desk): State<Arc<Desk>>) -> Response {
    let cache = format!("public, max-age={JWKS_MAX_AGE}");
    ([(CACHE_CONTROL, cache)], Json(desk.tools.signer.jwks())).into_response()
}
