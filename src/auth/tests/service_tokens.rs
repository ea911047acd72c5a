//! Whose token it is, where users choose their names.

use super::*;
use crate::auth::service_token::{NotAService, RefusedServices};

const SCOPE: &str = "mfa:verify";

fn with(extra: &Value) -> Value {
    let mut all = claims(ISSUER);
    all["scope"] = json!(SCOPE);
    for (name, value) in extra.as_object().unwrap() {
        all[name] = value.clone();
    }
    all
}

/// Who shows a token with such claims and the scope, where these clients are named.
async fn caller(extra: &Value, listed: &[&str]) -> Caller {
    let key = Signer::ec("1");
    let (verifier, _file) = verifier_of(&[&key], &TestClock::at(NOW), |settings| {
        settings.verify_clients = listed.iter().map(|it| (*it).to_owned()).collect();
    });
    verifier.caller(&key.sign(&with(extra))).await.unwrap()
}

#[tokio::test]
async fn a_user_name_makes_nobody_a_login_service_unless_its_client_is_named() {
    for (name, client) in [
        ("service-account-portal", json!({"azp": "portal"})),
        ("service-account-portal", json!({"client_id": "portal"})),
        (
            "service-account-portal",
            json!({"client_id": "portal", "azp": "portal"}),
        ),
        ("service-account-portal", json!({"azp": "Portal"})),
        ("service-account-portal", json!({"azp": "other"})),
        ("service-account-portal", json!({})),
        ("service-account-", json!({"azp": ""})),
        ("SERVICE-ACCOUNT-portal", json!({"azp": "portal"})),
        ("service-account-Portal", json!({"azp": "Portal"})),
        ("service-account-ｐortal", json!({"azp": "ｐortal"})),
        ("service-account-portal ", json!({"azp": "portal "})),
        (
            "service\u{2010}account\u{2010}portal",
            json!({"azp": "portal"}),
        ),
    ] {
        let mut extra = client.clone();
        extra["preferred_username"] = json!(name);
        for listed in [&[][..], &["radius"], &["service-account-portal"]] {
            let caller = caller(&extra, listed).await;
            assert!(
                caller.clone().into_login_service().is_err(),
                "{extra} {listed:?}"
            );
            assert!(
                caller.into_person().is_ok(),
                "{extra} {listed:?}: her name does not keep her from the settings page"
            );
        }
    }
}

#[tokio::test]
async fn a_service_account_of_a_named_client_is_a_login_service_and_no_person() {
    let account = json!({"preferred_username": "service-account-portal", "azp": "Portal"});
    let caller_of = async |extra: Value| {
        let mut all = account.clone();
        for (name, value) in extra.as_object().unwrap() {
            all[name] = value.clone();
        }
        caller(&all, &["radius", "Portal"]).await
    };
    // As Keycloak writes it, in newer and in older versions.
    for extra in [
        json!({}),
        json!({"client_id": "Portal", "clientHost": "192.0.2.1", "clientAddress": "192.0.2.1"}),
        json!({"auth_time": 0, "acr": "1"}),
        json!({"amr": []}),
    ] {
        let caller = caller_of(extra.clone()).await;
        let service = caller.clone().into_login_service().unwrap();
        assert_eq!(service.client, "Portal", "{extra}");
        assert!(caller.into_person().is_err(), "{extra}");
    }
    // A user of that name who signs in through the same client.
    for extra in [
        json!({"auth_time": NOW - 60}),
        json!({"amr": ["pwd"]}),
        json!({"amr": "pwd"}),
    ] {
        let caller = caller_of(extra.clone()).await;
        assert!(caller.clone().into_login_service().is_err(), "{extra}");
        assert!(caller.into_person().is_ok(), "{extra}");
    }
    // To the letter.
    let others = caller(&account, &["portal", "PORTAL"]).await;
    assert!(others.into_login_service().is_err());
}

#[tokio::test]
async fn the_reason_names_what_is_missing_and_the_line_that_adds_it() {
    let of = |extra: Value, listed: &[&str]| {
        let mut settings = IssuerSettings::new(ISSUER, Vec::new(), KeySource::Discovery);
        settings.verify_clients = listed.iter().map(|it| (*it).to_owned()).collect();
        let claims = serde_json::from_value(with(&extra)).unwrap();
        NotAService::of(&claims, &settings)
    };
    let account = json!({"preferred_username": "service-account-portal", "azp": "portal"});
    let portal = || Some("portal".to_owned());
    assert_eq!(of(account.clone(), &[]), (NotAService::NameOnly, portal()));
    assert_eq!(
        of(account.clone(), &["radius"]),
        (NotAService::NameOnly, portal())
    );
    let mut signed_in = account.clone();
    signed_in["auth_time"] = json!(NOW);
    assert_eq!(
        of(signed_in, &["portal"]),
        (NotAService::SignedIn, portal())
    );
    let mut bare = account;
    bare["scope"] = json!("openid");
    assert_eq!(of(bare, &[]), (NotAService::Scope, portal()));
    let marked = json!({"sub": "portal", "client_id": "portal"});
    assert_eq!(of(marked, &["radius"]), (NotAService::Unlisted, portal()));
    assert_eq!(of(json!({"azp": "portal"}), &[]), (NotAService::User, None));

    assert_eq!(
        verify_client_line(&[], "portal"),
        r#"verify-client = ["portal"] (or --verify-client portal)"#
    );
    let listed = ["radius".to_owned()];
    assert!(
        verify_client_line(&listed, "a\"b").starts_with(r#"verify-client = ["radius", "a\"b"] "#)
    );
}

#[test]
fn a_client_that_is_refused_is_logged_once_a_minute_and_many_clients_do_not_fill_the_log() {
    let settings = IssuerSettings::new(ISSUER, Vec::new(), KeySource::Discovery);
    let refused = RefusedServices::default();
    let log = |why: NotAService, client: &str, at: u64| {
        crate::auth::tests::logged(|| {
            let now = Timestamp::from_unix(at);
            refused.log(&why, client, &settings, now);
        })
    };
    let first = log(NotAService::NameOnly, "portal", NOW);
    assert!(first.contains(r#"verify-client = [\"portal\"]"#), "{first}");
    assert!(first.contains("--verify-client portal"), "{first}");
    assert!(
        first.contains("\"WARN\"") && first.contains(ISSUER),
        "{first}"
    );
    assert_eq!(log(NotAService::NameOnly, "portal", NOW + 59), "");
    assert_ne!(log(NotAService::NameOnly, "portal", NOW + 60), "");
    // Set back.
    assert_ne!(log(NotAService::NameOnly, "portal", NOW), "");
    for why in [NotAService::User, NotAService::Scope] {
        assert_eq!(log(why, "wiki", NOW), "", "nothing for an operator to do");
    }
    let many = (0..1_000).filter(|n| !log(NotAService::Unlisted, &n.to_string(), NOW).is_empty());
    assert!(many.count() < 64);
}
