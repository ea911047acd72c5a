//! The clients that the issuer knows.

use subtle::ConstantTimeEq;

use crate::base::Secret;

/// A program that may ask for tokens.
pub struct Client {
    /// Its public name.
    pub id: String,
    /// What people read when they sign in to it.
    pub name: &'static str,
    /// Only confidential clients have one; public ones prove themselves by PKCE.
    pub secret: Option<Secret<String>>,
    /// Where people are sent back to; compared as a whole (RFC 9700 section 2.1).
    pub redirect_uris: Vec<String>,
    /// What it may do: sign people in, or ask in its own name for these scopes.
    pub grants: Grants,
}

/// The grants that a client may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grants {
    /// `authorization_code` with PKCE, and `refresh_token`.
    SignIn,
    /// `client_credentials`, for these scopes.
    Own(&'static [&'static str]),
}

impl Client {
    /// Whether `given` is this client's proof of itself. A public client has none to give.
    pub fn is_proven_by(&self, given: Option<&str>) -> bool {
        match (&self.secret, given) {
            (None, None) => true,
            (Some(secret), Some(given)) => {
                secret.expose().as_bytes().ct_eq(given.as_bytes()).into()
            }
            _ => false,
        }
    }
}
