//! What login services are answered.

use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::base::{ChallengeId, Failure, Secret};
use crate::factor::{Desk, MailSent};
use crate::wire::{Refused, problem};

use super::outcome;
use super::record::{Challenge, Outcome, State};
use super::rule::Decision;

/// A refusal of an answer: it says in so many words that nothing was verified, for clients that look at one
/// word alone.
pub struct NotVerified(Failure);

impl From<Failure> for NotVerified {
    fn from(failure: Failure) -> Self {
        NotVerified(failure.with("verified", false).with("result", false))
    }
}

impl From<Refused> for NotVerified {
    fn from(Refused(failure): Refused) -> Self {
        failure.into()
    }
}

impl IntoResponse for NotVerified {
    fn into_response(self) -> Response {
        problem(&self.0)
    }
}

/// A challenge, as its service sees it.
#[derive(Serialize, ToSchema)]
pub struct ChallengeView {
    #[schema(value_type = String)]
    challenge_id: ChallengeId,
    /// `challenge`: ask for a second factor. `allow`: let the person in. `enroll`: send them to their settings
    /// page. `deny`: turn them away.
    decision: Decision,
    /// `pending`, `verified`, `failed`, `cancelled`, `expired`; `closed` where nothing is asked for.
    status: &'static str,
    /// How the person can answer: the last used first, then the strongest.
    methods: Vec<String>,
    /// When it takes no more answers; with `verified`, when the signed result is no longer good, and null once
    /// that is so.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    /// A page of this server on which the person can answer; with `return_url` alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    prompt_url: Option<String>,
    /// What came of it: with `verified` alone.
    #[serde(flatten)]
    #[schema(value_type = ChallengeOutcome)]
    outcome: Option<VerifiedView>,
}

/// What came of a challenge: all of it where the status is `verified`, and else nothing.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes an outcome that may be absent")]
struct ChallengeOutcome {
    /// Always true.
    #[schema(required = false)]
    verified: bool,
    /// Always true: the same in the word that some portals look for.
    #[schema(required = false)]
    result: bool,
    /// `totp`, `email`, `webauthn`, `backup_code`, or `trusted_device`.
    #[schema(required = false)]
    method: String,
    /// What the service had checked, and what was seen here (RFC 8176).
    #[schema(required = false)]
    amr: Vec<String>,
    /// The signed result, a JWT of the type `mfa+jwt`; null when its 120 seconds are over.
    #[schema(required = false)]
    token: Option<String>,
    /// How many backup codes the person has left; null where they have none made.
    #[schema(required = false)]
    backup_codes_remaining: Option<usize>,
    /// For the browser to keep, where it was to be remembered: it goes with the next challenge.
    #[schema(required = false)]
    device_token: String,
}

/// A right answer.
#[derive(Serialize, ToSchema)]
pub struct VerifiedView {
    /// Always true.
    verified: bool,
    /// Always true: the same in the word that some portals look for.
    result: bool,
    /// `totp`, `email`, `webauthn`, `backup_code`, or `trusted_device`.
    method: String,
    /// What the service had checked, and what was seen here (RFC 8176).
    amr: Vec<String>,
    /// The signed result, a JWT of the type `mfa+jwt`; null when its 120 seconds are over.
    #[schema(required)]
    token: Option<String>,
    /// When the signed result is no longer good.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    expires_at: Option<String>,
    /// How many backup codes the person has left; null where they have none made.
    #[schema(required)]
    backup_codes_remaining: Option<usize>,
    /// For the browser to keep, where it was to be remembered: it goes with the next challenge.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    device_token: Option<String>,
}

impl VerifiedView {
    pub fn new(
        desk: &Desk,
        id: ChallengeId,
        challenge: &Challenge,
        outcome: &Outcome,
    ) -> Result<Self, Failure> {
        let now = desk.tools.now();
        let signed = outcome::signed(&desk.tools, id, challenge, outcome, now)?;
        let (token, ends) = signed.unzip();
        Ok(VerifiedView {
            verified: true,
            result: true,
            method: outcome.method.clone(),
            amr: outcome.amr.clone(),
            device_token: outcome.device_token.clone().filter(|_| token.is_some()),
            token,
            expires_at: ends.map(|at| at.to_string()),
            backup_codes_remaining: outcome.backup_codes_remaining,
        })
    }
}

impl ChallengeView {
    pub fn new(
        desk: &Desk,
        id: ChallengeId,
        challenge: &Challenge,
        prompt: Option<&Secret<String>>,
    ) -> Result<Self, Failure> {
        let now = desk.tools.now();
        let status = match (&challenge.state, challenge.decision) {
            (State::Passed(_), _) => "verified",
            (State::Failed, _) => "failed",
            (State::Cancelled, _) => "cancelled",
            (State::Open, Decision::Challenge) if now < challenge.expires_at => "pending",
            (State::Open, Decision::Challenge) => "expired",
            (State::Open, _) => "closed",
        };
        let outcome = match &challenge.state {
            State::Passed(outcome) => Some(VerifiedView::new(desk, id, challenge, outcome)?),
            _ => None,
        };
        Ok(ChallengeView {
            challenge_id: id,
            decision: challenge.decision,
            status,
            methods: challenge.methods.clone(),
            expires_at: outcome.is_none().then(|| challenge.expires_at.to_string()),
            prompt_url: prompt
                .map(|token| format!("{}/prompt/#{}", desk.tools.origin, token.expose())),
            outcome,
        })
    }
}

/// A code is on its way.
#[derive(Serialize, ToSchema)]
pub struct CodeSent {
    /// The address, masked: `a•••@example.com`.
    sent_to: String,
    /// When the code is no longer good.
    #[schema(format = DateTime)]
    expires_at: String,
    /// Seconds until another may be asked for.
    resend_after: u64,
}

impl From<MailSent> for CodeSent {
    fn from(sent: MailSent) -> Self {
        CodeSent {
            sent_to: sent.to.masked(),
            expires_at: sent.expires_at.to_string(),
            resend_after: sent.resend_after,
        }
    }
}

/// What the browser is to do.
#[derive(Serialize, ToSchema)]
pub struct KeyOptions {
    /// `PublicKeyCredentialRequestOptionsJSON` (WebAuthn Level 3 section 5.1.10).
    #[serde(rename = "publicKey")]
    #[schema(value_type = Object)]
    pub public_key: Value,
}
