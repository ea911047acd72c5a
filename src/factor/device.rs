//! What a person sees of one of their factors.

use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use crate::base::{DeviceId, Timestamp};

/// Whether a factor can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It can.
    Active,
    /// It waits for its confirmation.
    Pending,
    /// Too many wrong codes in a row: it waits for another factor, or an operator.
    Disabled,
}

/// One second factor of a person.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Device {
    /// `mfa_…`
    #[schema(value_type = String)]
    pub device_id: DeviceId,
    /// `totp`, `email` or `webauthn`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// What the person calls it.
    pub name: String,
    /// Whether it can be used.
    pub status: Status,
    /// When it was set up, or its set-up begun.
    #[schema(value_type = String, format = DateTime)]
    #[serde(serialize_with = "rfc3339")]
    pub created_at: Timestamp,
    /// When it last proved somebody.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(serialize_with = "rfc3339_or_null")]
    pub last_used_at: Option<Timestamp>,
    /// When a pending one is forgotten.
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    #[serde(
        serialize_with = "rfc3339_or_null",
        skip_serializing_if = "Option::is_none"
    )]
    pub expires_at: Option<Timestamp>,
    /// Of a security key: what the browser says of it.
    #[serde(flatten)]
    #[schema(value_type = KeyFacts)]
    pub key: Option<KeyFacts>,
}

/// What the browser says of a security key. Not required in the schema, since other devices have none of it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct KeyFacts {
    /// How it is reached: `usb`, `nfc`, `ble`, `internal`, `hybrid`.
    #[schema(required = false)]
    pub transports: Vec<String>,
    /// Its model, as a UUID; null where it does not say.
    #[schema(required = false)]
    pub aaguid: Option<String>,
    /// What that model is called, where known.
    #[schema(required = false)]
    pub model: Option<&'static str>,
    /// Whether it is copied between devices (a synced passkey).
    #[schema(required = false)]
    pub backed_up: bool,
}

pub(super) fn rfc3339<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

pub(super) fn rfc3339_or_null<S: Serializer>(
    at: &Option<Timestamp>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => serializer.collect_str(at),
        None => serializer.serialize_none(),
    }
}
