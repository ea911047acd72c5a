//! Where users are signed in to the settings page, as they see it.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::SET_COOKIE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::base::{Failure, PublicSessionId, Timestamp};
use crate::session::{self, ListedSession};
use crate::wire::{
    AuthorizationHeader, ChangeRefusals, Me, ReadRefusals, Refused, SESSION_COOKIE, clear_cookie,
};

use super::device::rfc3339;
use super::{Desk, refuse};

pub fn routes() -> OpenApiRouter<Arc<Desk>> {
    OpenApiRouter::new()
        .routes(routes!(list, remove_all))
        .routes(routes!(remove))
}

/// Where a user is signed in to the settings page.
#[derive(Serialize, ToSchema)]
struct Sessions {
    /// The newest first; empty where this server signs nobody in.
    sessions: Vec<SessionView>,
}

/// One browser that is signed in to the settings page.
#[derive(Serialize, ToSchema)]
struct SessionView {
    /// `ses_…`
    #[schema(value_type = String)]
    id: PublicSessionId,
    /// Whether the request came with the cookie of this session.
    current: bool,
    /// What the browser called itself when it signed in; null if it did not say.
    #[schema(required)]
    user_agent: Option<String>,
    /// The address from which it signed in.
    #[schema(value_type = Option<String>, required)]
    ip: Option<IpAddr>,
    /// When it signed in.
    #[schema(value_type = String, format = DateTime)]
    #[serde(serialize_with = "rfc3339")]
    created_at: Timestamp,
    /// When it was last used, to the minute.
    #[schema(value_type = String, format = DateTime)]
    #[serde(serialize_with = "rfc3339")]
    last_used_at: Timestamp,
    /// When it ends if it is not used before.
    #[schema(value_type = String, format = DateTime)]
    #[serde(serialize_with = "rfc3339")]
    expires_at: Timestamp,
}

impl SessionView {
    fn new(session: ListedSession, current: Option<PublicSessionId>) -> Self {
        SessionView {
            id: session.id,
            current: current == Some(session.id),
            user_agent: session.user_agent,
            ip: session.ip,
            created_at: session.live.created_at,
            last_used_at: session.live.used_at,
            expires_at: session.live.expires_at,
        }
    }
}

/// The session that the request came with.
fn current(me: &Me) -> Option<PublicSessionId> {
    me.session.and_then(|session| session.public())
}

/// An answer; where it says that the caller's own session has ended, the browser drops the cookie.
fn answer(body: impl Serialize, ended_own: bool) -> Result<Response, Failure> {
    let mut response = Json(body).into_response();
    if ended_own {
        let cookie = clear_cookie(SESSION_COOKIE)?;
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}

#[utoipa::path(get, path = "/api/v1/me/mfa/sessions", operation_id = "list_sessions", summary = "List Sessions",
    description = "List the browsers that are signed in to the settings page. Removing or replacing a factor, or renewing the backup codes, ends all other sessions.",
    tag = "mfa", params(AuthorizationHeader), responses((status = 200, description = "The sessions", body = Sessions), ReadRefusals))]
async fn list(State(desk): State<Arc<Desk>>, me: Me) -> Result<Json<Sessions>, Refused> {
    let now = desk.tools.now();
    let sessions = desk
        .tools
        .store
        .read(|read| session::list(read, me.key, now))?;
    let current = current(&me);
    let views = sessions
        .into_iter()
        .map(|session| SessionView::new(session, current));
    Ok(Json(Sessions {
        sessions: views.collect(),
    }))
}

/// The session has ended.
#[derive(Serialize, ToSchema)]
struct SessionRemoved {
    /// Always true.
    removed: bool,
}

#[utoipa::path(delete, path = "/api/v1/me/mfa/sessions/{id}", operation_id = "remove_session", summary = "Remove Session",
    description = "Sign a browser out of the settings page.", tag = "mfa", params(("id" = String, Path), AuthorizationHeader),
    responses((status = 200, description = "The browser is signed out", body = SessionRemoved), ChangeRefusals))]
async fn remove(
    State(desk): State<Arc<Desk>>,
    me: Me,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Refused> {
    // A path that is no identifier, or not even text, names nothing.
    let id = id.map_or(None, |Path(id)| id.parse::<PublicSessionId>().ok());
    desk.act(&me, "session.remove", move |deed| {
        let ended = match id {
            Some(id) => session::end_one(deed.tx, deed.person, id, deed.now)?,
            None => false,
        };
        match ended {
            true => Ok(()),
            false => refuse(Failure::not_found()),
        }
    })
    .await?;
    let ended_own = current(&me).is_some_and(|own| Some(own) == id);
    Ok(answer(SessionRemoved { removed: true }, ended_own)?)
}

/// All sessions have ended.
#[derive(Serialize, ToSchema)]
struct SessionsRemoved {
    /// Always true.
    removed: bool,
    /// How many there were.
    count: usize,
    /// Where the session at the issuer can be ended too, if the issuer has such a place.
    #[schema(value_type = Option<String>, required)]
    end_session_url: Option<url::Url>,
}

#[utoipa::path(delete, path = "/api/v1/me/mfa/sessions", operation_id = "remove_all_sessions", summary = "Remove All Sessions",
    description = "Sign out of the settings page everywhere, also in the browser that asks.", tag = "mfa", params(AuthorizationHeader),
    responses((status = 200, description = "No browser is signed in any more", body = SessionsRemoved), ChangeRefusals))]
async fn remove_all(State(desk): State<Arc<Desk>>, me: Me) -> Result<Response, Refused> {
    let listed = desk
        .tools
        .store
        .read(|read| session::list(read, me.key, desk.tools.now()))?;
    if listed.is_empty() {
        // Nothing happens, and nothing is recorded.
        let none = SessionsRemoved {
            removed: true,
            count: 0,
            end_session_url: desk.tools.sessions.end_session_url(),
        };
        return Ok(answer(none, false)?);
    }
    let count = desk
        .act(&me, "session.remove_all", |deed| {
            let count = session::list(deed.tx, deed.person, deed.now)?.len();
            session::end_all(deed.tx, deed.person)?;
            Ok(count)
        })
        .await?;
    let ended = SessionsRemoved {
        removed: true,
        count,
        end_session_url: desk.tools.sessions.end_session_url(),
    };
    Ok(answer(ended, me.session.is_some())?)
}
