use serde_json::{Value, json};

use crate::support::{App, Client, Server};

const ENABLE: &str = "/api/v1/me/mfa/totp/enable";
const CONFIRM: &str = "/api/v1/me/mfa/totp/confirm";
const DISABLE: &str = "/api/v1/me/mfa/totp/disable";
const REPLACE: &str = "/api/v1/me/mfa/totp/replace";

/// Sets up an app, and gives it with the backup codes that came.
pub async fn enrol(server: &Server, person: &Client) -> (App, Vec<String>) {
    let app = App::scan(&person.post(ENABLE).await.ok());
    let confirmed = person
        .code(CONFIRM, &app.code(server.clock.unix()))
        .await
        .ok();
    let codes = serde_json::from_value(confirmed["backup_codes"].clone()).unwrap_or_default();
    server.clock.next_step();
    (app, codes)
}

async fn overview(person: &Client) -> Value {
    person.get("/api/v1/me/mfa").await.ok()
}

#[tokio::test]
async fn an_app_is_set_up_used_and_turned_off() {
    let server = Server::start().await;
    let alice = server.alice();
    assert_eq!(
        overview(&alice).await,
        json!({
            "enabled": false, "devices": [], "backup_codes": null,
            "policy": {"required": false, "allowed": ["totp", "email", "webauthn"]},
        })
    );
    let (_, codes) = enrol(&server, &alice).await;
    assert_eq!(codes.len(), 10);
    let seen = overview(&alice).await;
    assert_eq!(seen["enabled"], true);
    assert_eq!(seen["devices"][0]["status"], "active");
    assert_eq!(seen["backup_codes"]["remaining"], 10);
}
