//! Requests that stop half-way.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::Server;

/// The body's ten seconds, and time for a busy machine to say so.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_body_that_stops_half_way_is_given_up_after_ten_seconds_and_changes_nothing() {
    let server = Server::start().await;
    let alice = server.alice();
    alice.post("/api/v1/me/mfa/totp/enable").await.ok();
    let before = alice.get("/api/v1/me/mfa").await.ok();

    let mut connection = TcpStream::connect(server.address).await.unwrap();
    let head = format!(
        "POST /api/v1/me/mfa/totp/confirm HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: 17\r\n\r\n{{\"code\":",
        server.address,
        alice.token.as_deref().unwrap(),
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let length = tokio::time::timeout(PATIENCE, connection.read(&mut answer))
        .await
        .expect("the server waits for ever")
        .unwrap();
    let answer = String::from_utf8_lossy(&answer[..length]);
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("application/problem+json"), "{answer}");
    assert!(answer.contains("x-request-id: req_"), "{answer}");

    // Whoever is slow holds up nobody.
    assert_eq!(alice.get("/api/v1/me/mfa").await.ok(), before);
}
