use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::socket::may_order;
use super::*;
use crate::clients::{Sends, Service};
use crate::services::testing::TestContext;

struct Running {
    context: TestContext,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

impl Running {
    async fn start() -> Running {
        let context = TestContext::builder().build().await;
        let tools = watch::channel(Tools::from(&*context)).1;
        let console = Console::open(context.store.folder()).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let served = tokio::spawn(console.serve(tools, async move {
            let _ = stopped.await;
        }));
        Running {
            context,
            stop,
            served,
        }
    }

    fn folder(&self) -> &Path {
        self.context.store.folder()
    }

    async fn connect(&self) -> UnixStream {
        UnixStream::connect(socket_path(self.folder()))
            .await
            .unwrap()
    }

    async fn order(&self, order: Order) -> Result<Answer, Undone> {
        send(self.folder(), &order).await
    }

    /// Ends the server, and leaves its store.
    async fn stop(self) -> TestContext {
        drop(self.stop);
        self.served.await.unwrap();
        self.context
    }
}

fn portal() -> Service {
    Service {
        id: "portal".to_owned(),
        sends: Sends::Username,
        tenants: vec!["t1".to_owned()],
        return_urls: vec!["https://portal.example.org/".to_owned()],
        client_id: Some("client".to_owned()),
        issuer: None,
        unknown: None,
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[tokio::test]
async fn orders_are_carried_out_and_refusals_say_what_to_do() {
    let running = Running::start().await;
    let added = running.order(Order::ServiceAdd(portal())).await.unwrap();
    let Answer::Key {
        key,
        old_until: None,
    } = added
    else {
        panic!("{added:?}")
    };
    assert!(key.expose().starts_with("mfad_sk_"));
    let listed = running
        .order(Order::ServiceList { past: None })
        .await
        .unwrap();
    let Answer::Services {
        services,
        more: false,
    } = listed
    else {
        panic!("{listed:?}")
    };
    assert_eq!(services[0].service, portal());

    let again = running
        .order(Order::ServiceAdd(portal()))
        .await
        .unwrap_err();
    let Undone::Refused(refusal) = again else {
        panic!("{again:?}")
    };
    assert_eq!(refusal.fault, Fault::Order);
    assert!(refusal.cause.contains("registered already"), "{refusal:?}");
    assert!(refusal.hint.contains("rotate"), "{refusal:?}");

    let id = "portal".to_owned();
    let gone = running.order(Order::ServiceRemove { id: id.clone() }).await;
    assert!(matches!(gone, Ok(Answer::Done)), "{gone:?}");
    let gone = running.order(Order::ServiceRemove { id }).await;
    assert!(matches!(gone, Err(Undone::Refused(_))), "{gone:?}");

    let mut long = portal();
    long.tenants = vec!["t".repeat(1000); 80];
    let long = running.order(Order::ServiceAdd(long)).await;
    assert!(matches!(long, Err(Undone::TooLong)), "{long:?}");

    running.context.store.close().await;
    let closed = running
        .order(Order::ServiceAdd(portal()))
        .await
        .unwrap_err();
    assert!(
        matches!(&closed, Undone::Refused(refusal) if refusal.fault == Fault::Passing),
        "{closed:?}"
    );
}

#[tokio::test]
async fn the_socket_is_its_owners_and_goes_with_the_server() {
    let running = Running::start().await;
    let path = socket_path(running.folder());
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(running.folder()) & 0o077, 0);
    // Whoever has connected and says nothing does not keep the server.
    let silent = running.connect().await;
    let context = running.stop().await;
    let folder = context.store.folder();
    drop(silent);
    assert!(!path.exists());
    let undone = send(folder, &Order::ServiceList { past: None }).await;
    assert!(matches!(undone, Err(Undone::NoServer)), "{undone:?}");

    // What a dead server left is replaced, and a file is not.
    drop(UnixListener::bind(&path).unwrap());
    let undone = send(folder, &Order::ServiceList { past: None }).await;
    assert!(matches!(undone, Err(Undone::NoServer)), "{undone:?}");
    drop(Console::open(folder).unwrap());
    std::fs::write(&path, "precious").unwrap();
    assert!(Console::open(folder).is_err());
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
}

#[test]
fn the_servers_user_and_root_give_orders_and_nobody_else() {
    for (peer, own, may) in [
        (1000, 1000, true),
        (0, 1000, true),
        (0, 0, true),
        (1001, 1000, false),
        (1000, 0, false),
        (65_534, 1000, false),
    ] {
        assert_eq!(may_order(peer, own), may, "{peer} to {own}");
    }
}

#[tokio::test]
async fn what_is_no_order_is_answered_or_dropped_and_the_next_one_is_heard() {
    let running = Running::start().await;
    let says = async |bytes: &[u8]| -> String {
        let mut stream = running.connect().await;
        // The server may have gone before all of it was written.
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer).await;
        answer
    };
    for garbage in [
        &b"canary-5b1e\n"[..],
        b"{\"canary-5b1e\":1}\n",
        b"{\"service_remove\":{\"id\":5}}\n",
        b"[]\n",
        b"\n",
        b"\xff\xfe\x00\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    ] {
        let answer = says(garbage).await;
        assert!(answer.contains("does not understand"), "{answer}");
        assert!(!answer.contains("canary"), "{answer}");
    }
    for silence in [&b""[..], b"{", b"{\"service_list\":{\"past\":null}}"] {
        assert_eq!(says(silence).await, "");
    }
    let deep = ["[".repeat(60_000), "\n".to_owned()].concat();
    assert!(says(deep.as_bytes()).await.contains("does not understand"));
    says(&vec![b'a'; LONGEST_ORDER * 4]).await;
    let heard = running.order(Order::ServiceList { past: None }).await;
    assert!(heard.is_ok(), "{heard:?}");
}

#[tokio::test]
async fn silent_and_slow_connections_keep_no_order_waiting() {
    let running = Running::start().await;
    let mut silent = Vec::new();
    for said in [&b""[..], b"{", b"{\"service_list\":"] {
        for _ in 0..50 {
            let mut stream = running.connect().await;
            stream.write_all(said).await.unwrap();
            silent.push(stream);
        }
        // As many as there is room for, and more.
        let asked = tokio::time::Instant::now();
        let heard = running.order(Order::ServiceList { past: None }).await;
        assert!(heard.is_ok(), "{} are silent: {heard:?}", silent.len());
        let took = asked.elapsed();
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
    // Those that have been silent for longest have made room, and hear nothing.
    let mut oldest = silent.remove(0);
    let mut said = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(5), oldest.read_to_end(&mut said));
    assert!(ended.await.is_ok());
    assert_eq!(said, b"");
    // One that came later goes on where it was.
    let mut latest = silent.pop().unwrap();
    latest.write_all(b"{\"past\":null}}\n").await.unwrap();
    latest.read_to_end(&mut said).await.unwrap();
    assert!(said.starts_with(b"{\"answer\""), "{said:?}");
}

#[tokio::test]
async fn who_reads_no_copy_keeps_nobody_from_another() {
    let running = Running::start().await;
    let mut stalled = Vec::new();
    for _ in 0..70 {
        let mut stream = running.connect().await;
        stream.write_all(b"\"backup\"\n").await.unwrap();
        stalled.push(stream);
    }
    let mut copy = Vec::new();
    let mut keep = |piece: &[u8]| {
        copy.extend_from_slice(piece);
        Ok(())
    };
    let fetched = fetch_copy(running.folder(), &mut keep);
    let fetched = tokio::time::timeout(Duration::from_secs(5), fetched).await;
    assert!(matches!(fetched, Ok(Ok(()))), "{fetched:?}");
    assert!(!copy.is_empty());
}
