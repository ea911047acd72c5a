//! A challenge is answered, or given up.

use std::sync::Arc;

use crate::base::{ChallengeId, Failure};
use crate::factor::{
    Answer, AssertionResponse, Deed, Desk, Given, MailSent, NOT_OFFERED, Passed, Place, Refusal,
    WEBAUTHN_FAILED, WRONG_CODE, refuse,
};
use crate::people;
use crate::policy::{self, Policy};
use crate::trust;

use super::challenge::{Handle, due, keep, live_at, live_key, open_challenge};
use super::record::{Challenge, LastFinished, Live, Outcome, State, Unfinished};
use super::rule::{self, CHALLENGE_TRIES, Reason, UNFINISHED_NEWS};

/// Mails the challenge's code.
///
/// # Errors
/// `challenge_closed`, `challenge_expired`, `not_enabled`, `rate_limited`, `locked`, `unavailable`.
pub async fn mail(desk: &Arc<Desk>, handle: &Handle) -> Result<MailSent, Failure> {
    handle.open(desk, "login.email")?;
    let id = handle.id;
    let mail = desk.mail_sign_in(&handle.by, id, move |deed| {
        open_challenge(deed, id)?;
        let policy = policy::in_effect(deed.tx, &deed.desk.tools.policy)?;
        accepted(&policy, "email")
    });
    mail.await
}

fn accepted(policy: &Policy, kind: &str) -> Result<(), Refusal> {
    match policy.counts(kind) {
        true => Ok(()),
        false => refuse(Failure::new(
            NOT_OFFERED,
            "This server does not take that method for signing in.",
        )),
    }
}

/// Begins an assertion for the challenge.
///
/// # Errors
/// `challenge_closed`, `challenge_expired`, `not_enabled`.
pub async fn begin_key(desk: &Arc<Desk>, handle: &Handle) -> Result<serde_json::Value, Failure> {
    handle.open(desk, "login.webauthn")?;
    let id = handle.id;
    let begin = desk.prepare(&handle.by, "login.webauthn", move |deed| {
        open_challenge(deed, id)?;
        let policy = policy::in_effect(deed.tx, &deed.desk.tools.policy)?;
        accepted(&policy, "webauthn")?;
        deed.begin_key_sign_in(id)
    });
    begin.await
}

/// How a challenge is answered.
pub enum How {
    /// By a code.
    Code {
        /// Its method.
        kind: &'static str,
        /// What was typed.
        code: Answer,
    },
    /// By a security key.
    Key(Box<AssertionResponse>),
}

/// Judges an answer. Everything that follows from it, and the challenge's own state, is one transaction.
///
/// # Errors
/// `wrong_code` and `webauthn_failed`, with the tries that are left; `code_expired`, `locked`,
/// `challenge_closed`, `challenge_expired`.
pub async fn answer(
    desk: &Arc<Desk>,
    handle: &Handle,
    how: How,
    remember: bool,
) -> Result<(Challenge, Outcome), Failure> {
    handle.open(desk, "login.verify")?;
    let id = handle.id;
    let given = match how {
        How::Code { kind, code } => Given::Code { kind, answer: code },
        How::Key(credential) => desk.check_key_sign_in(handle.challenge.person, id, &credential)?,
    };
    desk.act(&handle.by, "login.verify", move |deed| {
        let mut challenge = open_challenge(deed, id)?;
        let policy = policy::in_effect(deed.tx, &deed.desk.tools.policy)?;
        match deed.sign_in(&given, Place::SignIn(id), |kind| policy.counts(kind)) {
            Ok(passed) => {
                let outcome = pass(deed, id, &mut challenge, &policy, &passed, remember)?;
                Ok((challenge, outcome))
            }
            Err(Refusal::Refused(failure)) => refuse(miss(deed, id, challenge, failure)?),
            Err(other) => Err(other),
        }
    })
    .await
}

fn pass(
    deed: &mut Deed<'_, '_>,
    id: ChallengeId,
    challenge: &mut Challenge,
    policy: &Policy,
    passed: &Passed,
    remember: bool,
) -> Result<Outcome, Refusal> {
    let desk = deed.desk;
    deed.note_choice()?;
    people::seen_again(deed.tx, deed.person, &challenge.tenants, deed.now)?;
    let device_token = if remember && challenge.reason == Reason::Login {
        remember_browser(deed, challenge, policy)?
    } else {
        None
    };
    let left = desk.factors.backup_codes.left(deed.tx, deed.person)?;
    let outcome = Outcome {
        method: passed.method.to_owned(),
        amr: rule::amr(&challenge.first, passed),
        acr: rule::acr(passed).to_owned(),
        at: deed.now,
        backup_codes_remaining: left.map(|left| left.remaining),
        device_token,
    };
    challenge.state = State::Passed(outcome.clone());
    keep(deed.tx, id, challenge)?;
    deed.forget_sign_in(id);
    deed.tx.delete::<Unfinished>(&due(id, challenge));
    deed.tx
        .delete::<Live>(&live_key(deed.person, id, &challenge.service));
    // Whoever began more than once at one place and came in knows of all of them.
    for (other, _) in live_at(deed.tx, deed.person, &challenge.service)? {
        if let Some(begun) = deed.tx.get::<Challenge>(&other)?
            && begun.context.ip == challenge.context.ip
        {
            deed.tx.delete::<Unfinished>(&due(other, &begun));
        }
    }
    let finished = LastFinished {
        at: deed.now,
        service: challenge.service.clone(),
        ip: challenge.context.ip,
    };
    let news_until = deed.now.plus(UNFINISHED_NEWS);
    deed.tx.put_until(&deed.person, &finished, news_until)?;
    Ok(outcome)
}

fn remember_browser(
    deed: &mut Deed<'_, '_>,
    challenge: &Challenge,
    policy: &Policy,
) -> Result<Option<String>, Failure> {
    if policy.trusted_device_days == 0 {
        return Ok(None);
    }
    let new = trust::New {
        person: deed.person,
        service_id: &challenge.service,
        user_agent: challenge.context.user_agent.as_deref(),
        days: policy.trusted_device_days,
        now: deed.now,
    };
    let tools = &deed.desk.tools;
    let token = trust::remember_as(deed.tx, tools.keys(), &*tools.entropy, &new)?;
    Ok(Some(token.expose().clone()))
}

/// Counts a wrong answer against the challenge; what was refused unread is none.
fn miss(
    deed: &mut Deed<'_, '_>,
    id: ChallengeId,
    mut challenge: Challenge,
    failure: Failure,
) -> Result<Failure, Failure> {
    if ![WRONG_CODE, WEBAUTHN_FAILED].contains(&failure.code()) {
        return Ok(failure);
    }
    challenge.misses = challenge.misses.saturating_add(1);
    let left = CHALLENGE_TRIES.saturating_sub(challenge.misses);
    if left == 0 {
        challenge.state = State::Failed;
        deed.forget_sign_in(id);
    }
    keep(deed.tx, id, &challenge)?;
    Ok(failure.with("tries_left", left))
}

/// The person gives up.
///
/// # Errors
/// `challenge_closed`, `challenge_expired`.
pub async fn cancel(desk: &Arc<Desk>, handle: &Handle) -> Result<Challenge, Failure> {
    handle.open(desk, "login.cancel")?;
    let id = handle.id;
    desk.act(&handle.by, "login.cancel", move |deed| {
        let mut challenge = open_challenge(deed, id)?;
        challenge.state = State::Cancelled;
        deed.forget_sign_in(id);
        keep(deed.tx, id, &challenge)?;
        Ok(challenge)
    })
    .await
}
