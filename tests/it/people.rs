//! Whom a name means, after what people did with tokens of their own.

use mfad::base::PersonKey;
use mfad::people::{Fit, Found, Lookup, NameKind, Profile, find, operators};

use crate::support::{PUBLIC_URL, Server};

fn named(server: &Server, kind: NameKind, name: &str) -> Found {
    let (store, issuer) = (&server.desk.tools.store, &server.issuer.url);
    let lookup = Lookup {
        kind,
        issuer,
        name,
        now: server.desk.tools.now(),
    };
    let fit = |_: PersonKey, _: &Profile| Ok(Fit::Meant);
    store
        .read(|read| find(read, store.sealer(), &lookup, &fit))
        .unwrap()
}

#[tokio::test]
async fn a_change_makes_a_person_known_by_the_names_of_their_token_and_reading_does_not() {
    let mut server = Server::start().await;
    let token = server
        .issuer
        .token(PUBLIC_URL, "s-1")
        .with("preferred_username", "Kim")
        .with("email", "Kim@example.com")
        .with("scope", "openid mfa:admin");
    let kim = server.bearer(token.sign());
    kim.get("/api/v1/me/mfa").await.ok();
    assert_eq!(named(&server, NameKind::Username, "kim"), Found::Nobody);
    // Also what is refused says who asked.
    kim.code("/api/v1/me/mfa/totp/disable", "123456")
        .await
        .refused(409, "not_enabled");
    server.restart().await;
    let key = server.desk.tools.keys().person(&server.issuer.url, "s-1");
    let one = Found::One(key);
    assert_eq!(named(&server, NameKind::Username, "KIM"), one);
    assert_eq!(named(&server, NameKind::Email, "kim@example.com"), one);
    for name in ["s-1", "kim@example.com"] {
        assert_eq!(named(&server, NameKind::Username, name), Found::Nobody);
    }
    let store = &server.desk.tools.store;
    let known = store.read(|read| operators(read, 10)).unwrap();
    assert!(known == [key]);

    // Another of that name: none of the two is meant.
    let other = server
        .issuer
        .token(PUBLIC_URL, "s-2")
        .with("preferred_username", "kim")
        .with("email_verified", false);
    let other = server.bearer(other.sign());
    other.post("/api/v1/me/mfa/totp/enable").await.ok();
    assert_eq!(named(&server, NameKind::Username, "kim"), Found::Several);
    assert_eq!(named(&server, NameKind::Email, "kim@example.com"), one);
    assert_eq!(
        named(&server, NameKind::Email, "s-2@example.com"),
        Found::Nobody
    );
}
