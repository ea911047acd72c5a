//! What has happened to a user, as they read it themselves.

use std::ops::RangeInclusive;
use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::audit::{self, Actor, Event, Outcome};
use crate::base::{Failure, Violation};
use crate::wire::{AuthorizationHeader, Me, ReadRefusals, Refused};

use super::Desk;

/// Records of a page where the request names no limit.
const USUAL_PAGE: usize = 20;

pub fn routes() -> OpenApiRouter<Arc<Desk>> {
    OpenApiRouter::new().routes(routes!(events))
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
