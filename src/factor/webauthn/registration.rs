//! A new key: its ceremony, and what is kept of it.

use std::sync::Arc;

use webauthn_rs::prelude::{
    CreationChallengeResponse, RegisterPublicKeyCredential, SecurityKey, Uuid,
};

use crate::base::{ChallengeId, DeviceId, Failure, Timestamp, display_text};
use crate::factor::{Answer, Deed, Desk, Device, Refusal, Remembered, refuse};
use crate::wire::Me;

use super::record::{Credential, Keys, Owner, Step, UNNAMED};
use super::rule::{self, LONGEST_NAME, MOST_KEYS, Purpose};
use super::service::{Begun, failed, keep, key_known, take, too_many};
use super::{WEBAUTHN_FAILED, models};

/// Begins the registration of a key.
pub fn begin_registration(
    deed: &mut Deed<'_, '_>,
    code: Option<&Answer>,
    name: Option<&str>,
    user_name: &str,
) -> Result<Begun<CreationChallengeResponse>, Refusal> {
    deed.lets_set_up(&deed.desk.factors.webauthn)?;
    let mut keys = deed.tx.get::<Keys>(&deed.person)?.unwrap_or_default();
    if keys.credentials.len() >= MOST_KEYS {
        return refuse(too_many());
    }
    let proven = deed.step_up(code)?;
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
        proven,
    };
    let (challenge_id, expires_at) = keep(deed, step)?;
    Ok(Begun {
        challenge_id,
        options,
        expires_at,
        device_id,
    })
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
            proven,
        } if Some(device_id) == device => {
            let name = name
                .and_then(|name| display_text(&name, LONGEST_NAME))
                .or(begun_with);
            check_registration(desk, &answer, &state)
                .map(|key| new_credential(key, device_id, name, &answer, desk.tools.now()))
                .map(|credential| (credential, proven))
        }
        // Another ceremony's answer, or another device's.
        _ => Err(Failure::not_found()),
    };
    let checked = checked.map_err(Remembered::new);
    let claimed = answer.raw_id;
    desk.act(me, ACTION, move |deed| {
        deed.lets_set_up(&deed.desk.factors.webauthn)?;
        let mut keys = deed.tx.get::<Keys>(&deed.person)?.unwrap_or_default();
        let credential = match &checked {
            // Another factor may have been confirmed since the ceremony was taken.
            Ok((_, proven)) if deed.is_void(*proven)? => return refuse(Failure::not_found()),
            Ok((credential, _)) => credential.clone(),
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
