//! `/token`: codes, refresh tokens and client credentials become tokens
//! (RFC 6749 section 5, RFC 7636 section 4.6, RFC 9068, OpenID Connect Core section 3.1.3).

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use serde::Serialize;
use subtle::ConstantTimeEq;
use url::form_urlencoded;

use super::Issuer;
use super::claims::{SignInClaims, TOKEN_SECONDS};
use super::client::{Client, Grants};
use super::grants::{REFRESH_SECONDS, Refresh, draw_handle, print_of};
use super::oauth::{NOT_KEPT, Parameters, Refusal, Wrong};
use crate::base::Timestamp;
use crate::demo::persona::Persona;

#[derive(Serialize)]
struct Tokens {
    access_token: String,
    token_type: &'static str,
    expires_in: u64,
    scope: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    id_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
}

pub async fn exchange(
    State(issuer): State<Arc<Issuer>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match answer(&issuer, &headers, &body) {
        Ok(tokens) => (NOT_KEPT, Json(tokens)).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

fn answer(issuer: &Issuer, headers: &HeaderMap, body: &[u8]) -> Result<Tokens, Refusal> {
    let form = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .and_then(|kind| kind.split(';').next())
        .is_some_and(|kind| {
            kind.trim()
                .eq_ignore_ascii_case("application/x-www-form-urlencoded")
        });
    if !form {
        return Err(Refusal::new(
            Wrong::InvalidRequest,
            "The body must be a form.",
        ));
    }
    let parameters = Parameters::read(body);
    let client = proven_client(issuer, headers, &parameters)?;
    let grant = parameters.need("grant_type", "There is no grant_type.")?;
    match (grant, client.grants) {
        ("authorization_code", Grants::SignIn) => redeem_code(issuer, client, &parameters),
        ("refresh_token", Grants::SignIn) => renew(issuer, client, &parameters),
        ("client_credentials", Grants::Own(scopes)) => own(issuer, client, scopes, &parameters),
        ("authorization_code" | "refresh_token" | "client_credentials", _) => Err(Refusal::new(
            Wrong::UnauthorizedClient,
            "This client may not use this grant_type.",
        )),
        _ => Err(Refusal::new(
            Wrong::UnsupportedGrantType,
            "No such grant_type is known here.",
        )),
    }
}

/// Who is asking: by Basic, by parameters, or, for a public client, by name alone.
fn proven_client<'a>(
    issuer: &'a Issuer,
    headers: &HeaderMap,
    parameters: &Parameters,
) -> Result<&'a Client, Refusal> {
    const UNKNOWN: Refusal = Refusal::new(
        Wrong::InvalidClient,
        "There is no such client, or it did not prove itself.",
    );
    let named = parameters.get("client_id")?;
    let posted = parameters.get("client_secret")?;
    let (id, secret) = match headers.get(AUTHORIZATION) {
        None => (named.ok_or(UNKNOWN)?.to_owned(), posted.map(str::to_owned)),
        Some(_) if posted.is_some() => {
            return Err(Refusal::new(
                Wrong::InvalidRequest,
                "A client proves itself in one way, not in two.",
            ));
        }
        Some(basic) => {
            let (id, secret) = basic.to_str().ok().and_then(read_basic).ok_or(UNKNOWN)?;
            if named.is_some_and(|named| named != id) {
                return Err(UNKNOWN);
            }
            (id, Some(secret))
        }
    };
    issuer
        .client(&id)
        .filter(|client| client.is_proven_by(secret.as_deref()))
        .ok_or(UNKNOWN)
}

/// Identifier and secret are form-encoded before they are joined (RFC 6749 section 2.3.1).
fn read_basic(header: &str) -> Option<(String, String)> {
    let (scheme, credentials) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = BASE64.decode(credentials.trim().as_bytes()).ok()?;
    let joined = String::from_utf8(decoded).ok()?;
    let (id, secret) = joined.split_once(':')?;
    Some((form_decoded(id), form_decoded(secret)))
}

fn form_decoded(text: &str) -> String {
    // A name without "=" decodes as a whole; one within would split it.
    let text = text.replace('=', "%3D").replace('&', "%26");
    form_urlencoded::parse(text.as_bytes())
        .map(|(name, _)| name.into_owned())
        .next()
        .unwrap_or_default()
}

fn redeem_code(
    issuer: &Issuer,
    client: &Client,
    parameters: &Parameters,
) -> Result<Tokens, Refusal> {
    const STALE: Refusal = Refusal::new(
        Wrong::InvalidGrant,
        "The code is unknown, used, expired or another client's.",
    );
    let handle = parameters.need("code", "There is no code.")?;
    let redirect_uri = parameters.need("redirect_uri", "There is no redirect_uri.")?;
    let verifier = parameters.need("code_verifier", "PKCE is required: no code_verifier.")?;
    let now = issuer.now();
    let (request, persona, signed_in, family) = {
        let mut memory = issuer.memory();
        let code = memory.codes.find(print_of(handle), now).ok_or(STALE)?;
        if code.request.client_id != client.id {
            return Err(STALE);
        }
        let (family, used) = (code.family, std::mem::replace(&mut code.used, true));
        if used {
            memory.revoke(family);
            return Err(STALE);
        }
        if now >= code.good_until || code.request.redirect_uri != redirect_uri {
            return Err(STALE);
        }
        (code.request.clone(), code.persona, code.signed_in, family)
    };
    if !verifies(verifier, &request.challenge) {
        return Err(Refusal::new(
            Wrong::InvalidGrant,
            "The code_verifier does not fit.",
        ));
    }
    let grant = Refresh {
        client_id: request.client_id,
        persona,
        scope: request.scope,
        signed_in,
        family,
        used: false,
    };
    let scope = grant.scope.clone();
    tokens_of(issuer, grant, &scope, request.nonce.as_deref(), now)
}

fn verifies(verifier: &str, challenge: &str) -> bool {
    let well_formed = (43..=128).contains(&verifier.len())
        && verifier
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b));
    let hashed = BASE64URL_NOPAD.encode(digest(&SHA256, verifier.as_bytes()).as_ref());
    well_formed && bool::from(hashed.as_bytes().ct_eq(challenge.as_bytes()))
}

fn renew(issuer: &Issuer, client: &Client, parameters: &Parameters) -> Result<Tokens, Refusal> {
    const STALE: Refusal = Refusal::new(
        Wrong::InvalidGrant,
        "The refresh token is unknown, used, expired or another client's.",
    );
    let handle = parameters.need("refresh_token", "There is no refresh_token.")?;
    let asked = parameters.get("scope")?;
    let now = issuer.now();
    let (grant, narrowed) = {
        let mut memory = issuer.memory();
        let kept = memory.refreshes.find(print_of(handle), now).ok_or(STALE)?;
        if kept.client_id != client.id {
            return Err(STALE);
        }
        if kept.used {
            let family = kept.family;
            memory.revoke(family);
            return Err(STALE);
        }
        let narrowed = match asked {
            None => kept.scope.clone(),
            Some(asked) => asked.split_ascii_whitespace().map(str::to_owned).collect(),
        };
        if !narrowed.iter().all(|scope| kept.scope.contains(scope)) {
            return Err(Refusal::new(
                Wrong::InvalidScope,
                "That is more than was granted.",
            ));
        }
        let grant = kept.clone();
        kept.used = true;
        (grant, narrowed)
    };
    tokens_of(issuer, grant, &narrowed, None, now)
}

/// Tokens for a person who signed in, with the next refresh token.
fn tokens_of(
    issuer: &Issuer,
    grant: Refresh,
    scope: &[String],
    nonce: Option<&str>,
    now: Timestamp,
) -> Result<Tokens, Refusal> {
    let access_token = issuer.access_token(
        grant.persona,
        &grant.client_id,
        scope,
        SignInClaims::default(),
    )?;
    let id_token = scope
        .iter()
        .any(|scope| scope == "openid")
        .then(|| issuer.id_token(&grant, scope, nonce, &access_token, now))
        .transpose()?;
    let refresh_token = draw_handle(issuer.entropy.as_ref())?;
    let print = print_of(&refresh_token);
    issuer
        .memory()
        .refreshes
        .put(print, now.plus(REFRESH_SECONDS), now, grant);
    Ok(Tokens {
        access_token,
        token_type: "Bearer",
        expires_in: TOKEN_SECONDS,
        scope: scope.join(" "),
        id_token,
        refresh_token: Some(refresh_token),
    })
}

/// A token in the client's own name.
fn own(
    issuer: &Issuer,
    client: &Client,
    may: &[&str],
    parameters: &Parameters,
) -> Result<Tokens, Refusal> {
    let scope: Vec<String> = match parameters.get("scope")? {
        None => may.iter().map(|scope| (*scope).to_owned()).collect(),
        Some(asked) => asked.split_ascii_whitespace().map(str::to_owned).collect(),
    };
    if !scope.iter().all(|scope| may.contains(&scope.as_str())) {
        return Err(Refusal::new(
            Wrong::InvalidScope,
            "This client may not have that scope.",
        ));
    }
    Ok(Tokens {
        access_token: issuer.access_token(
            Persona::LoginService,
            &client.id,
            &scope,
            SignInClaims::default(),
        )?,
        token_type: "Bearer",
        expires_in: TOKEN_SECONDS,
        scope: scope.join(" "),
        id_token: None,
        refresh_token: None,
    })
}
