//! The person's overview, their history, and bringing back a disabled factor.

use std::ops::RangeInclusive;
use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use serde::Serialize;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::audit::{self, Actor, Event, Outcome};
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

/// Lines of a page where the request names no limit.
const USUAL_PAGE: usize = 20;

pub fn routes() -> OpenApiRouter<Arc<Desk>> {
    OpenApiRouter::new()
        .routes(routes!(overview))
        .routes(routes!(unlock))
        .routes(routes!(events))
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

/// The largest number that a line can have: the document calls it an int64.
const LAST_LINE: u64 = i64::MAX as u64;

/// How far back to read.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct EventsQuery {
    /// Lines at the most, 1 to 100; 20 where absent.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u64>,
    /// `next_cursor` of the page before.
    cursor: Option<u64>,
}

impl EventsQuery {
    fn read(query: &str) -> Result<Self, Failure> {
        match (
            number(query, "limit", 1..=100),
            number(query, "cursor", 0..=LAST_LINE),
        ) {
            (Ok(limit), Ok(cursor)) => Ok(EventsQuery { limit, cursor }),
            (limit, cursor) => Err(Failure::invalid(
                limit.err().into_iter().chain(cursor.err()).collect(),
            )),
        }
    }
}

/// The number of that name in a query: of several the last, as FastAPI reads them.
fn number(
    query: &str,
    name: &'static str,
    range: RangeInclusive<u64>,
) -> Result<Option<u64>, Violation> {
    let misfit = |kind, msg: String| Violation {
        loc: vec!["query".into(), name.into()],
        msg: msg.into(),
        kind,
    };
    let Some((_, text)) = url::form_urlencoded::parse(query.as_bytes())
        .filter(|(given, _)| given == name)
        .last()
    else {
        return Ok(None);
    };
    let Ok(number) = text.parse::<i128>() else {
        let msg = "Input should be a valid integer, unable to parse string as an integer";
        return Err(misfit("int_parsing", msg.to_owned()));
    };
    let (least, most) = range.into_inner();
    if number < i128::from(least) {
        let msg = format!("Input should be greater than or equal to {least}");
        return Err(misfit("greater_than_equal", msg));
    }
    match u64::try_from(number).ok().filter(|number| *number <= most) {
        Some(number) => Ok(Some(number)),
        None => {
            let msg = format!("Input should be less than or equal to {most}");
            Err(misfit("less_than_equal", msg))
        }
    }
}

/// A page of a person's history.
#[derive(Serialize, ToSchema)]
struct Events {
    /// The newest first.
    events: Vec<EventView>,
    /// Asks for what is older; null at the end.
    #[schema(required)]
    next_cursor: Option<u64>,
}

/// One line of a person's history.
#[derive(Serialize, ToSchema)]
struct EventView {
    /// Its number. A refusal has the one that it would get now, until its minute is over.
    id: u64,
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// What was asked: `totp.confirm`.
    action: String,
    /// `done` or `refused`.
    #[schema(value_type = String)]
    outcome: Outcome,
    /// Why it was refused.
    #[schema(required)]
    reason: Option<String>,
    /// The login service that asked; null where the person did, or the server itself.
    #[schema(required)]
    service: Option<String>,
    /// The kind of factor that was used to prove it.
    #[schema(required)]
    factor: Option<String>,
    /// The device it is about.
    #[schema(required)]
    device_id: Option<String>,
    /// The client's address.
    #[schema(required)]
    ip: Option<String>,
    /// As in `X-Request-Id`; of several, that of the first.
    request_id: String,
    /// How often it happened: identical refusals within a minute are one record.
    count: u32,
    /// When it happened for the last time; null if it happened once.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    last_at: Option<String>,
    /// How many records before this one were left out, because there is room for only so many a day.
    left_out: u32,
}

impl EventView {
    fn new(id: u64, event: Event) -> Self {
        EventView {
            id,
            at: event.at.to_string(),
            action: event.action,
            outcome: event.outcome,
            reason: event.reason,
            service: match event.actor {
                Actor::Service { id } => Some(id),
                Actor::Person | Actor::System => None,
            },
            factor: event.factor,
            device_id: event.device.map(|device| device.to_string()),
            ip: event.origin.ip.map(|ip| ip.to_string()),
            request_id: event.origin.request.to_string(),
            count: event.count,
            last_at: event.last_at.map(|at| at.to_string()),
            left_out: event.left_out,
        }
    }
}

#[utoipa::path(get, path = "/api/v1/me/mfa/events", operation_id = "list_events", summary = "List Events",
    description = "Read one's own history, the newest first.",
    tag = "mfa", params(AuthorizationHeader, EventsQuery), responses((status = 200, description = "A page", body = Events), ReadRefusals))]
async fn events(
    State(desk): State<Arc<Desk>>,
    me: Me,
    RawQuery(query): RawQuery,
) -> Result<Json<Events>, Refused> {
    let query = EventsQuery::read(&query.unwrap_or_default())?;
    let limit = query.limit.map_or(Ok(USUAL_PAGE), usize::try_from);
    let limit = limit.map_err(Failure::internal)?;
    let mut lines = desk
        .tools
        .store
        .read(|read| audit::history(read, me.key, query.cursor, limit + 1))?;
    let more = lines.len() > limit;
    lines.truncate(limit);
    let next_cursor = lines.last().filter(|_| more).map(|(number, _)| *number);
    Ok(Json(Events {
        events: lines
            .into_iter()
            .map(|(number, event)| EventView::new(number, event))
            .collect(),
        next_cursor,
    }))
}
