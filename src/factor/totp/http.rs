use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::base::Failure;
use crate::factor::http::{Confirmed, Disabled};
use crate::factor::{Answer, Desk};
use crate::wire::{
    AuthorizationHeader, Body, ChangeRefusals, CodeRequest, Me, OptionalCode, Refused,
    code_requests,
};

use super::qr;
use super::rule::{DIGITS, PERIOD, otpauth_uri};
use super::service::{self, Begun};

/// The routes of authenticator apps.
pub fn routes() -> OpenApiRouter<Arc<Desk>> {
    OpenApiRouter::new()
        .routes(routes!(enable))
        .routes(routes!(confirm))
        .routes(routes!(disable))
        .routes(routes!(replace))
}

code_requests! {
    /// Request to confirm TOTP setup.
    ConfirmTotpRequest;
    /// Request to disable TOTP.
    DisableTotpRequest;
    /// Request to replace the authenticator app.
    ReplaceTotpRequest;
}

/// What a new authenticator app is to be told. Shown once.
#[derive(Serialize, ToSchema)]
struct TotpSetup {
    device_id: String,
    /// Base32 without padding, to be typed where no camera is.
    secret: String,
    /// What the QR code holds.
    otpauth_uri: String,
    /// `data:image/png;base64,…`
    qr_code: String,
    /// Always `SHA1`.
    algorithm: &'static str,
    /// Always 6.
    digits: u8,
    /// Always 30 seconds.
    period: u64,
    /// When the secret is forgotten if no code confirms it.
    #[schema(format = DateTime)]
    expires_at: String,
}

impl TotpSetup {
    fn new(begun: Begun, desk: &Desk, me: &Me) -> Result<Self, Failure> {
        let person = &me.person;
        let email = person.email.as_ref().map(|email| &email.address);
        let account = person
            .username
            .as_ref()
            .or(email)
            .unwrap_or(&person.subject);
        let uri = otpauth_uri(&begun.secret, &desk.tools.service_name, account)
            .ok_or_else(|| Failure::internal("no otpauth URI can be made"))?;
        Ok(TotpSetup {
            device_id: begun.device_id.to_string(),
            secret: begun.secret.base32().to_owned(),
            qr_code: qr::data_uri(&uri)?,
            otpauth_uri: uri.to_string(),
            algorithm: "SHA1",
            digits: DIGITS,
            period: PERIOD,
            expires_at: begun.expires_at.to_string(),
        })
    }
}

#[utoipa::path(post, path = "/api/v1/me/mfa/totp/enable", operation_id = "enable_totp", summary = "Enable Totp",
    description = "Begin TOTP setup - returns secret and QR code.",
    tag = "mfa", params(AuthorizationHeader), request_body = Option<OptionalCode>,
    responses((status = 200, description = "What to tell the app", body = TotpSetup), ChangeRefusals))]
async fn enable(
    State(desk): State<Arc<Desk>>,
    me: Me,
    Body(request): Body<OptionalCode>,
) -> Result<Json<TotpSetup>, Refused> {
    let code = Answer::read_optional(request.code.as_deref());
    let begun = desk
        .act(&me, "totp.enable", move |deed| {
            service::enable(deed, code.as_ref())
        })
        .await?;
    Ok(Json(TotpSetup::new(begun, &desk, &me)?))
}

#[utoipa::path(post, path = "/api/v1/me/mfa/totp/confirm", operation_id = "confirm_totp", summary = "Confirm Totp",
    description = "Confirm TOTP setup with a code from the authenticator app.",
    tag = "mfa", params(AuthorizationHeader), request_body = ConfirmTotpRequest,
    responses((status = 200, description = "The app is set up", body = Confirmed), ChangeRefusals))]
async fn confirm(
    State(desk): State<Arc<Desk>>,
    me: Me,
    Body(request): Body<CodeRequest>,
) -> Result<Json<Confirmed>, Refused> {
    let answer = Answer::read(&request.code);
    let (device, backup_codes) = desk
        .act(&me, "totp.confirm", move |deed| {
            service::confirm(deed, &answer)
        })
        .await?;
    Ok(Json(Confirmed {
        enabled: true,
        device,
        backup_codes,
    }))
}

#[utoipa::path(post, path = "/api/v1/me/mfa/totp/disable", operation_id = "disable_totp", summary = "Disable Totp",
    description = "Disable TOTP MFA. Takes its current code, a backup code or a security key's proof.",
    tag = "mfa", params(AuthorizationHeader), request_body = DisableTotpRequest,
    responses((status = 200, description = "The app is turned off", body = Disabled), ChangeRefusals))]
async fn disable(
    State(desk): State<Arc<Desk>>,
    me: Me,
    Body(request): Body<CodeRequest>,
) -> Result<Json<Disabled>, Refused> {
    let answer = Answer::read(&request.code);
    desk.act(&me, "totp.disable", move |deed| {
        service::disable(deed, &answer)
    })
    .await?;
    Ok(Json(Disabled { enabled: false }))
}

#[utoipa::path(post, path = "/api/v1/me/mfa/totp/replace", operation_id = "replace_totp", summary = "Replace Totp",
    description = "Begin the set-up of another authenticator app beside the active one, which stays good until the new one is confirmed.",
    tag = "mfa", params(AuthorizationHeader), request_body = ReplaceTotpRequest,
    responses((status = 200, description = "What to tell the new app", body = TotpSetup), ChangeRefusals))]
async fn replace(
    State(desk): State<Arc<Desk>>,
    me: Me,
    Body(request): Body<CodeRequest>,
) -> Result<Json<TotpSetup>, Refused> {
    let answer = Answer::read(&request.code);
    let begun = desk
        .act(&me, "totp.replace", move |deed| {
            service::replace(deed, &answer)
        })
        .await?;
    Ok(Json(TotpSetup::new(begun, &desk, &me)?))
}
