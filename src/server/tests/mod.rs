//! What clients can do to the listener, over real sockets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::Extension;
use axum::routing::{get, post};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::*;

mod fuzz;
mod limits;
mod messages;

const HEAD: Duration = Duration::from_millis(200);
const IDLE: Duration = Duration::from_millis(800);
/// Longer than any limit of a test: what takes as long hangs.
const HANG: Duration = Duration::from_secs(20);
const HELLO: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

struct Server {
    address: SocketAddr,
    calls: Arc<AtomicUsize>,
    entered: Arc<Notify>,
    release: Arc<Notify>,
    stop: oneshot::Sender<()>,
    done: JoinHandle<io::Result<()>>,
}

fn quick() -> Limits {
    Limits {
        head: HEAD,
        idle: IDLE,
        stalled_write: Duration::from_millis(400),
        linger: Duration::from_millis(500),
        drain: Duration::from_millis(600),
        ..Limits::default()
    }
}

impl Server {
    async fn start(limits: Limits) -> Server {
        let listener = Listener::bind(&"127.0.0.1:0".parse().unwrap())
            .await
            .unwrap();
        let Listener::Tcp(socket) = &listener else {
            panic!("not a TCP listener")
        };
        let address = socket.local_addr().unwrap();
        let calls = Arc::new(AtomicUsize::new(0));
        let (entered, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let router = router(calls.clone(), entered.clone(), release.clone());
        let (stop, stopped) = oneshot::channel::<()>();
        let done = tokio::spawn(serve(listener, None, Routes::new(router), limits, async {
            let _ = stopped.await;
        }));
        Server {
            address,
            calls,
            entered,
            release,
            stop,
            done,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

fn router(calls: Arc<AtomicUsize>, entered: Arc<Notify>, release: Arc<Notify>) -> Router {
    Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/echo", post(|body: String| async { body }))
        .route("/deaf", post(|| async { "not listening" }))
        .route("/big", get(|| async { vec![b'x'; 64 << 20] }))
        .route(
            "/peer",
            get(
                |Extension(PeerAddr(peer)): Extension<PeerAddr>| async move { format!("{peer:?}") },
            ),
        )
        .route(
            "/slow",
            get(move || async move {
                entered.notify_one();
                release.notified().await;
                "slow"
            }),
        )
        .layer(axum::middleware::map_request(
            move |request: axum::extract::Request| {
                calls.fetch_add(1, Ordering::SeqCst);
                async move { request }
            },
        ))
}

/// Everything until the server closes; a reset counts as the end.
async fn rest(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut all = Vec::new();
    let _ = timeout(HANG, stream.read_to_end(&mut all))
        .await
        .expect("the connection stays open");
    String::from_utf8_lossy(&all).into_owned()
}

/// One response whose body is `body`.
async fn response(stream: &mut (impl AsyncRead + Unpin), body: &str) -> String {
    let mut all = Vec::new();
    let end = format!("\r\n\r\n{body}");
    let read = async {
        while !all.ends_with(end.as_bytes()) {
            all.push(stream.read_u8().await.expect("the connection was closed"));
        }
    };
    timeout(HANG, read).await.expect("no answer comes");
    String::from_utf8(all).unwrap()
}

async fn say(stream: &mut (impl AsyncWrite + Unpin), text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
}
