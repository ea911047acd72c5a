use super::*;
use crate::words::Language;

async fn caller(
    claims: Value,
    change: impl FnOnce(&mut IssuerSettings),
) -> Result<Caller, Failure> {
    let key = Signer::ec("1");
    let (verifier, _file) = verifier_of(&[&key], &TestClock::at(NOW), change);
    verifier.caller(&key.sign(&claims)).await
}

fn with(extra: Value) -> Value {
    let mut all = claims(ISSUER);
    for (name, value) in extra.as_object().unwrap() {
        all[name] = value.clone();
    }
    all
}

async fn person(extra: Value) -> Person {
    caller(with(extra), |_| {})
        .await
        .unwrap()
        .into_person()
        .unwrap()
}

async fn service(extra: Value) -> Result<LoginService, Failure> {
    caller(with(extra), |_| {}).await?.into_login_service()
}

#[tokio::test]
async fn a_token_by_each_algorithm_is_accepted() {
    let clock = TestClock::at(NOW);
    for key in [
        Signer::rsa(),
        Signer::ps256(),
        Signer::ec("1"),
        Signer::ec384("2"),
        Signer::ed("3"),
    ] {
        let (verifier, _file) = verifier_of(&[&key], &clock, |_| {});
        let outcome = verifier.caller(&key.sign(&claims(ISSUER))).await;
        assert_eq!(
            code(&outcome),
            "accepted",
            "{:?}: {outcome:?}",
            key.algorithm
        );
    }
}

#[tokio::test]
async fn a_shared_secret_signs_whatever_its_kid_says_and_public_keys_do_not_stand_beside_it() {
    let secret = [7; 32];
    let clock = TestClock::at(NOW);
    let settings = IssuerSettings::new(
        ISSUER,
        vec![AUDIENCE.to_owned()],
        KeySource::Hs256(crate::base::Secret::new(secret.to_vec())),
    );
    let verifier = verifier(vec![settings], &clock);
    assert_eq!(verifier.health(), Ok(()));
    let outcome = verifier
        .caller(&Signer::hs256(&secret).sign(&claims(ISSUER)))
        .await;
    assert_eq!(code(&outcome), "accepted");
    for other in [Signer::hs256(&[8; 32]), Signer::ec("hs"), Signer::rsa()] {
        let outcome = verifier.caller(&other.sign(&claims(ISSUER))).await;
        assert_eq!(code(&outcome), "invalid_token");
    }
}

#[tokio::test]
async fn a_person_is_what_the_token_says() {
    let person = person(json!({
        "aud": ["other", AUDIENCE], "tenant_id": "t1", "email": "a@example.org",
        "email_verified": "true", "preferred_username": "alice.a", "name": " Alice\u{202e} A ",
        "locale": "nl-NL", "azp": "portal", "auth_time": NOW - 60, "amr": ["pwd"], "acr": "1", "scope": "openid",
    }))
    .await;
    assert_eq!(
        person,
        Person {
            issuer: ISSUER.to_owned(),
            subject: "alice".to_owned(),
            tenant: Some("t1".to_owned()),
            email: Some(Email {
                address: "a@example.org".to_owned(),
                verified: Some(true),
            }),
            username: Some("alice.a".to_owned()),
            name: Some("Alice A".to_owned()),
            language: Some(Language::Dutch),
            client: Some("portal".to_owned()),
            scopes: vec!["openid".to_owned()],
            operator: false,
            auth_time: Some(Timestamp::from_unix(NOW - 60)),
            amr: vec!["pwd".to_owned()],
            acr: Some("1".to_owned()),
            expires: Timestamp::from_unix(NOW + 600),
        }
    );
}

#[tokio::test]
async fn a_locale_that_is_none_says_nothing_and_refuses_nobody() {
    for (said, language) in [
        (json!("nl"), Some(Language::Dutch)),
        (json!("nl_NL"), Some(Language::Dutch)),
        (json!("DE-at-1996"), Some(Language::German)),
        (json!("pt-BR"), None),
        (json!("english"), None),
        (json!(""), None),
        (json!(null), None),
        (json!(7), None),
        (json!(["nl"]), None),
        (json!({"nl": 1}), None),
    ] {
        let person = person(json!({"locale": said})).await;
        assert_eq!(person.language, language, "{said}");
    }
}

#[tokio::test]
async fn an_address_is_verified_only_where_the_issuer_says_so() {
    for (said, verified) in [
        (json!(true), Some(true)),
        (json!("true"), Some(true)),
        (json!(false), Some(false)),
        (json!("false"), Some(false)),
        (json!("yes"), Some(false)),
        (json!(1), Some(false)),
        (json!(["true"]), Some(false)),
        (json!(null), None),
    ] {
        let person = person(json!({"email": "a@example.org", "email_verified": said})).await;
        assert_eq!(person.email.unwrap().verified, verified, "{said}");
    }
    for odd in [
        "",
        "no-at",
        "a@b\r\nBcc: c@d",
        "a b@c",
        &format!("{}@c", "a".repeat(254)),
    ] {
        assert_eq!(person(json!({"email": odd})).await.email, None, "{odd:?}");
    }
}

#[tokio::test]
async fn a_sign_in_in_the_future_is_no_fresh_sign_in() {
    assert_eq!(
        person(json!({"auth_time": NOW + 3600})).await.auth_time,
        None
    );
}

#[tokio::test]
async fn the_same_subject_of_two_issuers_is_two_people() {
    let (a, b) = (Signer::ec("k"), Signer::ec("k"));
    let (first, second) = (Issuer::start(&[&a]).await, Issuer::start(&[&b]).await);
    let clock = TestClock::at(NOW);
    let verifier = verifier(vec![first.settings(), second.settings()], &clock);
    verifier.prime().await.unwrap();
    let mut people = Vec::new();
    for (key, issuer) in [(&a, &first), (&b, &second)] {
        let caller = verifier.caller(&key.sign(&claims(&issuer.url))).await;
        people.push(caller.unwrap().into_person().unwrap());
    }
    assert_ne!(people[0].issuer, people[1].issuer);
    assert_eq!(people[0].subject, people[1].subject);
    // Each key, for the other issuer's name: same kid, same algorithm.
    for (key, issuer) in [(&b, &first), (&a, &second)] {
        let outcome = verifier.caller(&key.sign(&claims(&issuer.url))).await;
        assert_eq!(code(&outcome), "invalid_token");
    }
}

#[tokio::test]
async fn scopes_are_the_words_of_both_claims_and_no_more_than_can_be_kept() {
    let long = "x".repeat(129);
    let many: Vec<String> = (0..100).map(|n| format!("s{n}")).collect();
    for (said, scopes) in [
        (json!({"scope": " a  b a"}), json!(["a", "b"])),
        (
            json!({"scope": ["a b", "c"], "scp": "c d"}),
            json!(["a", "b", "c", "d"]),
        ),
        (json!({"scope": null, "scp": ["d"]}), json!(["d"])),
        (json!({"scope": null}), json!([])),
        (
            json!({"scope": format!("{long} {} \u{0}", &long[1..])}),
            json!([long[1..]]),
        ),
        (json!({"scope": many}), json!(many[..64])),
    ] {
        let person = person(said.clone()).await;
        assert_eq!(json!(person.scopes), scopes, "{said}");
    }
    // What is not kept counts none the less.
    let last = format!("{} mfa:admin", many.join(" "));
    let caller = caller(with(json!({"scope": last})), |s| s.may_grant_admin = true);
    assert!(caller.await.unwrap().into_operator().is_ok());
}

#[tokio::test]
async fn an_operator_needs_the_scope_and_an_issuer_that_may_grant_it() {
    for (scope, may_grant, operator) in [
        (json!({"scope": "openid mfa:admin"}), true, true),
        (json!({"scope": ["openid", "mfa:admin"]}), true, true),
        (json!({"scp": ["mfa:admin"]}), true, true),
        (json!({"scope": "mfa:admin"}), false, false),
        (
            json!({"scope": "mfa:administrator xmfa:admin"}),
            true,
            false,
        ),
        (json!({"scope": "MFA:ADMIN"}), true, false),
        (json!({}), true, false),
    ] {
        let caller = caller(with(scope.clone()), |s| s.may_grant_admin = may_grant)
            .await
            .unwrap();
        assert_eq!(
            caller.clone().into_operator().is_ok(),
            operator,
            "{scope} {may_grant}"
        );
        assert!(caller.into_person().is_ok());
    }
}

#[tokio::test]
async fn a_login_service_needs_the_scope_and_a_mark_of_its_own() {
    let scope = "mfa:verify";
    let marks = [
        json!({"sub": "portal", "client_id": "portal"}),
        json!({"sub": "portal", "azp": "portal"}),
        json!({"token_type": "client_credentials", "client_id": "portal"}),
        json!({"gty": "client-credentials", "azp": "portal"}),
        json!({"gty": ["client-credentials"], "azp": "portal"}),
    ];
    for mut mark in marks {
        let without = service(mark.clone()).await.unwrap_err();
        assert_eq!(without.code(), FORBIDDEN, "{mark}");
        let caller = caller(with(mark.clone()), |_| {}).await.unwrap();
        assert_eq!(
            caller.into_person().unwrap_err().code(),
            FORBIDDEN,
            "{mark}: never a person"
        );
        mark["scope"] = json!(scope);
        let service = service(mark.clone()).await.unwrap();
        assert_eq!(service.client.to_lowercase(), "portal", "{mark}");
    }
}

#[tokio::test]
async fn a_person_with_a_services_scope_or_name_is_no_login_service() {
    for chosen in [
        json!({"scope": "mfa:verify"}),
        json!({"scope": "mfa:verify", "client_id": "portal", "azp": "portal"}),
        json!({"scope": "mfa:verify", "preferred_username": "service-account-x", "azp": "portal"}),
        json!({"scope": "mfa:verify", "preferred_username": "service-account-"}),
        json!({"scope": "mfa:verify", "token_type": "Bearer"}),
    ] {
        assert_eq!(
            service(chosen.clone()).await.unwrap_err().code(),
            FORBIDDEN,
            "{chosen}"
        );
    }
}

#[tokio::test]
async fn a_service_is_no_operator_and_only_admitted_clients_are_login_services() {
    let token =
        with(json!({"sub": "portal", "client_id": "portal", "scope": "mfa:verify mfa:admin"}));
    let everybody = caller(token.clone(), |s| s.may_grant_admin = true)
        .await
        .unwrap();
    assert!(everybody.clone().into_operator().is_err());
    assert!(everybody.into_login_service().is_ok());
    let others = caller(token, |s| s.verify_clients = vec!["radius".to_owned()])
        .await
        .unwrap();
    assert!(others.into_login_service().is_err());
}

#[tokio::test]
async fn the_address_comes_from_the_token_else_from_userinfo_of_the_same_subject() {
    let key = Signer::ec("1");
    let issuer = Issuer::start(&[&key]).await;
    let verifier = issuer.verifier(&TestClock::at(NOW));
    let ask = |userinfo: (StatusCode, Value), extra: Value| {
        let (verifier, issuer, key) = (verifier.clone(), Arc::clone(&issuer), key.clone());
        async move {
            *issuer.userinfo.lock().unwrap() = userinfo;
            let mut all = claims(&issuer.url);
            if let Some(email) = extra.get("email") {
                all["email"] = email.clone();
            }
            let token = key.sign(&all);
            let person = verifier
                .caller(&token)
                .await
                .unwrap()
                .into_person()
                .unwrap();
            let email = verifier.email_of(&person, &token).await;
            (email.map(|e| e.map(|e| e.address)), token)
        }
    };
    let ok = StatusCode::OK;
    let full = json!({"sub": "alice", "email": "u@example.org", "email_verified": true});

    let (email, _) = ask((ok, full.clone()), json!({"email": "t@example.org"})).await;
    assert_eq!(email.unwrap().as_deref(), Some("t@example.org"));
    assert_eq!(*issuer.seen_bearer.lock().unwrap(), None, "not asked");

    let (email, token) = ask((ok, full), json!({})).await;
    assert_eq!(email.unwrap().as_deref(), Some("u@example.org"));
    assert_eq!(
        issuer.seen_bearer.lock().unwrap().as_deref(),
        Some(format!("Bearer {token}").as_str())
    );

    let other = json!({"sub": "mallory", "email": "m@example.org", "email_verified": true});
    let (email, _) = ask((ok, other), json!({})).await;
    assert_eq!(email.unwrap_err().code().name, "unavailable");

    let (email, _) = ask((ok, json!({"sub": "alice"})), json!({})).await;
    assert_eq!(email.unwrap(), None);
    let (email, _) = ask((StatusCode::FORBIDDEN, json!({})), json!({})).await;
    assert_eq!(email.unwrap(), None);
    for status in [StatusCode::INTERNAL_SERVER_ERROR, StatusCode::FOUND] {
        let (email, token) = ask((status, json!({})), json!({})).await;
        let failure = email.unwrap_err();
        assert_eq!(failure.code().name, "unavailable");
        assert!(failure.wait().is_some());
        assert!(
            !format!("{failure:?}").contains(&token),
            "no token in the log"
        );
    }
}
