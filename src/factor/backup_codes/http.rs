use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::factor::{Answer, Desk};
use crate::wire::{
    AuthorizationHeader, Body, ChangeRefusals, CodeRequest, Me, Refused, code_requests,
};

use super::service;

/// The routes of backup codes.
pub fn routes() -> OpenApiRouter<Arc<Desk>> {
    OpenApiRouter::new().routes(routes!(regenerate))
}

code_requests! {
    /// Request to regenerate backup codes.
    RegenerateBackupCodesRequest;
}

/// New backup codes. Shown once.
#[derive(Serialize, ToSchema)]
struct NewBackupCodes {
    /// Ten codes of sixteen characters in four groups.
    backup_codes: Vec<String>,
}

/// Regenerate backup codes (requires current TOTP code).
#[utoipa::path(post, path = "/api/v1/me/mfa/backup-codes/regenerate", operation_id = "regenerate_backup_codes",
    summary = "Regenerate Backup Codes", description = "Regenerate backup codes (requires current TOTP code). A mailed code, where there is no app, or a security key's proof will do as well; a backup code will not.", tag = "mfa", params(AuthorizationHeader), request_body = RegenerateBackupCodesRequest,
    responses((status = 200, description = "The new codes; the old ones are void", body = NewBackupCodes), ChangeRefusals))]
async fn regenerate(
    State(desk): State<Arc<Desk>>,
    me: Me,
    Body(request): Body<CodeRequest>,
) -> Result<Json<NewBackupCodes>, Refused> {
    let answer = Answer::read(&request.code);
    let backup_codes = desk
        .act(&me, "backup_codes.regenerate", move |deed| {
            service::regenerate(deed, &answer)
        })
        .await?;
    Ok(Json(NewBackupCodes { backup_codes }))
}
