//! The person's overview, and bringing back a disabled factor.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Person;
use crate::base::{Failure, PersonKey, Timestamp, Violation};
use crate::lockout::{self, Standing};
use crate::mail::{FactorUnlocked, Thing};
use crate::policy;
use crate::store::Read;
use crate::wire::{
    AuthorizationHeader, Body, ChangeRefusals, Fields, FromBody, Me, ReadRefusals, Refused,
};

use super::allowed::{kinds_of, required_of};
use super::device::rfc3339_or_null;
use super::proof::{Answer, BackupCodes};
use super::{BackupCodesLeft, Desk, Device, NOT_ENABLED, Status, refuse};

pub fn routes() -> OpenApiRouter<Arc<Desk>> {
    OpenApiRouter::new()
        .routes(routes!(overview))
        .routes(routes!(unlock))
}

/// Everything about a person's second factors.
#[derive(Serialize, ToSchema)]
struct Overview {
    /// Whether the person has any second factor.
    enabled: bool,
    /// What they have, and what they are setting up.
    devices: Vec<Device>,
    /// Null before the first factor.
    #[schema(required)]
    backup_codes: Option<BackupCodesLeft>,
    /// What this server asks and allows.
    policy: Policy,
}

/// What this server asks and allows.
#[derive(Serialize, ToSchema)]
struct Policy {
    /// Whether the person must have a second factor, wherever they sign in.
    required: bool,
    /// The kinds that can be set up here.
    allowed: Vec<&'static str>,
    /// What email codes are good for: `on`, a second factor like any other; `recovery`, a proof on this page
    /// alone, which is not the factor that is required; `off`, not offered.
    #[schema(schema_with = email_use)]
    email: &'static str,
    /// Until when a person may go on without the factor that is required of them; null where no such time
    /// runs. It begins when they are first asked at a sign-in.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    #[serde(serialize_with = "rfc3339_or_null")]
    grace_until: Option<Timestamp>,
    /// Days for which a browser can be trusted; 0 where none can.
    trusted_device_days: u64,
}

fn email_use() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(["on", "recovery", "off"]))
        .build()
}

impl Desk {
    fn policy_for(
        &self,
        read: &dyn Read,
        key: PersonKey,
        person: &Person,
        now: Timestamp,
    ) -> Result<Policy, Failure> {
        let policy = policy::in_effect(read, &self.tools.policy)?;
        let required = required_of(read, &policy, key, Some(person), now)?;
        let has_one = kinds_of(read, key)?;
        let grace_until = match required && !has_one.iter().any(|kind| policy.counts(kind)) {
            true => policy::grace(read, key, &policy, now)?,
            false => None,
        };
        Ok(Policy {
            required,
            allowed: self
                .factors
                .all()
                .iter()
                .filter(|f| f.stands_alone() && f.offered() && policy.allows(f.kind()))
                .map(|f| f.kind())
                .collect(),
            email: policy.email.as_str(),
            grace_until,
            trusted_device_days: policy.trusted_device_days,
        })
    }
}

#[utoipa::path(get, path = "/api/v1/me/mfa", operation_id = "list_mfa_methods", summary = "List Mfa Methods",
    description = "List all MFA devices/methods for the current user.",
    tag = "mfa", params(AuthorizationHeader), responses((status = 200, description = "The overview", body = Overview), ReadRefusals))]
async fn overview(State(desk): State<Arc<Desk>>, me: Me) -> Result<Json<Overview>, Refused> {
    let now = desk.tools.now();
    let (overview, has_news) = desk.tools.store.read(|read| {
        let mut devices = Vec::new();
        for factor in desk.factors.all() {
            let mut own = factor.devices(read, me.key, now)?;
            if factor.guessable()
                && lockout::standing(read, me.key, factor.kind(), now)? == Standing::Disabled
            {
                own.iter_mut()
                    .filter(|d| d.status == Status::Active)
                    .for_each(|d| d.status = Status::Disabled);
            }
            devices.extend(own);
        }
        let overview = Overview {
            // What is disabled still stands in the way of whoever guessed.
            enabled: devices
                .iter()
                .any(|device| device.status != Status::Pending),
            devices,
            backup_codes: desk.factors.backup_codes.left(read, me.key)?,
            policy: desk.policy_for(read, me.key, &me.person, now)?,
        };
        Ok((overview, desk.has_news(read, &me, now)?))
    })?;
    if has_news {
        desk.learn(&me).await;
    }
    Ok(Json(overview))
}

/// Which factor to bring back, and the proof by another.
#[derive(ToSchema)]
struct UnlockRequest {
    /// `totp` or `email`.
    #[schema(schema_with = lockable)]
    r#type: String,
    /// A proof by another factor than that one.
    code: String,
}

fn lockable() -> Object {
    let kinds = Some(["totp", "email"]);
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(kinds)
        .build()
}

impl FromBody for UnlockRequest {
    fn from_body(fields: &mut Fields<'_>) -> Option<Self> {
        let (r#type, code) = (fields.string("type"), fields.string("code"));
        Some(UnlockRequest {
            r#type: r#type?,
            code: code?,
        })
    }
}

/// The factor is brought back.
#[derive(Serialize, ToSchema)]
struct Unlocked {
    /// Always true.
    unlocked: bool,
}

#[utoipa::path(post, path = "/api/v1/me/mfa/unlock", operation_id = "unlock_factor", summary = "Unlock Factor",
    description = "Bring back a factor that too many wrong codes have locked or disabled, by proof of another.",
    tag = "mfa", params(AuthorizationHeader), request_body = UnlockRequest,
    responses((status = 200, description = "It can be used again", body = Unlocked), ChangeRefusals))]
async fn unlock(
    State(desk): State<Arc<Desk>>,
    me: Me,
    Body(request): Body<UnlockRequest>,
) -> Result<Json<Unlocked>, Refused> {
    let Some(kind) = desk
        .factors
        .all()
        .iter()
        .find(|f| f.guessable() && f.kind() == request.r#type)
        .map(|f| f.kind())
    else {
        let loc = vec!["body".into(), "type".into()];
        let violation = Violation {
            loc,
            msg: "Input should be 'totp' or 'email'".into(),
            kind: "enum",
        };
        return Err(Refused(Failure::invalid(vec![violation])));
    };
    let answer = Answer::read(&request.code);
    desk.act(&me, "factor.unlock", move |deed| {
        let factors = deed.desk.factors.all();
        let Some(factor) = factors.into_iter().find(|factor| factor.kind() == kind) else {
            return refuse(Failure::not_found());
        };
        let device = factor
            .devices(deed.tx, deed.person, deed.now)?
            .into_iter()
            .find(|device| device.status == Status::Active);
        let Some(device) = device else {
            return refuse(Failure::new(NOT_ENABLED, "This factor is not set up."));
        };
        deed.about(device.device_id);
        // While it is locked, an answer of its own is refused here like anywhere.
        deed.prove(&answer, BackupCodes::Taken)?;
        lockout::clear(deed.tx, deed.person, kind)?;
        deed.distrust()?;
        let factor = Thing { kind, name: None };
        Ok(deed.tell(|occasion| FactorUnlocked {
            occasion,
            factor,
            by_operator: false,
        })?)
    })
    .await?;
    Ok(Json(Unlocked { unlocked: true }))
}

/// A factor is set up.
#[derive(Serialize, ToSchema)]
pub struct Confirmed {
    /// Always true.
    pub enabled: bool,
    /// The factor.
    pub device: Device,
    /// Ten codes with the person's first factor, shown this once; else null.
    #[schema(required)]
    pub backup_codes: Option<Vec<String>>,
}

/// A factor is turned off.
#[derive(Serialize, ToSchema)]
pub struct Disabled {
    /// Always false.
    pub enabled: bool,
}
