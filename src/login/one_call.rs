//! The whole verification in one call, for PAM, RADIUS and scripts.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State as Route;
use serde::Serialize;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::base::Failure;
use crate::factor::{Answer, CODE_USED, Desk, Given, Place, wrong};
use crate::people;
use crate::policy;
use crate::wire::{
    Body, CallingService, ChangeRefusals, Fields, FromBody, Refused, ServiceHeaders,
};

use super::challenge::by;
use super::http::issuer;
use super::record::Context;
use super::request::named;
use super::view::NotVerified;
use super::whom::{self, Named};

/// A refusal is answered at a whole multiple of this after its request was read. The work for somebody who has a
/// factor, has none or is not there differs by some ten microseconds, which thousands of requests would show.
const REFUSAL_BEAT: Duration = Duration::from_millis(50);

/// The route of the one call.
pub fn routes() -> OpenApiRouter<Arc<Desk>> {
    OpenApiRouter::new().routes(routes!(verify))
}

/// A person and their code. As JSON, or as a form.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what OneCallRequest::from_body reads")]
struct VerifyNowRequest {
    /// The person's `sub` at their issuer. One of `subject`, `username` and `user`.
    #[schema(required = false, nullable, min_length = 1, max_length = 255)]
    subject: Option<String>,
    /// The name that the service knows the person by: `preferred_username`, or `email` where it is registered so.
    #[schema(required = false, nullable, min_length = 1, max_length = 255)]
    username: Option<String>,
    /// Whatever the service is registered to send: `sub`, `preferred_username` or `email`.
    #[schema(required = false, nullable, min_length = 1, max_length = 255)]
    user: Option<String>,
    /// Whose person, where more than one issuer is believed.
    #[schema(required = false, nullable)]
    issuer: Option<String>,
    /// A code from the authenticator app, or a backup code.
    code: String,
}

struct OneCallRequest {
    named: Named,
    issuer: Option<String>,
    answer: Answer,
}

impl FromBody for OneCallRequest {
    const FORM: bool = true;

    fn from_body(fields: &mut Fields<'_>) -> Option<Self> {
        let (named, code) = (named(fields), fields.string("code"));
        let issuer = fields.optional_string("issuer");
        Some(OneCallRequest {
            named: named?,
            issuer,
            answer: Answer::read(&code?),
        })
    }
}

/// The code was right.
#[derive(Serialize, ToSchema)]
struct VerifiedNow {
    /// Always true.
    verified: bool,
    /// Always true: the same in the word that some portals look for.
    result: bool,
    /// `totp` or `backup_code`.
    method: &'static str,
    /// What was seen (RFC 8176).
    amr: Vec<&'static str>,
    /// How many backup codes the person has left; null where they have none made.
    #[schema(required)]
    backup_codes_remaining: Option<usize>,
}

#[utoipa::path(post, path = "/api/v1/mfa/verify", operation_id = "verify_now", summary = "Verify Now",
    description = "Verify a code in one call: of the authenticator app, or a backup code. Whoever has neither, and whoever is not known, is refused like somebody whose code is wrong.",
    tag = "login", params(ServiceHeaders), request_body(content((VerifyNowRequest = "application/json"), (VerifyNowRequest = "application/x-www-form-urlencoded"))),
    responses((status = 200, description = "The code was right", body = VerifiedNow), ChangeRefusals))]
async fn verify(
    Route(desk): Route<Arc<Desk>>,
    calling: Result<CallingService, Refused>,
    request: Result<Body<OneCallRequest>, Refused>,
) -> Result<Json<VerifiedNow>, NotVerified> {
    let (calling, Body(request)) = (calling?, request?);
    let service = &calling.service;
    desk.take_service_budget(&service.id)?;
    let issuer = issuer(&desk, service, request.issuer.clone())?;
    // Whatever differs in the work for one and for another, a refusal comes on the beat.
    let mut beats = interval_at(Instant::now() + REFUSAL_BEAT, REFUSAL_BEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let verified = judge(&desk, &calling, issuer, request).await;
    if verified.is_err() {
        beats.tick().await;
    }
    Ok(Json(verified?))
}

async fn judge(
    desk: &Arc<Desk>,
    calling: &CallingService,
    issuer: String,
    request: OneCallRequest,
) -> Result<VerifiedNow, Failure> {
    let service = &calling.service;
    let whom = whom::find(&desk.tools, service, &issuer, &request.named)?;
    let kind = match request.answer {
        Answer::Backup(_) => "backup_code",
        _ => "totp",
    };
    let given = Given::Code {
        kind,
        answer: request.answer,
    };
    let by = by(&service.id, whom.key, &Context::default(), calling.origin);
    let tenants = service.tenants.clone();
    desk.act(by, "login.verify", move |deed| {
        let policy = policy::in_effect(deed.tx, &deed.desk.tools.policy)?;
        let passed = deed.sign_in(&given, Place::OneCall, |kind| policy.counts(kind))?;
        people::seen_again(deed.tx, deed.person, &tenants, deed.now)?;
        let codes = &deed.desk.factors.backup_codes;
        let left = codes.left(deed.tx, deed.person)?;
        Ok(VerifiedNow {
            verified: true,
            result: true,
            method: passed.method,
            amr: passed.amr,
            backup_codes_remaining: left.map(|left| left.remaining),
        })
    })
    .await
    .map_err(as_wrong)
}

/// A used code is refused here in the words of a wrong one, because clients of this call show none of ours. The history
/// and the metrics tell the two apart.
fn as_wrong(failure: Failure) -> Failure {
    match failure.code() == CODE_USED {
        true => wrong(None),
        false => failure,
    }
}
