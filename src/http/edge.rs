//! What every request passes: a name, a time limit, a net under panics, a line in the log.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::HeaderValue;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument;

use crate::audit::Origin;
use crate::base::{Clock, Entropy, Failure, PeerAddr, RequestId, codes};
use crate::metrics::Metrics;
use crate::server::{self, TrustedProxy};
use crate::timekeeper::Timekeeper;
use crate::wire::{METHOD_NOT_ALLOWED, TIMEOUT, problem};

use super::headers;

/// How long a request may take in all.
const REQUEST_DEADLINE: Duration = Duration::from_secs(30);

/// What the edge needs to know.
#[derive(Clone)]
pub struct EdgeSettings {
    /// What browsers that reach us over HTTPS are to remember ([`super::hsts`]); `None` where they do not.
    pub hsts: Option<HeaderValue>,
    /// Whose word is taken on where a request came from.
    pub trusted_proxies: Arc<[TrustedProxy]>,
    /// Where requests are counted.
    pub metrics: Metrics,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Draws the names of requests.
    pub entropy: Arc<dyn Entropy>,
}

pub(super) fn around(router: Router, settings: EdgeSettings) -> Router {
    router
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn(deadline))
        .layer(middleware::from_fn_with_state(
            settings.clone(),
            headers::set,
        ))
        .layer(middleware::from_fn_with_state(settings, name))
}

/// Names the request, and tells the log how it went. Nothing that a client wrote stands in the line but
/// the method: paths can hold what should not be kept, so the route stands for them.
async fn name(State(settings): State<EdgeSettings>, mut request: Request, next: Next) -> Response {
    let id = match RequestId::draw(&*settings.entropy) {
        Ok(id) => id,
        Err(failure) => return problem(&failure),
    };
    let peer = request.extensions().get::<PeerAddr>().copied();
    let peer = peer.unwrap_or(PeerAddr(None));
    let ip = server::client(peer, request.headers(), &settings.trusted_proxies);
    request.extensions_mut().insert(Origin { request: id, ip });
    let method = request.method().clone();
    let path = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("-", MatchedPath::as_str)
        .to_owned();
    let ip = ip.map_or_else(|| "-".to_owned(), |ip| ip.to_string());
    let span = tracing::info_span!("request", %id, %method, path, ip);
    let path = &path;
    async {
        let started = tokio::time::Instant::now();
        let mut response = next.run(request).await;
        let status = response.status().as_u16();
        let took = started.elapsed();
        let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        settings
            .metrics
            .answered(method.as_str(), path, status, took);
        match status {
            500.. => tracing::warn!(status, ms, "answered"),
            // Reading that went well is the bulk, and tells nothing.
            ..400 if method.is_safe() => tracing::debug!(status, ms, "answered"),
            _ => tracing::info!(status, ms, "answered"),
        }
        if let Ok(id) = HeaderValue::from_str(&id.to_string()) {
            response.headers_mut().insert("x-request-id", id);
        }
        response
    }
    .instrument(span)
    .await
}

/// Judges nothing by a clock that cannot be right: not who is calling, and no code. Public keys are read all the same.
pub(super) async fn on_time(
    State(timekeeper): State<Timekeeper>,
    request: Request,
    next: Next,
) -> Response {
    let judged = ["/api/", "/auth/"]
        .iter()
        .any(|start| request.uri().path().starts_with(start));
    match timekeeper.health() {
        Err(why) if judged => {
            let told =
                "The server's clock is wrong, so nothing can be judged until it is set right.";
            let failure = Failure::new(codes::UNAVAILABLE, told).retry_after(10);
            problem(&failure.because(why))
        }
        _ => next.run(request).await,
    }
}

async fn deadline(request: Request, next: Next) -> Response {
    match tokio::time::timeout(REQUEST_DEADLINE, next.run(request)).await {
        Ok(response) => response,
        Err(_) => problem(&Failure::new(
            TIMEOUT,
            "The request took longer than 30 seconds.",
        )),
    }
}

fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let said = panic
        .downcast_ref::<&str>()
        .copied()
        .or(panic.downcast_ref::<String>().map(String::as_str));
    problem(&Failure::internal(format!(
        "panic: {}",
        said.unwrap_or("no message")
    )))
}

pub(super) async fn not_found() -> Response {
    problem(&Failure::not_found()).into_response()
}

pub(super) async fn method_not_allowed() -> Response {
    problem(&Failure::new(
        METHOD_NOT_ALLOWED,
        "This path does not take that method.",
    ))
}
