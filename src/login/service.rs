//! Opening a challenge, and answering it.

use std::sync::Arc;

use crate::audit::{Actor, Origin};
use crate::base::{ChallengeId, Failure, PersonKey, Secret, Timestamp};
use crate::clients::Service;
use crate::factor::{
    Answer, AssertionResponse, By, Deed, Desk, Given, MailSent, NOT_OFFERED, Passed, Place,
    Refusal, WEBAUTHN_FAILED, WRONG_CODE, refuse,
};
use crate::policy::{self, Asked, Policy};
use crate::services::Services;
use crate::store::{Order, Scan, Tx};
use crate::trust::{self, Trust};

use super::record::{
    Challenge, Context, LastFinished, Live, Outcome, PromptToken, Return, State, Unfinished,
};
use super::rule::{
    self, CHALLENGE_TRIES, CHALLENGE_TTL, Decision, LIVE_CHALLENGES, RESULT_TTL, Reason,
    TRUSTED_DEVICE, UNFINISHED_AFTER, UNFINISHED_NEWS,
};
use super::whom::Whom;
use super::{CHALLENGE_CLOSED, CHALLENGE_EXPIRED};

/// Seconds that a challenge is kept beyond its end, so that a late answer hears why it is refused.
const KEPT_AFTER: u64 = RESULT_TTL + 60;
/// What tokens of prompts start with.
const PROMPT_PREFIX: &str = "prm_";

/// What a service asks.
pub struct Asking {
    pub whom: Whom,
    pub reason: Reason,
    pub first: Vec<String>,
    pub scopes: Vec<String>,
    pub context: Context,
    /// What the browser brought that was remembered before.
    pub device_token: Option<Secret<String>>,
    pub prompt: Option<Return>,
}

/// What the service is told.
pub struct Opened {
    pub id: ChallengeId,
    pub challenge: Challenge,
    /// The token of the page on which the person can answer.
    pub prompt: Option<Secret<String>>,
}

/// In whose name a challenge is dealt with: the service's, from where the person is, as far as it said so.
pub fn by(challenge_service: &str, whom: PersonKey, context: &Context, origin: Origin) -> By {
    By {
        key: whom,
        person: None,
        actor: Actor::Service {
            id: challenge_service.to_owned(),
        },
        origin: Origin {
            ip: context.ip,
            ..origin
        },
    }
}

/// Opens a challenge.
///
/// # Errors
/// Those of the store; `rate_limited`.
pub async fn open(
    desk: &Arc<Desk>,
    service: &Service,
    origin: Origin,
    asking: Asking,
) -> Result<Opened, Failure> {
    desk.take_service_budget(&service.id)?;
    let by = by(&service.id, asking.whom.key, &asking.context, origin);
    let service = service.id.clone();
    desk.act(by, "login.challenge", move |deed| {
        let desk = deed.desk;
        let policy = policy::in_effect(deed.tx, &desk.tools.policy)?;
        let methods = desk
            .factors
            .methods(deed.tx, deed.person, deed.now, |kind| policy.counts(kind))?;
        let required = policy.requires(&Asked {
            tenant: asking.whom.tenant.as_deref(),
            scopes: &asking.scopes,
            service: Some(&service),
        });
        let grace = required
            && !methods.any
            && policy::grace_until(deed.tx, deed.person, &policy, deed.now)?.is_some();
        let decision = rule::decide(&methods, required, grace);
        let id = ChallengeId::draw(&*desk.tools.entropy)?;
        let mut challenge = Challenge {
            service: service.clone(),
            person: deed.person,
            issuer: asking.whom.issuer.clone(),
            subject: asking.whom.subject.clone(),
            reason: asking.reason,
            first: asking.first.clone(),
            context: asking.context.clone(),
            decision,
            methods: methods
                .usable
                .iter()
                .map(|kind| (*kind).to_owned())
                .collect(),
            created_at: deed.now,
            expires_at: deed.now.plus(CHALLENGE_TTL),
            misses: 0,
            state: State::Open,
            prompt: asking.prompt.clone(),
        };
        if decision == Decision::Challenge {
            trust_browser(deed, &policy, &mut challenge, asking.device_token.as_ref())?;
        }
        make_room(deed.tx, deed.person)?;
        let live = Live {
            created_at: deed.now,
        };
        let key = (deed.person, id);
        deed.tx.put_until(&key, &live, challenge.expires_at)?;
        keep(deed.tx, id, &challenge)?;
        let waits = challenge.decision == Decision::Challenge;
        if waits && challenge.reason == Reason::Login && !challenge.first.is_empty() {
            await_finish(deed.tx, id, &challenge)?;
        }
        let prompt = match waits && challenge.prompt.is_some() {
            true => Some(prompt_token(deed, id, challenge.expires_at)?),
            false => None,
        };
        Ok(Opened {
            id,
            challenge,
            prompt,
        })
    })
    .await
}

/// Lets in a browser that was remembered, and gives it its next token.
fn trust_browser(
    deed: &mut Deed<'_, '_>,
    policy: &Policy,
    challenge: &mut Challenge,
    token: Option<&Secret<String>>,
) -> Result<(), Failure> {
    let Some(token) = token.filter(|_| challenge.reason == Reason::Login) else {
        return Ok(());
    };
    let trusted = trust::check(
        deed.tx,
        deed.desk.tools.keys(),
        &*deed.desk.tools.entropy,
        deed.person,
        &challenge.service,
        token.expose(),
        policy.trusted_device_days,
        deed.now,
    )?;
    match trusted {
        Trust::Trusted { device_token } => {
            let passed = Passed {
                method: TRUSTED_DEVICE,
                amr: Vec::new(),
                user_verified: false,
            };
            challenge.decision = Decision::Allow;
            challenge.state = State::Passed(Outcome {
                method: TRUSTED_DEVICE.to_owned(),
                // What was seen was seen another day.
                amr: challenge
                    .first
                    .iter()
                    .filter(|word| *word != "mfa")
                    .cloned()
                    .collect(),
                acr: rule::acr(&passed).to_owned(),
                at: deed.now,
                backup_codes_remaining: None,
                device_token: Some(device_token.expose().clone()),
            });
        }
        Trust::Copied => deed.tell_of_copied_device(&challenge.service)?,
        Trust::Unknown => {}
    }
    Ok(())
}

/// Removes the oldest challenges of somebody who has as many as they may.
fn make_room(tx: &mut Tx<'_>, person: PersonKey) -> Result<(), Failure> {
    let scan = Scan {
        prefix: person.as_bytes(),
        past: None,
        order: Order::Ascending,
        limit: LIVE_CHALLENGES * 2,
    };
    let mut live = tx.list::<Live>(&scan)?;
    live.sort_by_key(|(_, live)| live.created_at);
    let surplus = (live.len() + 1).saturating_sub(LIVE_CHALLENGES);
    for (key, _) in live.into_iter().take(surplus) {
        tx.delete::<Live>(&key);
        tx.delete::<Challenge>(&key.1);
    }
    Ok(())
}

fn keep(tx: &mut Tx<'_>, id: ChallengeId, challenge: &Challenge) -> Result<(), Failure> {
    tx.put_until(&id, challenge, challenge.expires_at.plus(KEPT_AFTER))
}

fn due(id: ChallengeId, challenge: &Challenge) -> (u64, ChallengeId) {
    (challenge.created_at.plus(UNFINISHED_AFTER).unix(), id)
}

fn await_finish(tx: &mut Tx<'_>, id: ChallengeId, challenge: &Challenge) -> Result<(), Failure> {
    let unfinished = Unfinished {
        person: challenge.person,
        service: challenge.service.clone(),
        app: challenge.context.app.clone(),
        ip: challenge.context.ip,
        begun_at: challenge.created_at,
    };
    tx.put(&due(id, challenge), &unfinished)
}

fn prompt_token(
    deed: &mut Deed<'_, '_>,
    id: ChallengeId,
    expires_at: Timestamp,
) -> Result<Secret<String>, Failure> {
    let tools = &deed.desk.tools;
    let bits: [u8; 16] = tools.entropy.bytes()?;
    let text = data_encoding::BASE32_NOPAD.encode(&bits);
    let token = format!("{PROMPT_PREFIX}{}", text.to_ascii_lowercase());
    let key = prompt_key(tools, &token);
    let kept_until = expires_at.plus(KEPT_AFTER);
    deed.tx
        .put_until(&key, &PromptToken { challenge: id }, kept_until)?;
    Ok(Secret::new(token))
}

fn prompt_key(tools: &Services, token: &str) -> Vec<u8> {
    tools
        .keys()
        .code_hash(&[b"prompt"], token)
        .as_bytes()
        .to_vec()
}

/// The challenge that a prompt's token is for.
///
/// # Errors
/// `not_found`; those of the store.
pub fn of_prompt(desk: &Desk, token: &str) -> Result<(ChallengeId, Challenge), Failure> {
    let key = prompt_key(&desk.tools, token);
    desk.tools.store.read(|read| {
        let found = read.get::<PromptToken>(&key)?;
        let found = found.ok_or_else(Failure::not_found)?;
        let challenge = read.get::<Challenge>(&found.challenge)?;
        Ok((found.challenge, challenge.ok_or_else(Failure::not_found)?))
    })
}

/// The challenge of that id, if it is the service's.
///
/// # Errors
/// `not_found`, be it not there or another's; those of the store.
pub fn of_service(
    desk: &Desk,
    service: &Service,
    id: Option<ChallengeId>,
) -> Result<(ChallengeId, Challenge), Failure> {
    let id = id.ok_or_else(Failure::not_found)?;
    let found = desk.tools.store.read(|read| read.get::<Challenge>(&id))?;
    match found {
        Some(challenge) if challenge.service == service.id => Ok((id, challenge)),
        _ => Err(Failure::not_found()),
    }
}

/// Why a challenge takes no answer at `now`, if that is so.
pub fn closed(challenge: &Challenge, now: Timestamp) -> Option<Failure> {
    let why = match (&challenge.state, challenge.decision) {
        (State::Passed(_), _) => "This sign-in was finished already.",
        (State::Failed, _) => "Too many wrong answers: begin the sign-in anew.",
        (State::Cancelled, _) => "This sign-in was given up. Begin it anew.",
        (State::Open, Decision::Challenge) if now < challenge.expires_at => return None,
        (State::Open, Decision::Challenge) => {
            let detail = "This sign-in took longer than five minutes. Begin it anew.";
            return Some(Failure::new(CHALLENGE_EXPIRED, detail));
        }
        (State::Open, _) => "This sign-in asks for no second factor.",
    };
    Some(Failure::new(CHALLENGE_CLOSED, why))
}

/// The challenge as the transaction sees it, if it takes answers.
fn open_challenge(deed: &mut Deed<'_, '_>, id: ChallengeId) -> Result<Challenge, Refusal> {
    let Some(challenge) = deed.tx.get::<Challenge>(&id)? else {
        return refuse(Failure::not_found());
    };
    match closed(&challenge, deed.now) {
        None => Ok(challenge),
        Some(why) => refuse(why),
    }
}

/// Whose challenge it is, as the one who asks knows it.
#[derive(Clone)]
pub struct Handle {
    pub id: ChallengeId,
    pub challenge: Challenge,
    pub by: By,
}

impl Handle {
    /// For whoever may deal with the challenge.
    pub fn new((id, challenge): (ChallengeId, Challenge), origin: Origin) -> Self {
        let by = by(
            &challenge.service,
            challenge.person,
            &challenge.context,
            origin,
        );
        Handle { id, challenge, by }
    }
}

/// Mails the challenge's code.
///
/// # Errors
/// `challenge_closed`, `challenge_expired`, `not_enabled`, `rate_limited`, `locked`, `unavailable`.
pub async fn mail(desk: &Arc<Desk>, handle: &Handle) -> Result<MailSent, Failure> {
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
            Err(broken) => Err(broken),
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
    deed.tx.delete::<Unfinished>(&due(id, challenge));
    deed.tx.delete::<Live>(&(deed.person, id));
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
    }
    keep(deed.tx, id, &challenge)?;
    Ok(failure.with("tries_left", left))
}

/// The person gives up.
///
/// # Errors
/// `challenge_closed`, `challenge_expired`.
pub async fn cancel(desk: &Arc<Desk>, handle: &Handle) -> Result<Challenge, Failure> {
    let id = handle.id;
    desk.act(&handle.by, "login.cancel", move |deed| {
        let mut challenge = open_challenge(deed, id)?;
        challenge.state = State::Cancelled;
        keep(deed.tx, id, &challenge)?;
        Ok(challenge)
    })
    .await
}
