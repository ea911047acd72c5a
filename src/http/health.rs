//! Whether the process answers, and whether it can do its work.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;

use crate::factor::Desk;

pub(super) fn routes(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(desk)
}

async fn healthz() -> Response {
    ([(CONTENT_TYPE, "text/plain; charset=utf-8")], "ok\n").into_response()
}

/// What is wrong stands in the log; strangers hear only which part it is.
async fn readyz(State(desk): State<Arc<Desk>>) -> Response {
    let clock = desk.tools.timekeeper.health();
    let checks = [
        ("storage", desk.tools.store.health()),
        ("issuer_keys", desk.tools.verifier.health()),
        ("clock", clock.clone()),
    ];
    let mut ready = true;
    let mut parts = serde_json::Map::new();
    for (part, health) in checks {
        if let Err(why) = &health {
            ready = false;
            tracing::warn!(part, why, "not ready");
        }
        parts.insert(
            part.to_owned(),
            if health.is_ok() { "ok" } else { "failing" }.into(),
        );
    }
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let mut body = json!({ "ready": ready, "checks": parts });
    // Everybody knows what time it is: this betrays nothing.
    if let (Err(why), Some(body)) = (clock, body.as_object_mut()) {
        body.insert("clock".to_owned(), why.into());
    }
    (status, Json(body)).into_response()
}
