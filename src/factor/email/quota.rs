//! The limits on emails: a place in the quota is taken before an email leaves, and given back if it does not.
//!
//! Each login service has a quota of its own for each user, and so has the settings page: what is requested at one keeps
//! a user from no code at another. All login services together have a ceiling for each user, of which nothing counts
//! for the settings page.

use crate::audit::Actor;
use crate::base::{Failure, MessageId, PersonKey, Timestamp};
use crate::factor::{Deed, RATE_LIMITED, Refusal, refuse};
use crate::mail::Address;
use crate::services::Services;
use crate::store::{Read, Tx};

use super::code::is_live;
use super::record::{Purpose, Quota};
use super::rule::{self, Counted, SENDING};

/// For whom emails to a user are counted: the login service that asks, or the settings page.
fn place_key(deed: &Deed<'_, '_>) -> Vec<u8> {
    let person = deed.person.as_bytes().as_slice();
    match &deed.actor {
        Actor::Service { id } => [b"s", person, id.as_bytes()].concat(),
        _ => [b"p", person].concat(),
    }
}

/// All login services together.
fn services_key(person: PersonKey) -> Vec<u8> {
    [b"c".as_slice(), person.as_bytes()].concat()
}

fn address_key(tools: &Services, address: &Address) -> Vec<u8> {
    // Most servers deliver whatever the case, so another spelling is no other mailbox.
    let folded = address.as_str().to_ascii_lowercase();
    let hash = tools.keys().code_hash(&[b"address"], &folded);
    [b"a".as_slice(), hash.as_bytes()].concat()
}

/// A place for one email, taken at a moment.
pub struct Ticket {
    id: MessageId,
    /// The quotas that it is shared in with others, and where it counts already.
    shared: Vec<Vec<u8>>,
    at: Timestamp,
}

/// Takes the place for one email, if the limits leave one. Where it is shared with others it counts from now on:
/// services, and accounts without number that name the same address, may ask at once.
pub fn reserve(
    deed: &mut Deed<'_, '_>,
    address: &Address,
    purpose: Purpose,
) -> Result<Ticket, Refusal> {
    let place = place_key(deed);
    let mut quota = deed.tx.get::<Quota>(&place)?.unwrap_or_default();
    let resend_after = deed.desk.tools.email_resend_after;
    let mut waits = vec![rule::wait(&quota, Counted::Place, resend_after, deed.now)];
    let mut shared = Vec::new();
    if let Actor::Service { .. } = deed.actor {
        shared.push((Counted::Services, services_key(deed.person)));
    }
    // A mailbox that its user has confirmed is not bombed by others.
    if purpose == Purpose::TurnOn {
        let key = address_key(&deed.desk.tools, address);
        shared.push((Counted::Address, key));
    }
    for (counted, key) in &shared {
        let quota = deed.tx.get::<Quota>(key)?.unwrap_or_default();
        waits.push(rule::wait(&quota, *counted, resend_after, deed.now));
    }
    admit(deed, waits.into_iter().flatten().max(), purpose)?;
    let id = MessageId::draw(&*deed.desk.tools.entropy)?;
    quota.sending = Some((id, deed.now.plus(SENDING)));
    put_quota(deed.tx, place, &quota, deed.now)?;
    let shared: Vec<Vec<u8>> = shared.into_iter().map(|(_, key)| key).collect();
    for key in &shared {
        let quota = deed.tx.get::<Quota>(key)?.unwrap_or_default();
        put_quota(deed.tx, key.clone(), &rule::sent(quota, deed.now), deed.now)?;
    }
    Ok(Ticket {
        id,
        shared,
        at: deed.now,
    })
}

/// Refuses where the user would have to wait, whatever the address.
pub fn check(deed: &Deed<'_, '_>, purpose: Purpose) -> Result<(), Refusal> {
    let quota = deed.tx.get::<Quota>(&place_key(deed))?.unwrap_or_default();
    let resend_after = deed.desk.tools.email_resend_after;
    let wait = rule::wait(&quota, Counted::Place, resend_after, deed.now);
    admit(deed, wait, purpose)
}

/// Refuses where there is something to wait for. Callers are told how far two emails are apart, too: who waits longer
/// than that has asked for too many. And whether a code that was emailed for the same thing before still takes an
/// answer, since one that was emailed for something else does nothing here.
fn admit(deed: &Deed<'_, '_>, wait: Option<u64>, purpose: Purpose) -> Result<(), Refusal> {
    let Some(seconds) = wait else {
        return Ok(());
    };
    let read: &dyn Read = deed.tx;
    let code_live = is_live(read, deed.person, purpose, deed.now)?;
    let detail = match code_live {
        true => "A code was emailed a short while ago. Use it, or wait before you request another.",
        false => {
            "A code was emailed for something else a short while ago, or too many were. Wait before you request one."
        }
    };
    let limited = Failure::new(RATE_LIMITED, detail).retry_after(seconds);
    let resend_after = deed.desk.tools.email_resend_after;
    refuse(
        limited
            .with("resend_after", resend_after)
            .with("code_live", code_live),
    )
}

/// Gives the place back of a mail that did not leave, or counts one that may have left after all.
pub fn give_back(
    deed: &mut Deed<'_, '_>,
    ticket: &Ticket,
    may_have_left: bool,
) -> Result<(), Failure> {
    let place = place_key(deed);
    let (tx, now) = (&mut *deed.tx, deed.now);
    if let Some(mut quota) = tx.get::<Quota>(&place)?
        && quota.sending.is_some_and(|(holder, _)| holder == ticket.id)
    {
        quota.sending = None;
        if may_have_left {
            quota = rule::doubtful(quota, now);
        }
        put_quota(tx, place, &quota, now)?;
    }
    if may_have_left {
        return Ok(());
    }
    for key in &ticket.shared {
        if let Some(mut quota) = tx.get::<Quota>(key)?
            && let Some(at) = quota.sent.iter().rposition(|at| *at == ticket.at)
        {
            quota.sent.remove(at);
            put_quota(tx, key.clone(), &quota, now)?;
        }
    }
    Ok(())
}

fn put_quota(tx: &mut Tx<'_>, key: Vec<u8>, quota: &Quota, now: Timestamp) -> Result<(), Failure> {
    tx.put_until(&key, quota, now.plus(86_400))
}

/// Counts the email at its place, whatever became of its code.
pub fn count(deed: &mut Deed<'_, '_>) -> Result<(), Failure> {
    let key = place_key(deed);
    let quota = rule::sent(deed.tx.get::<Quota>(&key)?.unwrap_or_default(), deed.now);
    put_quota(deed.tx, key, &quota, deed.now)
}
