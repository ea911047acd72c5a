//! A key proves its owner: on a page of their own, where it gives a one-time proof, or at a sign-in.

use std::sync::Arc;

use webauthn_rs::prelude::{
    AuthenticationResult, PublicKeyCredential, RequestChallengeResponse, SecurityKey,
    SecurityKeyAuthentication,
};

use crate::base::{ChallengeId, DeviceId, Failure, PersonKey, Secret, Timestamp};
use crate::crypto::CodeHash;
use crate::factor::proof::PROOF_PREFIX;
use crate::factor::{Deed, Desk, NOT_ENABLED, Refusal, Remembered, refuse};
use crate::services::Services;
use crate::store::{Read, Tx};
use crate::wire::Me;

use super::record::{Keys, Proof, SignInCeremony, Step};
use super::rule::{self, CEREMONY_TTL, PROOF_TTL, Purpose};
use super::service::{Begun, failed, keep, take};
use super::{KIND, SecurityKeys};

/// Begins a proof by key.
pub fn begin_verification(
    deed: &mut Deed<'_, '_>,
) -> Result<Begun<RequestChallengeResponse>, Refusal> {
    let (options, state, device_id) = begin(deed)?;
    let (challenge_id, expires_at) = keep(deed, Step::Verify { state })?;
    Ok(Begun {
        challenge_id,
        options,
        expires_at,
        device_id,
    })
}

/// Begins an assertion for the sign-in `challenge`. One that was begun before for it is void.
pub fn begin_sign_in(
    deed: &mut Deed<'_, '_>,
    challenge: ChallengeId,
) -> Result<RequestChallengeResponse, Refusal> {
    let (options, state, _) = begin(deed)?;
    let expires_at = deed.now.plus(CEREMONY_TTL);
    let ceremony = SignInCeremony {
        created_at: deed.now,
        expires_at,
        state,
    };
    deed.tx
        .put_until(&(deed.person, challenge), &ceremony, expires_at)?;
    Ok(options)
}

/// The sign-in `challenge` is over without an answer by key.
pub fn forget_sign_in(tx: &mut Tx<'_>, person: PersonKey, challenge: ChallengeId) {
    tx.delete::<SignInCeremony>(&(person, challenge));
}

/// Whether an assertion was begun for the sign-in `challenge`.
pub fn is_sign_in_begun(
    read: &dyn Read,
    person: PersonKey,
    challenge: ChallengeId,
) -> Result<bool, Failure> {
    Ok(read.get::<SignInCeremony>(&(person, challenge))?.is_some())
}

fn begin(
    deed: &mut Deed<'_, '_>,
) -> Result<
    (
        RequestChallengeResponse,
        SecurityKeyAuthentication,
        DeviceId,
    ),
    Refusal,
> {
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
    Ok((options, state, first.device_id))
}

/// Checks an assertion: everything but what only a transaction can tell.
fn check(
    factor: &SecurityKeys,
    keys: &Keys,
    answer: &PublicKeyCredential,
    state: &SecurityKeyAuthentication,
) -> Result<AuthenticationResult, Failure> {
    rule::check_client_data(
        &answer.response.client_data_json,
        Purpose::Get,
        &factor.origins,
    )
    .map_err(failed)?;
    rule::check_user_handle(answer.get_user_unique_id(), keys.handle.as_bytes()).map_err(failed)?;
    let result = factor
        .webauthn
        .finish_securitykey_authentication(answer, state)
        .map_err(failed)?;
    rule::check_name(&answer.type_, &answer.id, &answer.raw_id, result.cred_id())
        .map_err(failed)?;
    Ok(result)
}

/// Notes that a key was used, unless it was removed, or its counter says that it has a copy.
fn use_key(deed: &mut Deed<'_, '_>, result: &AuthenticationResult) -> Result<DeviceId, Refusal> {
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
    Ok(device_id)
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
    let keys = keys_of(desk, me.key)?;
    let checked = match step {
        Step::Verify { state } => check(&desk.factors.webauthn, &keys, &answer, &state),
        Step::Register { .. } => Err(Failure::not_found()),
    };
    let checked = checked.map_err(Remembered::new);
    desk.act(me, ACTION, move |deed| {
        deed.proved_with = Some(KIND);
        let result = match &checked {
            Ok(result) => result,
            Err(remembered) => return refuse(remembered.failure()),
        };
        let device_id = use_key(deed, result)?;
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

fn keys_of(desk: &Desk, person: PersonKey) -> Result<Keys, Failure> {
    let keys = desk.tools.store.read(|read| read.get::<Keys>(&person))?;
    Ok(keys.unwrap_or_default())
}

/// Under what a proof is kept: it is good for its person alone.
pub fn proof_hash(tools: &Services, person: PersonKey, proof: &str) -> CodeHash {
    tools
        .keys()
        .code_hash(&[b"webauthn proof", person.as_bytes()], proof)
}

/// An assertion for a sign-in, whose signature was looked at outside of the transaction that will use it up.
pub struct CheckedAssertion {
    outcome: Result<Checked, Remembered>,
}

struct Checked {
    result: AuthenticationResult,
    /// The ceremony that it answers, so that no other is used up by it.
    ceremony: Vec<u8>,
}

/// What a key showed.
pub struct KeyShown {
    /// Whether it can be copied between devices.
    pub synced: bool,
    /// Whether it asked for a PIN or a finger.
    pub user_verified: bool,
}

/// Checks the browser's answer to the assertion of the sign-in `challenge`.
pub fn check_sign_in(
    desk: &Desk,
    person: PersonKey,
    challenge: ChallengeId,
    answer: &PublicKeyCredential,
) -> Result<CheckedAssertion, Failure> {
    let read = desk.tools.store.read(|read| {
        Ok((
            read.get::<SignInCeremony>(&(person, challenge))?,
            read.get::<Keys>(&person)?.unwrap_or_default(),
        ))
    })?;
    let outcome = match read {
        (Some(ceremony), keys) => {
            let fingerprint = fingerprint(&ceremony)?;
            let checked = check(&desk.factors.webauthn, &keys, answer, &ceremony.state);
            checked.map(|result| Checked {
                result,
                ceremony: fingerprint,
            })
        }
        (None, _) => Err(failed("no ceremony was begun for this challenge")),
    };
    Ok(CheckedAssertion {
        outcome: outcome.map_err(Remembered::new),
    })
}

fn fingerprint(ceremony: &SignInCeremony) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(ceremony).map_err(Failure::internal)
}

/// Uses up a checked assertion, right or wrong: its ceremony is over.
pub fn use_sign_in(
    deed: &mut Deed<'_, '_>,
    challenge: ChallengeId,
    checked: &CheckedAssertion,
) -> Result<KeyShown, Refusal> {
    let key = (deed.person, challenge);
    let ceremony = deed.tx.get::<SignInCeremony>(&key)?;
    deed.tx.delete::<SignInCeremony>(&key);
    let checked = match &checked.outcome {
        Ok(checked) => checked,
        Err(remembered) => return refuse(remembered.failure()),
    };
    let same = match &ceremony {
        Some(ceremony) => {
            deed.now < ceremony.expires_at && fingerprint(ceremony)? == checked.ceremony
        }
        None => false,
    };
    if !same {
        return refuse(failed("the ceremony is over"));
    }
    use_key(deed, &checked.result)?;
    Ok(KeyShown {
        synced: checked.result.backup_eligible(),
        user_verified: checked.result.user_verified(),
    })
}
