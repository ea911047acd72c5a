//! The sign-ins of a user whose second factors an operator removes.

use serde::{Deserialize, Serialize};

use crate::base::{ChallengeId, Failure, PersonKey, RequestId, Timestamp};
use crate::factor;
use crate::mail::Address;
use crate::session;
use crate::store::{Key, Order, Read, Scan, Tx};

use super::challenge::{closed, due, keep};
use super::record::{AtService, Challenge, Live, State, Unfinished};

/// Live challenges that are read at once: a user has some at each login service.
const PAGE: usize = 256;

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
    let (mut open, mut past): (_, Option<Vec<u8>>) = (Vec::new(), None);
    loop {
        let page = read.list::<Live>(&Scan {
            prefix: person.as_bytes(),
            past: past.as_deref(),
            order: Order::Ascending,
            limit: PAGE,
        })?;
        let Some((last, _)) = page.last() else {
            return Ok(open);
        };
        past = Some(last.encode());
        for ((_, AtService { id, .. }), _) in page {
            if let Some(challenge) = read.get::<Challenge>(&id)?
                && closed(&challenge, now).is_none()
            {
                open.push((id, challenge));
            }
        }
    }
}
