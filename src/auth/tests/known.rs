//! What was found good before is not found good for ever, and nothing else with it.

use super::*;
use crate::auth::known::MOST_KNOWN;

const DAY: u64 = 24 * 60 * 60;

/// A token of its own for everybody.
fn token_of(key: &Signer, subject: &str) -> String {
    claim(key, "sub", json!(subject))
}

#[tokio::test]
async fn a_good_token_is_known_from_then_on_and_says_the_same() {
    let key = Signer::ec("1");
    let (verifier, _file) = verifier_of(&[&key], &TestClock::at(NOW), |_| {});
    let token = altered(&key, |_, body| {
        body["email"] = json!("alice@example.com");
        body["amr"] = json!(["pwd", "mfa"]);
        body["auth_time"] = json!(NOW - 5);
        body["scope"] = json!("openid mfa:admin");
    });
    let first = verifier.caller(&token).await.unwrap();
    assert_eq!(verifier.known(), 1);
    for _ in 0..10 {
        assert_eq!(verifier.caller(&token).await.unwrap(), first);
    }
    assert_eq!(verifier.known(), 1);
    let bob = verifier.caller(&token_of(&key, "bob")).await.unwrap();
    assert_ne!(bob, first);
    assert_eq!(verifier.known(), 2);
}

#[tokio::test]
async fn what_is_refused_is_never_known() {
    let (key, stranger) = (Signer::ec("1"), Signer::ec("1"));
    let (verifier, _file) = verifier_of(&[&key], &TestClock::at(NOW), |_| {});
    for token in [
        token_of(&stranger, "alice"),
        claim(&key, "aud", json!("https://other.example")),
        claim(&key, "exp", json!(NOW - 31)),
        claim(&key, "nbf", json!(NOW + 31)),
        claim(&key, "exp", json!(NOW + 2 * DAY)),
        claim(&key, "iss", json!("https://other.example")),
        claim(&key, "sub", json!("")),
        claim(&key, "typ", json!("Refresh")),
        claim(&key, "at_hash", json!("x")),
        header(&key, "typ", json!("mfa+jwt")),
        header(&key, "crit", json!(["b64"])),
        "a.b.c".to_owned(),
        String::new(),
        "x".repeat(LONGEST_TOKEN + 1),
    ] {
        for _ in 0..2 {
            assert_eq!(code(&verifier.caller(&token).await), "invalid_token");
        }
        assert_eq!(verifier.known(), 0, "{token}");
    }
}

#[tokio::test]
async fn tokens_that_differ_in_one_bit_of_the_signature_are_two() {
    let key = Signer::ec("1");
    let (verifier, _file) = verifier_of(&[&key], &TestClock::at(NOW), |_| {});
    let token = token_of(&key, "alice");
    assert_eq!(code(&verifier.caller(&token).await), "accepted");
    let (message, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    for bit in 0..signature.len() * 8 {
        let mut bent = signature.clone();
        bent[bit / 8] ^= 1 << (bit % 8);
        let bent = format!("{message}.{}", b64(&bent));
        let outcome = verifier.caller(&bent).await;
        assert_eq!(code(&outcome), "invalid_token", "{bit}");
    }
    // The same signature under other claims, and under none.
    let bob = token_of(&key, "bob");
    let (claims_of_bob, _) = bob.rsplit_once('.').unwrap();
    for message in [claims_of_bob, "", "."] {
        let forged = format!("{message}.{}", b64(&signature));
        assert_eq!(code(&verifier.caller(&forged).await), "invalid_token");
    }
    assert_eq!(verifier.known(), 1);
    assert_eq!(code(&verifier.caller(&token).await), "accepted");
}

#[tokio::test]
async fn a_known_token_ends_and_begins_at_its_times() {
    let key = Signer::ec("1");
    let clock = TestClock::at(NOW);
    let (verifier, _file) = verifier_of(&[&key], &clock, |_| {});
    let token = altered(&key, |_, body| body["nbf"] = json!(NOW - 10));
    let at = async |moment: u64| {
        clock.set(moment);
        code(&verifier.caller(&token).await)
    };
    assert_eq!(at(NOW).await, "accepted");
    assert_eq!(at(NOW + 629).await, "accepted");
    assert_eq!(at(NOW + 630).await, "invalid_token");
    // A clock that is set right opens and closes it as if it had never been seen.
    assert_eq!(at(NOW).await, "accepted");
    assert_eq!(at(NOW - 41).await, "invalid_token");
    assert_eq!(at(NOW - 40).await, "accepted");
    assert_eq!(at(NOW + 630).await, "invalid_token");
    assert_eq!(verifier.known(), 0, "what has ended is forgotten");
}

#[tokio::test]
async fn a_sign_in_of_the_future_is_none_even_in_a_known_token() {
    let key = Signer::ec("1");
    let clock = TestClock::at(NOW);
    let (verifier, _file) = verifier_of(&[&key], &clock, |_| {});
    let token = claim(&key, "auth_time", json!(NOW + 20));
    for (moment, expected) in [(NOW, true), (NOW - 20, false), (NOW, true)] {
        clock.set(moment);
        let person = verifier.caller(&token).await.unwrap();
        let person = person.into_person().unwrap();
        assert_eq!(person.auth_time.is_some(), expected, "{moment}");
    }
}

#[tokio::test]
async fn a_token_of_a_removed_key_is_refused_right_after_the_refresh() {
    let (old, new) = (Signer::ec("old"), Signer::ec("new"));
    let issuer = Issuer::start(&[&old, &new]).await;
    let verifier = issuer.verifier(&TestClock::at(NOW));
    verifier.prime().await.unwrap();
    let tokens = [&old, &new].map(|key| key.sign(&claims(&issuer.url)));
    let outcomes = async || {
        let mut outcomes = Vec::new();
        for token in &tokens {
            outcomes.push(code(&verifier.caller(token).await));
        }
        outcomes
    };
    assert_eq!(outcomes().await, ["accepted", "accepted"]);
    issuer.publish(&[&new]);
    assert_eq!(outcomes().await, ["accepted", "accepted"]);
    verifier.source(&issuer.url).refresh().await.unwrap();
    assert_eq!(outcomes().await, ["invalid_token", "accepted"]);
    assert_eq!(verifier.known(), 1);
    // Back again, and then in another's hands under the same name.
    issuer.publish(&[&old, &new]);
    verifier.source(&issuer.url).refresh().await.unwrap();
    assert_eq!(outcomes().await, ["accepted", "accepted"]);
    issuer.publish(&[&Signer::ec("old"), &new]);
    verifier.source(&issuer.url).refresh().await.unwrap();
    assert_eq!(outcomes().await, ["invalid_token", "accepted"]);
}

#[tokio::test]
async fn a_file_that_says_the_same_voids_nothing_and_one_that_changed_does() {
    let (old, new) = (Signer::ec("old"), Signer::ec("new"));
    let (verifier, folder) = verifier_of(&[&old], &TestClock::at(NOW), |_| {});
    let token = token_of(&old, "alice");
    assert_eq!(code(&verifier.caller(&token).await), "accepted");
    let source = verifier.source(ISSUER);
    source.refresh().await.unwrap();
    assert_eq!(code(&verifier.caller(&token).await), "accepted");
    assert_eq!(verifier.known(), 1);
    let document = json!({"keys": public(&[&new])}).to_string();
    std::fs::write(folder.path().join("jwks.json"), document).unwrap();
    source.refresh().await.unwrap();
    assert_eq!(code(&verifier.caller(&token).await), "invalid_token");
    assert_eq!(verifier.known(), 0);
}

#[tokio::test]
async fn a_known_token_is_believed_no_longer_than_keys_are_of_a_silent_issuer() {
    let key = Signer::ec("1");
    let issuer = Issuer::start(&[&key]).await;
    let clock = TestClock::at(NOW);
    let verifier = issuer.verifier(&clock);
    verifier.prime().await.unwrap();
    let mut long = claims(&issuer.url);
    long["exp"] = json!(NOW + DAY - 15);
    let token = key.sign(&long);
    assert_eq!(code(&verifier.caller(&token).await), "accepted");
    issuer.set(Mode::Raw(StatusCode::BAD_GATEWAY, String::new()));
    clock.set(NOW + DAY - 1);
    assert_eq!(code(&verifier.caller(&token).await), "accepted");
    clock.set(NOW + DAY);
    assert_eq!(code(&verifier.caller(&token).await), "unavailable");
    issuer.publish(&[&key]);
    clock.set(NOW + DAY + 10);
    verifier.source(&issuer.url).refresh().await.unwrap();
    assert_eq!(code(&verifier.caller(&token).await), "accepted");
}

#[tokio::test]
async fn a_hundred_thousand_tokens_take_no_more_room_than_ten_thousand() {
    let secret = vec![7; 32];
    let key = Signer::hs256(&secret);
    let settings = IssuerSettings::new(
        ISSUER,
        vec![AUDIENCE.to_owned()],
        KeySource::Hs256(crate::base::Secret::new(secret)),
    );
    let verifier = verifier(vec![settings], &TestClock::at(NOW));
    let often = token_of(&key, "often");
    let mut most = 0;
    for n in 0..100_000 {
        let token = token_of(&key, &format!("person-{n}"));
        assert_eq!(code(&verifier.caller(&token).await), "accepted");
        if n % 100 == 0 {
            assert_eq!(code(&verifier.caller(&often).await), "accepted");
            most = most.max(verifier.known());
        }
    }
    assert!(most <= MOST_KNOWN, "{most}");
    assert!(most > MOST_KNOWN / 2, "{most}");
}

/// Whoever checks a token while the keys change must not bring it back.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_hurry_brings_a_token_back_whose_key_has_gone() {
    let (gone, stays) = (Signer::ec("gone"), Signer::ec("stays"));
    let issuer = Issuer::start(&[&gone, &stays]).await;
    let verifier = issuer.verifier(&TestClock::at(NOW));
    verifier.prime().await.unwrap();
    let source = verifier.source(&issuer.url);
    let token = gone.sign(&claims(&issuer.url));
    let mut hurried = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (verifier, token) = (verifier.clone(), token.clone());
        hurried.spawn(async move {
            loop {
                let _ = verifier.caller(&token).await;
                tokio::task::yield_now().await;
            }
        });
    }
    for _ in 0..100 {
        issuer.publish(&[&gone, &stays]);
        source.refresh().await.unwrap();
        assert_eq!(code(&verifier.caller(&token).await), "accepted");
        issuer.publish(&[&stays]);
        source.refresh().await.unwrap();
        for _ in 0..20 {
            assert_eq!(code(&verifier.caller(&token).await), "invalid_token");
        }
    }
    hurried.abort_all();
}
