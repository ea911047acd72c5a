//! What proves a factor, and what does not.

use super::*;
use crate::support::PUBLIC_URL;

/// A token whose sign-in was so many seconds ago, by these means.
fn signed_in(server: &Server, age: Option<i64>, amr: Value) -> Client {
    let at = age.map(|age| server.clock.unix().saturating_add_signed(-age));
    let token = server.issuer.token(PUBLIC_URL, "alice");
    let token = token.with("auth_time", at.map_or(Value::Null, Value::from));
    server.bearer(token.with("amr", amr).sign())
}

#[tokio::test]
async fn a_sign_in_with_a_second_factor_proves_it_for_twelve_hours_and_no_other_sign_in_does() {
    let server = Server::start().await;
    let (device, _) = enrol_key(&server.alice(), &Authenticator::new()).await;
    let limit = SIGN_IN_SECONDS as i64;
    for (age, amr, enough) in [
        (Some(0), json!(["pwd", "mfa"]), true),
        (Some(limit), json!(["pwd", "otp"]), true),
        (Some(limit + 1), json!(["pwd", "otp"]), false),
        (Some(-30), json!(["hwk"]), true),
        (Some(-31), json!(["hwk"]), false),
        (Some(-31_536_000), json!(["hwk"]), false),
        (None, json!(["pwd", "mfa"]), false),
        (Some(0), json!(["pwd"]), false),
        (Some(0), json!(["pwd", "user", "MFA"]), false),
        (Some(0), json!("pwd mfa"), false),
        (Some(0), json!([]), false),
        (Some(0), Value::Null, false),
        (None, Value::Null, false),
    ] {
        let alice = signed_in(&server, age, amr.clone());
        for change in [Change::EnableTotp, Change::BeginKey, Change::RenameKey] {
            let reply = change.ask(&alice, &device, None).await;
            match enough {
                true => assert_eq!(reply.status, 200, "{age:?} {amr} {change:?}"),
                false => asks_for_proof(&reply),
            }
        }
    }
}

#[tokio::test]
async fn a_code_of_any_factor_proves_it_once() {
    let server = Server::start().await;
    let alice = server.password_only("alice");
    let mut key = Authenticator::new();
    let (device, backup) = enrol_key(&alice, &key).await;
    // By backup code, and by the key itself.
    let renamed = Change::RenameKey.ask(&alice, &device, Some(&backup[0]));
    renamed.await.ok();
    let again = Change::RenameKey.ask(&alice, &device, Some(&backup[0]));
    again.await.refused(400, "wrong_code");
    let proof = webauthn::prove(&alice, &mut key).await;
    let begun = Change::EnableTotp.ask(&alice, "", Some(&proof)).await.ok();
    let again = Change::EnableTotp.ask(&alice, "", Some(&proof)).await;
    again.refused(400, "wrong_code");
    let app = App::scan(&begun);
    alice
        .code(totp::CONFIRM, &app.code(server.clock.unix()))
        .await
        .ok();
    server.clock.next_step();
    // By the app.
    let code = app.code(server.clock.unix());
    Change::EnableEmail.ask(&alice, "", Some(&code)).await.ok();
    let again = Change::BeginKey.ask(&alice, "", Some(&code)).await;
    again.refused(400, "wrong_code");
    let mailed = email::code_mail(&server).await.code().unwrap();
    alice.code(email::CONFIRM, &mailed).await.ok();
    // By mail, once there is no app.
    server.clock.forward(60);
    let code = app.code(server.clock.unix());
    alice.code(totp::DISABLE, &code).await.ok();
    let code = email::mailed_code(&server, &alice, email::SEND).await;
    Change::RemoveKey
        .ask(&alice, &device, Some(&code))
        .await
        .ok();
    asks_for_proof(&Change::BeginKey.ask(&alice, "", None).await);
}

#[tokio::test]
async fn a_wrong_code_is_counted_and_locks_as_everywhere_and_a_right_one_is_not_heard_then() {
    let server = Server::start().await;
    let alice = server.password_only("alice");
    let (app, backup) = totp::enrol(&server, &alice).await;
    let wrong = app.wrong_code(server.clock.unix());
    for left in (0..5_u64).rev() {
        let reply = Change::BeginKey.ask(&alice, "", Some(&wrong)).await;
        assert_eq!(reply.refused(400, "wrong_code")["tries_left"], left);
    }
    let right = app.code(server.clock.unix());
    let reply = Change::BeginKey.ask(&alice, "", Some(&right)).await;
    reply.refused(429, "locked");
    // However good the sign-in: a code that is sent is verified.
    let reply = Change::BeginKey
        .ask(&server.alice(), "", Some(&right))
        .await;
    reply.refused(429, "locked");
    Change::BeginKey
        .ask(&alice, "", Some(&backup[0]))
        .await
        .ok();
}

#[tokio::test]
async fn another_users_proof_proves_nothing() {
    let server = Server::start().await;
    let (alice, mallory) = (
        server.password_only("alice"),
        server.password_only("mallory"),
    );
    enrol_key(&alice, &Authenticator::new()).await;
    let mut own = Authenticator::new();
    let (_, backup) = enrol_key(&mallory, &own).await;
    let proof = webauthn::prove(&mallory, &mut own).await;
    for code in [
        proof.as_str(),
        &backup[0],
        "",
        "123456",
        "prf_aaaaaaaaaaaaaaaaaaaaaaaaaa",
    ] {
        for change in [Change::EnableTotp, Change::EnableEmail, Change::BeginKey] {
            let reply = change.ask(&alice, "", Some(code)).await;
            reply.refused(400, "wrong_code");
        }
    }
    // Nor does their sign-in with a second factor.
    let fresh = server.person("mallory");
    Change::EnableTotp.ask(&fresh, "", None).await.ok();
    asks_for_proof(&Change::EnableTotp.ask(&alice, "", None).await);
}
