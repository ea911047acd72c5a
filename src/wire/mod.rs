//! From HTTP to types and back: who is asking, what they ask, and how a failure
//! is written. The rooms above speak HTTP through this one alone.

mod body;
mod caller;
mod calling_service;
mod code_header;
mod cookie;
mod document;
mod fields;
mod language;
mod problem;

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;

pub(crate) use body::code_requests;
pub use body::{Body, CodeRequest, FromBody, Nothing, OptionalCode};
pub use caller::{Asker, Me, bearer_token};
pub use calling_service::CallingService;
pub use code_header::CodeHeader;
pub use cookie::{
    SESSION_COOKIE, SIGN_IN_COOKIES, clear_cookie, cookie, from_own_page, set_cookie,
    sign_in_cookies,
};
pub use document::{
    AuthorizationHeader, ChangeRefusals, CodeHeaderParam, HttpValidationError, Problem,
    ReadRefusals, ServiceHeaders, ValidationError,
};
pub use fields::Fields;
pub use language::{LANGUAGE_COOKIE, asked_language, chosen_language};
pub use problem::{CODES, METHOD_NOT_ALLOWED, Refused, TIMEOUT, problem, status};

/// Bytes of a request's body at the most.
pub const LONGEST_BODY: usize = 64 * 1024;
