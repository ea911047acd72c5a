use super::*;

/// Checks that no token is accepted that is good but for one claim.
async fn assert_claims_refused(rows: &[(&str, Value)]) {
    let key = Signer::ec("1");
    let tokens = rows.iter().map(|(name, value)| {
        let told = format!("{name}: {:.80}", value.to_string());
        (told, claim(&key, name, value.clone()))
    });
    assert_refused(&key, tokens.collect()).await;
}

/// Checks that no token is accepted that has such claims, which may be no JSON.
async fn assert_bodies_refused(rows: &[(&str, String)]) {
    let key = Signer::ec("1");
    let tokens = rows.iter().map(|(name, body)| {
        let token = key.sign_raw(&key.header().to_string(), body);
        ((*name).to_owned(), token)
    });
    assert_refused(&key, tokens.collect()).await;
}

#[tokio::test]
async fn a_claim_that_we_need_and_that_is_missing_or_of_another_type_is_refused() {
    let key = Signer::ec("1");
    let mut rows = Vec::new();
    for name in ["iss", "sub", "aud", "exp"] {
        let without = altered(&key, |_, body| {
            body.as_object_mut().unwrap().remove(name);
        });
        rows.push((format!("no {name}"), without));
        for odd in [
            json!(null),
            json!({}),
            json!([]),
            json!([[]]),
            json!(true),
            json!(1.5),
            json!(""),
        ] {
            rows.push((format!("{name}: {odd}"), claim(&key, name, odd)));
        }
    }
    assert_refused(&key, rows).await;
}

#[tokio::test]
async fn another_issuer_another_audience_and_a_subject_that_is_none_are_refused() {
    assert_claims_refused(&[
        ("iss", json!([ISSUER])),
        ("iss", json!("https://issuer.example/")),
        ("iss", json!("https://ISSUER.example")),
        ("iss", json!("https://evil.example")),
        ("iss", json!(1)),
        ("aud", json!("https://mfa.example/")),
        ("aud", json!("https://mfa.example https://other")),
        ("aud", json!(["other"])),
        ("aud", json!([AUDIENCE, 1])),
        ("aud", json!({"a": AUDIENCE})),
        ("aud", json!(1)),
        ("sub", json!(1)),
        ("sub", json!(["alice"])),
        ("sub", json!("a".repeat(256))),
        ("sub", json!("a".repeat(4000))),
        ("sub", json!("alice\0")),
        ("sub", json!("alice\n")),
        ("scope", json!(1)),
        ("scope", json!({"mfa:admin": true})),
    ])
    .await;
}

#[tokio::test]
async fn a_time_that_is_over_or_far_ahead_or_no_whole_number_is_refused() {
    assert_claims_refused(&[
        ("exp", json!(NOW - 31)),
        ("exp", json!(NOW - 30)),
        ("exp", json!(0)),
        ("exp", json!(-1)),
        ("exp", json!((NOW + 600) as f64)),
        ("exp", json!(NOW as f64 + 600.5)),
        ("exp", json!((NOW + 600).to_string())),
        ("exp", json!(u64::MAX - 1)),
        ("exp", json!(u64::MAX)),
        ("exp", json!(NOW + 86_400)),
        ("nbf", json!(NOW + 31)),
        ("nbf", json!(u64::MAX)),
        ("nbf", json!("0")),
        ("nbf", json!(-1)),
        ("iat", json!(NOW + 31)),
        ("iat", json!(NOW - 86_400)),
        ("iat", json!("now")),
        ("auth_time", json!("now")),
    ])
    .await;
    let mut body = claims(ISSUER);
    body.as_object_mut().unwrap().remove("iat");
    body["exp"] = json!(253_402_300_799u64);
    assert_bodies_refused(&[("year 9999, no iat", body.to_string())]).await;
}

#[tokio::test]
async fn an_id_token_a_logout_token_and_a_refresh_token_are_refused_as_their_issuers_mark_them() {
    let logout = json!({"http://schemas.openid.net/event/backchannel-logout": {}});
    assert_claims_refused(&[
        ("at_hash", json!("x")),
        ("c_hash", json!("x")),
        ("events", logout),
        ("typ", json!("ID")),
        ("typ", json!("Refresh")),
        ("typ", json!("Offline")),
        ("typ", json!("Logout")),
        ("token_use", json!("id")),
        ("token_type", json!("refresh")),
        ("token_type", json!("refresh_token")),
    ])
    .await;
}

#[tokio::test]
async fn a_claim_that_stands_twice_is_refused() {
    let good = claims(ISSUER).to_string();
    let open = good.strip_suffix('}').unwrap();
    let rows = [
        r#""sub":"alice""#,
        r#""scope":"a","scope":"mfa:admin""#,
        r#""aud":"https://mfa.example""#,
        r#""exp":1795522200"#,
        r#""iss":"https://issuer.example""#,
        r#""\u0073ub":"bob""#,
        r#""email":"a@b","email":"c@d""#,
    ];
    assert_bodies_refused(&rows.map(|twice| (twice, format!("{open},{twice}}}")))).await;
}

#[tokio::test]
async fn claims_that_are_no_object_are_refused() {
    let good = claims(ISSUER).to_string();
    let deep = format!("{}{}", "[".repeat(2000), "]".repeat(2000));
    assert_bodies_refused(&[
        ("no object", "[]".to_owned()),
        ("null", "null".to_owned()),
        ("trailing text", format!("{good} {{}}")),
        ("broken", good.strip_suffix('}').unwrap().to_owned()),
        (
            "a subject 2,000 levels deep",
            good.replace(r#""alice""#, &deep),
        ),
    ])
    .await;
}

#[tokio::test]
async fn deep_and_wide_claims_that_we_do_not_know_are_passed_over() {
    let key = Signer::ec("1");
    let (verifier, _file) = verifier_of(&[&key], &TestClock::at(NOW), |_| {});
    let good = claims(ISSUER).to_string();
    let open = good.strip_suffix('}').unwrap();
    let deep = format!("{open},\"x\":{}{}}}", "[".repeat(2000), "]".repeat(2000));
    let wide: String = (0..500).map(|n| format!(",\"{n}\":0")).collect();
    for body in [deep, format!("{open}{wide}}}")] {
        let outcome = verifier
            .caller(&key.sign_raw(&key.header().to_string(), &body))
            .await;
        // Refused or passed over: what counts is that nothing overflows.
        assert!(matches!(code(&outcome), "accepted" | "invalid_token"));
    }
}

#[tokio::test]
async fn times_are_judged_by_our_clock_with_half_a_minute_to_spare() {
    let key = Signer::ec("1");
    let clock = TestClock::at(NOW);
    let (verifier, _file) = verifier_of(&[&key], &clock, |_| {});
    for (name, value) in [
        ("exp", NOW - 29),
        ("nbf", NOW + 30),
        ("nbf", NOW - 1),
        ("iat", NOW + 30),
    ] {
        let outcome = verifier.caller(&claim(&key, name, json!(value))).await;
        assert_eq!(code(&outcome), "accepted", "{name} {value}: {outcome:?}");
    }
    let token = key.sign(&claims(ISSUER));
    for (now, expected) in [
        (NOW + 629, "accepted"),
        (NOW + 630, "invalid_token"),
        // No panic with a clock at 1970, in 2106 or at the end of time.
        (0, "invalid_token"),
        (10, "invalid_token"),
        (59, "invalid_token"),
        (u64::from(u32::MAX) + 1, "invalid_token"),
        (u64::MAX, "invalid_token"),
        (NOW, "accepted"),
    ] {
        clock.set(now);
        assert_eq!(code(&verifier.caller(&token).await), expected, "at {now}");
    }
    clock.set(10);
    let of_1970 = altered(&key, |_, body| {
        body["iat"] = json!(0);
        body["exp"] = json!(60);
    });
    assert_eq!(code(&verifier.caller(&of_1970).await), "accepted");
}

#[tokio::test]
async fn an_expired_token_says_so_and_no_reason_quotes_more_than_a_line() {
    let key = Signer::ec("1");
    let (verifier, _file) = verifier_of(&[&key], &TestClock::at(NOW), |_| {});
    let expired = verifier
        .caller(&claim(&key, "exp", json!(NOW - 100)))
        .await
        .unwrap_err();
    assert!(expired.detail().contains("expired"));
    let forged = header(
        &key,
        "kid",
        json!(format!("1\n[ERROR] {}", "x".repeat(1000))),
    );
    let failure = format!("{:?}", verifier.caller(&forged).await.unwrap_err());
    assert!(!failure.contains('\n') && failure.len() < 400, "{failure}");
}

#[test]
fn checked_claims_must_name_the_issuer_whose_key_has_signed_them() {
    let read = |issuer: &str| {
        serde_json::from_value::<crate::auth::claims::Claims>(claims(issuer)).unwrap()
    };
    let audience = [AUDIENCE.to_owned()];
    let now = Timestamp::from_unix(NOW);
    assert!(read(ISSUER).check(ISSUER, &audience, now).is_ok());
    assert!(
        read("https://other.example")
            .check(ISSUER, &audience, now)
            .is_err()
    );
}

#[tokio::test]
async fn a_token_that_is_bound_to_a_key_is_refused_and_says_so() {
    let key = Signer::ec("1");
    let mut rows = Vec::new();
    for cnf in [
        json!({"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}),
        json!({"x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"}),
        json!({"kid": "1"}),
        json!({"jwk": {"kty": "EC"}}),
        json!({"jku": "https://keys.example", "kid": "1"}),
        json!({"unknown": 1}),
        json!({}),
        json!([]),
        json!(""),
        json!("jkt"),
        json!(false),
        json!(0),
    ] {
        rows.push((format!("cnf: {cnf}"), claim(&key, "cnf", cnf)));
    }
    for kind in ["DPoP", "dpop", "PoP", "mac"] {
        for name in ["token_type", "typ"] {
            rows.push((format!("{name}: {kind}"), claim(&key, name, json!(kind))));
        }
    }
    let (verifier, _file) = verifier_of(&[&key], &TestClock::at(NOW), |_| {});
    for (name, token) in &rows {
        let failure = verifier.caller(token).await.unwrap_err();
        assert!(failure.detail().contains("bound to a key"), "{name}");
        let service = verifier.login_service(token).await.unwrap_err();
        assert_eq!(service.code().name, "invalid_token", "{name}");
    }
    assert_refused(&key, rows).await;
    for free in [json!(null)] {
        let token = claim(&key, "cnf", free);
        assert!(verifier.caller(&token).await.is_ok(), "nothing is bound");
    }
}
