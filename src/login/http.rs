use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State as Route};
use axum::http::StatusCode;
use url::Url;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::base::{ChallengeId, Failure, Violation};
use crate::clients::Service;
use crate::factor::Desk;
use crate::wire::{
    Body, CallingService, ChangeRefusals, Nothing, ReadRefusals, Refused, ServiceHeaders,
};

use super::challenge::{self, Handle};
use super::opening::{self, Asking};
use super::record::{Challenge, Return};
use super::request::{ChallengeRequest, OpenRequest, ServiceAnswer, VerifyRequest};
use super::view::{ChallengeView, CodeSent, KeyOptions, NotVerified, VerifiedView};
use super::{answering, one_call, whom};

/// The routes of login services.
pub fn routes() -> OpenApiRouter<Arc<Desk>> {
    OpenApiRouter::new()
        .routes(routes!(open))
        .routes(routes!(state))
        .routes(routes!(mail))
        .routes(routes!(begin_key))
        .routes(routes!(answer))
        .merge(one_call::routes())
}

/// The issuer whose person is meant: as the request says, else as the service is registered, else the only one.
pub fn issuer(desk: &Desk, service: &Service, asked: Option<String>) -> Result<String, Failure> {
    let issuers = desk.tools.verifier.issuers();
    let misfit = |kind, msg: &'static str| {
        Failure::invalid(vec![Violation {
            loc: vec!["body".into(), "issuer".into()],
            msg: msg.into(),
            kind,
        }])
    };
    match (asked.or(service.issuer.clone()), issuers.as_slice()) {
        (Some(issuer), known) if known.contains(&issuer) => Ok(issuer),
        (Some(_), _) => Err(misfit(
            "value_error",
            "Input should be an issuer that this server believes",
        )),
        (None, [only]) => Ok(only.clone()),
        (None, _) => Err(misfit("missing", "Field required")),
    }
}

#[utoipa::path(post, path = "/api/v1/mfa/challenges", operation_id = "open_challenge", summary = "Open Challenge",
    description = "Ask for the second factor of a person whose first factor was checked.", tag = "login",
    params(ServiceHeaders), request_body = ChallengeRequest,
    responses((status = 201, description = "What to do", body = ChallengeView), ChangeRefusals))]
async fn open(
    Route(desk): Route<Arc<Desk>>,
    calling: CallingService,
    Body(request): Body<OpenRequest>,
) -> Result<(StatusCode, Json<ChallengeView>), Refused> {
    let service = &calling.service;
    let prompt = way_back(service, &request)?;
    let issuer = issuer(&desk, service, request.issuer)?;
    let asking = Asking {
        whom: whom::find(&desk.tools, service, &issuer, &request.named)?,
        reason: request.reason,
        first: request.amr,
        scopes: request.scope,
        context: request.context,
        device_token: request.device_token,
        prompt,
    };
    let opened = opening::open(&desk, service, calling.origin, asking).await?;
    let prompt = opened.prompt.as_ref();
    let view = ChallengeView::new(&desk, opened.id, &opened.challenge, prompt)?;
    Ok((StatusCode::CREATED, Json(view)))
}

/// The registered address that the person is to be brought back to.
fn way_back(service: &Service, request: &OpenRequest) -> Result<Option<Return>, Failure> {
    let Some(url) = &request.return_url else {
        return Ok(None);
    };
    if !service.returns_to(url) || Url::parse(url).is_err() {
        return Err(Failure::invalid(vec![Violation {
            loc: vec!["body".into(), "return_url".into()],
            msg: "Input should be a return URL that is registered for this service".into(),
            kind: "value_error",
        }]));
    }
    Ok(Some(Return {
        url: url.clone(),
        state: request.state.clone(),
        may_remember: request.remember,
    }))
}

/// The id in a path. One that cannot even be read is as little there as any other that is none.
fn named_in(path: Result<Path<String>, PathRejection>) -> Option<ChallengeId> {
    path.ok().and_then(|Path(id)| id.parse().ok())
}

fn handle(
    desk: &Desk,
    calling: &CallingService,
    path: Result<Path<String>, PathRejection>,
) -> Result<Handle, Failure> {
    let found = challenge::of_service(desk, &calling.service, named_in(path))?;
    Ok(Handle::new(found, calling.origin))
}

#[utoipa::path(get, path = "/api/v1/mfa/challenges/{challenge_id}", operation_id = "read_challenge", summary = "Read Challenge",
    description = "What has become of a challenge; with its result until that ends.", tag = "login",
    params(ServiceHeaders, ("challenge_id" = String, Path)),
    responses((status = 200, description = "The challenge", body = ChallengeView), (status = 404, description = "No such challenge, or another service's", body = crate::wire::Problem, content_type = "application/problem+json"), ReadRefusals))]
async fn state(
    Route(desk): Route<Arc<Desk>>,
    calling: CallingService,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<ChallengeView>, Refused> {
    let (id, challenge) = challenge::of_service(&desk, &calling.service, named_in(id))?;
    Ok(Json(ChallengeView::new(&desk, id, &challenge, None)?))
}

/// Mails a code; a client that hangs up leaves no mail behind whose code is unknown.
pub async fn mail_code(desk: Arc<Desk>, handle: Handle) -> Result<CodeSent, Failure> {
    let sent = tokio::spawn(async move { answering::mail(&desk, &handle).await }).await;
    Ok(sent.map_err(Failure::internal)??.into())
}

#[utoipa::path(post, path = "/api/v1/mfa/challenges/{challenge_id}/email", operation_id = "email_challenge", summary = "Email Challenge",
    description = "Mail the person a code that answers this challenge.", tag = "login",
    params(ServiceHeaders, ("challenge_id" = String, Path)),
    responses((status = 200, description = "A code is on its way", body = CodeSent), ChangeRefusals))]
async fn mail(
    Route(desk): Route<Arc<Desk>>,
    calling: CallingService,
    id: Result<Path<String>, PathRejection>,
    Body(Nothing): Body<Nothing>,
) -> Result<Json<CodeSent>, Refused> {
    let handle = handle(&desk, &calling, id)?;
    Ok(Json(mail_code(desk, handle).await?))
}

#[utoipa::path(post, path = "/api/v1/mfa/challenges/{challenge_id}/webauthn", operation_id = "webauthn_challenge", summary = "Webauthn Challenge",
    description = "Begin an assertion by security key that answers this challenge. Works on login pages whose origin is listed.", tag = "login",
    params(ServiceHeaders, ("challenge_id" = String, Path)),
    responses((status = 200, description = "What the browser is to do", body = KeyOptions), ChangeRefusals))]
async fn begin_key(
    Route(desk): Route<Arc<Desk>>,
    calling: CallingService,
    id: Result<Path<String>, PathRejection>,
    Body(Nothing): Body<Nothing>,
) -> Result<Json<KeyOptions>, Refused> {
    let handle = handle(&desk, &calling, id)?;
    let public_key = answering::begin_key(&desk, &handle).await?;
    Ok(Json(KeyOptions { public_key }))
}

#[utoipa::path(post, path = "/api/v1/mfa/challenges/{challenge_id}/verify", operation_id = "verify_challenge", summary = "Verify Challenge",
    description = "Answer a challenge. It is verified once; five wrong answers close it. With `subject`, `username` or `user`, only if the challenge is about that person.", tag = "login",
    params(ServiceHeaders, ("challenge_id" = String, Path)), request_body = VerifyRequest,
    responses((status = 200, description = "The answer was right", body = VerifiedView), ChangeRefusals))]
async fn answer(
    Route(desk): Route<Arc<Desk>>,
    calling: Result<CallingService, Refused>,
    id: Result<Path<String>, PathRejection>,
    request: Result<Body<ServiceAnswer>, Refused>,
) -> Result<Json<VerifiedView>, NotVerified> {
    let (calling, Body(request)) = (calling?, request?);
    let handle = handle(&desk, &calling, id)?;
    if !is_about_named(&desk, &calling.service, &handle.challenge, &request)? {
        desk.tools.metrics.mismatched();
        tracing::warn!(service = %calling.service.id, "challenge answered in another user's name");
        return Err(Failure::not_found().into());
    }
    let ServiceAnswer { answer, .. } = request;
    let answered = answering::answer(&desk, &handle, answer.how, answer.remember).await;
    let (challenge, outcome) = answered?;
    Ok(Json(VerifiedView::new(
        &desk, handle.id, &challenge, &outcome,
    )?))
}

/// Whether the challenge is about the person whom the answer names, if it names one. The name is looked up as it would
/// be to open a challenge.
///
/// # Errors
/// Those of [`whom::find`].
fn is_about_named(
    desk: &Desk,
    service: &Service,
    challenge: &Challenge,
    request: &ServiceAnswer,
) -> Result<bool, Failure> {
    let issuer = &challenge.issuer;
    if request.issuer.as_ref().is_some_and(|asked| asked != issuer) {
        return Ok(false);
    }
    let Some(named) = &request.named else {
        return Ok(true);
    };
    let whom = whom::find(&desk.tools, service, issuer, named)?;
    Ok(whom.key == challenge.person)
}
