use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State as Route};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use url::Url;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ArrayBuilder, Object, ObjectBuilder, SchemaType, Type};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::base::{ChallengeId, Failure, Secret, Violation, display_text};
use crate::clients::Service;
use crate::factor::{Answer, AssertionResponse, Desk};
use crate::wire::{
    Body, CallingService, ChangeRefusals, Fields, FromBody, Nothing, ReadRefusals, Refused,
    ServiceHeaders, problem,
};

use super::one_call;
use super::outcome;
use super::record::{Challenge, Context, Outcome, Return, State};
use super::rule::{Decision, METHODS, Reason};
use super::service::{self, Asking, Handle, How};
use super::whom::{self, Named};

/// Characters of a name.
const LONGEST_NAME: usize = 255;
/// Words of `amr`, and scopes.
const MOST_WORDS: usize = 64;
/// Characters of one of them.
const LONGEST_WORD: usize = 128;
/// Characters of what is shown of a sign-in.
const LONGEST_CONTEXT: usize = 256;
/// Bytes of the service's own word.
const LONGEST_STATE: usize = 1024;

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

/// A refusal of an answer: it says in so many words that nothing was verified, for clients that look at one
/// word alone.
pub struct NotVerified(Failure);

impl From<Failure> for NotVerified {
    fn from(failure: Failure) -> Self {
        NotVerified(failure.with("verified", false).with("result", false))
    }
}

impl From<Refused> for NotVerified {
    fn from(Refused(failure): Refused) -> Self {
        failure.into()
    }
}

impl IntoResponse for NotVerified {
    fn into_response(self) -> Response {
        problem(&self.0)
    }
}

/// A person, by their subject or by a login name.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what OpenRequest::from_body reads")]
struct ChallengeRequest {
    /// The person's `sub` at their issuer. Either this or `username`.
    #[schema(required = false, nullable, min_length = 1, max_length = 255)]
    subject: Option<String>,
    /// The name that the service knows the person by: `preferred_username`, or `email` where it is registered so.
    #[schema(required = false, nullable, min_length = 1, max_length = 255)]
    username: Option<String>,
    /// Whose person, where more than one issuer is believed.
    #[schema(required = false, nullable)]
    issuer: Option<String>,
    /// `login` (where absent) or `step_up`.
    #[schema(required = false, schema_with = reason)]
    reason: Option<Reason>,
    /// What the service has checked already, in the words of RFC 8176: `["pwd"]`.
    #[schema(required = false, schema_with = words)]
    amr: Vec<String>,
    /// What the sign-in is to allow, for policies that ask for a factor by scope.
    #[schema(required = false, schema_with = words)]
    scope: Vec<String>,
    /// Where the person is: shown in mails and in their history.
    #[schema(required = false, nullable)]
    context: Option<ContextRequest>,
    /// What an earlier verification gave for this browser.
    #[schema(required = false, nullable)]
    device_token: Option<String>,
    /// Where the hosted page brings the person back to: one that is registered for the service.
    #[schema(required = false, nullable)]
    return_url: Option<String>,
    /// The service's own word, brought back to `return_url`: at most 1,024 bytes.
    #[schema(required = false, nullable)]
    state: Option<String>,
    /// Whether the hosted page may offer to remember the browser.
    #[schema(required = false, nullable)]
    remember: Option<bool>,
}

/// Where the person is.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what OpenRequest::from_body reads")]
struct ContextRequest {
    /// Their IP address.
    #[schema(required = false, nullable)]
    ip: Option<String>,
    /// Their browser.
    #[schema(required = false, nullable)]
    user_agent: Option<String>,
    /// What they sign in to.
    #[schema(required = false, nullable)]
    app: Option<String>,
}

fn reason() -> Object {
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
        .enum_values(Some([Some("login"), Some("step_up"), None]))
        .build()
}

fn words() -> utoipa::openapi::schema::Array {
    ArrayBuilder::new()
        .items(ObjectBuilder::new().schema_type(Type::String))
        .build()
}

struct OpenRequest {
    named: Named,
    issuer: Option<String>,
    reason: Reason,
    amr: Vec<String>,
    scope: Vec<String>,
    context: Context,
    device_token: Option<Secret<String>>,
    return_url: Option<String>,
    state: Option<String>,
    remember: bool,
}

impl FromBody for OpenRequest {
    fn from_body(fields: &mut Fields<'_>) -> Option<Self> {
        let named = named(fields);
        let issuer = fields.optional_string("issuer");
        let reason = match fields.optional_string("reason").as_deref() {
            None | Some("login") => Some(Reason::Login),
            Some("step_up") => Some(Reason::StepUp),
            Some(_) => fields.misfit("reason", "enum", "Input should be 'login' or 'step_up'"),
        };
        let (amr, scope) = (bounded_words(fields, "amr"), bounded_words(fields, "scope"));
        let [ip, user_agent, app] =
            fields.optional_strings_of("context", ["ip", "user_agent", "app"]);
        let ip = match ip.map(|ip| ip.parse::<IpAddr>()) {
            None => None,
            Some(Ok(ip)) => Some(ip.to_canonical()),
            Some(Err(_)) => {
                let msg = "Input should have an IPv4 or IPv6 address as its ip";
                fields.misfit("context", "ip_any_address", msg)
            }
        };
        let shown = |text: Option<String>| text.and_then(|t| display_text(&t, LONGEST_CONTEXT));
        let device_token = fields.optional_string("device_token").map(Secret::new);
        let return_url = fields.optional_string("return_url");
        let state = fields.optional_string("state");
        if state
            .as_ref()
            .is_some_and(|state| state.len() > LONGEST_STATE)
        {
            let msg = "String should have at most 1024 characters";
            fields.misfit::<()>("state", "string_too_long", msg);
        }
        let remember = fields.optional_bool("remember") == Some(true);
        Some(OpenRequest {
            named: named?,
            issuer,
            reason: reason?,
            amr,
            scope,
            context: Context {
                ip,
                user_agent: shown(user_agent),
                app: shown(app),
            },
            device_token,
            return_url,
            state,
            remember,
        })
    }
}

/// Who is meant: `subject`, `username` or, as some send it, `user`. Exactly one.
pub fn named(fields: &mut Fields<'_>) -> Option<Named> {
    let given: Vec<&'static str> = ["subject", "username", "user"]
        .into_iter()
        .filter(|name| fields.has(name))
        .collect();
    let name = match given.as_slice() {
        [] => return fields.misfit("subject", "missing", "Field required"),
        [name] => *name,
        [_, second, ..] => {
            let msg = "Send one of subject and username";
            return fields.misfit(second, "value_error", msg);
        }
    };
    let text = fields.string(name)?;
    if text.is_empty() {
        let msg = "String should have at least 1 character";
        return fields.misfit(name, "string_too_short", msg);
    }
    if text.chars().count() > LONGEST_NAME {
        let msg = "String should have at most 255 characters";
        return fields.misfit(name, "string_too_long", msg);
    }
    Some(match name {
        "subject" => Named::Subject(text),
        "username" => Named::Username(text),
        _ => Named::AsRegistered(text),
    })
}

fn bounded_words(fields: &mut Fields<'_>, name: &'static str) -> Vec<String> {
    let words = fields.optional_words(name);
    let fits = |word: &String| {
        !word.is_empty() && word.len() <= LONGEST_WORD && word.bytes().all(|b| b.is_ascii_graphic())
    };
    if words.len() > MOST_WORDS || !words.iter().all(fits) {
        let msg = "Input should be at most 64 words of 1 to 128 ASCII characters";
        fields.misfit::<()>(name, "value_error", msg);
    }
    words
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

/// A challenge, as its service sees it.
#[derive(Serialize, ToSchema)]
struct ChallengeView {
    #[schema(value_type = String)]
    challenge_id: ChallengeId,
    /// `challenge`: ask for a second factor. `allow`: let the person in. `enroll`: send them to their settings
    /// page. `deny`: turn them away.
    decision: Decision,
    /// `pending`, `verified`, `failed`, `cancelled`, `expired`; `closed` where nothing is asked for.
    status: &'static str,
    /// How the person can answer: the last used first, then the strongest.
    methods: Vec<String>,
    /// When it takes no more answers; with `verified`, when the signed result is no longer good, and null once
    /// that is so.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    /// A page of this server on which the person can answer; with `return_url` alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    prompt_url: Option<String>,
    /// What came of it: with `verified` alone.
    #[serde(flatten)]
    #[schema(value_type = ChallengeOutcome)]
    outcome: Option<VerifiedView>,
}

/// What came of a challenge: all of it where the status is `verified`, and else nothing.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes an outcome that may be absent")]
struct ChallengeOutcome {
    /// Always true.
    #[schema(required = false)]
    verified: bool,
    /// Always true: the same in the word that some portals look for.
    #[schema(required = false)]
    result: bool,
    /// `totp`, `email`, `webauthn`, `backup_code`, or `trusted_device`.
    #[schema(required = false)]
    method: String,
    /// What the service had checked, and what was seen here (RFC 8176).
    #[schema(required = false)]
    amr: Vec<String>,
    /// The signed result, a JWT of the type `mfa+jwt`; null when its 120 seconds are over.
    #[schema(required = false)]
    token: Option<String>,
    /// How many backup codes the person has left; null where they have none made.
    #[schema(required = false)]
    backup_codes_remaining: Option<usize>,
    /// For the browser to keep, where it was to be remembered: it goes with the next challenge.
    #[schema(required = false)]
    device_token: String,
}

/// A right answer.
#[derive(Serialize, ToSchema)]
pub struct VerifiedView {
    /// Always true.
    verified: bool,
    /// Always true: the same in the word that some portals look for.
    result: bool,
    /// `totp`, `email`, `webauthn`, `backup_code`, or `trusted_device`.
    method: String,
    /// What the service had checked, and what was seen here (RFC 8176).
    amr: Vec<String>,
    /// The signed result, a JWT of the type `mfa+jwt`; null when its 120 seconds are over.
    #[schema(required)]
    token: Option<String>,
    /// When the signed result is no longer good.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    expires_at: Option<String>,
    /// How many backup codes the person has left; null where they have none made.
    #[schema(required)]
    backup_codes_remaining: Option<usize>,
    /// For the browser to keep, where it was to be remembered: it goes with the next challenge.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    device_token: Option<String>,
}

impl VerifiedView {
    fn new(
        desk: &Desk,
        id: ChallengeId,
        challenge: &Challenge,
        outcome: &Outcome,
    ) -> Result<Self, Failure> {
        let now = desk.tools.now();
        let signed = outcome::signed(&desk.tools, id, challenge, outcome, now)?;
        let (token, ends) = signed.unzip();
        Ok(VerifiedView {
            verified: true,
            result: true,
            method: outcome.method.clone(),
            amr: outcome.amr.clone(),
            device_token: outcome.device_token.clone().filter(|_| token.is_some()),
            token,
            expires_at: ends.map(|at| at.to_string()),
            backup_codes_remaining: outcome.backup_codes_remaining,
        })
    }
}

impl ChallengeView {
    fn new(
        desk: &Desk,
        id: ChallengeId,
        challenge: &Challenge,
        prompt: Option<&Secret<String>>,
    ) -> Result<Self, Failure> {
        let now = desk.tools.now();
        let status = match (&challenge.state, challenge.decision) {
            (State::Passed(_), _) => "verified",
            (State::Failed, _) => "failed",
            (State::Cancelled, _) => "cancelled",
            (State::Open, Decision::Challenge) if now < challenge.expires_at => "pending",
            (State::Open, Decision::Challenge) => "expired",
            (State::Open, _) => "closed",
        };
        let outcome = match &challenge.state {
            State::Passed(outcome) => Some(VerifiedView::new(desk, id, challenge, outcome)?),
            _ => None,
        };
        Ok(ChallengeView {
            challenge_id: id,
            decision: challenge.decision,
            status,
            methods: challenge.methods.clone(),
            expires_at: outcome
                .is_none()
                .then(|| challenge.expires_at.to_string()),
            prompt_url: prompt
                .map(|token| format!("{}/prompt/#{}", desk.tools.origin, token.expose())),
            outcome,
        })
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
    let opened = service::open(&desk, service, calling.origin, asking).await?;
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
    let found = service::of_service(desk, &calling.service, named_in(path))?;
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
    let (id, challenge) = service::of_service(&desk, &calling.service, named_in(id))?;
    Ok(Json(ChallengeView::new(&desk, id, &challenge, None)?))
}

/// A code is on its way.
#[derive(Serialize, ToSchema)]
pub struct CodeSent {
    /// The address, masked: `a•••@example.com`.
    sent_to: String,
    /// When the code is no longer good.
    #[schema(format = DateTime)]
    expires_at: String,
    /// Seconds until another may be asked for.
    resend_after: u64,
}

impl From<crate::factor::MailSent> for CodeSent {
    fn from(sent: crate::factor::MailSent) -> Self {
        CodeSent {
            sent_to: sent.to.masked(),
            expires_at: sent.expires_at.to_string(),
            resend_after: sent.resend_after,
        }
    }
}

/// Mails a code; a client that hangs up leaves no mail behind whose code is unknown.
pub async fn mail_code(desk: Arc<Desk>, handle: Handle) -> Result<CodeSent, Failure> {
    let sent = tokio::spawn(async move { service::mail(&desk, &handle).await }).await;
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

/// What the browser is to do.
#[derive(Serialize, ToSchema)]
pub struct KeyOptions {
    /// `PublicKeyCredentialRequestOptionsJSON` (WebAuthn Level 3 section 5.1.10).
    #[serde(rename = "publicKey")]
    #[schema(value_type = Object)]
    pub public_key: Value,
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
    let public_key = service::begin_key(&desk, &handle).await?;
    Ok(Json(KeyOptions { public_key }))
}

/// An answer: a code, or what the browser made of the assertion.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what AnswerRequest::from_body reads")]
struct VerifyRequest {
    /// `totp`, `email`, `webauthn` or `backup_code`.
    #[schema(schema_with = method)]
    method: String,
    /// With all methods but `webauthn`.
    #[schema(required = false, nullable)]
    code: Option<String>,
    /// With `webauthn`: `AuthenticationResponseJSON`.
    #[schema(required = false, value_type = Option<Object>)]
    credential: Option<Value>,
    /// Whether the browser is to be remembered, where policy allows that.
    #[schema(required = false, nullable)]
    remember: Option<bool>,
}

/// The schema of a method.
pub fn method() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(METHODS))
        .build()
}

/// An answer, read.
pub struct AnswerRequest {
    pub how: How,
    pub remember: bool,
}

impl FromBody for AnswerRequest {
    fn from_body(fields: &mut Fields<'_>) -> Option<Self> {
        let method = fields.string("method").and_then(|method| {
            let known = METHODS.into_iter().find(|known| *known == method);
            known.or_else(|| {
                let msg = "Input should be 'totp', 'email', 'webauthn' or 'backup_code'";
                fields.misfit("method", "enum", msg)
            })
        });
        let remember = fields.optional_bool("remember") == Some(true);
        let how = match method {
            Some("webauthn") => {
                let credential = fields.object::<AssertionResponse>("credential");
                credential.map(|credential| How::Key(Box::new(credential)))
            }
            Some(kind) => fields.string("code").map(|code| How::Code {
                kind,
                code: Answer::read(&code),
            }),
            None => None,
        };
        Some(AnswerRequest {
            how: how?,
            remember,
        })
    }
}

#[utoipa::path(post, path = "/api/v1/mfa/challenges/{challenge_id}/verify", operation_id = "verify_challenge", summary = "Verify Challenge",
    description = "Answer a challenge. It is verified once; five wrong answers close it.", tag = "login",
    params(ServiceHeaders, ("challenge_id" = String, Path)), request_body = VerifyRequest,
    responses((status = 200, description = "The answer was right", body = VerifiedView), ChangeRefusals))]
async fn answer(
    Route(desk): Route<Arc<Desk>>,
    calling: Result<CallingService, Refused>,
    id: Result<Path<String>, PathRejection>,
    request: Result<Body<AnswerRequest>, Refused>,
) -> Result<Json<VerifiedView>, NotVerified> {
    let (calling, Body(request)) = (calling?, request?);
    let handle = handle(&desk, &calling, id)?;
    let (challenge, outcome) =
        service::answer(&desk, &handle, request.how, request.remember).await?;
    Ok(Json(VerifiedView::new(
        &desk, handle.id, &challenge, &outcome,
    )?))
}
