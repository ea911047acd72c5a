use std::sync::Arc;

use webauthn_rs::prelude::{
    CreationChallengeResponse, PublicKeyCredential, RegisterPublicKeyCredential,
    RequestChallengeResponse, SecurityKey, Uuid,
};

use crate::base::{ChallengeId, DeviceId, Failure, PersonKey, Secret, Timestamp, display_text};
use crate::crypto::CodeHash;
use crate::factor::proof::PROOF_PREFIX;
use crate::factor::{CODE_EXPIRED, Deed, Desk, Device, NOT_ENABLED, Refusal, Remembered, refuse};
use crate::services::Services;
use crate::wire::Me;

use super::record::{Ceremony, Credential, Keys, Owner, Proof, Step, UNNAMED};
use super::rule::{self, CEREMONY_TTL, LONGEST_NAME, MOST_KEYS, PROOF_TTL, Purpose};
use super::{KEY_KNOWN, KIND, LIVE_CEREMONIES, TOO_MANY_KEYS, WEBAUTHN_FAILED, ceremonies, models};

/// A ceremony that the browser is to carry out.
pub struct Begun<O> {
    pub challenge_id: ChallengeId,
    pub options: O,
    pub expires_at: Timestamp,
    /// Of the new key, at a registration.
    pub device_id: DeviceId,
}

/// Begins the registration of a key.
pub fn begin_registration(
    deed: &mut Deed<'_, '_>,
    name: Option<&str>,
    user_name: &str,
) -> Result<Begun<CreationChallengeResponse>, Refusal> {
    let mut keys = deed.tx.get::<Keys>(&deed.person)?.unwrap_or_default();
    if keys.credentials.len() >= MOST_KEYS {
        return refuse(too_many());
    }
    let entropy = &*deed.desk.tools.entropy;
    if keys.handle.is_nil() {
        keys.handle = Uuid::from_bytes(entropy.bytes()?);
        deed.tx.put(&deed.person, &keys)?;
    }
    let exclude = keys
        .credentials
        .iter()
        .map(|credential| credential.id().to_vec())
        .collect();
    let (options, state) = deed
        .desk
        .factors
        .webauthn
        .webauthn
        .start_securitykey_registration(
            keys.handle,
            user_name,
            user_name,
            Some(exclude),
            None,
            None,
        )
        .map_err(Failure::internal)?;
    let device_id = DeviceId::draw(entropy)?;
    deed.about(device_id);
    let step = Step::Register {
        device_id,
        name: name.and_then(|name| display_text(name, LONGEST_NAME)),
        state,
    };
    let (challenge_id, expires_at) = keep(deed, step)?;
    Ok(Begun {
        challenge_id,
        options,
        expires_at,
        device_id,
    })
}

/// Begins a proof by key.
pub fn begin_verification(
    deed: &mut Deed<'_, '_>,
) -> Result<Begun<RequestChallengeResponse>, Refusal> {
    let keys = deed.tx.get::<Keys>(&deed.person)?.unwrap_or_default();
    let known: Vec<SecurityKey> = keys
        .credentials
        .iter()
        .map(|credential| credential.key.clone())
        .collect();
    let Some(first) = keys.credentials.first() else {
        return refuse(Failure::new(NOT_ENABLED, "No security key is set up."));
    };
    let (options, state) = deed
        .desk
        .factors
        .webauthn
        .webauthn
        .start_securitykey_authentication(&known)
        .map_err(Failure::internal)?;
    let (challenge_id, expires_at) = keep(deed, Step::Verify { state })?;
    Ok(Begun {
        challenge_id,
        options,
        expires_at,
        device_id: first.device_id,
    })
}

fn keep(deed: &mut Deed<'_, '_>, step: Step) -> Result<(ChallengeId, Timestamp), Failure> {
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
async fn take(
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

/// Ends the registration of a key with the browser's answer.
pub async fn complete_registration(
    desk: &Arc<Desk>,
    me: &Me,
    challenge: Option<ChallengeId>,
    device: Option<DeviceId>,
    answer: RegisterPublicKeyCredential,
    name: Option<String>,
) -> Result<(Device, Option<Vec<String>>), Failure> {
    const ACTION: &str = "webauthn.register";
    let step = take(desk, me, ACTION, challenge).await?;
    let checked = match step {
        Step::Register {
            device_id,
            name: begun_with,
            state,
        } if Some(device_id) == device => {
            let name = name
                .and_then(|name| display_text(&name, LONGEST_NAME))
                .or(begun_with);
            check_registration(desk, &answer, &state)
                .map(|key| new_credential(key, device_id, name, &answer, desk.tools.now()))
        }
        // Another ceremony's answer, or another device's.
        _ => Err(Failure::not_found()),
    };
    let checked = checked.map_err(Remembered::new);
    let claimed = answer.raw_id;
    desk.act(me, ACTION, move |deed| {
        let mut keys = deed.tx.get::<Keys>(&deed.person)?.unwrap_or_default();
        let credential = match &checked {
            Ok(credential) => credential.clone(),
            // The library has no word of its own for an excluded key.
            Err(remembered) if remembered.is(WEBAUTHN_FAILED) && keys.hold(&claimed) => {
                return refuse(key_known());
            }
            Err(remembered) => return refuse(remembered.failure()),
        };
        let device = credential.device();
        deed.about(device.device_id);
        if keys.credentials.len() >= MOST_KEYS {
            return refuse(too_many());
        }
        let id = credential.id().to_vec();
        if deed.tx.get::<Owner>(&id)?.is_some() {
            return refuse(key_known());
        }
        deed.tx.put(
            &id,
            &Owner {
                person: deed.person,
            },
        )?;
        keys.credentials.push(credential);
        deed.tx.put(&deed.person, &keys)?;
        let codes = deed.added(&deed.desk.factors.webauthn, &device)?;
        Ok((device, codes))
    })
    .await
}

fn check_registration(
    desk: &Desk,
    answer: &RegisterPublicKeyCredential,
    state: &webauthn_rs::prelude::SecurityKeyRegistration,
) -> Result<SecurityKey, Failure> {
    let factor = &desk.factors.webauthn;
    rule::check_client_data(
        &answer.response.client_data_json,
        Purpose::Create,
        &factor.origins,
    )
    .map_err(failed)?;
    let key = factor
        .webauthn
        .finish_securitykey_registration(answer, state)
        .map_err(failed)?;
    rule::check_name(&answer.type_, &answer.id, &answer.raw_id, key.cred_id()).map_err(failed)?;
    rule::check_id(key.cred_id()).map_err(failed)?;
    Ok(key)
}

fn new_credential(
    key: SecurityKey,
    device_id: DeviceId,
    name: Option<String>,
    answer: &RegisterPublicKeyCredential,
    now: Timestamp,
) -> Credential {
    let aaguid = models::aaguid(&answer.response.attestation_object);
    let model = aaguid.as_ref().and_then(models::name);
    let mut transports: Vec<String> = answer
        .response
        .transports
        .iter()
        .flatten()
        .filter_map(|transport| {
            serde_json::to_value(transport)
                .ok()?
                .as_str()
                .map(str::to_owned)
        })
        .filter(|name| name != "unknown" && name != "test")
        .collect();
    transports.sort_unstable();
    transports.dedup();
    let internal = webauthn_rs::prelude::Credential::from(key.clone());
    Credential {
        device_id,
        name: name
            .or(model.map(str::to_owned))
            .unwrap_or_else(|| UNNAMED.to_owned()),
        counter: internal.counter,
        backed_up: internal.backup_state,
        key,
        aaguid,
        transports,
        created_at: now,
        last_used_at: None,
    }
}

/// A proof that any `code` takes, once.
pub struct Proved {
    pub code: Secret<String>,
    pub expires_at: Timestamp,
}

/// Ends a proof by key with the browser's answer.
pub async fn complete_verification(
    desk: &Arc<Desk>,
    me: &Me,
    challenge: Option<ChallengeId>,
    answer: PublicKeyCredential,
) -> Result<Proved, Failure> {
    const ACTION: &str = "webauthn.verify";
    let step = take(desk, me, ACTION, challenge).await?;
    let handle = desk
        .tools
        .store
        .read(|read| read.get::<Keys>(&me.key))?
        .unwrap_or_default()
        .handle;
    let checked = match step {
        Step::Verify { state } => {
            let factor = &desk.factors.webauthn;
            rule::check_client_data(
                &answer.response.client_data_json,
                Purpose::Get,
                &factor.origins,
            )
            .and_then(|()| rule::check_user_handle(answer.get_user_unique_id(), handle.as_bytes()))
            .map_err(failed)
            .and_then(|()| {
                factor
                    .webauthn
                    .finish_securitykey_authentication(&answer, &state)
                    .map_err(failed)
            })
            .and_then(|result| {
                rule::check_name(&answer.type_, &answer.id, &answer.raw_id, result.cred_id())
                    .map_err(failed)?;
                Ok(result)
            })
        }
        Step::Register { .. } => Err(Failure::not_found()),
    };
    let checked = checked.map_err(Remembered::new);
    desk.act(me, ACTION, move |deed| {
        deed.proved_with = Some(KIND);
        let result = match &checked {
            Ok(result) => result,
            Err(remembered) => return refuse(remembered.failure()),
        };
        // Read again: the key may have been removed, or used elsewhere, since the ceremony began.
        let mut keys = deed.tx.get::<Keys>(&deed.person)?.unwrap_or_default();
        let used = keys
            .credentials
            .iter_mut()
            .find(|credential| credential.id() == result.cred_id().as_slice());
        let Some(credential) = used else {
            return refuse(failed("the key was removed meanwhile"));
        };
        deed.about(credential.device_id);
        if !rule::counter_advances(credential.counter, result.counter()) {
            return refuse(failed(
                "the signature counter did not advance: the key may have a copy",
            ));
        }
        credential.used(result, deed.now);
        let device_id = credential.device_id;
        deed.tx.put(&deed.person, &keys)?;
        let bits: [u8; 16] = deed.desk.tools.entropy.bytes()?;
        let code = format!(
            "{PROOF_PREFIX}{}",
            data_encoding::BASE32_NOPAD
                .encode(&bits)
                .to_ascii_lowercase()
        );
        let expires_at = deed.now.plus(PROOF_TTL);
        let key = proof_hash(&deed.desk.tools, deed.person, &code)
            .as_bytes()
            .to_vec();
        let proof = Proof {
            device_id,
            expires_at,
        };
        deed.tx.put_until(&key, &proof, expires_at)?;
        Ok(Proved {
            code: Secret::new(code),
            expires_at,
        })
    })
    .await
}

/// Under what a proof is kept: it is good for its person alone.
pub fn proof_hash(tools: &Services, person: PersonKey, proof: &str) -> CodeHash {
    tools
        .keys()
        .code_hash(&[b"webauthn proof", person.as_bytes()], proof)
}

/// Gives a key another name.
pub fn rename(
    deed: &mut Deed<'_, '_>,
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
    credential.name = name.to_owned();
    let device = credential.device();
    deed.tx.put(&deed.person, &keys)?;
    Ok(device)
}

/// Removes a key, or gives up a registration that is under way.
pub fn remove(deed: &mut Deed<'_, '_>, device: Option<DeviceId>) -> Result<(), Refusal> {
    let Some(device) = device else {
        return refuse(Failure::not_found());
    };
    deed.about(device);
    let mut keys = deed.tx.get::<Keys>(&deed.person)?.unwrap_or_default();
    if let Some(at) = keys
        .credentials
        .iter()
        .position(|credential| credential.device_id == device)
    {
        let removed = keys.credentials.remove(at);
        deed.tx.delete::<Owner>(&removed.id().to_vec());
        deed.tx.put(&deed.person, &keys)?;
        return Ok(deed.removed(&deed.desk.factors.webauthn, &removed.device(), Vec::new())?);
    }
    for (key, ceremony) in ceremonies(deed.tx, deed.person)? {
        if matches!(ceremony.step, Step::Register { device_id, .. } if device_id == device) {
            deed.tx.delete::<Ceremony>(&key);
            return Ok(());
        }
    }
    refuse(Failure::not_found())
}

fn failed(why: impl ToString) -> Failure {
    Failure::new(
        WEBAUTHN_FAILED,
        "The security key's answer could not be verified. Try again.",
    )
    .because(why.to_string())
}

fn key_known() -> Failure {
    Failure::new(KEY_KNOWN, "This security key is registered already.")
}

fn too_many() -> Failure {
    Failure::new(
        TOO_MANY_KEYS,
        format!("No more than {MOST_KEYS} security keys can be set up. Remove one first."),
    )
}
