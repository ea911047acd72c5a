//! The listener: connections in, requests to the router, and an orderly end.
//!
//! `axum::serve` leaves a half-sent head open for ever and bounds nothing, so
//! we accept ourselves, on hyper. Every wait and every size here has a bound in
//! [`Limits`], and what reaches a handler is a message that has exactly one
//! reading. HTTP/1.1 only (1.0 for probes): HTTP/2 is compiled out and an
//! offered upgrade is passed over.
//!
//! Stricter than RFC 9112 demands, on purpose: a bare line feed ends no line,
//! `Content-Length` may not be repeated, and the one transfer coding is
//! `chunked`, after which the connection closes.

mod connection;
mod handed_over;
mod head;
mod listener;
mod proxies;
mod routes;
mod stream;
mod supervisor;
#[cfg(test)]
mod tests;
mod tls;

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};

pub use handed_over::HandedOver;
pub use listener::{Listener, UnixSocket};
pub use proxies::{NoProxy, TrustedProxy, client};
pub use routes::Routes;
pub use supervisor::Supervisor;
pub use tls::{Tls, TlsError, TlsFiles, is_for_host, validity};

use crate::base::{Code, Kind, PeerAddr};
use connection::serve_connection;

/// The head has more bytes or lines than we read.
pub const HEAD_TOO_LARGE: Code = Code {
    name: "head_too_large",
    kind: Kind::HeadTooLarge,
    title: "Request headers too large",
};
/// What this room answers with.
pub const CODES: &[Code] = &[HEAD_TOO_LARGE];

/// How long to wait after the system had no socket to give (EMFILE and its like).
const BACK_OFF: Duration = Duration::from_millis(100);

/// What a connection may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many are served at once; the next wait in the kernel's queue. While
    /// so many are open, idle ones are kept for `head` only. Default 512.
    pub connections: usize,
    /// How long a head may take from its first byte, and before it a TLS handshake. Default 5 s.
    pub head: Duration,
    /// How long a connection may wait for its first or next request. Default 60 s.
    pub idle: Duration,
    /// The longest head, request line included. Default 16 KiB. More than
    /// 100 header lines are refused as well.
    pub head_bytes: usize,
    /// How long a client may take none of what we write. Default 30 s.
    pub stalled_write: Duration,
    /// How long a refused client may go on sending before it is cut off, so
    /// that it can read why. Default 2 s.
    pub linger: Duration,
    /// How long requests may take to finish after the stop. Default 10 s.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 512,
            head: Duration::from_secs(5),
            idle: Duration::from_secs(60),
            head_bytes: 16 * 1024,
            stalled_write: Duration::from_secs(30),
            linger: Duration::from_secs(2),
            drain: Duration::from_secs(10),
        }
    }
}

/// What connections must know of the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Open,
    /// Others wait, so idle connections go sooner.
    Crowded,
    /// No further request is read.
    Stopping,
}

/// Serves `routes` on `listener`, by `tls` where there is one and the socket is no Unix socket, until `stop` is done, then closes the
/// listener and idle connections at once and returns when the requests under
/// way are answered, or after [`Limits::drain`].
///
/// Handlers find the other end's [`PeerAddr`] among the request's extensions.
/// The time that a body and a whole request may take is not bounded here. A
/// client that goes away while its request is handled takes the handler's
/// future with it.
///
/// # Errors
/// None at present that a listener can meet once it is bound: what the system
/// refuses is waited out, and logged.
pub async fn serve(
    listener: Listener,
    tls: Option<Tls>,
    routes: Routes,
    limits: Limits,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let most = limits.connections.clamp(1, Semaphore::MAX_PERMITS);
    let slots = Arc::new(Semaphore::new(most));
    let (mood, moods) = watch::channel(Mood::Open);
    let mut stop = pin!(stop);
    loop {
        let slot = tokio::select! {
            biased;
            () = &mut stop => break,
            slot = take_slot(&slots, most, &mood) => slot?,
        };
        let arrived = tokio::select! {
            biased;
            () = &mut stop => break,
            arrived = accept(&listener) => arrived,
        };
        let (tls, routes, moods) = (tls.clone(), routes.clone(), moods.clone());
        match arrived {
            Arrived::Tcp(socket, peer) => {
                tokio::spawn(async move {
                    match tls {
                        None => serve_connection(socket, peer, routes, limits, moods).await,
                        Some(tls) => match timeout(limits.head, tls.accept(socket)).await {
                            Ok(Ok(socket)) => {
                                serve_connection(socket, peer, routes, limits, moods).await;
                            }
                            Ok(Err(error)) => tracing::debug!(?peer, %error, "no TLS handshake"),
                            Err(_) => tracing::debug!(?peer, "a TLS handshake took too long"),
                        },
                    }
                    drop(slot);
                });
            }
            Arrived::Unix(socket) => {
                tokio::spawn(async move {
                    serve_connection(socket, PeerAddr(None), routes, limits, moods).await;
                    drop(slot);
                });
            }
        }
    }
    drop(listener);
    mood.send_replace(Mood::Stopping);
    let all = u32::try_from(most).unwrap_or(u32::MAX);
    // Each connection keeps the deadline itself; what is still here a little later
    // is stuck in code that does not yield, and is not waited for.
    if timeout(limits.drain + BACK_OFF, slots.acquire_many(all))
        .await
        .is_err()
    {
        tracing::warn!("some requests did not finish before the server stopped");
    }
    Ok(())
}

async fn take_slot(
    slots: &Arc<Semaphore>,
    most: usize,
    mood: &watch::Sender<Mood>,
) -> io::Result<OwnedSemaphorePermit> {
    let slot = match slots.clone().try_acquire_owned() {
        Ok(slot) => slot,
        Err(_) => {
            if set(mood, Mood::Crowded) {
                tracing::warn!(connections = most, "all connections are taken, others wait");
            }
            slots
                .clone()
                .acquire_owned()
                .await
                .map_err(io::Error::other)?
        }
    };
    // Not at the first free place, or the mood would swing with every connection.
    if slots.available_permits() >= most / 8 {
        set(mood, Mood::Open);
    }
    Ok(slot)
}

fn set(mood: &watch::Sender<Mood>, new: Mood) -> bool {
    mood.send_if_modified(|mood| std::mem::replace(mood, new) != new)
}

enum Arrived {
    Tcp(tokio::net::TcpStream, PeerAddr),
    Unix(tokio::net::UnixStream),
}

/// The next connection. Waits out whatever stands in the way.
async fn accept(listener: &Listener) -> Arrived {
    let mut told = false;
    loop {
        let arrived = match listener {
            Listener::Tcp(listener) => listener.accept().await.map(|(socket, peer)| {
                // An answer is one write; waiting for more to send only delays it.
                let _ = socket.set_nodelay(true);
                Arrived::Tcp(socket, PeerAddr(Some(peer)))
            }),
            Listener::Unix(socket) => socket
                .listener
                .accept()
                .await
                .map(|(socket, _)| Arrived::Unix(socket)),
        };
        match arrived {
            Ok(arrived) => return arrived,
            // The client went away again before we came to it.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::ConnectionAborted
                        | io::ErrorKind::ConnectionReset
                        | io::ErrorKind::ConnectionRefused
                ) => {}
            Err(error) => {
                if !told {
                    tracing::error!(%error, "no connection can be taken; trying on");
                    told = true;
                }
                sleep(BACK_OFF).await;
            }
        }
    }
}
