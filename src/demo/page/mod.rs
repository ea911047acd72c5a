//! The demo's page and what it asks for: tokens for the personas, and the mails.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::guard::same_origin_only;
use super::issuer::{Issuer, SERVICE_CLIENT_ID, SignInClaims, TOKEN_SECONDS};
use super::mailbox::Mailbox;
use super::persona::Persona;
use super::problem;
use crate::base::Clock;
use crate::words::{self, Language};

const MOST_BODY_BYTES: usize = 1024;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

/// Path, kind and content of a part, by its file in `assets`.
macro_rules! part {
    ($path:literal, $kind:expr, $file:literal) => {
        (
            $path,
            $kind,
            include_str!(concat!("../../../assets/", $file)),
        )
    };
}

/// What the pages are made of. What the server's own pages use too stands below `ui`.
const FILES: &[(&str, &str, &str)] = &[
    part!("/demo", HTML, "demo/index.html"),
    part!("/demo/returned", HTML, "demo/returned.html"),
    part!("/demo/icon.svg", "image/svg+xml", "ui/icon.svg"),
    part!("/demo/demo.css", CSS, "demo/demo.css"),
    part!("/demo/demo.js", JS, "demo/demo.js"),
    part!("/demo/api.js", JS, "demo/api.js"),
    part!("/demo/factors.js", JS, "demo/factors.js"),
    part!("/demo/mailbox.js", JS, "demo/mailbox.js"),
    part!("/demo/outcome.js", JS, "demo/outcome.js"),
    part!("/demo/personas.js", JS, "demo/personas.js"),
    part!("/demo/phone.js", JS, "demo/phone.js"),
    part!("/demo/returned.js", JS, "demo/returned.js"),
    part!("/demo/sign-in.js", JS, "demo/sign-in.js"),
    part!("/demo/state.js", JS, "demo/state.js"),
    part!("/demo/ui/api.js", JS, "ui/js/api.js"),
    part!("/demo/ui/countdown.js", JS, "ui/js/countdown.js"),
    part!("/demo/ui/dom.js", JS, "ui/js/dom.js"),
    part!("/demo/ui/webauthn.js", JS, "ui/js/webauthn.js"),
    part!("/demo/ui/words.js", JS, "ui/js/words.js"),
];

/// The demo's own pages are for those who write programs, and in English alone.
const WORDS: &str = "/demo/ui/words/prompt/en.js";

#[derive(Clone)]
struct Page {
    issuer: Arc<Issuer>,
    mailbox: Mailbox,
    clock: Arc<dyn Clock>,
}

/// `/demo` and all below it but the issuer.
pub fn routes(issuer: Arc<Issuer>, mailbox: Mailbox, clock: Arc<dyn Clock>) -> Router {
    let api = Router::new()
        .route("/demo/api/token", post(token))
        .route("/demo/api/mails", get(mails).delete(clear_mails))
        .route("/demo/api/mails/{id}", get(mail))
        .layer(DefaultBodyLimit::max(MOST_BODY_BYTES))
        .layer(from_fn(same_origin_only))
        .with_state(Page {
            issuer,
            mailbox,
            clock,
        });
    let slash = get(async || Redirect::permanent("/demo"));
    let words = words::module(words::Page::Prompt, Language::English);
    let words = get(async move || ([(CONTENT_TYPE, JS)], words));
    FILES.iter().fold(
        api.route("/demo/", slash).route(WORDS, words),
        |router, &(path, kind, content)| {
            router.route(path, get(async move || ([(CONTENT_TYPE, kind)], content)))
        },
    )
}

#[derive(Deserialize)]
struct TokenRequest {
    persona: String,
    /// Whether the token is to say that the person signed in with a second factor just now.
    #[serde(default)]
    second_factor: bool,
}

/// A fresh token for a persona, and what a login service needs to fetch its own.
async fn token(State(page): State<Page>, headers: HeaderMap, body: Bytes) -> Response {
    // A kind that no form has: a browser asks before it sends this across origins.
    let json = headers
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind == "application/json");
    if !json {
        return problem(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "The body must be application/json.",
        );
    }
    let request = serde_json::from_slice::<TokenRequest>(&body).ok();
    let asked = request
        .and_then(|request| Some((Persona::named(&request.persona)?, request.second_factor)));
    let Some((persona, second_factor)) = asked else {
        return problem(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid",
            "The body must name a persona: alice, login-service or olga.",
        );
    };
    let now = page.clock.now();
    let expires_at = now.plus(TOKEN_SECONDS);
    let sign_in = match second_factor && persona.person().is_some() {
        true => SignInClaims::with_second_factor(now),
        false => SignInClaims::default(),
    };
    match page.issuer.token_for(persona, sign_in) {
        Ok(token) => {
            let mut answer = json!({
                "persona": persona.id(),
                "token": token,
                "token_type": "Bearer",
                "expires_at": expires_at.to_string(),
                "expires_in": TOKEN_SECONDS,
            });
            if let (Persona::LoginService, Some(secret), Value::Object(members)) =
                (persona, page.issuer.service_secret(), &mut answer)
            {
                members.insert("client_id".to_owned(), SERVICE_CLIENT_ID.into());
                members.insert("client_secret".to_owned(), secret.expose().as_str().into());
                let endpoint = format!("{}/token", page.issuer.url());
                members.insert("token_endpoint".to_owned(), endpoint.into());
            }
            Json(answer).into_response()
        }
        Err(failure) => {
            tracing::error!(?failure, "no token could be made");
            problem(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "Something went wrong on this server. Its log says more.",
            )
        }
    }
}

async fn mails(State(page): State<Page>) -> Json<Value> {
    Json(json!({ "mails": page.mailbox.letters() }))
}

/// A mail as it came over the wire, for a mail program to open.
async fn mail(State(page): State<Page>, id: Result<Path<u64>, PathRejection>) -> Response {
    match id.ok().and_then(|Path(id)| page.mailbox.raw(id)) {
        Some(raw) => {
            let headers = [
                (CONTENT_TYPE, "message/rfc822"),
                (CONTENT_DISPOSITION, "attachment; filename=\"mail.eml\""),
            ];
            (headers, raw).into_response()
        }
        None => problem(StatusCode::NOT_FOUND, "not_found", "There is no such mail."),
    }
}

async fn clear_mails(State(page): State<Page>) -> StatusCode {
    page.mailbox.clear();
    StatusCode::NO_CONTENT
}
