use serde_json::{Value, json};

use super::{CONFIRM, DISABLE, ENABLE, SEND, code_mail, mailed_code, overview, with_address};
use crate::support::{Options, PUBLIC_URL, Server};

#[tokio::test]
async fn the_mail_says_which_service_asks_for_what_and_brings_the_code_without_a_link() {
    let server = Server::start().await;
    server.alice().post(ENABLE).await.ok();
    let mail = code_mail(&server).await;
    let (text, html, code) = (mail.text(), mail.html(), mail.code().unwrap());
    assert_eq!(
        (mail.from.as_str(), mail.to.as_slice()),
        ("mfad@example.com", &["alice@example.com".to_owned()][..])
    );
    for (name, value) in [
        ("From", "Example <mfad@example.com>"),
        ("To", "alice@example.com"),
        ("Subject", "Your code for Example"),
        ("Date", "Tue, 24 Nov 2026 12:00:00 +0000"),
        ("Auto-Submitted", "auto-generated"),
        ("MIME-Version", "1.0"),
    ] {
        let found: Vec<String> = mail
            .headers(name)
            .iter()
            .map(|value| value.replace('"', ""))
            .collect();
        assert_eq!(found, [value], "{name}");
    }
    assert!(mail.headers("Message-ID")[0].ends_with("@example.com>"));
    let mut names = mail.header_names();
    names.sort();
    assert_eq!(
        names,
        [
            "Auto-Submitted",
            "Content-Language",
            "Content-Type",
            "Date",
            "From",
            "MIME-Version",
            "Message-ID",
            "Subject",
            "To"
        ]
    );
    assert!(
        !mail.subject().contains(&code),
        "a locked phone shows subjects"
    );
    for part in [&text, &html] {
        let part = part.split_whitespace().collect::<Vec<_>>().join(" ");
        for needed in [
            "Example",
            "turn on email codes",
            code.as_str(),
            "10 minutes",
            "If it was not you",
        ] {
            assert!(part.contains(needed), "{needed} is not in {part}");
        }
        for link in ["http", "www.", "href", "mfa.example.com", "<img", "src="] {
            assert!(!part.contains(link), "{link} is in {part}");
        }
        assert!(!part.contains("alice"), "{part}");
    }
}

#[tokio::test]
async fn what_comes_back_is_exactly_as_promised() {
    let server = Server::start().await;
    let alice = server.alice();
    let sent = alice.post(ENABLE).await.ok();
    let device_id = sent["device_id"].as_str().unwrap();
    assert!(device_id.starts_with("mfa_"));
    assert_eq!(
        sent,
        json!({
            "device_id": device_id, "sent_to": "a•••@example.com",
            "expires_at": "2026-11-24T12:10:00Z", "resend_after": 60,
        })
    );
    assert_eq!(
        overview(&alice).await["devices"],
        json!([{
            "device_id": device_id, "type": "email", "name": "a•••@example.com", "status": "pending",
            "created_at": "2026-11-24T12:00:00Z", "last_used_at": null, "expires_at": "2026-11-24T12:10:00Z",
        }])
    );
    let code = code_mail(&server).await.code().unwrap();
    server.clock.forward(5);
    let mut confirmed = alice.code(CONFIRM, &code).await.ok();
    let backup_codes = confirmed["backup_codes"].take();
    let codes = backup_codes.as_array().unwrap();
    assert_eq!(codes.len(), 10);
    assert!(codes.iter().all(|code| code.as_str().unwrap().len() == 19));
    let device = json!({
        "device_id": device_id, "type": "email", "name": "a•••@example.com", "status": "active",
        "created_at": "2026-11-24T12:00:05Z", "last_used_at": null,
    });
    assert_eq!(
        confirmed,
        json!({"enabled": true, "device": device, "backup_codes": null})
    );
    assert_eq!(
        overview(&alice).await,
        json!({
            "enabled": true, "devices": [device],
            "backup_codes": {"total": 10, "remaining": 10, "created_at": "2026-11-24T12:00:05Z"},
            "policy": {
                "required": false, "allowed": ["totp", "email", "webauthn"], "email": "on",
                "grace_until": null, "trusted_device_days": 30,
            },
        })
    );
    alice.post(ENABLE).await.refused(409, "already_enabled");
    server.clock.forward(60);
    let sent = alice.post(SEND).await.ok();
    assert_eq!(
        sent,
        json!({
            "device_id": device_id, "sent_to": "a•••@example.com",
            "expires_at": "2026-11-24T12:11:05Z", "resend_after": 60,
        })
    );
    let mail = code_mail(&server).await;
    assert!(
        mail.html()
            .contains("confirm a change to your security settings"),
        "{}",
        mail.text()
    );
    let off = alice.code(DISABLE, &mail.code().unwrap()).await.ok();
    assert_eq!(off, json!({"enabled": false}));
    let seen = overview(&alice).await;
    assert_eq!(seen["enabled"], false);
    assert_eq!(
        (&seen["devices"], &seen["backup_codes"]),
        (&json!([]), &Value::Null)
    );
    alice
        .code(DISABLE, "123456")
        .await
        .refused(409, "not_enabled");
    alice.post(SEND).await.refused(409, "not_enabled");
    alice
        .code(CONFIRM, "123456")
        .await
        .refused(409, "not_pending");
}

#[tokio::test]
async fn where_the_token_names_no_address_userinfo_is_asked() {
    let server = Server::start().await;
    let alice = with_address(&server, "alice", Value::Null);
    // Userinfo does not take the token.
    alice.post(ENABLE).await.refused(409, "email_unknown");
    server.issuer.says(json!({"sub": "alice"}));
    alice.post(ENABLE).await.refused(409, "email_unknown");
    server
        .issuer
        .says(json!({"sub": "bob", "email": "bob@example.com", "email_verified": true}));
    alice.post(ENABLE).await.refused(503, "unavailable");
    for unverified in [json!(false), json!("false"), json!(0), json!({})] {
        server
            .issuer
            .says(json!({"sub": "alice", "email": "al@example.org", "email_verified": unverified}));
        alice.post(ENABLE).await.refused(409, "email_unverified");
    }
    server.issuer.be_away(true);
    alice.post(ENABLE).await.refused(503, "unavailable");
    server.issuer.be_away(false);
    assert_eq!(server.smtp.connections(), 0);

    server
        .issuer
        .says(json!({"sub": "alice", "email": "al@example.org", "email_verified": true}));
    assert_eq!(alice.post(ENABLE).await.ok()["sent_to"], "a•••@example.org");
    let mail = code_mail(&server).await;
    assert_eq!(mail.to, ["al@example.org"]);
    alice.code(CONFIRM, &mail.code().unwrap()).await.ok();
    assert_eq!(server.smtp.next_mail().await.to, ["al@example.org"]);
}

#[tokio::test]
async fn an_address_that_the_issuer_has_not_verified_is_not_used() {
    let server = Server::start().await;
    for unverified in [json!(false), json!("false"), json!("no"), json!(0)] {
        let token = server
            .issuer
            .token(PUBLIC_URL, "alice")
            .with("email_verified", unverified);
        let alice = server.bearer(token.sign());
        alice.post(ENABLE).await.refused(409, "email_unverified");
    }
    assert_eq!(server.smtp.connections(), 0);
    // Issuers that say nothing of it are taken at their word.
    let token = server
        .issuer
        .token(PUBLIC_URL, "alice")
        .with("email_verified", Value::Null);
    server.bearer(token.sign()).post(ENABLE).await.ok();
    assert_eq!(code_mail(&server).await.to, ["alice@example.com"]);
}

#[tokio::test]
async fn a_request_cannot_name_an_address() {
    let server = Server::start().await;
    let eve = "eve@evil.example";
    let body =
        json!({"email": eve, "address": eve, "to": eve, "sent_to": eve, "claims": {"email": eve}});
    let path = format!("{ENABLE}?email={eve}&to={eve}");
    let headers = [
        ("content-type", "application/json"),
        ("x-email", eve),
        ("x-forwarded-email", eve),
    ];
    let alice = server.alice();
    let sent = alice
        .send(
            axum::http::Method::POST,
            &path,
            &headers,
            body.to_string().into(),
        )
        .await
        .ok();
    assert_eq!(sent["sent_to"], "a•••@example.com");
    let mail = code_mail(&server).await;
    assert_eq!(mail.to, ["alice@example.com"]);
    assert!(!String::from_utf8_lossy(&mail.raw).contains("evil"));
}

#[tokio::test]
async fn an_address_that_could_carry_more_than_an_address_is_unknown_and_nothing_is_sent() {
    let server = Server::start().await;
    let long = format!("{}@example.com", "a".repeat(65));
    for address in [
        "",
        "alice",
        "@example.com",
        "a@b@example.com",
        "a@example.com\r\nRCPT TO:<eve@evil.example>",
        "a@example.com\nBcc: eve@evil.example",
        "a\r\n.\r\n@example.com",
        "a@example.com\0",
        "a b@example.com",
        "\"a b\"@example.com",
        "\"a\\\"\"@example.com",
        "-oQ/tmp@example.com",
        "-x@example.com",
        ".a@example.com",
        "a..b@example.com",
        "a@[127.0.0.1]",
        "a@[IPv6:::1]",
        "a@127.0.0.1",
        "a@0x7f.1",
        "a@localhost",
        "a%evil.example@example.com",
        "evil.example!a@example.com",
        "Alice <a@example.com>",
        "a@example.com,b@example.com",
        "a@example.com>",
        "ä@example.com",
        "a\u{202e}b@example.com",
        long.as_str(),
    ] {
        let alice = with_address(&server, "alice", address);
        let refused = alice.post(ENABLE).await;
        refused.refused(409, "email_unknown");
        assert!(address.is_empty() || !refused.text.contains(address) || address == "alice");
        server
            .issuer
            .says(json!({"sub": "alice", "email": address, "email_verified": true}));
        let alice = with_address(&server, "alice", Value::Null);
        alice.post(ENABLE).await.refused(409, "email_unknown");
        assert_eq!(overview(&alice).await["devices"], json!([]), "{address:?}");
        server.issuer.says(json!({"sub": "alice"}));
    }
    assert_eq!(server.smtp.connections(), 0);
}

#[tokio::test]
async fn without_an_smtp_server_email_codes_are_not_offered() {
    let server = Server::start_with(Options {
        no_mail: true,
        ..Options::default()
    })
    .await;
    let alice = server.alice();
    let seen = overview(&alice).await;
    assert_eq!(seen["policy"]["allowed"], json!(["totp", "webauthn"]));
    alice.post(ENABLE).await.refused(409, "not_offered");
    alice.post(SEND).await.refused(409, "not_offered");
    alice
        .code(CONFIRM, "123456")
        .await
        .refused(409, "not_pending");
    alice
        .code(DISABLE, "123456")
        .await
        .refused(409, "not_enabled");
    // What would tell by mail works without.
    crate::api::totp::enrol(&server, &alice).await;
    assert_eq!(overview(&alice).await["enabled"], true);
}

#[tokio::test]
async fn only_the_person_themselves_is_answered() {
    let server = Server::start().await;
    for path in [ENABLE, SEND] {
        server
            .stranger()
            .post(path)
            .await
            .refused(401, "unauthenticated");
        server
            .login_service()
            .post(path)
            .await
            .refused(403, "forbidden");
    }
    for path in [CONFIRM, DISABLE] {
        server
            .stranger()
            .code(path, "123456")
            .await
            .refused(401, "unauthenticated");
        server
            .login_service()
            .code(path, "123456")
            .await
            .refused(403, "forbidden");
        let missing = server.alice().post_json(path, &json!({})).await.misfit();
        assert_eq!(
            missing,
            [json!({"loc": ["body", "code"], "msg": "Field required", "type": "missing"})]
        );
    }
    assert_eq!(server.smtp.connections(), 0);
    mailed_code(&server, &server.alice(), ENABLE).await;
    assert_eq!(overview(&server.bob()).await["devices"], json!([]));
}
