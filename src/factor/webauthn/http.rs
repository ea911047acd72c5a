use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use webauthn_rs::prelude::{PublicKeyCredential, RegisterPublicKeyCredential};

use crate::base::{Failure, Violation, display_text};
use crate::factor::{Answer, Desk, Device};
use crate::wire::{
    AuthorizationHeader, Body, ChangeRefusals, CodeHeader, CodeHeaderParam, Fields, FromBody, Me,
    Nothing, OptionalCode, Refused,
};

use super::rule::LONGEST_NAME;
use super::{assertion, registration, service};

/// The routes of security keys.
pub fn routes() -> OpenApiRouter<Arc<Desk>> {
    OpenApiRouter::new()
        .routes(routes!(begin_registration))
        .routes(routes!(complete_registration))
        .routes(routes!(remove, rename))
        .routes(routes!(begin_verification))
        .routes(routes!(complete_verification))
}

/// What to call the new key.
#[derive(ToSchema)]
struct WebAuthnBeginRequest {
    /// At most 64 characters; the model's name where absent.
    #[schema(required = false, nullable)]
    name: Option<String>,
    /// A code from the authenticator app, a mailed code, a backup code, or a proof made by a security key. Needed if the user has a factor, unless the token shows a sign-in with a second factor in the last 12 hours, or the session of the settings page a proof in the last 10 minutes.
    #[schema(required = false, nullable)]
    code: Option<String>,
}

impl FromBody for WebAuthnBeginRequest {
    const OPTIONAL: bool = true;

    fn from_body(fields: &mut Fields<'_>) -> Option<Self> {
        Some(WebAuthnBeginRequest {
            name: fields.optional_string("name"),
            code: fields.optional_string("code"),
        })
    }
}

/// What the browser is to do.
#[derive(Serialize, ToSchema)]
struct WebAuthnRegistration {
    device_id: String,
    challenge_id: String,
    /// `PublicKeyCredentialCreationOptionsJSON` (WebAuthn Level 3 section 5.1.9).
    #[serde(rename = "publicKey")]
    #[schema(value_type = Object)]
    public_key: Value,
    /// When the challenge is no longer good.
    #[schema(format = DateTime)]
    expires_at: String,
}

#[derive(ToSchema)]
struct WebAuthnConfirmRequest {
    device_id: String,
    challenge_id: String,
    /// `RegistrationResponseJSON`: what `credential.toJSON()` gives.
    #[schema(value_type = Object)]
    credential: RegisterPublicKeyCredential,
    /// Instead of the name given at the beginning.
    #[schema(required = false, nullable)]
    name: Option<String>,
}

impl FromBody for WebAuthnConfirmRequest {
    fn from_body(fields: &mut Fields<'_>) -> Option<Self> {
        let (device_id, challenge_id) = (fields.string("device_id"), fields.string("challenge_id"));
        let (credential, name) = (fields.object("credential"), fields.optional_string("name"));
        Some(WebAuthnConfirmRequest {
            device_id: device_id?,
            challenge_id: challenge_id?,
            credential: credential?,
            name,
        })
    }
}

/// A key is set up.
#[derive(Serialize, ToSchema)]
struct WebAuthnRegistered {
    device: Device,
    /// Ten codes with the person's first factor, shown this once; else null.
    #[schema(required)]
    backup_codes: Option<Vec<String>>,
}

/// Begin WebAuthn security key registration.
#[utoipa::path(post, path = "/api/v1/me/mfa/webauthn/register/begin", operation_id = "begin_webauthn_registration",
    summary = "Begin Webauthn Registration", description = "Begin WebAuthn security key registration.", tag = "mfa", params(AuthorizationHeader), request_body = Option<WebAuthnBeginRequest>,
    responses((status = 200, description = "What the browser is to do", body = WebAuthnRegistration), ChangeRefusals))]
async fn begin_registration(
    State(desk): State<Arc<Desk>>,
    me: Me,
    Body(request): Body<WebAuthnBeginRequest>,
) -> Result<Json<WebAuthnRegistration>, Refused> {
    let person = &me.person;
    let email = person.email.as_ref().map(|email| &email.address);
    let user_name = person
        .username
        .as_ref()
        .or(email)
        .unwrap_or(&person.subject);
    // Browsers show it, so it is shown like any name.
    let user_name = display_text(user_name, LONGEST_NAME).unwrap_or_else(|| "account".to_owned());
    let code = Answer::read_optional(request.code.as_deref());
    let begun = desk
        .act(&me, "webauthn.begin", move |deed| {
            let name = request.name.as_deref();
            registration::begin_registration(deed, code.as_ref(), name, &user_name)
        })
        .await?;
    Ok(Json(WebAuthnRegistration {
        device_id: begun.device_id.to_string(),
        challenge_id: begun.challenge_id.to_string(),
        public_key: serde_json::to_value(&begun.options.public_key).map_err(Failure::internal)?,
        expires_at: begun.expires_at.to_string(),
    }))
}

/// Complete WebAuthn security key registration.
#[utoipa::path(post, path = "/api/v1/me/mfa/webauthn/register/complete", operation_id = "complete_webauthn_registration",
    summary = "Complete Webauthn Registration", description = "Complete WebAuthn security key registration.", tag = "mfa", params(AuthorizationHeader), request_body = WebAuthnConfirmRequest,
    responses((status = 200, description = "The key is set up", body = WebAuthnRegistered), ChangeRefusals))]
async fn complete_registration(
    State(desk): State<Arc<Desk>>,
    me: Me,
    Body(request): Body<WebAuthnConfirmRequest>,
) -> Result<Json<WebAuthnRegistered>, Refused> {
    let (challenge, device) = (
        request.challenge_id.parse().ok(),
        request.device_id.parse().ok(),
    );
    let (device, backup_codes) = registration::complete_registration(
        &desk,
        &me,
        challenge,
        device,
        request.credential,
        request.name,
    )
    .await?;
    Ok(Json(WebAuthnRegistered {
        device,
        backup_codes,
    }))
}

/// A key is removed.
#[derive(Serialize, ToSchema)]
struct Removed {
    /// Always true.
    removed: bool,
}

/// Remove a WebAuthn security key.
#[utoipa::path(delete, path = "/api/v1/me/mfa/webauthn/{device_id}", operation_id = "remove_webauthn_device",
    summary = "Remove Webauthn Device", description = "Remove a WebAuthn security key. Clients that send no body with DELETE bring the code in the header X-Mfad-Code.", tag = "mfa", params(("device_id" = String, Path), AuthorizationHeader, CodeHeaderParam), request_body = Option<OptionalCode>,
    responses((status = 200, description = "The key is removed", body = Removed), ChangeRefusals))]
async fn remove(
    State(desk): State<Arc<Desk>>,
    me: Me,
    device_id: DevicePath,
    header: CodeHeader,
    Body(request): Body<OptionalCode>,
) -> Result<Json<Removed>, Refused> {
    let device = device_id.map_or(None, |Path(id)| id.parse().ok());
    let code = header.or(request)?;
    let code = Answer::read_optional(code.as_deref());
    let pending = desk.tools.store.read(|read| match device {
        Some(device) if service::is_pending(read, me.key, device)? => Ok(Some(device)),
        _ => Ok(None),
    })?;
    // Nothing is removed that was never there, and the history says so.
    match pending {
        Some(device) => {
            let cancel = desk.act(&me, "webauthn.cancel", move |deed| {
                service::cancel(deed, code.as_ref(), device)
            });
            cancel.await?;
        }
        None => {
            let remove = desk.act(&me, "webauthn.remove", move |deed| {
                service::remove(deed, code.as_ref(), device)
            });
            remove.await?;
        }
    }
    Ok(Json(Removed { removed: true }))
}

/// A path that is no identifier, or not even text, names nothing.
type DevicePath = Result<Path<String>, axum::extract::rejection::PathRejection>;

/// Another name for a key.
#[derive(ToSchema)]
struct RenameRequest {
    /// At most 64 characters, at least one of them visible.
    #[schema(min_length = 1)]
    name: String,
    /// A code from the authenticator app, a mailed code, a backup code, or a proof made by a security key. Needed if the user has a factor, unless the token shows a sign-in with a second factor in the last 12 hours, or the session of the settings page a proof in the last 10 minutes.
    #[schema(required = false, nullable)]
    code: Option<String>,
}

impl FromBody for RenameRequest {
    fn from_body(fields: &mut Fields<'_>) -> Option<Self> {
        let (name, code) = (fields.string("name"), fields.optional_string("code"));
        Some(RenameRequest { name: name?, code })
    }
}

/// A key has another name.
#[derive(Serialize, ToSchema)]
struct Renamed {
    device: Device,
}

/// Rename a WebAuthn security key.
#[utoipa::path(patch, path = "/api/v1/me/mfa/webauthn/{device_id}", operation_id = "rename_webauthn_device",
    summary = "Rename Webauthn Device", description = "Rename a WebAuthn security key.", tag = "mfa", params(("device_id" = String, Path), AuthorizationHeader), request_body = RenameRequest,
    responses((status = 200, description = "The key has its new name", body = Renamed), ChangeRefusals))]
async fn rename(
    State(desk): State<Arc<Desk>>,
    me: Me,
    device_id: DevicePath,
    Body(request): Body<RenameRequest>,
) -> Result<Json<Renamed>, Refused> {
    let Some(name) = display_text(&request.name, LONGEST_NAME) else {
        let loc = vec!["body".into(), "name".into()];
        let msg = "String should have at least 1 character".into();
        return Err(Refused(Failure::invalid(vec![Violation {
            loc,
            msg,
            kind: "string_too_short",
        }])));
    };
    let device = device_id.map_or(None, |Path(id)| id.parse().ok());
    let code = Answer::read_optional(request.code.as_deref());
    let device = desk
        .act(&me, "webauthn.rename", move |deed| {
            service::rename(deed, code.as_ref(), device, &name)
        })
        .await?;
    Ok(Json(Renamed { device }))
}

/// What the browser is to do.
#[derive(Serialize, ToSchema)]
struct WebAuthnVerification {
    challenge_id: String,
    /// `PublicKeyCredentialRequestOptionsJSON` (WebAuthn Level 3 section 5.1.10).
    #[serde(rename = "publicKey")]
    #[schema(value_type = Object)]
    public_key: Value,
    /// When the challenge is no longer good.
    #[schema(format = DateTime)]
    expires_at: String,
}

/// Begin a proof by security key.
#[utoipa::path(post, path = "/api/v1/me/mfa/webauthn/verify/begin", operation_id = "begin_webauthn_verification",
    summary = "Begin Webauthn Verification", description = "Begin a proof by security key.", tag = "mfa", params(AuthorizationHeader),
    responses((status = 200, description = "What the browser is to do", body = WebAuthnVerification), ChangeRefusals))]
async fn begin_verification(
    State(desk): State<Arc<Desk>>,
    me: Me,
    Body(Nothing): Body<Nothing>,
) -> Result<Json<WebAuthnVerification>, Refused> {
    let begun = desk
        .act(&me, "webauthn.challenge", assertion::begin_verification)
        .await?;
    Ok(Json(WebAuthnVerification {
        challenge_id: begun.challenge_id.to_string(),
        public_key: serde_json::to_value(&begun.options.public_key).map_err(Failure::internal)?,
        expires_at: begun.expires_at.to_string(),
    }))
}

/// The browser's answer.
#[derive(ToSchema)]
struct WebAuthnVerifyRequest {
    challenge_id: String,
    /// `AuthenticationResponseJSON`: what `credential.toJSON()` gives.
    #[schema(value_type = Object)]
    credential: PublicKeyCredential,
}

impl FromBody for WebAuthnVerifyRequest {
    fn from_body(fields: &mut Fields<'_>) -> Option<Self> {
        let (challenge_id, credential) =
            (fields.string("challenge_id"), fields.object("credential"));
        Some(WebAuthnVerifyRequest {
            challenge_id: challenge_id?,
            credential: credential?,
        })
    }
}

/// A one-time proof that any `code` takes.
#[derive(Serialize, ToSchema)]
struct WebAuthnProof {
    /// `prf_…`
    code: String,
    /// When it is no longer good: after a minute.
    #[schema(format = DateTime)]
    expires_at: String,
}

/// Complete a proof by security key.
#[utoipa::path(post, path = "/api/v1/me/mfa/webauthn/verify/complete", operation_id = "complete_webauthn_verification",
    summary = "Complete Webauthn Verification", description = "Complete a proof by security key.", tag = "mfa", params(AuthorizationHeader), request_body = WebAuthnVerifyRequest,
    responses((status = 200, description = "A one-time proof", body = WebAuthnProof), ChangeRefusals))]
async fn complete_verification(
    State(desk): State<Arc<Desk>>,
    me: Me,
    Body(request): Body<WebAuthnVerifyRequest>,
) -> Result<Json<WebAuthnProof>, Refused> {
    let challenge = request.challenge_id.parse().ok();
    let proved =
        assertion::complete_verification(&desk, &me, challenge, request.credential).await?;
    Ok(Json(WebAuthnProof {
        code: proved.code.expose().clone(),
        expires_at: proved.expires_at.to_string(),
    }))
}
