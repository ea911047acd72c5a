//! Nobody gets more time, room or places than they are due. Time is what these tests are about, and the clock is Tokio's: it
//! stands still while anything can happen, and jumps to the next timer when nothing else can.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_half_sent_head_is_closed_and_a_trickle_does_not_help() {
    let server = Server::start(quick()).await;
    let mut silent = server.connect().await;
    say(&mut silent, "GET / HTTP/1.1\r\nHost:").await;
    let began = Instant::now();
    assert_eq!(rest(&mut silent).await, "");
    let took = began.elapsed();
    assert!(took >= HEAD / 2 && took < IDLE, "{took:?}");

    let (mut read, mut write) = server.connect().await.into_split();
    let trickle = tokio::spawn(async move {
        for byte in HELLO.bytes().cycle() {
            if write.write_all(&[byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(HEAD / 8).await;
        }
    });
    let began = Instant::now();
    assert_eq!(rest(&mut read).await, "");
    assert!(began.elapsed() < IDLE);
    trickle.abort();
    assert_eq!(server.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_outlives_the_head_limit_and_not_the_idle_limit() {
    let server = Server::start(quick()).await;
    let mut fresh = server.connect().await;
    let mut used = server.connect().await;
    tokio::time::sleep(HEAD * 2).await;
    say(&mut used, HELLO).await;
    response(&mut used, "hello").await;
    tokio::time::sleep(HEAD * 2).await;
    say(&mut used, HELLO).await;
    let last = Instant::now();
    let text = response(&mut used, "hello").await;
    assert!(
        text.contains("date: ") && !text.contains("server: "),
        "{text}"
    );

    assert_eq!(rest(&mut fresh).await, "");
    assert_eq!(rest(&mut used).await, "");
    let took = last.elapsed();
    assert!(took >= IDLE && took < IDLE * 3, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_slow_answer_is_not_idleness() {
    let server = Server::start(quick()).await;
    let mut stream = server.connect().await;
    say(&mut stream, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
    // Half of the next head is there before its turn comes.
    say(&mut stream, &HELLO[..10]).await;
    server.entered.notified().await;
    tokio::time::sleep(IDLE + HEAD).await;
    server.release.notify_one();
    response(&mut stream, "slow").await;
    say(&mut stream, &HELLO[10..]).await;
    response(&mut stream, "hello").await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_reads_is_dropped() {
    let limits = Limits {
        connections: 1,
        ..quick()
    };
    let server = Server::start(limits).await;
    let mut greedy = server.connect().await;
    say(&mut greedy, "GET /big HTTP/1.1\r\nHost: a\r\n\r\n").await;
    // The only place is free again once the server has given up on it.
    let mut next = server.connect().await;
    say(&mut next, HELLO).await;
    response(&mut next, "hello").await;
}

#[tokio::test(start_paused = true)]
async fn connections_beyond_the_bound_wait_their_turn() {
    let limits = Limits {
        connections: 4,
        ..quick()
    };
    let server = Server::start(limits).await;
    let mut busy = Vec::new();
    for _ in 0..4 {
        let mut stream = server.connect().await;
        say(&mut stream, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
        server.entered.notified().await;
        busy.push(stream);
    }
    let mut fifth = server.connect().await;
    say(&mut fifth, HELLO).await;
    let early = timeout(HEAD * 2, fifth.read_u8()).await;
    assert!(early.is_err(), "the fifth was served beside four");
    assert_eq!(server.calls(), 4);
    drop(busy.pop());
    response(&mut fifth, "hello").await;
}

#[tokio::test(start_paused = true)]
async fn idle_connections_make_room_for_those_that_wait() {
    let limits = Limits {
        connections: 4,
        idle: HANG,
        ..quick()
    };
    let server = Server::start(limits).await;
    let mut idle = Vec::new();
    for _ in 0..4 {
        let mut stream = server.connect().await;
        say(&mut stream, HELLO).await;
        response(&mut stream, "hello").await;
        idle.push(stream);
    }
    let mut fifth = server.connect().await;
    say(&mut fifth, HELLO).await;
    let began = Instant::now();
    response(&mut fifth, "hello").await;
    assert!(began.elapsed() < HANG / 2);
}

#[tokio::test(start_paused = true)]
async fn a_stop_finishes_what_is_under_way_and_closes_what_is_idle() {
    let limits = Limits {
        idle: HANG,
        head: HANG,
        drain: HANG,
        ..quick()
    };
    let server = Server::start(limits).await;
    let (mut idle, mut half) = (server.connect().await, server.connect().await);
    say(&mut idle, HELLO).await;
    response(&mut idle, "hello").await;
    say(&mut half, "GET / HT").await;
    let mut busy = server.connect().await;
    say(&mut busy, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
    server.entered.notified().await;

    server.stop.send(()).unwrap();
    assert_eq!(rest(&mut idle).await, "");
    assert_eq!(rest(&mut half).await, "");
    assert!(!server.done.is_finished());
    assert!(TcpStream::connect(server.address).await.is_err());

    server.release.notify_one();
    let text = rest(&mut busy).await;
    assert!(
        text.contains("connection: close") && text.ends_with("slow"),
        "{text}"
    );
    timeout(HANG, server.done).await.unwrap().unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stuck_request_does_not_hold_the_stop() {
    let server = Server::start(quick()).await;
    let mut busy = server.connect().await;
    say(&mut busy, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
    server.entered.notified().await;
    let began = Instant::now();
    server.stop.send(()).unwrap();
    assert_eq!(rest(&mut busy).await, "");
    timeout(HANG, server.done).await.unwrap().unwrap().unwrap();
    assert!(began.elapsed() >= quick().drain);
    assert!(began.elapsed() < quick().drain * 4);
}
