//! Who is calling: access tokens (RFC 9068) and the issuers that sign them.
//!
//! A [`Verifier`] turns a bearer token into a [`Caller`]. The unverified `iss`
//! picks the issuer's key set, `kid` and algorithm pick one key in it, that key
//! alone checks the signature, and only then are claims looked at. Keys come
//! from the settings and from nowhere else: nothing that a token says makes
//! this server open a connection to a place of the token's choice.

mod caller;
mod claims;
mod fetch;
mod id_token;
mod keys;
mod known;
mod outbound;
mod provider;
mod refusal;
mod service_token;
mod settings;
mod source;
mod token;
mod verifier;

#[cfg(test)]
mod tests;

pub use caller::{Caller, Email, LoginService, Person};
pub use claims::LEEWAY;
pub use id_token::{Expected, SignedIn};
pub use outbound::{Answer, DEADLINE, LONGEST_BODY, Outbound, OutboundError};
pub use provider::Provider;
pub(crate) use refusal::unavailable;
pub use refusal::{
    CODES, FORBIDDEN, INSUFFICIENT_USER_AUTHENTICATION, INVALID_TOKEN, ISSUER_AWAY,
    UNAUTHENTICATED, no_bound_token, no_token,
};
pub use service_token::verify_client_line;
pub use settings::{
    ADMIN_SCOPE, AuthSetupError, IssuerSettings, KeySource, RSA_BITS, SHORTEST_SECRET,
    SigningAlgorithm, VERIFY_SCOPE, check_address,
};
pub use token::LONGEST_TOKEN;
pub use verifier::Verifier;
