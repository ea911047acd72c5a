//! One connection from its first byte to its last.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tower::ServiceExt;

use super::head::{MOST_HEADERS, Refusal};
use super::stream::{InFlight, Judged, Shared, Verdict};
use super::{HEAD_TOO_LARGE, Limits, Mood, Routes};
use crate::base::{OsEntropy, PeerAddr, RequestId, codes};

/// How much hyper keeps of what it reads ahead and has still to write.
const BUFFER: usize = 64 * 1024;

/// Serves one connection until either end, or one of the limits, ends it.
pub(super) async fn serve_connection<S: AsyncRead + AsyncWrite + Unpin>(
    socket: S,
    peer: PeerAddr,
    routes: Routes,
    limits: Limits,
    mut mood: watch::Receiver<Mood>,
) {
    let shared = Shared::new();
    let stream = Judged::new(socket, shared.clone(), limits.head_bytes);
    let service = Service {
        routes,
        peer,
        shared: shared.clone(),
    };
    let connection = http1::Builder::new()
        .max_headers(MOST_HEADERS)
        .max_buf_size(BUFFER)
        // Heads reach hyper whole; the clock is watched below.
        .header_read_timeout(None)
        .serve_connection(stream, service);
    let mut connection = pin!(connection);
    let mut alarm = pin!(sleep_until(Instant::now() + limits.idle));
    let mut stop_by = None;
    let mut now = Mood::Open;
    loop {
        // Whatever changes a deadline happens within the connection's own poll,
        // so that it is enough to look at the deadline after each.
        let end = poll_fn(|cx| {
            if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                return Poll::Ready(Some(ended));
            }
            loop {
                let deadline = shared.deadline(&limits, now == Mood::Crowded);
                let deadline = [deadline, stop_by].into_iter().flatten().min();
                let Some(deadline) = deadline else {
                    return Poll::Pending;
                };
                // An alarm that is set too early costs one look; one that is set anew for
                // each request would cost a trip to the timer for each.
                if deadline < alarm.deadline() || alarm.is_elapsed() {
                    alarm.as_mut().reset(deadline);
                }
                let set_for = alarm.deadline();
                match alarm.as_mut().poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(()) if set_for >= deadline => return Poll::Ready(None),
                    Poll::Ready(()) => {}
                }
            }
        });
        tokio::select! {
            biased;
            changed = mood.changed() => {
                now = match changed {
                    Ok(()) => *mood.borrow_and_update(),
                    Err(_) => Mood::Stopping,
                };
                if now == Mood::Stopping && stop_by.is_none() {
                    stop_by = Some(Instant::now() + limits.drain);
                    connection.as_mut().graceful_shutdown();
                }
            }
            end = end => {
                match end {
                    None => tracing::debug!(?peer, "a connection was closed: its time was up"),
                    Some(Err(error)) => tracing::debug!(?peer, %error, "a connection broke"),
                    Some(Ok(())) => {}
                }
                return;
            }
        }
    }
}

/// Hands requests on to the routes, and answers those that were refused.
struct Service {
    routes: Routes,
    peer: PeerAddr,
    shared: Shared,
}

impl hyper::service::Service<Request<Incoming>> for Service {
    type Response = Response<Answer>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let in_flight = self.shared.in_flight();
        let last = match self.shared.take_verdict() {
            Some(Verdict::Serve { last }) => last,
            Some(Verdict::Refuse(refusal)) => {
                let answer = refuse(refusal).map(|body| Answer { body, in_flight });
                return Box::pin(async { Ok(answer) });
            }
            // A request in a place where the stream saw none: the two disagree, so neither is believed.
            None => {
                let refusal = Refusal::Bad("This is not an HTTP/1.1 request.");
                let answer = refuse(refusal).map(|body| Answer { body, in_flight });
                return Box::pin(async { Ok(answer) });
            }
        };
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(self.peer);
        let router = self.routes.now();
        Box::pin(async move {
            let mut response = match router.oneshot(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            };
            if last {
                response
                    .headers_mut()
                    .insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok(response.map(|body| Answer { body, in_flight }))
        })
    }
}

/// A problem document (RFC 9457) after which the connection closes.
fn refuse(refusal: Refusal) -> Response<Body> {
    let (status, code, detail) = match refusal {
        Refusal::TooLarge => (
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            HEAD_TOO_LARGE,
            "The request's headers are longer or more than this server reads.",
        ),
        Refusal::Bad(detail) => (StatusCode::BAD_REQUEST, codes::BAD_REQUEST, detail),
    };
    let problem = serde_json::json!({
        "type": "about:blank",
        "title": code.title,
        "status": status.as_u16(),
        "detail": detail,
        "code": code.name,
    });
    let mut response = Response::new(Body::from(problem.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    // No edge is passed that would name the request, and every answer has its number.
    if let Ok(id) = RequestId::draw(&OsEntropy)
        && let Ok(value) = HeaderValue::from_str(&id.to_string())
    {
        tracing::debug!(%id, %detail, "a message was refused before anybody read it");
        headers.insert("x-request-id", value);
    }
    response
}

/// A response's body, which ends the request when it ends.
struct Answer {
    body: Body,
    #[expect(dead_code, reason = "held for what its drop does")]
    in_flight: InFlight,
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
