//! A key proves its owner: on a page of their own, where it gives a one-time proof, or at a sign-in.

use std::sync::Arc;

use webauthn_rs::prelude::{
    AuthenticationResult, PublicKeyCredential, RequestChallengeResponse, SecurityKey,
    SecurityKeyAuthentication, WebauthnError,
};

use crate::base::{ChallengeId, DeviceId, Failure, PersonKey, Secret, Timestamp};
use crate::crypto::CodeHash;
use crate::factor::proof::PROOF_PREFIX;
use crate::factor::{Deed, Desk, NOT_ENABLED, Refusal, Remembered, refuse};
use crate::mail::{KeyCopied, Thing};
use crate::services::Services;
use crate::store::{Read, Tx};
use crate::wire::Me;

use super::record::{Credential, Keys, Proof, SignInCeremony, Step};
use super::rule::{self, CEREMONY_TTL, PROOF_TTL, Purpose};
use super::service::{Begun, failed, keep, take};
use super::{KEY_COPIED, KIND, SecurityKeys, WEBAUTHN_FAILED};

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
    // One without an ID, from before such were refused, would answer for any.
    let named = keys.credentials.iter();
    let named: Vec<_> = named.filter(|it| !it.id().is_empty()).collect();
    let known: Vec<SecurityKey> = named
        .iter()
        .map(|credential| credential.key.clone())
        .collect();
    let Some(first) = named.first() else {
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

/// Why an assertion does not hold.
enum AssertionError {
    /// It is not what it must be.
    Failed(Remembered),
    /// It is, but for the counter, which did not advance: the credential of this ID may have a copy.
    Copied(Vec<u8>),
}

impl From<Failure> for AssertionError {
    fn from(failure: Failure) -> Self {
        AssertionError::Failed(Remembered::new(failure))
    }
}

impl AssertionError {
    /// Refuses it; the owner is notified of a copy.
    fn refuse<T>(&self, deed: &mut Deed<'_, '_>) -> Result<T, Refusal> {
        match self {
            AssertionError::Failed(remembered) => refuse(remembered.failure()),
            AssertionError::Copied(id) => {
                let keys = deed.tx.get::<Keys>(&deed.person)?.unwrap_or_default();
                let copied = keys.credentials.iter().find(|it| it.id() == id.as_slice());
                match copied {
                    Some(credential) => refuse_copy(deed, credential),
                    None => refuse(failed("the key was removed meanwhile")),
                }
            }
        }
    }
}

/// Checks an assertion: everything but what only a transaction can tell.
fn check(
    factor: &SecurityKeys,
    keys: &Keys,
    answer: &PublicKeyCredential,
    state: &SecurityKeyAuthentication,
) -> Result<AuthenticationResult, AssertionError> {
    rule::check_client_data(
        &answer.response.client_data_json,
        Purpose::Get,
        &factor.origins,
    )
    .map_err(failed)?;
    rule::check_user_handle(answer.get_user_unique_id(), keys.handle.as_bytes()).map_err(failed)?;
    rule::check_id(&answer.raw_id).map_err(failed)?;
    let finished = factor
        .webauthn
        .finish_securitykey_authentication(answer, state);
    let answered = match &finished {
        Ok(result) => result.cred_id().as_slice(),
        // The signature holds, and is of the credential that the answer names.
        Err(WebauthnError::CredentialPossibleCompromise) => &answer.raw_id,
        Err(error) => return Err(failed(error).into()),
    };
    rule::check_name(&answer.type_, &answer.id, &answer.raw_id, answered).map_err(failed)?;
    finished.map_err(|_| AssertionError::Copied(answer.raw_id.to_vec()))
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
    if !rule::counter_advances(credential.counter, result.counter()) {
        return refuse_copy(deed, credential);
    }
    deed.about(credential.device_id);
    credential.used(result, deed.now);
    let device_id = credential.device_id;
    deed.tx.put(&deed.person, &keys)?;
    Ok(device_id)
}

/// Refuses a key whose counter did not advance, and notifies its owner.
fn refuse_copy<T>(deed: &mut Deed<'_, '_>, credential: &Credential) -> Result<T, Refusal> {
    deed.about(credential.device_id);
    tracing::warn!(
        user = ?deed.person,
        device = %credential.device_id,
        counter = credential.counter,
        "security key counter did not advance"
    );
    deed.tell(|occasion| KeyCopied {
        occasion,
        factor: Thing {
            kind: KIND,
            name: Some(&credential.name),
        },
    })?;
    let why = "the signature counter did not advance";
    refuse(failed(why).with_reason(KEY_COPIED))
}

/// Says on the owner's own page why a key was refused. At a sign-in no one learns it from the answer, since whoever holds
/// the copy may be there.
fn say_reason(failure: Failure) -> Failure {
    if failure.reason() != KEY_COPIED {
        return failure;
    }
    let detail = "The security key's counter did not advance, so there may be a copy of the key. If it is refused again, remove it and set up another.";
    Failure::new(WEBAUTHN_FAILED, detail).with("reason", KEY_COPIED)
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
        Step::Register { .. } => Err(Failure::not_found().into()),
    };
    desk.act(me, ACTION, move |deed| {
        deed.proved_with = Some(KIND);
        let result = match &checked {
            Ok(result) => result,
            Err(error) => return error.refuse(deed),
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
    .map_err(say_reason)
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
    outcome: Result<AuthenticationResult, AssertionError>,
    /// The ceremony that it answers, so that no other is used up by it; `None` if there was none.
    ceremony: Option<Vec<u8>>,
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
    let (outcome, ceremony) = match read {
        (Some(ceremony), keys) => {
            let outcome = check(&desk.factors.webauthn, &keys, answer, &ceremony.state);
            (outcome, Some(fingerprint(&ceremony)?))
        }
        (None, _) => {
            let none = failed("no ceremony was begun for this challenge");
            (Err(none.into()), None)
        }
    };
    Ok(CheckedAssertion { outcome, ceremony })
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
    if let Err(AssertionError::Failed(remembered)) = &checked.outcome {
        return refuse(remembered.failure());
    }
    let same = match &ceremony {
        Some(ceremony) => {
            deed.now < ceremony.expires_at && Some(fingerprint(ceremony)?) == checked.ceremony
        }
        None => false,
    };
    if !same {
        return refuse(failed("the ceremony is over"));
    }
    let result = match &checked.outcome {
        Ok(result) => result,
        Err(error) => return error.refuse(deed),
    };
    use_key(deed, result)?;
    Ok(KeyShown {
        synced: result.backup_eligible(),
        user_verified: result.user_verified(),
    })
}
