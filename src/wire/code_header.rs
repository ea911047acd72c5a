//! A code in a header, for requests whose body gets lost on the way: some clients and proxies send none with DELETE.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::base::{Failure, Violation};

use super::body::OptionalCode;
use super::problem::Refused;

/// The header's name.
const NAME: &str = "x-mfad-code";

/// The code of the header `X-Mfad-Code`, if the request has one.
pub struct CodeHeader(Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for CodeHeader {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        let mut values = parts.headers.get_all(NAME).iter();
        let (first, None) = (values.next(), values.next()) else {
            return Err(misfit("value_error", "The header stands twice"));
        };
        let Some(value) = first else {
            return Ok(CodeHeader(None));
        };
        match value.to_str() {
            // A client that sets the header without a code sends none.
            Ok(text) if text.trim().is_empty() => Ok(CodeHeader(None)),
            Ok(text) => Ok(CodeHeader(Some(text.to_owned()))),
            Err(_) => Err(misfit("string_type", "Input should be a valid string")),
        }
    }
}

impl CodeHeader {
    /// The request's one code, in the header or in `body`.
    ///
    /// # Errors
    /// 422 if both have one and they differ: which of them would count could not be told.
    pub fn or(self, body: OptionalCode) -> Result<Option<String>, Refused> {
        match (self.0, body.code) {
            (Some(header), Some(body)) if header != body => Err(misfit(
                "value_error",
                "The code in the header differs from that in the body",
            )),
            (Some(code), _) | (None, Some(code)) => Ok(Some(code)),
            (None, None) => Ok(None),
        }
    }
}

fn misfit(kind: &'static str, msg: &'static str) -> Refused {
    Refused(Failure::invalid(vec![Violation {
        loc: vec!["header".into(), NAME.into()],
        msg: msg.into(),
        kind,
    }]))
}
