use super::*;

const DAY: u64 = 24 * 60 * 60;

/// A token of a key that nobody has published, with a name of its own.
fn stray(issuer: &str, kid: usize) -> String {
    let header = json!({"alg": "ES256", "kid": format!("stray-{kid}"), "typ": "JWT"});
    format!(
        "{}.{}.{}",
        b64(header.to_string()),
        b64(claims(issuer).to_string()),
        b64([1; 64])
    )
}

#[tokio::test]
async fn a_new_key_is_fetched_once_when_its_first_token_comes() {
    let (old, new) = (Signer::ec("old"), Signer::ec("new"));
    let issuer = Issuer::start(&[&old]).await;
    let clock = TestClock::at(NOW);
    let verifier = issuer.verifier(&clock);
    verifier.prime().await.unwrap();
    let (with_old, with_new) = (
        old.sign(&claims(&issuer.url)),
        new.sign(&claims(&issuer.url)),
    );
    for _ in 0..10 {
        assert_eq!(code(&verifier.caller(&with_old).await), "accepted");
    }
    assert_eq!(issuer.fetches(), 1, "a known key needs no network");

    issuer.publish(&[&old, &new]);
    clock.forward(10);
    for token in [&with_new, &with_old, &with_new] {
        assert_eq!(code(&verifier.caller(token).await), "accepted");
    }
    assert_eq!(issuer.fetches(), 2);

    // The old key goes, and is refused once the keys have been refreshed.
    issuer.publish(&[&new]);
    assert_eq!(code(&verifier.caller(&with_old).await), "accepted");
    verifier.source(&issuer.url).refresh().await.unwrap();
    assert_eq!(code(&verifier.caller(&with_old).await), "invalid_token");
    assert_eq!(code(&verifier.caller(&with_new).await), "accepted");
}

#[tokio::test]
async fn a_thousand_unknown_keys_make_one_fetch_in_ten_seconds() {
    let key = Signer::ec("1");
    let issuer = Issuer::start(&[&key]).await;
    let clock = TestClock::at(NOW);
    let verifier = issuer.verifier(&clock);
    verifier.prime().await.unwrap();
    clock.forward(60);
    for round in 1..=2 {
        let mut calls = tokio::task::JoinSet::new();
        for kid in 0..1_000 {
            let (verifier, token) = (verifier.clone(), stray(&issuer.url, kid));
            calls.spawn(async move { code(&verifier.caller(&token).await) });
        }
        while let Some(outcome) = calls.join_next().await {
            assert_eq!(outcome.unwrap(), "invalid_token");
        }
        assert_eq!(issuer.fetches(), 1 + round);
        clock.forward(9);
        let _ = verifier.caller(&stray(&issuer.url, 0)).await;
        assert_eq!(issuer.fetches(), 1 + round, "ten seconds are not over");
        clock.forward(1);
    }
}

#[tokio::test]
async fn an_algorithm_that_is_never_accepted_makes_no_fetch() {
    let key = Signer::ec("1");
    let issuer = Issuer::start(&[&key]).await;
    let clock = TestClock::at(NOW);
    let verifier = issuer.verifier(&clock);
    verifier.prime().await.unwrap();
    clock.forward(60);
    let forged = Signer::hs256(&[1; 32]).sign(&claims(&issuer.url));
    assert_eq!(code(&verifier.caller(&forged).await), "invalid_token");
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test]
async fn a_fetch_under_way_holds_up_no_known_key_and_serves_all_who_wait() {
    let (old, new) = (Signer::ec("old"), Signer::ec("new"));
    let issuer = Issuer::start(&[&old]).await;
    let clock = TestClock::at(NOW);
    let verifier = issuer.verifier(&clock);
    verifier.prime().await.unwrap();
    issuer.fetched.notified().await;
    clock.forward(60);
    issuer.set(Mode::Hold(public(&[&old, &new])));

    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (verifier, token) = (verifier.clone(), new.sign(&claims(&issuer.url)));
        waiting.spawn(async move { code(&verifier.caller(&token).await) });
    }
    issuer.fetched.notified().await;
    let known = verifier.caller(&old.sign(&claims(&issuer.url))).await;
    assert_eq!(code(&known), "accepted", "while the fetch hangs");
    issuer.gate.add_permits(1);
    while let Some(outcome) = waiting.join_next().await {
        assert_eq!(outcome.unwrap(), "accepted");
    }
    assert_eq!(issuer.fetches(), 2);
}

#[tokio::test]
async fn a_client_that_hangs_up_does_not_break_off_the_fetch() {
    let (old, new) = (Signer::ec("old"), Signer::ec("new"));
    let issuer = Issuer::start(&[&old]).await;
    let clock = TestClock::at(NOW);
    let verifier = issuer.verifier(&clock);
    verifier.prime().await.unwrap();
    issuer.fetched.notified().await;
    clock.forward(60);
    issuer.set(Mode::Hold(public(&[&old, &new])));
    let token = new.sign(&claims(&issuer.url));
    let impatient = {
        let (verifier, token) = (verifier.clone(), token.clone());
        tokio::spawn(async move { verifier.caller(&token).await.is_ok() })
    };
    issuer.fetched.notified().await;
    impatient.abort();
    issuer.gate.add_permits(1);
    assert_eq!(code(&verifier.caller(&token).await), "accepted");
    assert_eq!(issuer.fetches(), 2);
}

#[tokio::test]
async fn keys_outlive_a_silent_issuer_by_a_day_and_then_nobody_is_blamed() {
    let key = Signer::ec("1");
    let issuer = Issuer::start(&[&key]).await;
    let clock = TestClock::at(NOW);
    let verifier = issuer.verifier(&clock);
    verifier.prime().await.unwrap();
    issuer.set(Mode::Raw(StatusCode::INTERNAL_SERVER_ERROR, String::new()));
    let token_at = |now: u64| {
        let mut body = claims(&issuer.url);
        body["iat"] = json!(now);
        body["exp"] = json!(now + 600);
        key.sign(&body)
    };

    clock.forward(DAY - 1);
    assert!(verifier.source(&issuer.url).refresh().await.is_err());
    assert_eq!(
        code(&verifier.caller(&token_at(NOW + DAY - 1)).await),
        "accepted"
    );
    assert_eq!(verifier.health(), Ok(()));
    // A key that may be new cannot be judged: that is not the token's fault.
    let failure = verifier.caller(&stray(&issuer.url, 1)).await.unwrap_err();
    assert_eq!(failure.code().name, "unavailable");

    clock.forward(1);
    let failure = verifier.caller(&token_at(NOW + DAY)).await.unwrap_err();
    assert_eq!(failure.code().name, "unavailable");
    assert!(failure.wait().is_some());
    let why = verifier.health().unwrap_err();
    assert!(why.contains(&issuer.url) && why.contains("500"), "{why}");

    issuer.publish(&[&key]);
    clock.forward(10);
    let outcome = verifier.caller(&token_at(NOW + DAY + 10)).await;
    assert_eq!(
        code(&outcome),
        "accepted",
        "it heals by itself: {outcome:?}"
    );
    assert_eq!(verifier.health(), Ok(()));
}

#[tokio::test]
async fn a_faulty_set_never_replaces_a_good_one_and_is_no_keys_to_begin_with() {
    let key = Signer::ec("1");
    let faults = [
        Mode::Raw(StatusCode::INTERNAL_SERVER_ERROR, "oops".to_owned()),
        Mode::Raw(
            StatusCode::NOT_FOUND,
            json!({"keys": [key.jwk]}).to_string(),
        ),
        Mode::Raw(
            StatusCode::OK,
            "<html><body>Sign in</body></html>".to_owned(),
        ),
        Mode::Raw(StatusCode::OK, String::new()),
        Mode::Raw(StatusCode::OK, "{}".to_owned()),
        Mode::Raw(StatusCode::OK, r#"{"keys":{}}"#.to_owned()),
        Mode::Raw(StatusCode::OK, r#"{"keys":[]}"#.to_owned()),
        Mode::Raw(StatusCode::OK, r#"{"keys":[1,null,"x",{}]}"#.to_owned()),
        Mode::Raw(
            StatusCode::OK,
            format!("{{\"keys\":{}", "[".repeat(100_000)),
        ),
        // Longer than the bound, though every byte of it would be fine.
        Mode::Raw(
            StatusCode::OK,
            format!("{}{}", json!({"keys": [key.jwk]}), " ".repeat(LONGEST_BODY)),
        ),
        Mode::Redirect,
        Mode::Hang,
    ];
    let outbound = Outbound::new(None).unwrap().with_deadline(SHORT);
    for (row, fault) in faults.into_iter().enumerate() {
        let issuer = Issuer::start(&[&key]).await;
        let clock = TestClock::at(NOW);
        let token = key.sign(&claims(&issuer.url));

        issuer.set(fault.clone());
        let verifier =
            Verifier::new(vec![issuer.settings()], outbound.clone(), clock.clone()).unwrap();
        let outcome = verifier.caller(&token).await;
        assert_eq!(code(&outcome), "unavailable", "row {row}: {outcome:?}");
        assert!(outcome.unwrap_err().wait().is_some());
        assert!(verifier.health().is_err());
        assert!(verifier.prime().await.is_err());

        issuer.publish(&[&key]);
        clock.forward(10);
        assert_eq!(
            code(&verifier.caller(&token).await),
            "accepted",
            "row {row}"
        );
        issuer.set(fault);
        assert!(
            verifier.source(&issuer.url).refresh().await.is_err(),
            "row {row}"
        );
        assert_eq!(
            code(&verifier.caller(&token).await),
            "accepted",
            "row {row}"
        );
        assert_eq!(
            issuer.elsewhere.load(Ordering::SeqCst),
            0,
            "no redirect is followed"
        );
    }
}

#[tokio::test]
async fn a_discovery_document_of_another_issuer_is_refused() {
    let key = Signer::ec("1");
    let issuer = Issuer::start(&[&key]).await;
    for other in [
        format!("{}/", issuer.url),
        "https://evil.example".to_owned(),
    ] {
        *issuer.claimed_issuer.lock().unwrap() = Some(other);
        let verifier = issuer.verifier(&TestClock::at(NOW));
        assert!(verifier.prime().await.is_err());
        let outcome = verifier.caller(&key.sign(&claims(&issuer.url))).await;
        assert_eq!(code(&outcome), "unavailable");
        assert_eq!(issuer.fetches(), 0, "its keys are not even asked for");
    }
}

#[tokio::test]
async fn keys_that_cannot_check_tokens_are_passed_over() {
    let good = Signer::ec("good");
    let changed = |kid: &str, change: fn(&mut Value)| {
        let mut signer = Signer::ec(kid);
        change(&mut signer.jwk);
        signer
    };
    let oct = b"a secret that everybody can read";
    let mut symmetric = Signer::hs256(oct);
    symmetric.jwk = json!({"kty": "oct", "kid": "hs", "k": b64(oct), "alg": "HS256"});
    let mut symmetric_as_es = Signer::hs256(oct);
    symmetric_as_es.jwk = json!({"kty": "oct", "kid": "hs", "k": b64(oct)});
    let mut short_rsa = Signer::rsa();
    short_rsa.kid = "short".to_owned();
    short_rsa.jwk = json!({"kty": "RSA", "kid": "short", "n": b64([0xff; 128]), "e": "AQAB"});
    let mut padded_rsa = short_rsa.clone();
    let mut n = vec![0; 128];
    n.extend([0xff; 128]);
    padded_rsa.jwk["n"] = json!(b64(n));
    let bad = [
        symmetric,
        symmetric_as_es,
        short_rsa,
        padded_rsa,
        changed("enc", |jwk| jwk["use"] = json!("enc")),
        changed("other-use", |jwk| jwk["use"] = json!("tls")),
        changed("sign-only", |jwk| jwk["key_ops"] = json!(["sign"])),
        changed("another-alg", |jwk| jwk["alg"] = json!("ES384")),
        changed("ecdh", |jwk| jwk["alg"] = json!("ECDH-ES")),
        changed("unknown-curve", |jwk| jwk["crv"] = json!("secp256k1")),
        changed("short-point", |jwk| jwk["x"] = json!("AAAA")),
        changed("unknown-kty", |jwk| jwk["kty"] = json!("AKP")),
    ];
    for signer in &bad {
        let (verifier, _file) = verifier_of(&[signer], &TestClock::at(NOW), |_| {});
        assert!(verifier.prime().await.is_err(), "{} alone", signer.kid);
    }
    let mut all: Vec<&Signer> = bad.iter().collect();
    all.push(&good);
    let (verifier, _file) = verifier_of(&all, &TestClock::at(NOW), |_| {});
    assert_eq!(
        code(&verifier.caller(&good.sign(&claims(ISSUER))).await),
        "accepted"
    );
    for signer in &bad {
        let outcome = verifier.caller(&signer.sign(&claims(ISSUER))).await;
        assert_eq!(code(&outcome), "invalid_token", "{}", signer.kid);
    }
}

#[tokio::test]
async fn only_the_first_64_keys_of_a_set_are_kept() {
    let keys: Vec<Signer> = (0..66).map(|n| Signer::ec(&n.to_string())).collect();
    let all: Vec<&Signer> = keys.iter().collect();
    let (verifier, _file) = verifier_of(&all, &TestClock::at(NOW), |_| {});
    for (n, expected) in [(0, "accepted"), (63, "accepted"), (64, "invalid_token")] {
        let outcome = verifier.caller(&keys[n].sign(&claims(ISSUER))).await;
        assert_eq!(code(&outcome), expected, "key {n}");
    }
}

#[tokio::test]
async fn a_removed_key_is_forgotten_without_anybody_asking() {
    let (old, new) = (Signer::ec("old"), Signer::ec("new"));
    let issuer = Issuer::start(&[&old]).await;
    let verifier = issuer.verifier(&TestClock::at(NOW));
    verifier.prime().await.unwrap();
    issuer.publish(&[&new]);
    let fast = Duration::from_millis(1);
    let keeper = tokio::spawn(verifier.source(&issuer.url).keep_fresh(fast, fast));
    // The third fetch begins when the second has been taken in.
    while issuer.fetches() < 3 {
        issuer.fetched.notified().await;
    }
    let outcome = verifier.caller(&old.sign(&claims(&issuer.url))).await;
    assert_eq!(code(&outcome), "invalid_token");
    keeper.abort();
    assert!(keeper.await.unwrap_err().is_cancelled());
}

#[tokio::test]
async fn a_changed_file_is_read_anew_and_an_unchanged_one_stays_good() {
    let (old, new) = (Signer::ec("old"), Signer::ec("second"));
    let clock = TestClock::at(NOW);
    let (verifier, directory) = verifier_of(&[&old], &clock, |_| {});
    verifier.prime().await.unwrap();
    let token_at = |signer: &Signer, now: u64| {
        let mut body = claims(ISSUER);
        body["iat"] = json!(now);
        body["exp"] = json!(now + 600);
        signer.sign(&body)
    };
    clock.forward(DAY);
    assert_eq!(
        code(&verifier.caller(&token_at(&old, NOW + DAY)).await),
        "accepted",
        "the file is still there"
    );

    let path = directory.path().join("jwks.json");
    std::fs::write(&path, json!({"keys": [new.jwk]}).to_string()).unwrap();
    clock.forward(10);
    let now = NOW + DAY + 10;
    assert_eq!(
        code(&verifier.caller(&token_at(&new, now)).await),
        "accepted"
    );
    assert_eq!(
        code(&verifier.caller(&token_at(&old, now)).await),
        "invalid_token"
    );

    for broken in ["", "{", r#"{"keys":[]}"#, &" ".repeat(LONGEST_BODY + 1)] {
        std::fs::write(&path, broken).unwrap();
        assert!(verifier.prime().await.is_err());
        assert_eq!(
            code(&verifier.caller(&token_at(&new, now)).await),
            "accepted"
        );
    }
    std::fs::remove_file(&path).unwrap();
    let failure = verifier.prime().await.unwrap_err();
    assert!(format!("{failure:?}").contains("jwks.json"));
}

#[tokio::test]
async fn a_clock_that_is_set_back_does_not_keep_us_from_asking() {
    let (old, new) = (Signer::ec("old"), Signer::ec("new"));
    let issuer = Issuer::start(&[&old]).await;
    let clock = TestClock::at(NOW + 1_000_000);
    let verifier = issuer.verifier(&clock);
    verifier.prime().await.unwrap();
    clock.set(NOW);
    issuer.publish(&[&new]);
    let outcome = verifier.caller(&new.sign(&claims(&issuer.url))).await;
    assert_eq!(code(&outcome), "accepted");
}
