//! The edge: the router, what every request passes and what every response
//! carries, health, our public keys, the OpenAPI document, the page and how people sign in to it.

mod assets;
mod document;
mod edge;
mod face;
mod headers;
mod health;
mod html;
mod jwks;
mod sign_in;
mod watch;

use std::sync::Arc;

use axum::Router;
use axum::middleware;

use crate::auth;
use crate::base::{Code, codes};
use crate::factor::{self, Desk};
use crate::login;
use crate::mail;
use crate::server;
use crate::session;
use crate::wire;

pub use document::{document, document_json};
pub use edge::EdgeSettings;
pub use headers::hsts;
pub use html::escape as escape_html;
pub use watch::watch_router;

use face::Face;

/// Everything that is served, for `desk`; `extra` routes pass the same edge.
pub fn router(desk: Arc<Desk>, settings: EdgeSettings, extra: Router) -> Router {
    let usual = desk.tools.language;
    let face = Arc::new(Face::new(&desk.tools.service_name, &desk.tools.brand));
    let (api, _) = document::routes().split_for_parts();
    let served = api
        .with_state(desk.clone())
        .merge(sign_in::routes(desk.clone(), face.clone()))
        .layer(middleware::from_fn_with_state(
            desk.tools.timekeeper.clone(),
            edge::on_time,
        ))
        .merge(health::routes(desk))
        .merge(assets::routes(usual, &face))
        .merge(face::routes(face))
        .merge(extra)
        .fallback(edge::not_found)
        .method_not_allowed_fallback(edge::method_not_allowed);
    edge::around(served, settings)
}

/// All stable words that a problem's `code` can hold, sorted.
pub fn all_codes() -> Vec<Code> {
    let rooms = [
        codes::CODES,
        auth::CODES,
        login::CODES,
        mail::CODES,
        wire::CODES,
        server::CODES,
        session::CODES,
        &factor::codes(),
    ];
    let mut all = rooms.concat();
    all.sort_by_key(|code| (code.kind, code.name));
    all.dedup_by_key(|code| code.name);
    all
}
