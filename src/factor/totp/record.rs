use serde::{Deserialize, Serialize};

use crate::base::{DeviceId, PersonKey, Timestamp};
use crate::factor::{Device, Status};
use crate::store::Record;

use super::Secret160;

/// The app that a person uses.
#[derive(Clone, Serialize, Deserialize)]
pub struct Active {
    pub device_id: DeviceId,
    pub secret: Secret160,
    pub created_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
    /// The latest time step that was accepted; none up to it is accepted again.
    pub last_step: u64,
}

impl Record for Active {
    type Key = PersonKey;
    const TABLE: &'static str = "totp";
}

/// The app that a person is setting up, in a slot of its own: it touches the
/// active one only when it is confirmed.
#[derive(Clone, Serialize, Deserialize)]
pub struct Pending {
    pub device_id: DeviceId,
    pub secret: Secret160,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    /// Whether its user proved a factor when it was begun. What was begun without a proof cannot be confirmed by a
    /// user who has a factor by then.
    #[serde(default)]
    pub proven: bool,
    /// Wrong codes that it was to be confirmed with.
    #[serde(default)]
    pub failures: u32,
}

impl Record for Pending {
    type Key = PersonKey;
    const TABLE: &'static str = "totp pending";
}

impl Active {
    pub fn device(&self) -> Device {
        Device {
            last_used_at: self.last_used_at,
            ..super::device(self.device_id, Status::Active, self.created_at)
        }
    }
}

impl Pending {
    pub fn device(&self) -> Device {
        Device {
            expires_at: Some(self.expires_at),
            ..super::device(self.device_id, Status::Pending, self.created_at)
        }
    }
}
