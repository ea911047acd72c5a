use serde::{Deserialize, Serialize};
use webauthn_rs::prelude::{
    AuthenticationResult, SecurityKey, SecurityKeyAuthentication, SecurityKeyRegistration, Uuid,
};

use crate::base::{ChallengeId, DeviceId, PersonKey, Timestamp};
use crate::factor::device::KeyFacts;
use crate::factor::{Device, Status};
use crate::store::Record;

use super::{KIND, models};

/// All keys of a person.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Keys {
    /// The random name under which authenticators file the account; the nil UUID before the first ceremony.
    pub handle: Uuid,
    pub credentials: Vec<Credential>,
}

impl Keys {
    /// Whether a credential of this id is among them.
    pub fn hold(&self, id: &[u8]) -> bool {
        self.credentials.iter().any(|known| known.id() == id)
    }
}

impl Record for Keys {
    type Key = PersonKey;
    const TABLE: &'static str = "webauthn";
}

#[derive(Clone, Serialize, Deserialize)]
pub struct Credential {
    pub device_id: DeviceId,
    pub name: String,
    pub key: SecurityKey,
    /// The latest signature counter; the library keeps one too, but shows it to nobody.
    pub counter: u32,
    pub aaguid: Option<Uuid>,
    pub transports: Vec<String>,
    pub backed_up: bool,
    pub created_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
}

impl Credential {
    pub fn id(&self) -> &[u8] {
        self.key.cred_id()
    }

    pub fn device(&self) -> Device {
        Device {
            device_id: self.device_id,
            kind: KIND,
            name: self.name.clone(),
            status: Status::Active,
            created_at: self.created_at,
            last_used_at: self.last_used_at,
            expires_at: None,
            key: Some(KeyFacts {
                transports: self.transports.clone(),
                aaguid: self.aaguid.map(|aaguid| aaguid.to_string()),
                model: self.aaguid.as_ref().and_then(models::name),
                backed_up: self.backed_up,
            }),
        }
    }

    /// Notes what a right answer said.
    pub fn used(&mut self, result: &AuthenticationResult, now: Timestamp) {
        self.key.update_credential(result);
        self.counter = result.counter();
        self.backed_up = result.backup_state();
        self.last_used_at = Some(now);
    }
}

/// The name of a key that was given none.
pub const UNNAMED: &str = "Security key";

pub fn pending_device(
    id: DeviceId,
    name: Option<&str>,
    created_at: Timestamp,
    expires_at: Timestamp,
) -> Device {
    Device {
        device_id: id,
        kind: KIND,
        name: name.unwrap_or(UNNAMED).to_owned(),
        status: Status::Pending,
        created_at,
        last_used_at: None,
        expires_at: Some(expires_at),
        key: None,
    }
}

/// Whose a credential is: one id belongs to one person.
#[derive(Serialize, Deserialize)]
pub struct Owner {
    pub person: PersonKey,
}

impl Record for Owner {
    /// The credential's id.
    type Key = Vec<u8>;
    const TABLE: &'static str = "webauthn owner";
}

/// A challenge that a browser is answering on the settings page. Removed before the answer is looked at, so that it is looked at once.
#[derive(Serialize, Deserialize)]
pub struct Ceremony {
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub step: Step,
}

#[derive(Serialize, Deserialize)]
pub enum Step {
    Register {
        device_id: DeviceId,
        name: Option<String>,
        state: SecurityKeyRegistration,
        /// Whether its user proved a factor when it was begun. What was begun without a proof cannot be
        /// completed by a user who has a factor by then.
        #[serde(default)]
        proven: bool,
    },
    Verify {
        state: SecurityKeyAuthentication,
    },
}

impl Record for Ceremony {
    type Key = (PersonKey, ChallengeId);
    const TABLE: &'static str = "webauthn ceremony";
}

/// An assertion that a browser is making for a sign-in. They stand apart from those of the settings page, so that what
/// is begun at login services, however much, ends nothing there.
#[derive(Serialize, Deserialize)]
pub struct SignInCeremony {
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub state: SecurityKeyAuthentication,
}

impl Record for SignInCeremony {
    /// The user, and the challenge of the sign-in.
    type Key = (PersonKey, ChallengeId);
    const TABLE: &'static str = "webauthn sign-in";
}

/// A proof by key that any `code` takes, once.
#[derive(Serialize, Deserialize)]
pub struct Proof {
    /// The key that gave it: what is proved by a removed one is void with it.
    pub device_id: DeviceId,
    pub expires_at: Timestamp,
}

impl Record for Proof {
    /// The keyed hash of person and proof.
    type Key = Vec<u8>;
    const TABLE: &'static str = "webauthn proof";
}
