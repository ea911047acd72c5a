//! The load's generator: requests that are made beforehand, over connections that stay open.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// What one run says.
#[derive(Clone, Copy)]
pub struct Figures {
    pub rate: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
}

/// A request as it goes over the wire, made before the clock starts.
pub fn request(method: &str, path: &str, bearer: &str, body: Option<Value>) -> Bytes {
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n");
    if !bearer.is_empty() {
        text.push_str(&format!("Authorization: Bearer {bearer}\r\n"));
    }
    let body = body.map(|body| body.to_string());
    if let Some(body) = &body {
        let length = body.len();
        text.push_str(&format!(
            "Content-Type: application/json\r\nContent-Length: {length}\r\n"
        ));
    }
    text.push_str("\r\n");
    text.push_str(body.as_deref().unwrap_or_default());
    Bytes::from(text)
}

/// An answer: its status, and its body.
pub type Answer = (u16, Vec<u8>);

/// Sends the requests over so many connections, each as soon as the one before is answered, and gives how fast that went,
/// and the answers in the order of the requests.
pub async fn ask(
    address: SocketAddr,
    requests: Vec<Bytes>,
    connections: usize,
) -> (Figures, Vec<Answer>) {
    let count = requests.len();
    let waiting: Arc<Mutex<VecDeque<(usize, Bytes)>>> =
        Arc::new(Mutex::new(requests.into_iter().enumerate().collect()));
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(TcpStream::connect(address).await.unwrap());
    }
    let mut workers = JoinSet::new();
    let began = Instant::now();
    for mut stream in open {
        let waiting = waiting.clone();
        workers.spawn(async move {
            stream.set_nodelay(true).unwrap();
            let mut mine = Vec::new();
            let mut buffer = Vec::with_capacity(16_384);
            loop {
                let next = waiting.lock().unwrap().pop_front();
                let Some((number, request)) = next else {
                    return mine;
                };
                let began = Instant::now();
                stream.write_all(&request).await.unwrap();
                let answer = read_answer(&mut stream, &mut buffer).await;
                mine.push((number, began.elapsed(), answer));
            }
        });
    }
    let mut all: Vec<_> = workers.join_all().await.into_iter().flatten().collect();
    let took = began.elapsed();
    all.sort_by_key(|(number, ..)| *number);
    let mut times: Vec<f64> = all.iter().map(|(_, t, _)| t.as_secs_f64() * 1e3).collect();
    times.sort_by(f64::total_cmp);
    for (_, _, (status, body)) in &all {
        assert!(
            matches!(status, 200 | 201),
            "{status}: {}",
            String::from_utf8_lossy(body)
        );
    }
    let figures = Figures {
        rate: count as f64 / took.as_secs_f64(),
        p50_ms: times[times.len() / 2],
        p99_ms: times[times.len() * 99 / 100],
    };
    let answers = all.into_iter().map(|(_, _, answer)| answer);
    (figures, answers.collect())
}

/// Reads one answer with a `Content-Length`.
async fn read_answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Answer {
    buffer.clear();
    loop {
        assert!(stream.read_buf(buffer).await.unwrap() > 0, "it hung up");
        let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") else {
            continue;
        };
        let head = std::str::from_utf8(&buffer[..end]).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let length = head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .map_or(0, |(_, length)| length.parse().unwrap());
        let whole = end + 4 + length;
        while buffer.len() < whole {
            assert!(stream.read_buf(buffer).await.unwrap() > 0, "it hung up");
        }
        return (status, buffer[end + 4..whole].to_vec());
    }
}
