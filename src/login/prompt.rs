//! The hosted prompt: a page of ours on which the person answers, with any factor, for a login page that
//! cannot ask for a key or does not want to. Whoever holds the token, which the page finds in the fragment of
//! its address, answers for the one person of the one challenge: nobody is named in the address.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::State as Route;
use serde::Serialize;
use serde_json::Value;
use url::Url;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::base::{ChallengeId, Failure};
use crate::factor::Desk;
use crate::people;
use crate::policy;
use crate::wire::{Asker, Body, ChangeRefusals, Fields, FromBody, Refused};

use super::answering;
use super::challenge::{self, Handle, closed};
use super::http::mail_code;
use super::record::{Challenge, Return};
use super::request::{AnswerRequest, method};
use super::rule::Reason;
use super::view::{CodeSent, KeyOptions};
use super::{CHALLENGE_CLOSED, CHALLENGE_EXPIRED};

/// The routes of the hosted prompt.
pub fn routes() -> OpenApiRouter<Arc<Desk>> {
    OpenApiRouter::new()
        .routes(routes!(open))
        .routes(routes!(mail))
        .routes(routes!(begin_key))
        .routes(routes!(answer))
        .routes(routes!(cancel))
}

/// The page's token.
#[derive(ToSchema)]
struct PromptRequest {
    /// What stands behind `#` in the page's address.
    prompt: String,
}

impl FromBody for PromptRequest {
    fn from_body(fields: &mut Fields<'_>) -> Option<Self> {
        Some(PromptRequest {
            prompt: fields.string("prompt")?,
        })
    }
}

/// What the page shows.
#[derive(Serialize, ToSchema)]
struct PromptView {
    /// What this server is called.
    service_name: String,
    /// Who asks.
    service: String,
    /// What the person signs in to, as the service says.
    #[schema(required)]
    app: Option<String>,
    /// Who the person is, in a name of theirs.
    #[schema(required)]
    account: Option<String>,
    /// How they can answer: the last used first, then the strongest.
    methods: Vec<&'static str>,
    /// Where a mailed code would go, masked.
    #[schema(required)]
    email: Option<String>,
    /// Whether the browser can be remembered.
    may_remember: bool,
    /// For how many days.
    remember_days: u64,
    /// When it takes no more answers.
    #[schema(format = DateTime)]
    expires_at: String,
    /// The host that the person is brought back to.
    return_host: String,
    /// Whether the service says that the sign-in began at another address than this browser's.
    started_elsewhere: bool,
}

/// Brings the person back.
#[derive(Serialize, ToSchema)]
struct GoBack {
    /// The address to open next.
    return_to: String,
}

fn handle(desk: &Desk, prompt: &str, Asker(origin, wish): &Asker) -> Result<Handle, Failure> {
    let found = challenge::of_prompt(desk, prompt)?;
    // What the person does here, they do from where they are.
    let mut handle = Handle::new(found, *origin);
    handle.by.origin = *origin;
    handle.by.wish = *wish;
    Ok(handle)
}

/// A refusal of a challenge that is over tells the way back.
///
/// Where it is closed, without the service's own word: somebody else may have answered it since, and by that
/// word the service knows the browser that did. Or else whoever has a person's password and has her answer in
/// her own browser would ask here for what brings them in.
fn with_way_back(failure: Failure, handle: &Handle) -> Failure {
    let back = match failure.code() {
        CHALLENGE_EXPIRED => way_back(handle.id, &handle.challenge, Some("expired")),
        CHALLENGE_CLOSED => {
            let mut challenge = handle.challenge.clone();
            if let Some(back) = &mut challenge.prompt {
                back.state = None;
            }
            way_back(handle.id, &challenge, Some("closed"))
        }
        _ => return failure,
    };
    match back {
        Ok(url) => failure.with("return_to", url),
        Err(_) => failure,
    }
}

/// Where the person goes: the registered address, the challenge, the service's own word, and what went wrong.
fn way_back(
    id: ChallengeId,
    challenge: &Challenge,
    error: Option<&str>,
) -> Result<String, Failure> {
    let prompt = challenge.prompt.as_ref();
    let back = prompt.ok_or_else(|| Failure::internal("a prompt without a way back"))?;
    address(back, id, error)
}

/// The registered address with what is added to it.
pub(super) fn address(
    back: &Return,
    id: ChallengeId,
    error: Option<&str>,
) -> Result<String, Failure> {
    let mut url = Url::parse(&back.url).map_err(Failure::internal)?;
    let mut query = url.query_pairs_mut();
    query.append_pair("challenge_id", &id.to_string());
    if let Some(state) = &back.state {
        query.append_pair("state", state);
    }
    if let Some(error) = error {
        query.append_pair("error", error);
    }
    drop(query);
    Ok(url.into())
}

#[utoipa::path(post, path = "/api/v1/prompt/open", operation_id = "open_prompt", summary = "Open Prompt",
    description = "What the hosted page shows.", tag = "prompt", request_body = PromptRequest,
    responses((status = 200, description = "The sign-in that waits", body = PromptView), ChangeRefusals))]
async fn open(
    Route(desk): Route<Arc<Desk>>,
    asker: Asker,
    Body(request): Body<PromptRequest>,
) -> Result<Json<PromptView>, Refused> {
    let handle = handle(&desk, &request.prompt, &asker)?;
    let challenge = &handle.challenge;
    let now = desk.tools.now();
    if let Some(why) = closed(challenge, now) {
        return Err(with_way_back(why, &handle).into());
    }
    let back = challenge.prompt.as_ref();
    let (return_host, may_remember) = match back {
        Some(back) => {
            let url = Url::parse(&back.url).map_err(Failure::internal)?;
            (
                url.host_str().unwrap_or_default().to_owned(),
                back.may_remember,
            )
        }
        None => return Err(Failure::not_found().into()),
    };
    let view = desk.tools.store.read(|read| {
        let policy = policy::in_effect(read, &desk.tools.policy)?;
        let person = challenge.person;
        let accepts = |kind: &str| policy.counts(kind);
        let methods = desk.factors.methods(read, person, now, accepts)?.usable;
        let account = people::profile(read, person)?.and_then(|profile| {
            let masked = || profile.email.as_ref().map(|email| email.masked());
            profile.username.clone().or_else(masked)
        });
        let remembers = may_remember && challenge.reason == Reason::Login;
        Ok(PromptView {
            service_name: desk.tools.service_name.to_string(),
            service: challenge.service.clone(),
            app: challenge.context.app.clone(),
            account,
            email: match methods.contains(&"email") {
                true => desk.factors.masked_mailbox(read, person)?,
                false => None,
            },
            methods,
            may_remember: remembers && policy.trusted_device_days > 0,
            remember_days: policy.trusted_device_days,
            expires_at: challenge.expires_at.to_string(),
            return_host: return_host.clone(),
            started_elsewhere: elsewhere(challenge.context.ip, asker.0.ip),
        })
    })?;
    Ok(Json(view))
}

/// Whether two addresses that mean something are two.
fn elsewhere(said: Option<IpAddr>, seen: Option<IpAddr>) -> bool {
    match (said, seen) {
        (Some(said), Some(seen)) => is_public(said) && is_public(seen) && said != seen,
        _ => false,
    }
}

/// Whether an address is not one of those that stand for many machines behind a proxy or a gateway.
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !(ip.is_private() || ip.is_loopback() || ip.is_link_local()),
        IpAddr::V6(ip) => !(ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local()),
    }
}

#[utoipa::path(post, path = "/api/v1/prompt/email", operation_id = "email_prompt", summary = "Email Prompt",
    description = "Mail the person a code that answers the sign-in.", tag = "prompt", request_body = PromptRequest,
    responses((status = 200, description = "A code is on its way", body = CodeSent), ChangeRefusals))]
async fn mail(
    Route(desk): Route<Arc<Desk>>,
    asker: Asker,
    Body(request): Body<PromptRequest>,
) -> Result<Json<CodeSent>, Refused> {
    let handle = handle(&desk, &request.prompt, &asker)?;
    let sent = mail_code(desk, handle.clone()).await;
    Ok(Json(
        sent.map_err(|failure| with_way_back(failure, &handle))?,
    ))
}

#[utoipa::path(post, path = "/api/v1/prompt/webauthn", operation_id = "webauthn_prompt", summary = "Webauthn Prompt",
    description = "Begin an assertion by security key that answers the sign-in.", tag = "prompt", request_body = PromptRequest,
    responses((status = 200, description = "What the browser is to do", body = KeyOptions), ChangeRefusals))]
async fn begin_key(
    Route(desk): Route<Arc<Desk>>,
    asker: Asker,
    Body(request): Body<PromptRequest>,
) -> Result<Json<KeyOptions>, Refused> {
    let handle = handle(&desk, &request.prompt, &asker)?;
    let begun = answering::begin_key(&desk, &handle).await;
    let public_key = begun.map_err(|failure| with_way_back(failure, &handle))?;
    Ok(Json(KeyOptions { public_key }))
}

/// The page's token, and an answer.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what PromptAnswer::from_body reads")]
struct PromptVerifyRequest {
    /// What stands behind `#` in the page's address.
    prompt: String,
    /// `totp`, `email`, `webauthn` or `backup_code`.
    #[schema(schema_with = method)]
    method: String,
    /// With all methods but `webauthn`.
    #[schema(required = false, nullable)]
    code: Option<String>,
    /// With `webauthn`: `AuthenticationResponseJSON`.
    #[schema(required = false, value_type = Option<Object>)]
    credential: Option<Value>,
    /// Whether the browser is to be remembered.
    #[schema(required = false, nullable)]
    remember: Option<bool>,
}

struct PromptAnswer {
    prompt: String,
    answer: AnswerRequest,
}

impl FromBody for PromptAnswer {
    fn from_body(fields: &mut Fields<'_>) -> Option<Self> {
        let (prompt, answer) = (fields.string("prompt"), AnswerRequest::from_body(fields));
        Some(PromptAnswer {
            prompt: prompt?,
            answer: answer?,
        })
    }
}

#[utoipa::path(post, path = "/api/v1/prompt/verify", operation_id = "verify_prompt", summary = "Verify Prompt",
    description = "Answer the sign-in.", tag = "prompt", request_body = PromptVerifyRequest,
    responses((status = 200, description = "The answer was right: go back", body = GoBack), ChangeRefusals))]
async fn answer(
    Route(desk): Route<Arc<Desk>>,
    asker: Asker,
    Body(request): Body<PromptAnswer>,
) -> Result<Json<GoBack>, Refused> {
    let handle = handle(&desk, &request.prompt, &asker)?;
    let offered = handle.challenge.prompt.as_ref();
    let remember = request.answer.remember && offered.is_some_and(|back| back.may_remember);
    let answered = answering::answer(&desk, &handle, request.answer.how, remember).await;
    let (challenge, _) = answered.map_err(|failure| {
        // The last of the wrong answers closes the sign-in: the page has nothing left to ask.
        match failure
            .members()
            .iter()
            .any(|(name, left)| *name == "tries_left" && *left == 0)
        {
            true => match way_back(handle.id, &handle.challenge, Some("failed")) {
                Ok(url) => failure.with("return_to", url),
                Err(_) => failure,
            },
            false => with_way_back(failure, &handle),
        }
    })?;
    let return_to = way_back(handle.id, &challenge, None)?;
    Ok(Json(GoBack { return_to }))
}

#[utoipa::path(post, path = "/api/v1/prompt/cancel", operation_id = "cancel_prompt", summary = "Cancel Prompt",
    description = "Give the sign-in up.", tag = "prompt", request_body = PromptRequest,
    responses((status = 200, description = "It is given up: go back", body = GoBack), ChangeRefusals))]
async fn cancel(
    Route(desk): Route<Arc<Desk>>,
    asker: Asker,
    Body(request): Body<PromptRequest>,
) -> Result<Json<GoBack>, Refused> {
    let handle = handle(&desk, &request.prompt, &asker)?;
    let cancelled = answering::cancel(&desk, &handle).await;
    let challenge = cancelled.map_err(|failure| with_way_back(failure, &handle))?;
    let return_to = way_back(handle.id, &challenge, Some("access_denied"))?;
    Ok(Json(GoBack { return_to }))
}
