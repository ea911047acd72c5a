//! Whatever a client may send: the bytes of a connection, and what proxies say of it.

use std::net::IpAddr;
use std::sync::Mutex;

use axum::body::{Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use tokio::sync::watch;

use super::connection::serve_connection;
use super::head::{Body, Scanner, judge};
use super::*;
use crate::base::fuzz::Target;

/// A request as somebody reads it: its method, its target, its header lines and its body, if it is of a known length.
#[derive(Debug)]
struct Reading {
    method: String,
    target: String,
    version: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Option<Vec<u8>>,
}

impl Reading {
    /// Whether the server may close the connection behind it.
    fn may_be_last(&self) -> bool {
        let asks = self.headers.iter().any(|(name, _)| name == "connection");
        asks || self.body.is_none() || self.method == "CONNECT" || self.version == "HTTP/1.0"
    }
}

/// Reads what was sent as naively as a proxy in front may do it: up to the first message that is refused or not whole.
fn naive(mut bytes: &[u8]) -> Vec<Reading> {
    let mut readings = Vec::new();
    loop {
        while let Some(rest) = bytes.strip_prefix(b"\r\n") {
            bytes = rest;
        }
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
            return readings;
        };
        let (head, rest) = bytes.split_at(end + 4);
        let longest = Limits::default().head_bytes;
        if Scanner::default().scan(bytes, longest) != Ok(Some(head.len())) {
            return readings;
        }
        let Ok(framing) = judge(head) else {
            return readings;
        };
        // What is accepted has one reading, so this cannot fail.
        let mut lines = head[..end].split(|byte| *byte == b'\n');
        let line = std::str::from_utf8(lines.next().unwrap())
            .unwrap()
            .trim_end_matches('\r');
        let parts: Vec<&str> = line.split(' ').collect();
        let [method, target, version] = parts[..] else {
            panic!("{line:?} was accepted");
        };
        assert!(matches!(version, "HTTP/1.1" | "HTTP/1.0"), "{version}");
        let mut headers: Vec<(String, Vec<u8>)> = Vec::new();
        for line in lines {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let colon = line.iter().position(|byte| *byte == b':').unwrap();
            let name = std::str::from_utf8(&line[..colon])
                .unwrap()
                .to_ascii_lowercase();
            let value = line[colon + 1..].trim_ascii().to_vec();
            headers.push((name, value));
        }
        let count = |wanted: &str| headers.iter().filter(|(name, _)| name == wanted).count();
        assert!(count("host") <= 1 && count("content-length") + count("transfer-encoding") <= 1);
        let of = |wanted: &str| {
            headers
                .iter()
                .find(|(name, _)| name == wanted)
                .map(|(_, value)| value)
        };
        let body = match framing {
            Body::Chunked => None,
            Body::Length(length) => {
                let said =
                    of("content-length").map(|text| String::from_utf8_lossy(text).parse().unwrap());
                assert_eq!(said.unwrap_or(0), length);
                let length = usize::try_from(length)
                    .unwrap_or(usize::MAX)
                    .min(rest.len());
                bytes = &rest[length..];
                Some(rest[..length].to_vec())
            }
        };
        let last = body.is_none();
        readings.push(Reading {
            method: method.to_owned(),
            target: target.to_owned(),
            version: version.to_owned(),
            headers,
            body,
        });
        if last {
            return readings;
        }
    }
}

/// What the routes are given of what was sent.
async fn served(bytes: &[u8]) -> Vec<(Request<()>, Option<Bytes>)> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sees = seen.clone();
    let router = Router::new().fallback(move |request: Request| async move {
        let (parts, body) = request.into_parts();
        let body = timeout(IDLE, to_bytes(body, usize::MAX)).await;
        let body = body.ok().and_then(Result::ok);
        sees.lock()
            .unwrap()
            .push((Request::from_parts(parts, ()), body));
    });
    let (mut client, socket) = tokio::io::duplex(1 << 20);
    let (_mood, mood) = watch::channel(Mood::Open);
    let peer = PeerAddr(None);
    let connection = serve_connection(socket, peer, Routes::new(router), Limits::default(), mood);
    let mut answers = Vec::new();
    client.write_all(bytes).await.unwrap();
    let (_, read) = tokio::join!(connection, client.read_to_end(&mut answers));
    read.unwrap();
    assert!(answers.is_empty() || answers.starts_with(b"HTTP/1."));
    std::mem::take(&mut seen.lock().unwrap())
}

fn message() -> impl Strategy<Value = String> {
    let method = select(&["GET", "POST", "HEAD", "OPTIONS", "CONNECT", "get", "X-Y"][..]);
    let target = select(
        &[
            "/",
            "/a/b?c=d",
            "*",
            "http://a/x",
            "/a#b",
            "a:80",
            "//a/b",
            "/\u{e9}",
            "/%2e%2e/",
        ][..],
    );
    let header = select(
        &[
            "Host: a",
            "Host: b:80",
            "Content-Length: 3",
            "content-length: 5",
            "Content-Length: 03",
            "Transfer-Encoding: chunked",
            "Connection: close",
            "Connection: keep-alive",
            "Expect: 100-continue",
            "Upgrade: h2c",
            "X: y",
            "X:\t \"y\" \t",
            "X-Forwarded-For: 10.0.0.1",
        ][..],
    );
    let version = prop_oneof![5 => Just("1.1"), 1 => Just("1.0")];
    let body = select(
        &[
            "",
            "",
            "abc",
            "abcde",
            "3\r\nabc\r\n0\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        ][..],
    );
    let host = prop_oneof![5 => Just("Host: a\r\n"), 1 => Just("")];
    (method, target, version, host, vec(header, 0..3), body).prop_map(
        |(method, target, version, host, headers, body)| {
            let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
            format!("{method} {target} HTTP/{version}\r\n{host}{lines}\r\n{body}")
        },
    )
}

/// No message is read in two ways: what the routes are given is what any reader of the bytes would have read.
#[test]
fn fuzz_http_messages() {
    let generated = vec(message(), 1..4).prop_map(|messages| messages.concat().into_bytes());
    let target = Target::new("http_messages").words(&[
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "Content-Length: 1\r\n",
        "Transfer-Encoding: chunked\r\n",
        "\r\n\r\n",
        "\r",
        "Host: a\r\n",
        " HTTP/1.1",
        "\u{b}",
    ]);
    target.check(generated, |bytes| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build();
        let seen = runtime.unwrap().block_on(served(bytes));
        let expected = naive(bytes);
        let least = expected.iter().position(Reading::may_be_last);
        let least = least.map_or(expected.len(), |last| last + 1);
        assert!(
            (least..=expected.len()).contains(&seen.len()),
            "{seen:?} {expected:?}"
        );
        for ((request, body), reading) in seen.iter().zip(&expected) {
            let target = &reading.target;
            assert_eq!(request.method().as_str(), reading.method);
            let uri = request.uri();
            // The scheme has no case.
            let (whole, target) = match uri.scheme() {
                Some(_) => (uri.to_string().to_lowercase(), target.to_lowercase()),
                None => {
                    let path = uri.path_and_query().map(ToString::to_string);
                    (path.unwrap_or_else(|| uri.to_string()), target.clone())
                }
            };
            // An address without a path is that with an empty one (RFC 9110 section 4.2.3).
            let same = [
                whole.clone(),
                whole.replacen("/?", "?", 1),
                whole.trim_end_matches('/').to_owned(),
            ];
            assert!(same.contains(&target), "{whole:?} was {target:?}");
            let mut told: Vec<(String, Vec<u8>)> = request
                .headers()
                .iter()
                .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
                .collect();
            let mut headers = reading.headers.clone();
            told.sort();
            headers.sort();
            assert_eq!(told, headers);
            if let (Some(body), Some(sent)) = (body, &reading.body) {
                assert_eq!(body, sent);
            }
        }
        !seen.is_empty()
    });
}

/// Nobody further away than the nearest one who is not trusted has a say in where a request comes from.
#[test]
fn fuzz_forwarded_for() {
    let proxies: Vec<TrustedProxy> = ["10.0.0.0/8", "2001:db8::/32", "unix"]
        .map(|text| text.parse().unwrap())
        .to_vec();
    let part = select(
        &[
            "203.0.113.9",
            "10.1.2.3",
            "10.1.2.3:443",
            "[2001:db8::1]:80",
            "2001:db8::1",
            "::ffff:10.0.0.1",
            "[2001:db9::1]",
            "unknown",
            "_hidden",
            "",
        ][..],
    );
    let separator = select(&[",", ", ", "\n", " ,\t"][..]);
    let generated = vec((part, separator), 1..6).prop_map(|parts| {
        let text: String = parts
            .iter()
            .map(|(part, separator)| format!("{part}{separator}"))
            .collect();
        text.into_bytes()
    });
    let target = Target::new("forwarded_for").words(&[
        "10.0.0.1",
        "203.0.113.9",
        "::1",
        "[",
        "]",
        "fe80::1%eth0",
    ]);
    target.check(generated, |input| {
        let lines: Vec<HeaderValue> = input
            .split(|byte| *byte == b'\n')
            .filter_map(|line| HeaderValue::from_bytes(line).ok())
            .collect();
        let from = |peer: Option<&str>, lines: &[HeaderValue]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append("x-forwarded-for", line.clone());
            }
            client(
                PeerAddr(peer.map(|peer| peer.parse().unwrap())),
                &headers,
                &proxies,
            )
        };
        let stranger = from(Some("198.51.100.7:1"), &lines);
        assert_eq!(stranger, Some(IpAddr::from([198, 51, 100, 7])));
        let (peer, unix) = (IpAddr::from([10, 0, 0, 1]), from(None, &lines));
        let behind = from(Some("[::ffff:10.0.0.1]:1"), &lines).unwrap();
        assert_eq!(behind, unix.unwrap_or(peer));
        assert_eq!(behind, behind.to_canonical());
        if behind == peer {
            return false;
        }
        let text = lines.iter().rev().find_map(|line| line.to_str().ok());
        assert!(text.is_some());
        let trusted = match behind {
            IpAddr::V4(address) => address.octets()[0] == 10,
            IpAddr::V6(address) => address.segments()[..2] == [0x2001, 0xdb8],
        };
        if !trusted {
            for further in [
                "203.0.113.1",
                "10.9.9.9",
                "nonsense",
                "",
                "\"",
                "::1, 10.0.0.1",
            ] {
                let mut more = vec![HeaderValue::from_static(further)];
                more.extend_from_slice(&lines);
                assert_eq!(from(Some("10.0.0.1:1"), &more), Some(behind));
            }
        }
        // Several lines are one list (RFC 9110 section 5.2).
        let texts: Option<Vec<&str>> = lines.iter().map(|line| line.to_str().ok()).collect();
        if let Some(texts) = texts {
            let one = HeaderValue::try_from(texts.join(",")).unwrap();
            assert_eq!(from(Some("10.0.0.1:1"), &[one]), Some(behind));
        }
        true
    });
}
