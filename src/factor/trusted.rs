//! The browsers that a person trusts, as they see them.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::base::{Failure, Timestamp, TrustedDeviceId};
use crate::policy;
use crate::trust::{self, TrustedDevice};
use crate::wire::{AuthorizationHeader, ChangeRefusals, Me, ReadRefusals, Refused};

use super::device::{rfc3339, rfc3339_or_null};
use super::{Desk, refuse};

pub fn routes() -> OpenApiRouter<Arc<Desk>> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(remove))
}

/// The browsers that need no second factor, each at one service.
#[derive(Serialize, ToSchema)]
struct TrustedDevices {
    /// The newest first.
    devices: Vec<TrustedDeviceView>,
}

/// A browser that needs no second factor at one service.
#[derive(Serialize, ToSchema)]
struct TrustedDeviceView {
    /// `trd_…`
    #[schema(value_type = String)]
    id: TrustedDeviceId,
    /// The login service at which it is trusted.
    service: String,
    /// What the browser calls itself; null where it does not say.
    #[schema(required)]
    user_agent: Option<String>,
    /// When the person chose to trust it.
    #[schema(value_type = String, format = DateTime)]
    #[serde(serialize_with = "rfc3339")]
    created_at: Timestamp,
    /// When it last stood in for a factor.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    #[serde(serialize_with = "rfc3339_or_null")]
    last_used_at: Option<Timestamp>,
    /// When it is no longer trusted. Use does not extend it.
    #[schema(value_type = String, format = DateTime)]
    #[serde(serialize_with = "rfc3339")]
    expires_at: Timestamp,
}

impl TrustedDeviceView {
    fn new(device: TrustedDevice, days: u64) -> Self {
        TrustedDeviceView {
            expires_at: device.end(days),
            id: device.id,
            service: device.service,
            user_agent: device.user_agent,
            created_at: device.created_at,
            last_used_at: device.last_used_at,
        }
    }
}

#[utoipa::path(get, path = "/api/v1/me/mfa/trusted-devices", operation_id = "list_trusted_devices", summary = "List Trusted Devices",
    description = "List the browsers that one has chosen to trust. Any change to one's factors ends the trust in all of them.",
    tag = "mfa", params(AuthorizationHeader), responses((status = 200, description = "The browsers", body = TrustedDevices), ReadRefusals))]
async fn list(State(desk): State<Arc<Desk>>, me: Me) -> Result<Json<TrustedDevices>, Refused> {
    let now = desk.tools.now();
    let (devices, days) = desk.tools.store.read(|read| {
        let policy = policy::in_effect(read, &desk.tools.policy)?;
        Ok((trust::list(read, me.key, now)?, policy.trusted_device_days))
    })?;
    let devices = devices
        .into_iter()
        .map(|device| TrustedDeviceView::new(device, days))
        .filter(|device| now < device.expires_at)
        .collect();
    Ok(Json(TrustedDevices { devices }))
}

/// The browser is trusted no more.
#[derive(Serialize, ToSchema)]
struct TrustedDeviceRemoved {
    /// Always true.
    removed: bool,
}

#[utoipa::path(delete, path = "/api/v1/me/mfa/trusted-devices/{id}", operation_id = "remove_trusted_device", summary = "Remove Trusted Device",
    description = "Trust a browser no more.", tag = "mfa", params(("id" = String, Path), AuthorizationHeader),
    responses((status = 200, description = "The browser is trusted no more", body = TrustedDeviceRemoved), ChangeRefusals))]
async fn remove(
    State(desk): State<Arc<Desk>>,
    me: Me,
    id: Result<Path<String>, axum::extract::rejection::PathRejection>,
) -> Result<Json<TrustedDeviceRemoved>, Refused> {
    // A path that is no identifier, or not even text, names nothing.
    let id = id.map_or(None, |Path(id)| id.parse::<TrustedDeviceId>().ok());
    desk.act(&me, "trusted_device.remove", move |deed| {
        let known = match id {
            Some(id) => trust::revoke(deed.tx, deed.person, id)?,
            None => false,
        };
        match known {
            true => Ok(()),
            false => refuse(Failure::not_found()),
        }
    })
    .await?;
    Ok(Json(TrustedDeviceRemoved { removed: true }))
}
