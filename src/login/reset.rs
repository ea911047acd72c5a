//! The sign-ins of a user whose second factors an operator removes.

use serde::{Deserialize, Serialize};

use crate::base::{ChallengeId, Failure, PersonKey, RequestId, Timestamp};
use crate::factor;
use crate::mail::Address;
use crate::session;
use crate::store::{Order, Read, Scan, Tx};

use super::challenge::{closed, due, keep};
use super::record::{Challenge, Live, State, Unfinished};
use super::rule::LIVE_CHALLENGES;

/// A sign-in that waits for an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingSignIn {
    /// The login service that asked.
    pub service: String,
    /// When it did.
    pub created_at: Timestamp,
    /// When it takes no more answers.
    pub expires_at: Timestamp,
}

/// Returns the sign-ins of `person` that wait for an answer at `now`.
///
/// # Errors
/// Those of the store.
pub fn waiting(
    read: &dyn Read,
    person: PersonKey,
    now: Timestamp,
) -> Result<Vec<WaitingSignIn>, Failure> {
    let open = open_challenges(read, person, now)?.into_iter();
    Ok(open
        .map(|(_, challenge)| WaitingSignIn {
            service: challenge.service,
            created_at: challenge.created_at,
            expires_at: challenge.expires_at,
        })
        .collect())
}

/// Removes all that stands for the second factors of `person`, by order of an operator: the factors with all that hangs
/// on them ([`factor::reset`]), the sessions of the settings page, and the sign-ins that wait for an answer, which have
/// failed then. The user stays known, with their history. From then on their password alone is enough where policy asks
/// for no factor. Returns the addresses at which they are told.
///
/// # Errors
/// Those of the store.
pub fn reset(
    tx: &mut Tx<'_>,
    person: PersonKey,
    request: RequestId,
    now: Timestamp,
) -> Result<Vec<Address>, Failure> {
    for (id, mut challenge) in open_challenges(tx, person, now)? {
        challenge.state = State::Failed;
        keep(tx, id, &challenge)?;
        // It was not left unfinished: it was ended.
        tx.delete::<Unfinished>(&due(id, &challenge));
    }
    session::end_all(tx, person)?;
    factor::reset(tx, person, request, now)
}

fn open_challenges(
    read: &dyn Read,
    person: PersonKey,
    now: Timestamp,
) -> Result<Vec<(ChallengeId, Challenge)>, Failure> {
    let scan = Scan {
        prefix: person.as_bytes(),
        past: None,
        order: Order::Ascending,
        limit: LIVE_CHALLENGES * 2,
    };
    let mut open = Vec::new();
    for ((_, id), _) in read.list::<Live>(&scan)? {
        if let Some(challenge) = read.get::<Challenge>(&id)?
            && closed(&challenge, now).is_none()
        {
            open.push((id, challenge));
        }
    }
    Ok(open)
}
