//! `DELETE` takes the code in its body or in a header.

use axum::body::Bytes;

use super::*;

const HEADER: &str = "x-mfad-code";

async fn remove(person: &Client, device: &str, headers: &[(&str, &str)], body: Value) -> Reply {
    let json = ("content-type", "application/json");
    let (headers, body) = match body {
        Value::Null => (headers.to_vec(), Bytes::new()),
        body => ([headers, &[json]].concat(), body.to_string().into()),
    };
    let path = format!("/api/v1/me/mfa/webauthn/{device}");
    person.send(Method::DELETE, &path, &headers, body).await
}

#[tokio::test]
async fn a_key_is_removed_by_a_code_in_the_body_or_in_the_header() {
    let server = Server::start().await;
    let alice = server.password_only("alice");
    let (first, backup) = enrol_key(&alice, &Authenticator::new()).await;
    let mut devices = vec![first];
    for _ in 0..3 {
        devices.push(webauthn::enrol(&server.alice(), &Authenticator::new()).await);
    }
    // A header without a code is none, and no try.
    for headers in [&[][..], &[(HEADER, "")], &[(HEADER, "  ")]] {
        asks_for_proof(&remove(&alice, &devices[0], headers, Value::Null).await);
    }
    let body = json!({"code": backup[0]});
    remove(&alice, &devices[0], &[], body).await.ok();
    let header = [(HEADER, backup[1].as_str())];
    remove(&alice, &devices[1], &header, Value::Null).await.ok();
    let header = [("X-MFAD-Code", backup[2].as_str())];
    remove(&alice, &devices[2], &header, json!({})).await.ok();
    let (header, body) = ([(HEADER, backup[3].as_str())], json!({"code": backup[3]}));
    remove(&alice, &devices[3], &header, body).await.ok();
    assert_eq!(overview(&alice).await["enabled"], false);
}

#[tokio::test]
async fn codes_that_differ_are_refused_and_neither_is_spent() {
    let server = Server::start().await;
    let alice = server.password_only("alice");
    let (device, backup) = enrol_key(&alice, &Authenticator::new()).await;
    let (one, two) = (backup[0].as_str(), backup[1].as_str());
    let loc = json!(["header", HEADER]);
    for (headers, body) in [
        (vec![(HEADER, one)], json!({"code": two})),
        (vec![(HEADER, one)], json!({"code": ""})),
        (vec![(HEADER, ""), (HEADER, one)], Value::Null),
        (vec![(HEADER, one), (HEADER, one)], Value::Null),
    ] {
        let reply = remove(&alice, &device, &headers, body).await;
        assert_eq!(reply.misfit()[0]["loc"], loc, "{}", reply.text);
        assert!(!reply.text.contains(one) && !reply.text.contains(two));
    }
    let left = overview(&alice).await["backup_codes"]["remaining"].clone();
    assert_eq!(left, 10);
    // Who asks is looked at before what they send.
    let stranger = server.stranger();
    let headers = [(HEADER, one), (HEADER, two)];
    let reply = remove(&stranger, &device, &headers, Value::Null).await;
    reply.refused(401, "unauthenticated");
    remove(&alice, &device, &[(HEADER, one)], Value::Null)
        .await
        .ok();
}

#[tokio::test]
async fn a_wrong_code_in_the_header_is_counted_and_other_requests_do_not_read_it() {
    let server = Server::start().await;
    let alice = server.password_only("alice");
    let (device, _) = enrol_key(&alice, &Authenticator::new()).await;
    let (app, backup) = totp::enrol(&server, &server.alice()).await;
    assert!(backup.is_empty());
    let wrong = app.wrong_code(server.clock.unix());
    let header = [(HEADER, wrong.as_str())];
    let reply = remove(&alice, &device, &header, Value::Null).await;
    assert_eq!(reply.refused(400, "wrong_code")["tries_left"], 4);
    let code = app.code(server.clock.unix());
    let header = [(HEADER, code.as_str())];
    let reply = alice.send(Method::POST, BEGIN, &header, Bytes::new()).await;
    asks_for_proof(&reply);
    remove(&alice, &device, &header, Value::Null).await.ok();
}
