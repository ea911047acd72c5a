//! The limits on mails: a place is taken before a mail leaves, and given back where it does not.

use crate::base::{Failure, MessageId, PersonKey, Timestamp};
use crate::factor::{Deed, RATE_LIMITED, Refusal, refuse};
use crate::mail::Address;
use crate::services::Services;
use crate::store::Tx;

use super::record::Quota;
use super::rule::{self, Counted, SENDING};

fn person_key(person: PersonKey) -> Vec<u8> {
    [b"p".as_slice(), person.as_bytes()].concat()
}

fn address_key(tools: &Services, address: &Address) -> Vec<u8> {
    // Most servers deliver whatever the case, so another spelling is no other mailbox.
    let folded = address.as_str().to_ascii_lowercase();
    let hash = tools.keys().code_hash(&[b"address"], &folded);
    [b"a".as_slice(), hash.as_bytes()].concat()
}

/// A place for one mail, taken at a moment.
pub struct Ticket {
    id: MessageId,
    address: Address,
    at: Timestamp,
}

/// Takes the place for one mail, if the limits leave one. At the address it
/// counts from now on: accounts without number may name the same one at once.
pub fn reserve(deed: &mut Deed<'_, '_>, address: &Address) -> Result<Ticket, Refusal> {
    let (person, to) = (
        person_key(deed.person),
        address_key(&deed.desk.tools, address),
    );
    let mut quota = deed.tx.get::<Quota>(&person)?.unwrap_or_default();
    let at_address = deed.tx.get::<Quota>(&to)?.unwrap_or_default();
    let resend_after = deed.desk.tools.email_resend_after;
    let waits = [
        rule::wait(&quota, Counted::Person, resend_after, deed.now),
        rule::wait(&at_address, Counted::Address, resend_after, deed.now),
    ];
    admit(waits.into_iter().flatten().max(), resend_after)?;
    let id = MessageId::draw(&*deed.desk.tools.entropy)?;
    quota.sending = Some((id, deed.now.plus(SENDING)));
    put_quota(deed.tx, person, &quota, deed.now)?;
    put_quota(deed.tx, to, &rule::sent(at_address, deed.now), deed.now)?;
    Ok(Ticket {
        id,
        address: address.clone(),
        at: deed.now,
    })
}

/// Refuses where the person would have to wait, whatever the address.
pub fn check(deed: &Deed<'_, '_>) -> Result<(), Refusal> {
    let quota = deed
        .tx
        .get::<Quota>(&person_key(deed.person))?
        .unwrap_or_default();
    let resend_after = deed.desk.tools.email_resend_after;
    admit(
        rule::wait(&quota, Counted::Person, resend_after, deed.now),
        resend_after,
    )
}

/// Refuses where there is something to wait for. Callers are told how far two mails are apart, too: who waits longer
/// than that has asked for too many.
fn admit(wait: Option<u64>, resend_after: u64) -> Result<(), Refusal> {
    match wait {
        None => Ok(()),
        Some(seconds) => {
            let detail = "A code was mailed a short while ago, or too many were. Wait before you ask for another.";
            let limited = Failure::new(RATE_LIMITED, detail).retry_after(seconds);
            refuse(limited.with("resend_after", resend_after))
        }
    }
}

/// Gives the place back of a mail that did not leave, or counts one that may have left after all.
pub fn give_back(
    deed: &mut Deed<'_, '_>,
    ticket: &Ticket,
    may_have_left: bool,
) -> Result<(), Failure> {
    let (person, address) = (
        person_key(deed.person),
        address_key(&deed.desk.tools, &ticket.address),
    );
    let (tx, now) = (&mut *deed.tx, deed.now);
    if let Some(mut quota) = tx.get::<Quota>(&person)?
        && quota.sending.is_some_and(|(holder, _)| holder == ticket.id)
    {
        quota.sending = None;
        if may_have_left {
            quota = rule::doubtful(quota, now);
        }
        put_quota(tx, person, &quota, now)?;
    }
    if !may_have_left
        && let Some(mut quota) = tx.get::<Quota>(&address)?
        && let Some(at) = quota.sent.iter().rposition(|at| *at == ticket.at)
    {
        quota.sent.remove(at);
        put_quota(tx, address, &quota, now)?;
    }
    Ok(())
}

fn put_quota(tx: &mut Tx<'_>, key: Vec<u8>, quota: &Quota, now: Timestamp) -> Result<(), Failure> {
    tx.put_until(&key, quota, now.plus(86_400))
}

/// Counts the person's mail, whatever became of its code.
pub fn count(deed: &mut Deed<'_, '_>) -> Result<(), Failure> {
    let key = person_key(deed.person);
    let quota = rule::sent(deed.tx.get::<Quota>(&key)?.unwrap_or_default(), deed.now);
    put_quota(deed.tx, key, &quota, deed.now)
}
