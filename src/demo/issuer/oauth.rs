//! How OAuth reads its parameters and says what is wrong.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, HeaderName, PRAGMA, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use url::form_urlencoded;

use crate::base::Failure;

const MOST_PARAMETERS: usize = 64;

/// With every answer that may hold a token (RFC 6749 section 5.1).
pub const NOT_KEPT: [(HeaderName, &str); 2] = [(CACHE_CONTROL, "no-store"), (PRAGMA, "no-cache")];

/// The parameters of a query or a form. Those without a value count as
/// omitted, those given twice are an error (RFC 6749 section 3.1).
pub struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads `application/x-www-form-urlencoded`.
    pub fn read(encoded: &[u8]) -> Self {
        let pairs = form_urlencoded::parse(encoded)
            .filter(|(_, value)| !value.is_empty())
            .take(MOST_PARAMETERS);
        Parameters(
            pairs
                .map(|(n, v)| (n.into_owned(), v.into_owned()))
                .collect(),
        )
    }

    /// The one value of `name`, if any.
    ///
    /// # Errors
    /// `invalid_request` where it is given more than once.
    pub fn get(&self, name: &str) -> Result<Option<&str>, Refusal> {
        let mut values = self
            .0
            .iter()
            .filter(|(n, _)| n == name)
            .map(|(_, v)| v.as_str());
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            _ => Err(Refusal::new(
                Wrong::InvalidRequest,
                "A parameter is given twice.",
            )),
        }
    }

    /// The one value of `name`.
    ///
    /// # Errors
    /// `invalid_request` where there is none, or more than one; `missing` says so to people.
    pub fn need(&self, name: &str, missing: &'static str) -> Result<&str, Refusal> {
        self.get(name)?
            .ok_or(Refusal::new(Wrong::InvalidRequest, missing))
    }
}

/// What is wrong, in OAuth's words (RFC 6749 sections 4.1.2.1 and 5.2, OpenID
/// Connect Core section 3.1.2.6, RFC 6750 section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    InvalidRequest,
    InvalidClient,
    InvalidGrant,
    UnauthorizedClient,
    UnsupportedGrantType,
    UnsupportedResponseType,
    InvalidScope,
    AccessDenied,
    LoginRequired,
    RequestNotSupported,
    RequestUriNotSupported,
    ServerError,
}

impl Wrong {
    /// The value of `error`.
    pub const fn word(self) -> &'static str {
        match self {
            Wrong::InvalidRequest => "invalid_request",
            Wrong::InvalidClient => "invalid_client",
            Wrong::InvalidGrant => "invalid_grant",
            Wrong::UnauthorizedClient => "unauthorized_client",
            Wrong::UnsupportedGrantType => "unsupported_grant_type",
            Wrong::UnsupportedResponseType => "unsupported_response_type",
            Wrong::InvalidScope => "invalid_scope",
            Wrong::AccessDenied => "access_denied",
            Wrong::LoginRequired => "login_required",
            Wrong::RequestNotSupported => "request_not_supported",
            Wrong::RequestUriNotSupported => "request_uri_not_supported",
            Wrong::ServerError => "server_error",
        }
    }
}

/// An error for the client: a word for programs, a sentence for people. Never
/// holds what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub wrong: Wrong,
    pub sentence: &'static str,
}

impl Refusal {
    /// `wrong`, explained.
    pub const fn new(wrong: Wrong, sentence: &'static str) -> Self {
        Refusal { wrong, sentence }
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        tracing::error!(?failure, "the demo issuer failed");
        Refusal::new(
            Wrong::ServerError,
            "Something went wrong at the demo issuer.",
        )
    }
}

/// As the token endpoint answers.
impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = match self.wrong {
            Wrong::InvalidClient => StatusCode::UNAUTHORIZED,
            Wrong::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        };
        let body = json!({"error": self.wrong.word(), "error_description": self.sentence});
        let mut response = (status, NOT_KEPT, Json(body)).into_response();
        if self.wrong == Wrong::InvalidClient {
            let (name, value) = challenge("Basic realm=\"mfad demo\"");
            response.headers_mut().insert(name, value);
        }
        response
    }
}

/// The header with which a 401 says what it wants.
pub fn challenge(value: &'static str) -> (HeaderName, axum::http::HeaderValue) {
    (
        WWW_AUTHENTICATE,
        axum::http::HeaderValue::from_static(value),
    )
}
