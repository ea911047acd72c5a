//! The first factor is set up as the reference API describes.

use super::*;
use crate::support::PUBLIC_URL;

/// A token of an issuer that says nothing of how people signed in.
fn plain(server: &Server, subject: &str) -> Client {
    server.bearer(server.issuer.token(PUBLIC_URL, subject).sign())
}

#[tokio::test]
async fn a_user_without_a_factor_enrolls_with_a_password_alone() {
    let server = Server::start().await;
    for (subject, person) in [
        ("plain", plain(&server, "plain")),
        ("password", server.password_only("password")),
    ] {
        let (app, _) = totp::enrol(&server, &person).await;
        // And again, once there is none any more.
        let code = app.code(server.clock.unix());
        person.code(totp::DISABLE, &code).await.ok();
        assert_eq!(overview(&person).await["enabled"], false, "{subject}");
        let codes = email::enrol(&server, &person).await;
        person.code(email::DISABLE, &codes[0]).await.ok();
        let (device, codes) = enrol_key(&person, &Authenticator::new()).await;
        let reply = Change::RemoveKey.ask(&person, &device, Some(&codes[0]));
        reply.await.ok();
        assert_eq!(overview(&person).await["enabled"], false, "{subject}");
    }
}

#[tokio::test]
async fn a_set_up_is_begun_again_and_given_up_without_a_proof() {
    let server = Server::start().await;
    let alice = server.password_only("alice");
    for _ in 0..2 {
        alice.post(totp::ENABLE).await.ok();
        let begun = alice.post(BEGIN).await.ok();
        let pending = begun["device_id"].as_str().unwrap();
        Change::RemoveKey.ask(&alice, pending, None).await.ok();
    }
    // Nor does one who has a factor prove it to give up what they began with it.
    let (app, _) = totp::enrol(&server, &alice).await;
    let code = app.code(server.clock.unix());
    let begun = Change::BeginKey.ask(&alice, "", Some(&code)).await.ok();
    let pending = begun["device_id"].as_str().unwrap();
    Change::RemoveKey.ask(&alice, pending, None).await.ok();
}
