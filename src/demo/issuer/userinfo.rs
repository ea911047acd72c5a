//! `/userinfo` (OpenID Connect Core section 5.3, RFC 6750).

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::Issuer;
use super::claims::{ACCESS_TYP, AccessClaims, PersonClaims};
use super::oauth::challenge;

#[derive(Serialize)]
struct UserInfo {
    sub: String,
    #[serde(flatten)]
    person: PersonClaims,
}

pub async fn tell(State(issuer): State<Arc<Issuer>>, headers: HeaderMap) -> Response {
    let Some(bearer) = bearer_of(&headers) else {
        return (
            StatusCode::UNAUTHORIZED,
            [challenge("Bearer realm=\"mfad demo\"")],
        )
            .into_response();
    };
    let claims = issuer
        .key
        .open::<AccessClaims>(ACCESS_TYP, bearer)
        .filter(|claims| claims.iss == issuer.settings.url && issuer.now().unix() < claims.exp);
    let Some(claims) = claims else {
        let refusal = [challenge(
            "Bearer realm=\"mfad demo\", error=\"invalid_token\"",
        )];
        return (StatusCode::UNAUTHORIZED, refusal).into_response();
    };
    let scope: Vec<&str> = claims.scope.split(' ').collect();
    if !scope.contains(&"openid") {
        let refusal = [challenge(
            "Bearer realm=\"mfad demo\", error=\"insufficient_scope\", scope=\"openid\"",
        )];
        return (StatusCode::FORBIDDEN, refusal).into_response();
    }
    let person = claims.person.clone().within(&scope);
    Json(UserInfo {
        sub: claims.sub,
        person,
    })
    .into_response()
}

fn bearer_of(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
