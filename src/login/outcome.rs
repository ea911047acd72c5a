//! The signed result of a verification.

use serde::Serialize;

use crate::base::{ChallengeId, Failure, Timestamp};
use crate::services::Services;

use super::record::{Challenge, Outcome};
use super::rule::RESULT_TTL;

/// What a result says (RFC 7519, RFC 8176; `acr` and `auth_time` as in OpenID Connect Core section 2).
/// Its `typ` is `mfa+jwt`, so that it is taken for no other kind of token (RFC 8725 section 3.11).
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    /// Who vouches for `sub`: two issuers may call two people the same.
    sub_iss: &'a str,
    aud: &'a str,
    iat: u64,
    exp: u64,
    /// A challenge gives one result.
    jti: String,
    amr: &'a [String],
    acr: &'a str,
    auth_time: u64,
    challenge_id: String,
    method: &'a str,
}

/// The result, and when it ends; `None` where its time is up. Asked for again, it says the same.
///
/// # Errors
/// Those of signing.
pub fn signed(
    tools: &Services,
    id: ChallengeId,
    challenge: &Challenge,
    outcome: &Outcome,
    now: Timestamp,
) -> Result<Option<(String, Timestamp)>, Failure> {
    let ends = outcome.at.plus(RESULT_TTL);
    let Some(subject) = challenge.subject.as_deref().filter(|_| now < ends) else {
        return Ok(None);
    };
    let claims = Claims {
        iss: &tools.origin,
        sub: subject,
        sub_iss: &challenge.issuer,
        aud: &challenge.service,
        iat: outcome.at.unix(),
        exp: ends.unix(),
        jti: id.to_string(),
        amr: &outcome.amr,
        acr: &outcome.acr,
        auth_time: outcome.at.unix(),
        challenge_id: id.to_string(),
        method: &outcome.method,
    };
    Ok(Some((tools.signer.sign(&claims)?, ends)))
}
