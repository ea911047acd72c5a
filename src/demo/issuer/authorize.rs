//! `/authorize` and the page that it shows (RFC 6749 section 4.1, RFC 7636,
//! OpenID Connect Core section 3.1.2).

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::header::{COOKIE, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use data_encoding::BASE64URL_NOPAD;
use url::Url;

use super::Issuer;
use super::client::{Client, Grants};
use super::grants::{
    CODE_SECONDS, Code, Request, SIGN_IN_SECONDS, SignIn, USED_CODE_SECONDS, draw_handle, print_of,
};
use super::oauth::{Parameters, Refusal, Wrong};
use super::sign_in_page;
use crate::base::Failure;
use crate::demo::persona::Persona;

const COOKIE_NAME: &str = "mfad_demo_browser";
/// The S256 of anything, in Base64url.
const CHALLENGE_CHARACTERS: usize = 43;

pub async fn ask_by_query(
    State(issuer): State<Arc<Issuer>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    ask(&issuer, &headers, query.unwrap_or_default().as_bytes())
}

pub async fn ask_by_form(
    State(issuer): State<Arc<Issuer>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    ask(&issuer, &headers, &body)
}

fn ask(issuer: &Issuer, headers: &HeaderMap, encoded: &[u8]) -> Response {
    let parameters = Parameters::read(encoded);
    // Until client and address are known to belong together, nobody is sent anywhere.
    let (client, redirect_uri) = match known_client(issuer, &parameters) {
        Ok(known) => known,
        Err(refusal) => return dead_end(refusal),
    };
    let state = match parameters.get("state") {
        Ok(state) => state.map(str::to_owned),
        Err(refusal) => return back(issuer, redirect_uri, None, Err(refusal)),
    };
    match read_request(client, redirect_uri, state.clone(), &parameters) {
        Ok(request) => {
            let hint = parameters.get("login_hint").ok().flatten();
            open_page(
                issuer,
                headers,
                client,
                request,
                hint.and_then(Persona::hinted),
            )
            .unwrap_or_else(|failure| {
                back(issuer, redirect_uri, state.as_deref(), Err(failure.into()))
            })
        }
        Err(refusal) => back(issuer, redirect_uri, state.as_deref(), Err(refusal)),
    }
}

fn known_client<'a>(
    issuer: &'a Issuer,
    parameters: &'a Parameters,
) -> Result<(&'a Client, &'a str), Refusal> {
    let id = parameters.need("client_id", "The request names no client.")?;
    let client = issuer.client(id).ok_or(Refusal::new(
        Wrong::InvalidRequest,
        "No such client is known here.",
    ))?;
    let uri = parameters.need(
        "redirect_uri",
        "The request does not say where to go back to.",
    )?;
    let known = client.redirect_uris.iter().any(|known| known == uri);
    known.then_some((client, uri)).ok_or(Refusal::new(
        Wrong::InvalidRequest,
        "The address to go back to is not one that this client registered.",
    ))
}

fn read_request(
    client: &Client,
    redirect_uri: &str,
    state: Option<String>,
    parameters: &Parameters,
) -> Result<Request, Refusal> {
    let refuse = |wrong, sentence| Err(Refusal::new(wrong, sentence));
    if parameters.get("request")?.is_some() {
        return refuse(Wrong::RequestNotSupported, "Request objects are not taken.");
    }
    if parameters.get("request_uri")?.is_some() {
        return refuse(
            Wrong::RequestUriNotSupported,
            "Request objects are not taken.",
        );
    }
    if client.grants != Grants::SignIn {
        return refuse(Wrong::UnauthorizedClient, "This client signs nobody in.");
    }
    if parameters.need("response_type", "There is no response_type.")? != "code" {
        return refuse(
            Wrong::UnsupportedResponseType,
            "Only response_type=code is answered.",
        );
    }
    if parameters
        .get("response_mode")?
        .is_some_and(|mode| mode != "query")
    {
        return refuse(
            Wrong::InvalidRequest,
            "Only response_mode=query is answered.",
        );
    }
    let challenge = parameters.need("code_challenge", "PKCE is required: no code_challenge.")?;
    if parameters.get("code_challenge_method")? != Some("S256") {
        return refuse(
            Wrong::InvalidRequest,
            "PKCE is required with code_challenge_method=S256.",
        );
    }
    let decoded = BASE64URL_NOPAD.decode(challenge.as_bytes());
    if challenge.len() != CHALLENGE_CHARACTERS || decoded.is_err() {
        return refuse(
            Wrong::InvalidRequest,
            "The code_challenge is no S256 in Base64url.",
        );
    }
    let scope: Vec<String> = parameters
        .get("scope")?
        .unwrap_or_default()
        .split_ascii_whitespace()
        .map(str::to_owned)
        .collect();
    if !scope.iter().any(|scope| scope == "openid") {
        return refuse(Wrong::InvalidScope, "The scope must hold openid.");
    }
    // Nobody is ever signed in here beforehand: each time one picks a persona.
    if parameters
        .get("prompt")?
        .is_some_and(|p| p.split(' ').any(|word| word == "none"))
    {
        return refuse(Wrong::LoginRequired, "Somebody has to pick a persona.");
    }
    parameters.get("login_hint")?;
    Ok(Request {
        client_id: client.id.clone(),
        redirect_uri: redirect_uri.to_owned(),
        state,
        nonce: parameters.get("nonce")?.map(str::to_owned),
        scope,
        challenge: challenge.to_owned(),
    })
}

fn open_page(
    issuer: &Issuer,
    headers: &HeaderMap,
    client: &Client,
    request: Request,
    hinted: Option<Persona>,
) -> Result<Response, Failure> {
    let now = issuer.now();
    let entropy = issuer.entropy.as_ref();
    let (handle, csrf) = (draw_handle(entropy)?, draw_handle(entropy)?);
    // A browser with two pages open keeps its one cookie for both.
    let browser = match browser_of(headers) {
        Some(browser) => browser.to_owned(),
        None => draw_handle(entropy)?,
    };
    let page = sign_in_page::choose(client.name, &handle, &csrf, hinted);
    let sign_in = SignIn {
        request,
        csrf: print_of(&csrf),
        browser: print_of(&browser),
    };
    let until = now.plus(SIGN_IN_SECONDS);
    issuer
        .memory()
        .sign_ins
        .put(print_of(&handle), until, now, sign_in);
    let path = Url::parse(issuer.url())
        .map_err(Failure::internal)?
        .path()
        .to_owned();
    let cookie = format!("{COOKIE_NAME}={browser}; Path={path}; HttpOnly; SameSite=Strict");
    let cookie = HeaderValue::try_from(cookie).map_err(Failure::internal)?;
    Ok(([(SET_COOKIE, cookie)], Html(page)).into_response())
}

fn browser_of(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|cookies| cookies.to_str().ok())
        .flat_map(|cookies| cookies.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE_NAME)
        .map(|(_, value)| value)
        .filter(|value| {
            BASE64URL_NOPAD
                .decode(value.as_bytes())
                .is_ok_and(|bytes| bytes.len() == 32)
        })
}

/// Takes the form with the personas and sends the browser back to the client.
pub async fn sign_in(
    State(issuer): State<Arc<Issuer>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let (request, choice) = match take_choice(&issuer, &headers, &Parameters::read(&body)) {
        Ok(taken) => taken,
        Err(refusal) => return dead_end(refusal),
    };
    let (redirect_uri, state) = (request.redirect_uri.clone(), request.state.clone());
    let outcome = match choice {
        Some(persona) => issue_code(&issuer, request, persona).map_err(Refusal::from),
        None => Err(Refusal::new(
            Wrong::AccessDenied,
            "The sign-in was cancelled.",
        )),
    };
    back(&issuer, &redirect_uri, state.as_deref(), outcome)
}

fn take_choice(
    issuer: &Issuer,
    headers: &HeaderMap,
    parameters: &Parameters,
) -> Result<(Request, Option<Persona>), Refusal> {
    const STALE: Refusal = Refusal::new(
        Wrong::InvalidRequest,
        "This sign-in has ended, or did not begin in this browser. Go back and begin again.",
    );
    let handle = parameters.need("request", STALE.sentence)?;
    let csrf = parameters.need("csrf", STALE.sentence)?;
    let browser = browser_of(headers).ok_or(STALE)?;
    let choice = match parameters.need("persona", "No persona was picked.")? {
        "nobody" => None,
        id => Some(
            Persona::named(id)
                .filter(|persona| persona.person().is_some())
                .ok_or(Refusal::new(
                    Wrong::InvalidRequest,
                    "There is no such persona.",
                ))?,
        ),
    };
    let now = issuer.now();
    let mut memory = issuer.memory();
    let waiting = memory.sign_ins.find(print_of(handle), now).ok_or(STALE)?;
    if waiting.csrf != print_of(csrf) || waiting.browser != print_of(browser) {
        return Err(STALE);
    }
    let taken = memory.sign_ins.take(print_of(handle), now).ok_or(STALE)?;
    Ok((taken.request, choice))
}

fn issue_code(issuer: &Issuer, mut request: Request, persona: Persona) -> Result<String, Failure> {
    let now = issuer.now();
    let handle = draw_handle(issuer.entropy.as_ref())?;
    let may = persona.person().map_or(&[][..], |person| person.scopes);
    request.scope.retain(|scope| may.contains(&scope.as_str()));
    let code = Code {
        request,
        persona,
        signed_in: now,
        good_until: now.plus(CODE_SECONDS),
        family: issuer.entropy.bytes()?,
        used: false,
    };
    let until = now.plus(USED_CODE_SECONDS);
    issuer
        .memory()
        .codes
        .put(print_of(&handle), until, now, code);
    Ok(handle)
}

/// Sends the browser to the client with a code or an error, and with our name (RFC 9207).
fn back(
    issuer: &Issuer,
    redirect_uri: &str,
    state: Option<&str>,
    outcome: Result<String, Refusal>,
) -> Response {
    let Ok(mut url) = Url::parse(redirect_uri) else {
        return dead_end(Refusal::new(
            Wrong::ServerError,
            "The registered address is none.",
        ));
    };
    {
        let mut query = url.query_pairs_mut();
        match &outcome {
            Ok(code) => query.append_pair("code", code),
            Err(refusal) => query
                .append_pair("error", refusal.wrong.word())
                .append_pair("error_description", refusal.sentence),
        };
        if let Some(state) = state {
            query.append_pair("state", state);
        }
        query.append_pair("iss", issuer.url());
    }
    match HeaderValue::try_from(String::from(url)) {
        Ok(url) => (StatusCode::SEE_OTHER, [(LOCATION, url)]).into_response(),
        Err(_) => dead_end(Refusal::new(
            Wrong::InvalidRequest,
            "The state cannot be sent back.",
        )),
    }
}

/// A page for the person: there is no client that could be told.
fn dead_end(refusal: Refusal) -> Response {
    let status = match refusal.wrong {
        Wrong::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    };
    (status, Html(sign_in_page::dead_end(refusal.sentence))).into_response()
}
