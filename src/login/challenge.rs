//! A challenge: whose it is, where it is kept, and whether it takes answers.

use crate::audit::{Actor, Origin};
use crate::base::{ChallengeId, Failure, PersonKey, Timestamp};
use crate::clients::Service;
use crate::factor::{By, Deed, Desk, Refusal, moot};
use crate::people::Wish;
use crate::services::Services;
use crate::store::{Order, Read, Scan, Tx};

use super::record::{AtService, Challenge, Context, Live, PromptToken, State};
use super::rule::{CHALLENGE_TRIES, Decision, LIVE_CHALLENGES, RESULT_TTL, UNFINISHED_AFTER};
use super::{CHALLENGE_CLOSED, CHALLENGE_EXPIRED};

/// Seconds that a challenge is kept beyond its end, so that a late answer hears why it is refused.
pub const KEPT_AFTER: u64 = RESULT_TTL + 60;

/// In whose name a challenge is dealt with: the service's, from where the person is, as far as it said so.
pub fn by(challenge_service: &str, whom: PersonKey, context: &Context, origin: Origin) -> By {
    By {
        key: whom,
        person: None,
        session: None,
        actor: Actor::Service {
            id: challenge_service.to_owned(),
        },
        origin: Origin {
            ip: context.ip,
            ..origin
        },
        // Of the person's language a service says nothing.
        wish: Wish::default(),
        challenge: None,
    }
}

/// Keeps a challenge until nobody will ask for it any more.
pub fn keep(tx: &mut Tx<'_>, id: ChallengeId, challenge: &Challenge) -> Result<(), Failure> {
    tx.put_until(&id, challenge, challenge.expires_at.plus(KEPT_AFTER))
}

/// When the person would be told that it was not finished.
pub fn due(id: ChallengeId, challenge: &Challenge) -> (u64, ChallengeId) {
    (challenge.created_at.plus(UNFINISHED_AFTER).unix(), id)
}

/// Under what a live challenge is found.
pub fn live_key(person: PersonKey, id: ChallengeId, service: &str) -> (PersonKey, AtService) {
    let service = service.to_owned();
    (person, AtService { service, id })
}

/// The live challenges of a user at one login service, those that were closed before their time among them.
///
/// # Errors
/// Those of the store.
pub fn live_at(
    read: &dyn Read,
    person: PersonKey,
    service: &str,
) -> Result<Vec<(ChallengeId, Live)>, Failure> {
    let live = read.list::<Live>(&Scan {
        prefix: &AtService::prefix(person, service),
        past: None,
        order: Order::Ascending,
        limit: LIVE_CHALLENGES * 2,
    })?;
    Ok(live
        .into_iter()
        .map(|(key, live)| (key.1.id, live))
        .collect())
}

/// Under what the token of a prompt is kept.
pub fn prompt_key(tools: &Services, token: &str) -> Vec<u8> {
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
        (State::Failed, _) if challenge.misses < CHALLENGE_TRIES => {
            "The second factors were reset meanwhile. Begin the sign-in again."
        }
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

/// The challenge as the transaction sees it, if it takes answers. If it was closed meanwhile, nothing is recorded, as
/// of one that was closed before ([`Handle::open`]).
pub fn open_challenge(deed: &mut Deed<'_, '_>, id: ChallengeId) -> Result<Challenge, Refusal> {
    let Some(challenge) = deed.tx.get::<Challenge>(&id)? else {
        return moot(Failure::not_found());
    };
    match closed(&challenge, deed.now) {
        None => Ok(challenge),
        Some(why) => moot(why),
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
        let by = By {
            challenge: Some(id),
            ..by
        };
        Handle { id, challenge, by }
    }

    /// Refuses a challenge that takes no answer, before anything is written or counted: whoever holds one that is over
    /// adds nothing to its user's history with it, and uses up none of what may be done in their name.
    ///
    /// # Errors
    /// `challenge_closed`, `challenge_expired`.
    pub fn open(&self, desk: &Desk, action: &'static str) -> Result<(), Failure> {
        let Some(why) = closed(&self.challenge, desk.tools.now()) else {
            return Ok(());
        };
        let reason = Some(why.code().name);
        desk.tools.metrics.happened(action, reason, None);
        Err(why)
    }
}
