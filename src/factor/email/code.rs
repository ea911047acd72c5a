//! Mailed codes: the one live code of each purpose, and those that were used.

use crate::base::{ChallengeId, Failure, PersonKey, Timestamp};
use crate::crypto::{CodeHash, DigitCode};
use crate::factor::{Answer, Deed, Refusal, Verdict};
use crate::mail::Address;
use crate::services::Services;
use crate::store::{Read, Tx};

use super::record::{MailedCode, Purpose, UsedCode};
use super::rule::{CODE_TRIES, CODE_TTL};

/// Keeps the code as the one live code of its purpose.
pub fn keep(
    deed: &mut Deed<'_, '_>,
    to: &Address,
    purpose: Purpose,
    code: &DigitCode,
) -> Result<(), Refusal> {
    let tools = &deed.desk.tools;
    let mailed = MailedCode {
        hash: hash(tools, deed.person, purpose, to, code.as_str()),
        address: to.clone(),
        expires_at: deed.now.plus(CODE_TTL),
        misses: 0,
    };
    let expires_at = mailed.expires_at;
    Ok(deed
        .tx
        .put_until(&(deed.person, purpose.name()), &mailed, expires_at)?)
}

/// Verifies `answer` against the live code of `purpose`. A right one is used up, and so is one that was missed too often.
/// One that was right before, for whatever it was mailed, is no miss.
pub fn verify_code(
    tools: &Services,
    tx: &mut Tx<'_>,
    person: PersonKey,
    purpose: Purpose,
    answer: &Answer,
    now: Timestamp,
) -> Result<Verdict, Failure> {
    let key = (person, purpose.name());
    let live = tx.get::<MailedCode>(&key)?;
    if let (Some(mailed), Answer::Digits(digits)) =
        (live.as_ref().filter(|it| it.takes_answers(now)), answer)
        && hash(tools, person, purpose, &mailed.address, digits) == mailed.hash
    {
        let used = UsedCode {
            expires_at: mailed.expires_at,
        };
        tx.delete::<MailedCode>(&key);
        tx.put_until(&used_key(tools, person, digits), &used, used.expires_at)?;
        return Ok(Verdict::Right);
    }
    if let Answer::Digits(digits) = answer
        && let Some(used) = tx.get::<UsedCode>(&used_key(tools, person, digits))?
        && now < used.expires_at
    {
        return Ok(Verdict::Used(None));
    }
    match live {
        None => Ok(Verdict::NothingSent),
        Some(mailed) if !mailed.takes_answers(now) => Ok(Verdict::Expired),
        Some(mut mailed) => {
            mailed.misses = mailed.misses.saturating_add(1);
            tx.put_until(&key, &mailed, mailed.expires_at)?;
            Ok(Verdict::Wrong)
        }
    }
}

impl MailedCode {
    fn takes_answers(&self, now: Timestamp) -> bool {
        now < self.expires_at && self.misses < CODE_TRIES
    }
}

/// Whether a code that was emailed for `purpose` still takes an answer.
pub fn is_live(
    read: &dyn Read,
    person: PersonKey,
    purpose: Purpose,
    now: Timestamp,
) -> Result<bool, Failure> {
    let mailed = read.get::<MailedCode>(&(person, purpose.name()))?;
    Ok(mailed.is_some_and(|mailed| mailed.takes_answers(now)))
}

/// Whether a code that was emailed for the sign-in `challenge` still takes an answer.
pub fn is_sign_in_code_live(
    read: &dyn Read,
    person: PersonKey,
    challenge: ChallengeId,
    now: Timestamp,
) -> Result<bool, Failure> {
    is_live(read, person, Purpose::SignIn(challenge), now)
}

/// How many wrong answers the code that was emailed for `purpose` still bears.
pub fn tries_left(read: &dyn Read, person: PersonKey, purpose: Purpose) -> Result<u32, Failure> {
    let mailed = read.get::<MailedCode>(&(person, purpose.name()))?;
    Ok(mailed.map_or(0, |mailed| CODE_TRIES.saturating_sub(mailed.misses)))
}

/// Under what a code that was used is kept.
fn used_key(tools: &Services, person: PersonKey, digits: &str) -> (PersonKey, Vec<u8>) {
    let owner = [b"used email code", person.as_bytes().as_slice()];
    let hash = tools.keys().code_hash(&owner, digits);
    (person, hash.as_bytes().to_vec())
}

fn hash(
    tools: &Services,
    person: PersonKey,
    purpose: Purpose,
    to: &Address,
    digits: &str,
) -> CodeHash {
    let purpose = purpose.name();
    let owner = [
        b"email code",
        person.as_bytes().as_slice(),
        purpose.as_bytes(),
        to.as_str().as_bytes(),
    ];
    tools.keys().code_hash(&owner, digits)
}
