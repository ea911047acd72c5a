use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::base::Failure;
use crate::factor::http::{Confirmed, Disabled};
use crate::factor::{Answer, By, Desk};
use crate::wire::{
    AuthorizationHeader, Body, ChangeRefusals, CodeRequest, Me, Nothing, OptionalCode, Refused,
    code_requests,
};

use super::record::Purpose;
use super::service::{self, Sent};

/// The routes of email codes.
pub fn routes() -> OpenApiRouter<Arc<Desk>> {
    OpenApiRouter::new()
        .routes(routes!(confirm))
        .routes(routes!(disable))
        .routes(routes!(enable))
        .routes(routes!(send))
}

code_requests! {
    EmailMFAConfirmRequest;
    DisableEmailMFARequest;
}

/// A code is on its way.
#[derive(Serialize, ToSchema)]
struct EmailSent {
    device_id: String,
    /// The address, masked: `a•••@example.com`.
    sent_to: String,
    /// When the code is no longer good.
    #[schema(format = DateTime)]
    expires_at: String,
    /// Seconds until another may be asked for.
    resend_after: u64,
}

impl From<Sent> for EmailSent {
    fn from(sent: Sent) -> Self {
        EmailSent {
            device_id: sent.device_id.to_string(),
            sent_to: sent.to.masked(),
            expires_at: sent.expires_at.to_string(),
            resend_after: sent.resend_after,
        }
    }
}

#[utoipa::path(post, path = "/api/v1/me/mfa/email/confirm", operation_id = "confirm_email_mfa", summary = "Confirm Email Mfa",
    description = "Confirm email MFA setup with the code sent to the user's email.",
    tag = "mfa", params(AuthorizationHeader), request_body = EmailMFAConfirmRequest,
    responses((status = 200, description = "Email codes are on", body = Confirmed), ChangeRefusals))]
async fn confirm(
    State(desk): State<Arc<Desk>>,
    me: Me,
    Body(request): Body<CodeRequest>,
) -> Result<Json<Confirmed>, Refused> {
    let answer = Answer::read(&request.code);
    let (device, backup_codes) = desk
        .act(&me, "email.confirm", move |deed| {
            service::confirm(deed, &answer)
        })
        .await?;
    Ok(Json(Confirmed {
        enabled: true,
        device,
        backup_codes,
    }))
}

#[utoipa::path(post, path = "/api/v1/me/mfa/email/disable", operation_id = "disable_email_mfa", summary = "Disable Email Mfa",
    description = "Disable email MFA. Requires current TOTP code for verification. A mailed code, where there is no app, a backup code or a security key's proof will do as well.",
    tag = "mfa", params(AuthorizationHeader), request_body = DisableEmailMFARequest,
    responses((status = 200, description = "Email codes are off", body = Disabled), ChangeRefusals))]
async fn disable(
    State(desk): State<Arc<Desk>>,
    me: Me,
    Body(request): Body<CodeRequest>,
) -> Result<Json<Disabled>, Refused> {
    let answer = Answer::read(&request.code);
    desk.act(&me, "email.disable", move |deed| {
        service::disable(deed, &answer)
    })
    .await?;
    Ok(Json(Disabled { enabled: false }))
}

#[utoipa::path(post, path = "/api/v1/me/mfa/email/enable", operation_id = "enable_email_mfa", summary = "Enable Email Mfa",
    description = "Enable email-based MFA. Sends a verification code to the user's email.",
    tag = "mfa", params(AuthorizationHeader), request_body = Option<OptionalCode>,
    responses((status = 200, description = "A code is on its way", body = EmailSent), ChangeRefusals))]
async fn enable(
    State(desk): State<Arc<Desk>>,
    me: Me,
    Body(request): Body<OptionalCode>,
) -> Result<Json<EmailSent>, Refused> {
    let code = Answer::read_optional(request.code.as_deref());
    // A client that hangs up must not leave a mail behind whose code is unknown.
    let sent = tokio::spawn(async move { service::enable(&desk, &me, code).await })
        .await
        .map_err(Failure::internal)?;
    Ok(Json(sent?.into()))
}

#[utoipa::path(post, path = "/api/v1/me/mfa/email/send", operation_id = "send_email_code", summary = "Send Email Code",
    description = "Mail a code to a person whose email codes are on.",
    tag = "mfa", params(AuthorizationHeader), responses((status = 200, description = "A code is on its way", body = EmailSent), ChangeRefusals))]
async fn send(
    State(desk): State<Arc<Desk>>,
    me: Me,
    Body(Nothing): Body<Nothing>,
) -> Result<Json<EmailSent>, Refused> {
    let by = By::from(&me);
    let sent = tokio::spawn(async move {
        service::send_code(
            &desk,
            &by,
            "email.send",
            Purpose::Change,
            service::allows_changes,
        )
        .await
    })
    .await
    .map_err(Failure::internal)?;
    Ok(Json(sent?.into()))
}
