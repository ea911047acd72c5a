//! What reaches a handler, and what never does.

use super::*;
use crate::base::ListenAddress;

#[tokio::test]
async fn a_head_may_come_byte_by_byte() {
    let server = Server::start(quick()).await;
    let mut stream = server.connect().await;
    stream.set_nodelay(true).unwrap();
    let message = "\r\nPOST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    for byte in message.bytes() {
        stream.write_all(&[byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    response(&mut stream, "abc").await;
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = Server::start(quick()).await;
    let mut stream = server.connect().await;
    let echo = |body: &str| {
        let length = body.len();
        format!("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}")
    };
    let many: String = (0..40).map(|n| echo(&format!("body {n}"))).collect();
    say(&mut stream, &many).await;
    for n in 0..40 {
        response(&mut stream, &format!("body {n}")).await;
    }
    let large = "y".repeat(300 * 1024);
    say(&mut stream, &format!("{}{HELLO}", echo(&large))).await;
    response(&mut stream, &large).await;
    response(&mut stream, "hello").await;
    assert_eq!(server.calls(), 42);
}

#[tokio::test]
async fn a_chunked_request_is_the_last_of_its_connection() {
    let server = Server::start(quick()).await;
    let mut stream = server.connect().await;
    let head = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    say(
        &mut stream,
        &format!("{head}3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n{HELLO}"),
    )
    .await;
    let text = rest(&mut stream).await;
    assert!(text.contains("connection: close"), "{text}");
    assert!(text.ends_with("\r\n\r\nabcde"), "{text}");
    assert_eq!(server.calls(), 1);
}

#[tokio::test]
async fn an_answer_to_a_body_that_nobody_read_arrives() {
    let server = Server::start(quick()).await;
    let mut stream = server.connect().await;
    let head = "POST /deaf HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n";
    say(&mut stream, head).await;
    let body = vec![b'x'; 1_000_000];
    let (mut read, mut write) = stream.split();
    let (text, _) = tokio::join!(rest(&mut read), write.write_all(&body));
    assert!(text.ends_with("not listening"), "{text}");
}

#[tokio::test]
async fn http_1_0_is_answered_and_closed() {
    let server = Server::start(quick()).await;
    let mut stream = server.connect().await;
    say(&mut stream, "GET / HTTP/1.0\r\n\r\n").await;
    let text = rest(&mut stream).await;
    assert!(text.starts_with("HTTP/1.0 200 OK"), "{text}");
}

#[tokio::test]
async fn an_offer_of_http_2_is_passed_over() {
    let server = Server::start(quick()).await;
    let mut stream = server.connect().await;
    let offer = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\n\
                 Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n";
    for _ in 0..2 {
        say(&mut stream, offer).await;
        let text = response(&mut stream, "hello").await;
        assert!(text.starts_with("HTTP/1.1 200 OK"), "{text}");
    }
    say(&mut stream, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    let text = rest(&mut stream).await;
    assert!(text.starts_with("HTTP/1.1 400"), "{text}");
}

#[tokio::test]
async fn an_ambiguous_message_is_refused_and_no_handler_sees_it() {
    let server = Server::start(quick()).await;
    let table = [
        ("no Host", "GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
        (
            "two Hosts",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n".to_owned(),
            400,
        ),
        ("bad Host", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n".to_owned(), 400),
        (
            "CL and TE",
            "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n\
             0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"
                .to_owned(),
            400,
        ),
        (
            "two CLs",
            "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc"
                .to_owned(),
            400,
        ),
        (
            "+5",
            "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nabcde".to_owned(),
            400,
        ),
        (
            "obs-fold",
            "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n".to_owned(),
            400,
        ),
        (
            "NUL",
            "GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n".to_owned(),
            400,
        ),
        ("bare LF", "GET / HTTP/1.1\nHost: a\n\n".to_owned(), 400),
        ("TLS", "\u{16}\u{3}\u{1}".to_owned(), 400),
        (
            "200 headers",
            format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(200)),
            431,
        ),
        (
            "1 MB of headers",
            format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: yyyyyyyyyyyy\r\n".repeat(65_536)),
            431,
        ),
    ];
    for (name, message, status) in table {
        let (mut read, mut write) = server.connect().await.into_split();
        let (text, _) = tokio::join!(rest(&mut read), write.write_all(message.as_bytes()));
        assert!(
            text.starts_with(&format!("HTTP/1.1 {status} ")),
            "{name}: {text:?}"
        );
        assert_eq!(text.matches("HTTP/1.1 4").count(), 1, "{name}: {text}");
        let (head, body) = text.split_once("\r\n\r\n").expect(name);
        assert!(
            head.contains("content-type: application/problem+json")
                && head.contains("cache-control: no-store")
                && head.contains("x-request-id: req_"),
            "{name}"
        );
        assert!(head.contains("connection: close"), "{name}: {head}");
        let problem: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(problem["status"], status, "{name}");
        assert_eq!(problem["type"], "about:blank", "{name}");
        assert!(problem["detail"].as_str().is_some_and(|d| d.ends_with('.')));
    }
    assert_eq!(server.calls(), 0);
}

#[tokio::test]
async fn a_refusal_waits_for_the_answers_before_it() {
    let server = Server::start(quick()).await;
    let mut stream = server.connect().await;
    say(
        &mut stream,
        "GET /slow HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    )
    .await;
    server.entered.notified().await;
    server.release.notify_one();
    let text = rest(&mut stream).await;
    let statuses: Vec<_> = text
        .lines()
        .filter_map(|line| line.find("HTTP/1.1 ").map(|at| &line[at + 9..at + 12]))
        .collect();
    assert_eq!(statuses, ["200", "400"], "{text}");
    assert_eq!(server.calls(), 1);
}

#[tokio::test]
async fn handlers_know_the_other_end() {
    const PEER: &str = "GET /peer HTTP/1.1\r\nHost: a\r\n\r\n";
    let server = Server::start(quick()).await;
    let mut stream = server.connect().await;
    say(&mut stream, PEER).await;
    let local = stream.local_addr().unwrap();
    response(&mut stream, &format!("Some({local})")).await;

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.sock");
    let listener = Listener::bind(&ListenAddress::Unix(path.clone()))
        .await
        .unwrap();
    let router = router(Arc::default(), Arc::default(), Arc::default());
    let (stop, stopped) = oneshot::channel::<()>();
    let done = tokio::spawn(serve(listener, None, Routes::new(router), quick(), async {
        let _ = stopped.await;
    }));
    let mut stream = UnixStream::connect(&path).await.unwrap();
    say(&mut stream, PEER).await;
    response(&mut stream, "None").await;
    stop.send(()).unwrap();
    timeout(HANG, done).await.unwrap().unwrap().unwrap();
    assert!(!path.exists());
}
