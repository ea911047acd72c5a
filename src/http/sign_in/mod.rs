//! How people sign in to the settings page and out again. These routes are the page's own, not the API's: they speak
//! in cookies, redirects and a page that says why a sign-in did not succeed. What is done is `session`'s.

mod dead_end;

use std::sync::Arc;

use axum::extract::{FromRef, RawQuery, State};
use axum::http::header::{HeaderValue, LOCATION, RETRY_AFTER, SET_COOKIE, USER_AGENT};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use super::face::Face;
use super::{assets, edge};
use crate::auth::ISSUER_AWAY;
use crate::base::{Failure, Kind};
use crate::factor::Desk;
use crate::mail::Address;
use crate::session::{
    CALLBACK_PATH, CookiePlace, LOGIN_PATH, PENDING_SECONDS, SENTENCE, Seen, SignInOrigin,
    Unfinished, Way, return_path,
};
use crate::wire::{
    Asker, Refused, SESSION_COOKIE, SIGN_IN_COOKIES, asked_language, bearer_token, clear_cookie,
    cookie, from_own_page, set_cookie, sign_in_cookies, status,
};
use crate::words::{Language, is_said};

const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// What the routes need.
#[derive(Clone)]
struct Gate {
    desk: Arc<Desk>,
    face: Arc<Face>,
}

impl FromRef<Gate> for Arc<Desk> {
    fn from_ref(gate: &Gate) -> Self {
        gate.desk.clone()
    }
}

impl FromRef<Gate> for Arc<Face> {
    fn from_ref(gate: &Gate) -> Self {
        gate.face.clone()
    }
}

pub(super) fn routes(desk: Arc<Desk>, face: Arc<Face>) -> Router {
    Router::new()
        .route(LOGIN_PATH, get(login))
        .route(CALLBACK_PATH, get(callback))
        .route("/auth/session", get(tell))
        .route("/auth/logout", post(logout))
        .with_state(Gate { desk, face })
}

/// Whether a person goes there with their whole window. Where a browser says what it asks for, no picture, frame or
/// script begins or ends a sign-in.
fn goes_there(method: &Method, headers: &HeaderMap) -> Result<(), Failure> {
    let is = |name: &HeaderName, wanted: &str| headers.get(name).is_none_or(|v| v == wanted);
    let navigates = is(&SEC_FETCH_MODE, "navigate") && is(&SEC_FETCH_DEST, "document");
    if *method == Method::GET && navigates {
        return Ok(());
    }
    Err(Failure::new(
        crate::auth::FORBIDDEN,
        "This address is for a browser's whole window.",
    )
    .with(SENTENCE, "sign_in.window"))
}

/// The values of a query parameter; the last one counts, as nothing but convenience hangs on them.
fn parameter(query: &str, wanted: &str) -> Option<String> {
    form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| name == wanted)
        .map(|(_, value)| value.into_owned())
        .last()
}

fn see_other(to: &str, cookies: Vec<HeaderValue>) -> Result<Response, Failure> {
    let to = HeaderValue::try_from(to).map_err(Failure::internal)?;
    let mut response = (StatusCode::SEE_OTHER, [(LOCATION, to)]).into_response();
    with_cookies(&mut response, cookies);
    Ok(response)
}

fn with_cookies(response: &mut Response, cookies: Vec<HeaderValue>) {
    for value in cookies {
        response.headers_mut().append(SET_COOKIE, value);
    }
}

/// The name of the words that tell a person why.
fn sentence(failure: &Failure) -> String {
    let mut members = failure.members().iter();
    let named = members.find(|(name, _)| *name == SENTENCE);
    if let Some(key) = named.and_then(|(_, key)| key.as_str()) {
        return key.to_owned();
    }
    if failure.detail() == ISSUER_AWAY {
        return "sign_in.away".to_owned();
    }
    let by_code = format!("problem.{}", failure.code().name);
    match is_said(&by_code) {
        true => by_code,
        false => "problem.internal".to_owned(),
    }
}

/// A page that says why, and has a way to begin again.
fn dead_end(face: &Face, failure: &Failure, language: Language, return_to: &str) -> Response {
    let code = failure.code();
    match (code.kind, failure.cause()) {
        (Kind::Internal, _) => tracing::error!(?failure, "fault"),
        // Whoever looks after the issuer, or this server's client there, wants to know.
        (_, Some(_)) => tracing::warn!(?failure, "a sign-in to the settings page did not succeed"),
        (_, None) => tracing::debug!(?failure, "refused"),
    }
    let page = dead_end::page(face, language, &sentence(failure), return_to);
    let html = [(axum::http::header::CONTENT_TYPE, "text/html; charset=utf-8")];
    let response = (status(code.kind), html, page).into_response();
    let mut response = assets::in_language(response, language);
    let headers = response.headers_mut();
    headers.extend(
        failure
            .wait()
            .map(|seconds| (RETRY_AFTER, HeaderValue::from(seconds))),
    );
    response
}

/// Sends the browser to the issuer.
async fn login(
    State(desk): State<Arc<Desk>>,
    State(face): State<Arc<Face>>,
    method: Method,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let tools = &desk.tools;
    if !matches!(tools.sessions.way(), Way::Client(_)) {
        return edge::not_found().await;
    }
    let language = asked_language(&headers).unwrap_or(tools.language);
    let query = query.unwrap_or_default();
    let asked = parameter(&query, "return").unwrap_or_default();
    let return_to = return_path(&asked);
    let fresh = parameter(&query, "fresh").as_deref() == Some("1");
    let begun = async {
        goes_there(&method, &headers)?;
        let shown = sign_in_cookies(&headers);
        let departure = tools
            .sessions
            .begin(&shown, Some(return_to), fresh, tools.now())
            .await?;
        let name = sign_in_cookie(departure.place)?;
        let cookie = set_cookie(name, &departure.cookie, Some(PENDING_SECONDS))?;
        see_other(departure.url.as_str(), vec![cookie])
    };
    begun
        .await
        .unwrap_or_else(|failure| dead_end(&face, &failure, language, return_to))
}

/// Takes the browser back from the issuer.
async fn callback(
    State(desk): State<Arc<Desk>>,
    State(face): State<Arc<Face>>,
    Asker(origin, _): Asker,
    method: Method,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let tools = &desk.tools;
    if !matches!(tools.sessions.way(), Way::Client(_)) {
        return edge::not_found().await;
    }
    let language = asked_language(&headers).unwrap_or(tools.language);
    if let Err(failure) = goes_there(&method, &headers) {
        return dead_end(&face, &failure, language, "/");
    }
    let shown = sign_in_cookies(&headers);
    let former = cookie(&headers, SESSION_COOKIE);
    let user_agent = headers.get(USER_AGENT);
    let origin = SignInOrigin {
        ip: origin.ip,
        user_agent: user_agent.and_then(|value| std::str::from_utf8(value.as_bytes()).ok()),
    };
    let query = query.unwrap_or_default();
    let finished = tools
        .sessions
        .finish(&shown, &query, former, origin, tools.now())
        .await;
    let over = |place| clear_cookie(sign_in_cookie(place)?);
    let arrived = match finished {
        Ok(arrival) => {
            let cookies = || {
                let session = set_cookie(SESSION_COOKIE, &arrival.session, None)?;
                Ok(vec![session, over(arrival.place)?])
            };
            cookies().and_then(|cookies| see_other(&arrival.return_to, cookies))
        }
        Err(Unfinished {
            failure,
            return_to,
            place,
        }) => {
            let mut page = dead_end(&face, &failure, language, &return_to);
            let cookies = place.map(over).and_then(Result::ok);
            with_cookies(&mut page, cookies.into_iter().collect());
            return page;
        }
    };
    arrived.unwrap_or_else(|failure| dead_end(&face, &failure, language, "/"))
}

fn sign_in_cookie(place: CookiePlace) -> Result<&'static str, Failure> {
    let name = SIGN_IN_COOKIES.get(place).copied();
    name.ok_or_else(|| Failure::internal("a sign-in has no cookie of that place"))
}

fn shown(seen: &Seen) -> Map<String, Value> {
    // Whoever looks over a shoulder need not read it.
    let email = seen.email.as_deref();
    let email = email.and_then(|email| email.parse::<Address>().ok());
    Map::from_iter([
        ("signed_in".to_owned(), json!(true)),
        ("name".to_owned(), json!(seen.name)),
        ("username".to_owned(), json!(seen.username)),
        ("email".to_owned(), json!(email.map(|email| email.masked()))),
        ("expires_at".to_owned(), json!(seen.expires_at.to_string())),
    ])
}

/// Tells the page whether somebody is signed in, and who.
async fn tell(State(desk): State<Arc<Desk>>, headers: HeaderMap) -> Result<Response, Refused> {
    let tools = &desk.tools;
    let (seen, sign_in_url) = match tools.sessions.way() {
        Way::Client(_) => {
            let shown = cookie(&headers, SESSION_COOKIE);
            let seen = match shown {
                Some(shown) => tools.sessions.look(shown, tools.now())?,
                None => None,
            };
            (seen, Some(LOGIN_PATH))
        }
        Way::Proxied => (added_by_proxy(&desk, &headers).await, None),
        Way::Pasted => (None, None),
    };
    let mut members = match &seen {
        Some(seen) => shown(seen),
        None => Map::from_iter([
            ("signed_in".to_owned(), json!(false)),
            ("sign_in_url".to_owned(), json!(sign_in_url)),
        ]),
    };
    if matches!(tools.sessions.way(), Way::Proxied) {
        members.insert("proxy".to_owned(), json!(true));
    }
    Ok(Json(Value::Object(members)).into_response())
}

/// Whom the proxy's token speaks for, if it added a good one.
async fn added_by_proxy(desk: &Desk, headers: &HeaderMap) -> Option<Seen> {
    let token = bearer_token(headers).ok()?;
    let caller = desk.tools.verifier.caller(token).await.ok()?;
    let person = caller.into_person().ok()?;
    Some(Seen {
        name: person.name,
        username: person.username,
        email: person.email.map(|email| email.address),
        expires_at: person.expires,
    })
}

/// Ends the session here, and tells where it can be ended at the issuer.
async fn logout(
    State(desk): State<Arc<Desk>>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let tools = &desk.tools;
    if !matches!(tools.sessions.way(), Way::Client(_)) {
        return Err(Failure::not_found().into());
    }
    from_own_page(&method, &headers, &tools.origin)?;
    if let Some(shown) = cookie(&headers, SESSION_COOKIE) {
        tools.sessions.end(shown).await?;
    }
    let url = tools.sessions.end_session_url();
    let mut response = Json(json!({ "end_session_url": url })).into_response();
    with_cookies(&mut response, vec![clear_cookie(SESSION_COOKIE)?]);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_window_begins_and_ends_a_sign_in() {
        let judged = |method: Method, pairs: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.append(*name, HeaderValue::from_static(value));
            }
            goes_there(&method, &headers).is_ok()
        };
        let window = [
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
        ];
        assert!(judged(Method::GET, &[]));
        assert!(judged(Method::GET, &window));
        assert!(!judged(Method::HEAD, &window));
        for other in [
            [("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")],
            [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")],
            [("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")],
        ] {
            assert!(!judged(Method::GET, &other), "{other:?}");
        }
    }
}
