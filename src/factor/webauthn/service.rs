//! What both ceremonies share, and what is done with a key that stands.

use std::sync::Arc;

use crate::base::{ChallengeId, DeviceId, Failure, PersonKey, Timestamp};
use crate::factor::{Answer, CODE_EXPIRED, Deed, Desk, Device, Refusal, refuse};
use crate::store::{Read, Store};
use crate::wire::Me;

use super::record::{Ceremony, Credential, Keys, Owner, SignInCeremony, Step};
use super::rule::{CEREMONY_TTL, MOST_KEYS};
use super::{KEY_KNOWN, LIVE_CEREMONIES, TOO_MANY_KEYS, WEBAUTHN_FAILED, ceremonies};

/// A ceremony that the browser is to carry out.
pub struct Begun<O> {
    pub challenge_id: ChallengeId,
    pub options: O,
    pub expires_at: Timestamp,
    /// Of the new key, at a registration.
    pub device_id: DeviceId,
}

/// Keeps a ceremony until it is answered; the oldest of too many makes room.
pub fn keep(deed: &mut Deed<'_, '_>, step: Step) -> Result<(ChallengeId, Timestamp), Failure> {
    let mut live = ceremonies(deed.tx, deed.person)?;
    live.sort_by_key(|(_, ceremony)| ceremony.created_at);
    let surplus = (live.len() + 1).saturating_sub(LIVE_CEREMONIES);
    for (key, _) in live.into_iter().take(surplus) {
        deed.tx.delete::<Ceremony>(&key);
    }
    let challenge = ChallengeId::draw(&*deed.desk.tools.entropy)?;
    let expires_at = deed.now.plus(CEREMONY_TTL);
    let ceremony = Ceremony {
        created_at: deed.now,
        expires_at,
        step,
    };
    deed.tx
        .put_until(&(deed.person, challenge), &ceremony, expires_at)?;
    Ok((challenge, expires_at))
}

/// Takes a ceremony out of the store: whatever comes of the answer, there is no second one.
pub async fn take(
    desk: &Arc<Desk>,
    me: &Me,
    action: &'static str,
    challenge: Option<ChallengeId>,
) -> Result<Step, Failure> {
    desk.prepare(me, action, move |deed| {
        let Some(challenge) = challenge else {
            return refuse(Failure::not_found());
        };
        let key = (deed.person, challenge);
        let Some(ceremony) = deed.tx.get::<Ceremony>(&key)? else {
            // One of a sign-in is none here, and an answer that was shown here is none there.
            deed.tx.delete::<SignInCeremony>(&key);
            return refuse(Failure::not_found());
        };
        deed.tx.delete::<Ceremony>(&key);
        if deed.now >= ceremony.expires_at {
            return refuse(Failure::new(
                CODE_EXPIRED,
                "The security key took longer than five minutes. Begin anew.",
            ));
        }
        Ok(ceremony.step)
    })
    .await
}

/// Gives a key another name.
pub fn rename(
    deed: &mut Deed<'_, '_>,
    code: Option<&Answer>,
    device: Option<DeviceId>,
    name: &str,
) -> Result<Device, Refusal> {
    let mut keys = deed.tx.get::<Keys>(&deed.person)?.unwrap_or_default();
    let Some(credential) = keys
        .credentials
        .iter_mut()
        .find(|credential| Some(credential.device_id) == device)
    else {
        return refuse(Failure::not_found());
    };
    deed.about(credential.device_id);
    deed.step_up(code)?;
    credential.name = name.to_owned();
    let device = credential.device();
    deed.tx.put(&deed.person, &keys)?;
    Ok(device)
}

/// Whether `device` is a key whose registration is under way.
pub fn is_pending(read: &dyn Read, person: PersonKey, device: DeviceId) -> Result<bool, Failure> {
    let all = ceremonies(read, person)?;
    Ok(all.iter().any(|(_, ceremony)| ceremony.registers(device)))
}

/// Gives up a registration that is under way.
pub fn cancel(
    deed: &mut Deed<'_, '_>,
    code: Option<&Answer>,
    device: DeviceId,
) -> Result<(), Refusal> {
    deed.about(device);
    for (key, ceremony) in ceremonies(deed.tx, deed.person)? {
        if ceremony.registers(device) {
            deed.step_up_to_give_up(code)?;
            deed.tx.delete::<Ceremony>(&key);
            return Ok(());
        }
    }
    refuse(Failure::not_found())
}

/// Removes a key.
pub fn remove(
    deed: &mut Deed<'_, '_>,
    code: Option<&Answer>,
    device: Option<DeviceId>,
) -> Result<(), Refusal> {
    let Some(device) = device else {
        return refuse(Failure::not_found());
    };
    deed.about(device);
    let mut keys = deed.tx.get::<Keys>(&deed.person)?.unwrap_or_default();
    let mut all = keys.credentials.iter();
    let Some(at) = all.position(|credential| credential.device_id == device) else {
        return refuse(Failure::not_found());
    };
    deed.lets_remove(&deed.desk.factors.webauthn, device)?;
    deed.step_up(code)?;
    let removed = keys.credentials.remove(at);
    deed.tx.delete::<Owner>(&removed.id().to_vec());
    deed.tx.put(&deed.person, &keys)?;
    Ok(deed.removed(&deed.desk.factors.webauthn, &removed.device(), None)?)
}

pub fn failed(why: impl ToString) -> Failure {
    Failure::new(
        WEBAUTHN_FAILED,
        "The security key's answer could not be verified. Try again.",
    )
    .because(why.to_string())
}

pub fn key_known() -> Failure {
    Failure::new(KEY_KNOWN, "This security key is registered already.")
}

pub fn too_many() -> Failure {
    Failure::new(
        TOO_MANY_KEYS,
        format!("No more than {MOST_KEYS} security keys can be set up. Remove one first."),
    )
}

/// Keys go on from where the replaced store knows them to be. Where that is not known, a counter in the copy may be
/// older than the key's own, which is the one thing that can only have grown.
pub async fn heal(store: &Store, replaced: Option<Store>) -> Result<(), Failure> {
    let Some(replaced) = replaced else {
        return Ok(());
    };
    store
        .each::<Keys, (), _>(move |tx, person, mut keys| {
            let Some(later) = replaced.read(|read| read.get::<Keys>(person))? else {
                return Ok(None);
            };
            for own in &mut keys.credentials {
                let same = |one: &&Credential| one.device_id == own.device_id;
                if let Some(later) = later.credentials.iter().find(same) {
                    *own = later.clone();
                }
            }
            tx.put(person, &keys)?;
            Ok(None)
        })
        .await?;
    Ok(())
}
