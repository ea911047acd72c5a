//! What is counted, for those who watch over the server. It has a listener of its own, since it is nobody else's business.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::{edge, health};
use crate::base::Failure;
use crate::factor::Desk;
use crate::metrics::{MEDIA_TYPE, Now};
use crate::outbox;
use crate::wire::problem;

/// Letters that wait are counted up to here.
const MOST_LETTERS: usize = 1_000;

/// What is served to those who watch over the server.
pub fn watch_router(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .fallback(edge::not_found)
        .method_not_allowed_fallback(edge::method_not_allowed)
        .with_state(desk)
}

async fn metrics(State(desk): State<Arc<Desk>>) -> Response {
    let tools = &desk.tools;
    let now = tools.now();
    let signs = tools.signer.list().into_iter().find(|key| key.signs);
    let sealing = tools.store.data_keys().last().and_then(|key| key.since);
    // While the store cannot be read nobody knows how many wait.
    let waiting = outbox::waiting(&tools.store, MOST_LETTERS).unwrap_or_default();
    let now = Now {
        store_bytes: tools.store.file_size().unwrap_or_default(),
        outbox: waiting as u64,
        parts: health::parts(tools),
        signing_key_age: signs.map(|key| now.since(key.published_at)),
        data_key_age: sealing.map(|since| now.since(since)),
    };
    match tools.metrics.text(&now) {
        Ok(text) => ([(CONTENT_TYPE, MEDIA_TYPE)], text).into_response(),
        Err(error) => problem(&Failure::internal(error)),
    }
}
