//! Why a token is not believed: exact for the log, plain for the person.

use crate::base::{Code, Failure, Kind, codes};

/// No token came with the request.
pub const UNAUTHENTICATED: Code = Code {
    name: "unauthenticated",
    kind: Kind::Unauthenticated,
    title: "Not signed in",
};

/// A token or a key came, and is not believed. `WWW-Authenticate` says `error="invalid_token"` (RFC 6750 section 3.1).
pub const INVALID_TOKEN: Code = Code {
    name: "invalid_token",
    kind: Kind::Unauthenticated,
    title: "The access token or service key is not accepted",
};

/// A good token of a sign-in that is too old or too weak for this. `WWW-Authenticate` says how recent it must be
/// (RFC 9470 section 3), from the member `max_age`.
pub const INSUFFICIENT_USER_AUTHENTICATION: Code = Code {
    name: "insufficient_user_authentication",
    kind: Kind::Unauthenticated,
    title: "A more recent or stronger sign-in is needed",
};

/// A good token that does not allow this.
pub const FORBIDDEN: Code = Code {
    name: "forbidden",
    kind: Kind::Forbidden,
    title: "Not allowed",
};

/// What this room answers with.
pub const CODES: &[Code] = &[
    UNAUTHENTICATED,
    INVALID_TOKEN,
    INSUFFICIENT_USER_AUTHENTICATION,
    FORBIDDEN,
];

/// The most characters of a token's words that go to the log.
const LONGEST_QUOTE: usize = 120;

/// The failure for a request without a token.
pub fn no_token() -> Failure {
    Failure::new(UNAUTHENTICATED, "Sign in first: no access token was sent.")
}

/// The failure for a token that is sent in the manner of one that is bound to a key (RFC 9449 section 7.1).
pub fn no_bound_token() -> Failure {
    Failure::new(
        UNAUTHENTICATED,
        "Tokens that are bound to a key (DPoP) are not accepted: send one that is not, as Bearer.",
    )
}

/// Why a token is not believed. Words of the token are quoted, escaped and
/// shortened; no variant holds the token or its signature.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("the token is longer than {0} bytes")]
    TooLong(usize),
    #[error("the token is not three parts of unpadded base64url")]
    Shape,
    #[error("the header cannot be read: {0}")]
    Header(String),
    #[error("the header asks for {0}, which we do not do")]
    Extension(&'static str),
    #[error("the header says typ {0}, which is no access token")]
    Type(String),
    #[error("the header does not say typ at+jwt, which require-at-jwt asks for")]
    Untyped,
    #[error("the algorithm {0} is not accepted from this issuer")]
    Algorithm(String),
    #[error("no issuer is set that calls itself {0}")]
    UnknownIssuer(String),
    #[error("the issuer has no key {0} that is accepted")]
    UnknownKey(String),
    #[error("the token names no key, and more than one would fit")]
    AmbiguousKey,
    #[error("the key {0} is for another algorithm")]
    WrongKey(String),
    #[error("the signature does not fit")]
    Signature,
    #[error("the claims cannot be read: {0}")]
    Claims(String),
    #[error("the token is for {0}, not for us")]
    Audience(String),
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    NotYet,
    #[error("the token is valid for longer than a day")]
    TooLongLived,
    #[error("the subject is empty, too long or holds control characters")]
    Subject,
    #[error("the claims are those of another kind of token: {0}")]
    OtherKind(&'static str),
    #[error(
        "the token is bound to a key (cnf, DPoP or mutual TLS), and such a binding is not checked here"
    )]
    Bound,
    #[error("the nonce is not that of this sign-in")]
    Nonce,
    #[error("at_hash is not that of the access token beside it")]
    AccessTokenHash,
}

/// Words of a token as they may stand in the log.
pub(super) fn quote(words: &str) -> String {
    let mut characters = words.chars();
    let head: String = characters.by_ref().take(LONGEST_QUOTE).collect();
    let more = if characters.next().is_some() {
        "…"
    } else {
        ""
    };
    format!("{head:?}{more}")
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Failure {
        let detail = match refusal {
            Refusal::Expired => "The access token has expired. Sign in again.",
            Refusal::NotYet => "The access token is not valid yet. Check the clocks.",
            Refusal::Audience(_) => "The access token was made for another service.",
            Refusal::Bound => {
                "The access token is bound to a key (DPoP or mutual TLS), which this server does not check. \
                 Request one that is not bound."
            }
            _ => "The access token cannot be accepted. Sign in again.",
        };
        Failure::new(INVALID_TOKEN, detail).because(refusal)
    }
}

/// What is said while the issuer does not answer.
pub const ISSUER_AWAY: &str =
    "The sign-in service cannot be reached at the moment. Try again shortly.";

/// The failure for what the issuer must answer first.
pub(crate) fn unavailable(
    retry_after: u64,
    cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> Failure {
    Failure::new(codes::UNAVAILABLE, ISSUER_AWAY)
        .retry_after(retry_after)
        .because(cause)
}
