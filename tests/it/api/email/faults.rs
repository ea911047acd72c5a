//! A mail server in every kind of trouble. Nothing may be half made, and nobody else may wait for it.

use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{CONFIRM, ENABLE, SEND, code_mail, enrol, mailed_code, offered, overview, until};
use crate::api::totp;
use crate::support::Server;
use crate::support::smtp::Fault;

/// The time in which a request is answered, whatever the mail server does: the
/// eight seconds that a letter has, and what a busy machine adds.
const BOUND: Duration = Duration::from_secs(12);

/// Under `fault` the request for a code is refused in time and leaves no trace; afterwards the next succeeds at once.
async fn fails_whole(fault: Fault, status: u16, code: &str) {
    let server = Server::start().await;
    let alice = server.alice();
    server.smtp.misbehave(fault.clone());
    let answered = timeout(BOUND, alice.post(ENABLE)).await;
    let reply = answered.unwrap_or_else(|_| panic!("{fault:?} kept the person waiting"));
    reply.refused(status, code);
    for told in ["127.0.0.1", "SMTP", "550", "451", "greylisted"] {
        assert!(!reply.text.contains(told), "{fault:?} {}", reply.text);
    }
    let seen = overview(&alice).await;
    assert_eq!(
        (&seen["enabled"], &seen["devices"]),
        (&json!(false), &json!([])),
        "{fault:?}"
    );
    alice
        .code(CONFIRM, "123456")
        .await
        .refused(409, "not_pending");

    server.smtp.misbehave(Fault::None);
    let kept = server.smtp.mails().len();
    alice.post(ENABLE).await.ok();
    let mail = server.smtp.mails()[kept].clone();
    alice.code(CONFIRM, &mail.code().unwrap()).await.ok();
}

#[tokio::test]
async fn a_mail_server_that_refuses_or_breaks_off_leaves_nothing_half_made() {
    for (fault, status, code) in [
        (Fault::RefuseConnection, 503, "unavailable"),
        (Fault::RefuseSender("451 4.3.0 busy"), 503, "unavailable"),
        (
            Fault::RefuseSender("550 5.7.1 not from you"),
            503,
            "unavailable",
        ),
        (
            Fault::RefuseRecipient("451 4.7.1 greylisted"),
            503,
            "unavailable",
        ),
        (
            Fault::RefuseRecipient("550 5.1.1 nobody here"),
            409,
            "email_refused",
        ),
        (
            Fault::RefuseLetter("451 4.3.1 disk full"),
            503,
            "unavailable",
        ),
        (Fault::RefuseLetter("554 5.6.0 spam"), 409, "email_refused"),
        (Fault::DropMidData, 503, "unavailable"),
    ] {
        fails_whole(fault, status, code).await;
    }
}

#[tokio::test]
async fn a_mail_server_that_never_greets_is_given_up_in_time() {
    fails_whole(Fault::NeverGreet, 503, "unavailable").await;
}

#[tokio::test]
async fn a_mail_server_that_never_answers_the_letter_is_given_up_in_time() {
    fails_whole(Fault::HangAfterData, 503, "unavailable").await;
}

#[tokio::test]
async fn a_mail_server_that_trickles_is_given_up_in_time() {
    fails_whole(Fault::Slow(Duration::from_millis(500)), 503, "unavailable").await;
}

#[tokio::test]
async fn a_mail_server_that_never_ends_its_line_is_given_up_in_time() {
    fails_whole(Fault::Endless, 503, "unavailable").await;
}

#[tokio::test]
async fn a_code_for_a_change_that_cannot_be_sent_voids_none_and_costs_no_wait() {
    let server = Server::start().await;
    let alice = server.alice();
    enrol(&server, &alice).await;
    let first = mailed_code(&server, &alice, SEND).await;
    server.clock.forward(60);
    for fault in [
        Fault::RefuseRecipient("451 4.7.1 later"),
        Fault::DropMidData,
    ] {
        server.smtp.misbehave(fault);
        alice.post(SEND).await.refused(503, "unavailable");
    }
    // The one that arrived is still the live one.
    alice.code(super::REGENERATE, &first).await.ok();
    server.smtp.misbehave(Fault::None);
    let second = mailed_code(&server, &alice, SEND).await;
    alice.code(super::DISABLE, &second).await.ok();
}

#[tokio::test]
async fn while_the_mail_server_hangs_nobody_else_waits() {
    let server = Server::start().await;
    server.smtp.misbehave(Fault::NeverGreet);
    let mut waiting = tokio::task::JoinSet::new();
    for n in 0..8 {
        let somebody = server.person(&format!("somebody-{n}"));
        waiting.spawn(async move { somebody.post(ENABLE).await.status });
    }
    until(|| server.smtp.connections() > 0).await;
    let bob = server.bob();
    let quickly = timeout(Duration::from_secs(4), totp::enrol(&server, &bob));
    quickly.await.expect("others wait for the mail server");
    assert_eq!(overview(&bob).await["enabled"], true);
    assert!(waiting.try_join_next().is_none());
}

#[tokio::test]
async fn a_client_that_hangs_up_while_the_mail_leaves_can_still_use_its_code() {
    let server = Server::start().await;
    let alice = server.alice();
    server
        .smtp
        .misbehave(Fault::Slow(Duration::from_millis(10)));
    let mut tcp = TcpStream::connect(server.address).await.unwrap();
    let head = format!(
        "POST {ENABLE} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: 0\r\n\r\n",
        alice.token.as_ref().unwrap()
    );
    tcp.write_all(head.as_bytes()).await.unwrap();
    until(|| offered(&server) == 1).await;
    drop(tcp);
    server.smtp.misbehave(Fault::None);
    let code = code_mail(&server).await.code().unwrap();
    // The mail server has the letter a moment before its answer arrives.
    crate::support::until("the mailbox is set up", async || {
        overview(&alice).await["devices"] != json!([])
    })
    .await;
    alice.post(ENABLE).await.refused(429, "rate_limited");
    alice.code(CONFIRM, &code).await.ok();
}

#[tokio::test]
async fn a_confirmation_while_another_code_leaves_is_not_undone() {
    let server = Server::start().await;
    let alice = server.alice();
    let first = mailed_code(&server, &alice, ENABLE).await;
    server.clock.forward(60);
    server
        .smtp
        .misbehave(Fault::Slow(Duration::from_millis(30)));
    let before = offered(&server);
    let resend = tokio::spawn({
        let alice = alice.clone();
        async move { alice.post(ENABLE).await }
    });
    until(|| offered(&server) > before).await;
    let device = alice.code(CONFIRM, &first).await.ok()["device"].clone();
    server.smtp.misbehave(Fault::None);
    resend.await.unwrap().refused(409, "already_enabled");
    assert_eq!(overview(&alice).await["devices"], json!([device]));
    let second = code_mail(&server).await.code().unwrap();
    alice
        .code(CONFIRM, &second)
        .await
        .refused(409, "not_pending");
    // The mail left, so it counts.
    alice.post(SEND).await.refused(429, "rate_limited");
}

#[tokio::test]
async fn a_code_that_leaves_while_email_codes_are_turned_off_is_worth_nothing() {
    let server = Server::start().await;
    let alice = server.alice();
    let backup = enrol(&server, &alice).await;
    // The notice has left.
    until(|| server.smtp.mails().len() == 2).await;
    server
        .smtp
        .misbehave(Fault::Slow(Duration::from_millis(30)));
    let before = offered(&server);
    let sending = tokio::spawn({
        let alice = alice.clone();
        async move { alice.post(SEND).await }
    });
    until(|| offered(&server) > before).await;
    alice.code(super::DISABLE, &backup[0]).await.ok();
    server.smtp.misbehave(Fault::None);
    sending.await.unwrap().refused(409, "not_enabled");
    let stale = code_mail(&server).await.code().unwrap();
    server.clock.forward(60);
    // Email codes on again: what was mailed before opens nothing.
    let moved = super::with_address(&server, "alice", "new@example.org");
    let code = mailed_code(&server, &moved, ENABLE).await;
    moved.code(CONFIRM, &code).await.ok();
    moved
        .code(super::DISABLE, &stale)
        .await
        .refused(409, "not_pending");
}

#[tokio::test]
async fn a_restart_keeps_the_pending_address_its_code_and_the_limits() {
    let mut server = Server::start().await;
    let code = mailed_code(&server, &server.alice(), ENABLE).await;
    let before = overview(&server.alice()).await;
    server
        .alice()
        .code(CONFIRM, &super::other_than(&code))
        .await
        .refused(400, "wrong_code");
    server.restart().await;
    let alice = server.alice();
    assert_eq!(overview(&alice).await, before);
    alice.post(ENABLE).await.refused(429, "rate_limited");
    let refused = alice
        .code(CONFIRM, &super::other_than(&code))
        .await
        .refused(400, "wrong_code");
    assert_eq!(refused["tries_left"], 3);
    alice.code(CONFIRM, &code).await.ok();
}

#[tokio::test]
async fn a_stop_waits_for_the_mail_that_is_leaving() {
    let mut server = Server::start().await;
    let alice = server.alice();
    server
        .smtp
        .misbehave(Fault::Slow(Duration::from_millis(10)));
    let sending = tokio::spawn(async move { alice.post(ENABLE).await });
    until(|| offered(&server) == 1).await;
    server.restart().await;
    server.smtp.misbehave(Fault::None);
    sending.await.unwrap().ok();
    let code = code_mail(&server).await.code().unwrap();
    server.alice().code(CONFIRM, &code).await.ok();
}
