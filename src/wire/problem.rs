//! Failures as problem documents (RFC 9457), and as the seed's 422.

use axum::Json;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::auth;
use crate::base::{Code, Failure, Kind};

/// The codes of HTTP itself.
pub const CODES: &[Code] = &[METHOD_NOT_ALLOWED, TIMEOUT, TOO_LARGE, UNSUPPORTED_MEDIA];

/// The path is there, the method is not.
pub const METHOD_NOT_ALLOWED: Code = Code {
    name: "method_not_allowed",
    kind: Kind::MethodNotAllowed,
    title: "Method not allowed",
};
/// The request took too long to arrive.
pub const TIMEOUT: Code = Code {
    name: "timeout",
    kind: Kind::Timeout,
    title: "The request took too long",
};
/// The body is too long.
pub const TOO_LARGE: Code = Code {
    name: "too_large",
    kind: Kind::TooLarge,
    title: "The body is too large",
};
/// The body is not JSON.
pub const UNSUPPORTED_MEDIA: Code = Code {
    name: "unsupported_media_type",
    kind: Kind::UnsupportedMedia,
    title: "The body must be JSON",
};

/// A failure on its way out of a handler.
#[derive(Debug)]
pub struct Refused(pub Failure);

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Refused(failure)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        problem(&self.0)
    }
}

/// The one table of statuses.
pub fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::BadRequest | Kind::BadProof => StatusCode::BAD_REQUEST,
        Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Kind::Timeout => StatusCode::REQUEST_TIMEOUT,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        Kind::UnsupportedMedia => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Kind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        Kind::TooMany => StatusCode::TOO_MANY_REQUESTS,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Writes `failure`, and logs it: our own faults as errors, what we depend on
/// as warnings, the rest for those who look closely.
pub fn problem(failure: &Failure) -> Response {
    let code = failure.code();
    match code.kind {
        Kind::Internal => tracing::error!(?failure, "fault"),
        Kind::Unavailable => tracing::warn!(?failure, "unavailable"),
        _ => tracing::debug!(?failure, "refused"),
    }
    let status = status(code.kind);
    let mut response = if code.kind == Kind::Invalid {
        let mut members = Map::from_iter([("detail".to_owned(), json!(failure.violations()))]);
        members.extend(further(failure));
        (status, Json(Value::Object(members))).into_response()
    } else {
        let mut members = Map::from_iter([
            ("type".to_owned(), Value::from("about:blank")),
            ("title".to_owned(), Value::from(code.title)),
            ("status".to_owned(), Value::from(status.as_u16())),
            ("detail".to_owned(), Value::from(failure.detail())),
            ("code".to_owned(), Value::from(code.name)),
        ]);
        members.extend(
            failure
                .wait()
                .map(|seconds| ("retry_after".to_owned(), Value::from(seconds))),
        );
        members.extend(further(failure));
        let mut response = (status, Json(Value::Object(members))).into_response();
        response.headers_mut().insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        response
    };
    let headers = response.headers_mut();
    headers.extend(
        failure
            .wait()
            .map(|seconds| (RETRY_AFTER, HeaderValue::from(seconds))),
    );
    if code.kind == Kind::Unauthenticated {
        headers.insert(WWW_AUTHENTICATE, challenge(failure));
    }
    response
}

/// What a client is to bring instead (RFC 6750 section 3, RFC 9470 section 3).
fn challenge(failure: &Failure) -> HeaderValue {
    if failure.code() == auth::INVALID_TOKEN {
        return HeaderValue::from_static(r#"Bearer error="invalid_token""#);
    }
    if failure.code() != auth::INSUFFICIENT_USER_AUTHENTICATION {
        // RFC 6750 section 3.1: without a token there is no error to name.
        return HeaderValue::from_static("Bearer");
    }
    const ERROR: &str = r#"Bearer error="insufficient_user_authentication""#;
    // The characters that RFC 6750 section 3 allows in a description.
    let description: String = failure
        .detail()
        .chars()
        .filter(|c| matches!(c, ' '..='~') && !matches!(c, '"' | '\\'))
        .collect();
    let mut text = format!(r#"{ERROR}, error_description="{description}""#);
    let max_age = failure
        .members()
        .iter()
        .find(|(name, _)| *name == "max_age");
    if let Some(seconds) = max_age.and_then(|(_, value)| value.as_u64()) {
        text.push_str(&format!(r#", max_age="{seconds}""#));
    }
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(ERROR))
}

fn further(failure: &Failure) -> impl Iterator<Item = (String, Value)> + '_ {
    let members = failure.members().iter();
    members.map(|(name, value)| ((*name).to_owned(), value.clone()))
}
