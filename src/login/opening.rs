//! A challenge is opened.

use std::sync::Arc;

use crate::audit::Origin;
use crate::base::{ChallengeId, Failure, Secret, Timestamp};
use crate::clients::{Service, Unknown};
use crate::factor::{Deed, Desk, Passed};
use crate::policy::{self, Asked, Policy};
use crate::store::Tx;
use crate::trust::{self, Trust};

use super::challenge::{KEPT_AFTER, by, due, keep, live_at, live_key, prompt_key};
use super::record::{Challenge, Context, Live, Outcome, PromptToken, Return, State, Unfinished};
use super::rule::{
    self, CHALLENGE_TTL, Decision, LIVE_CHALLENGES, Reason, TRUSTED_DEVICE, UNMET_TTL,
};
use super::whom::{Acquaintance, Whom};

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
    let (unknown, confined_to) = (service.unknown(), service.tenants.clone());
    let is_met = asking.whom.acquaintance == Acquaintance::Known;
    let is_kept = is_met || desk.may_keep_unmet(&service.id);
    let service = service.id.clone();
    desk.act(by, "login.challenge", move |deed| {
        let desk = deed.desk;
        let policy = policy::in_effect(deed.tx, &desk.tools.policy)?;
        let methods = desk
            .factors
            .methods(deed.tx, deed.person, deed.now, |kind| policy.counts(kind))?;
        let tenants: Vec<&str> = asking.whom.tenants.iter().map(String::as_str).collect();
        let required = policy.requires(&Asked {
            tenants: &tenants,
            scopes: &asking.scopes,
            service: Some(&service),
        });
        let decision = match (asking.whom.acquaintance, unknown) {
            (Acquaintance::Barred, _) | (Acquaintance::Unknown, Unknown::Deny) => Decision::Deny,
            (Acquaintance::Unknown, Unknown::Enroll) => Decision::Enroll,
            (Acquaintance::Known, _) | (Acquaintance::Unknown, Unknown::Allow) => {
                let grace = required
                    && !methods.any
                    && policy::grace_until(deed.tx, deed.person, is_met, &policy, deed.now)?
                        .is_some();
                rule::decide(&methods, required, grace)
            }
        };
        let id = ChallengeId::draw(&*desk.tools.entropy)?;
        let mut challenge = Challenge {
            service: service.clone(),
            tenants: confined_to.clone(),
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
            expires_at: deed.now.plus(match is_met {
                true => CHALLENGE_TTL,
                false => UNMET_TTL,
            }),
            misses: 0,
            state: State::Open,
            prompt: asking.prompt.clone(),
        };
        if decision == Decision::Challenge {
            trust_browser(deed, &policy, &mut challenge, asking.device_token.as_ref())?;
        }
        if !is_met {
            // It waits for no answer, and there may be any number of such users.
            if is_kept {
                deed.tx.put_until(&id, &challenge, challenge.expires_at)?;
            }
            return Ok(Opened {
                id,
                challenge,
                prompt: None,
            });
        }
        let others = make_room(deed, &service)?;
        let live = Live {
            created_at: deed.now,
        };
        let key = live_key(deed.person, id, &service);
        deed.tx.put_until(&key, &live, challenge.expires_at)?;
        keep(deed.tx, id, &challenge)?;
        let waits = challenge.decision == Decision::Challenge;
        if waits
            && challenge.reason == Reason::Login
            && !challenge.first.is_empty()
            && !is_awaited(deed.tx, &others, &challenge)?
        {
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

/// Removes challenges of a user who has as many at `service` as one may. What is opened at another service ends none
/// here. The oldest go first, but those for which a code was emailed or an assertion begun go last: who opens sign-ins
/// and answers none, ends none that its user is about to answer. Returns those that stay.
fn make_room(deed: &mut Deed<'_, '_>, service: &str) -> Result<Vec<ChallengeId>, Failure> {
    let live = live_at(deed.tx, deed.person, service)?;
    let surplus = (live.len() + 1).saturating_sub(LIVE_CHALLENGES);
    if surplus == 0 {
        return Ok(live.into_iter().map(|(id, _)| id).collect());
    }
    let mut ranked = Vec::with_capacity(live.len());
    for (id, live) in live {
        ranked.push((deed.is_answer_under_way(id)?, live.created_at, id));
    }
    ranked.sort();
    let stay = ranked.split_off(surplus.min(ranked.len()));
    for (_, _, id) in ranked {
        deed.forget_sign_in(id);
        deed.tx.delete::<Challenge>(&id);
        deed.tx.delete::<Live>(&live_key(deed.person, id, service));
    }
    Ok(stay.into_iter().map(|(_, _, id)| id).collect())
}

/// Whether the user will be notified of one of `others` already, which began at the same address: of a hundred sign-ins
/// begun there one notification says enough, and nobody else's waits behind them.
fn is_awaited(tx: &Tx<'_>, others: &[ChallengeId], challenge: &Challenge) -> Result<bool, Failure> {
    for id in others {
        if let Some(other) = tx.get::<Challenge>(id)?
            && other.context.ip == challenge.context.ip
            && tx.get::<Unfinished>(&due(*id, &other))?.is_some()
        {
            return Ok(true);
        }
    }
    Ok(false)
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
