//! The pages and their parts, compiled in. Parts stand under a hash of all of
//! them, so that they can be kept for ever; the pages themselves are never kept.

use std::sync::LazyLock;

use aws_lc_rs::digest;
use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use rust_embed::Embed;

use super::edge;

#[derive(Embed)]
#[folder = "assets/ui"]
struct Ui;

/// Changes whenever any part does.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hash = digest::Context::new(&digest::SHA256);
    for name in Ui::iter() {
        hash.update(name.as_bytes());
        hash.update(&Ui::get(&name).map(|file| file.data).unwrap_or_default());
    }
    data_encoding::HEXLOWER.encode(hash.finish().as_ref().get(..8).unwrap_or_default())
});

pub(super) fn routes() -> Router {
    Router::new()
        .route("/", get(async || page("settings.html").await))
        .route("/prompt", get(async || page("prompt.html").await))
        .route("/prompt/", get(async || page("prompt.html").await))
        .route("/assets/{version}/{*name}", get(part))
}

async fn page(name: &str) -> Response {
    match Ui::get(name).and_then(|file| String::from_utf8(file.data.into_owned()).ok()) {
        Some(html) => {
            let html = html.replace("{{assets}}", &format!("/assets/{}", *VERSION));
            ([(CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response()
        }
        None => edge::not_found().await,
    }
}

async fn part(Path((version, name)): Path<(String, String)>) -> Response {
    let kind = match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        // Pages are served where they belong, and nothing else is meant for browsers.
        _ => return edge::not_found().await,
    };
    match Ui::get(&name) {
        Some(file) if version == *VERSION => {
            let headers = [
                (CONTENT_TYPE, kind),
                (CACHE_CONTROL, "public, max-age=31536000, immutable"),
            ];
            (StatusCode::OK, headers, file.data.into_owned()).into_response()
        }
        _ => edge::not_found().await,
    }
}
