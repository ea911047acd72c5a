use super::*;

#[tokio::test]
async fn a_token_in_another_shape_is_refused() {
    let key = Signer::ec("1");
    let good = key.sign(&claims(ISSUER));
    let parts: Vec<&str> = good.split('.').collect();
    let unsigned = format!("{}.{}", parts[0], parts[1]);
    // The last character of 64 bytes carries four bits; its other two must be zero.
    let (head, last) = good.split_at(good.len() - 1);
    let stray = match last {
        "A" => "B",
        "Q" => "R",
        "g" => "h",
        _ => "x",
    };
    assert_refused(
        &key,
        named(vec![
            ("empty", String::new()),
            ("one dot", ".".to_owned()),
            ("two dots", "..".to_owned()),
            ("words", "Bearer x".to_owned()),
            ("no signature", format!("{unsigned}.")),
            ("two parts", unsigned.clone()),
            ("four parts", format!("{good}.{}", parts[2])),
            ("four parts, last empty", format!("{good}.")),
            (
                "five parts, as encrypted tokens have",
                format!("{good}.a.b"),
            ),
            ("padding", format!("{good}==")),
            ("trailing newline", format!("{good}\n")),
            ("leading space", format!(" {good}")),
            ("inner newline", good.replacen('.', "\n.", 1)),
            ("stray bits", format!("{head}{stray}")),
            ("standard alphabet", good.replacen(parts[1], "+/+/", 1)),
            ("8 KiB and one", "a".repeat(LONGEST_TOKEN + 1)),
            ("1 MB", "a.".repeat(500_000)),
            ("another signature", format!("{unsigned}.{}", b64([1; 64]))),
            ("a zero signature", format!("{unsigned}.{}", b64([0; 64]))),
            (
                "a header that is no JSON",
                format!("{}.{}.{}", b64("x"), parts[1], parts[2]),
            ),
            ("no text", "\u{0}\u{1F600}.\u{1F600}.é".to_owned()),
        ]),
    )
    .await;
}

#[tokio::test]
async fn a_long_token_is_accepted_up_to_the_bound_and_no_further() {
    let key = Signer::ec("1");
    let (verifier, _file) = verifier_of(&[&key], &TestClock::at(NOW), |_| {});
    for (length, expected) in [(5_800, "accepted"), (6_200, "invalid_token")] {
        let token = claim(&key, "roles", json!("r".repeat(length)));
        assert_eq!(token.len() > LONGEST_TOKEN, expected == "invalid_token");
        assert_eq!(code(&verifier.caller(&token).await), expected);
    }
}

#[tokio::test]
async fn a_single_changed_character_is_refused() {
    let key = Signer::ec("1");
    let (verifier, _file) = verifier_of(&[&key], &TestClock::at(NOW), |_| {});
    let good = key.sign(&claims(ISSUER));
    for at in 0..good.len() {
        for other in ["A", "B", "_", "."] {
            let mut changed = good.clone();
            changed.replace_range(at..=at, other);
            if changed != good {
                let outcome = verifier.caller(&changed).await;
                assert_eq!(code(&outcome), "invalid_token", "at {at}: {other}");
            }
        }
    }
}

#[tokio::test]
async fn a_header_that_asks_for_more_is_refused() {
    let key = Signer::ec("1");
    let mut rows = named(vec![
        (
            "unknown crit",
            header(&key, "crit", json!(["http://example/x"])),
        ),
        ("known crit", header(&key, "crit", json!(["exp"]))),
        ("empty crit", header(&key, "crit", json!([]))),
        ("null crit", header(&key, "crit", json!(null))),
        ("b64 false", header(&key, "b64", json!(false))),
        ("b64 true", header(&key, "b64", json!(true))),
        (
            "b64 with crit",
            altered(&key, |h, _| {
                h["b64"] = json!(false);
                h["crit"] = json!(["b64"]);
            }),
        ),
        ("zip", header(&key, "zip", json!("DEF"))),
        ("enc", header(&key, "enc", json!("A256GCM"))),
        ("nesting", header(&key, "cty", json!("JWT"))),
        ("kid of a number", header(&key, "kid", json!(1))),
        ("kid of a list", header(&key, "kid", json!(["1"]))),
        ("typ of a number", header(&key, "typ", json!(1))),
        (
            "two kid",
            key.sign_raw(
                r#"{"alg":"ES256","kid":"1","kid":"1","typ":"JWT"}"#,
                &claims(ISSUER).to_string(),
            ),
        ),
        (
            "a member that is no text",
            key.sign_raw(
                b"{\"alg\":\"ES256\",\"kid\":\"1\",\"x\":\"\xff\"}",
                &claims(ISSUER).to_string(),
            ),
        ),
        (
            "two alg",
            key.sign_raw(
                r#"{"alg":"none","alg":"ES256","kid":"1"}"#,
                &claims(ISSUER).to_string(),
            ),
        ),
        (
            "two typ",
            key.sign_raw(
                r#"{"alg":"ES256","kid":"1","typ":"JWT","typ":"JWT"}"#,
                &claims(ISSUER).to_string(),
            ),
        ),
        ("a list", key.sign_raw("[]", &claims(ISSUER).to_string())),
    ]);
    for typ in [
        "id_token",
        "ID",
        "logout+jwt",
        "mfa+jwt",
        "dpop+jwt",
        "secevent+jwt",
        "JWS",
        "",
        "JWT ",
        "application/jwt",
        "refresh+jwt",
        "JOSE+JSON",
    ] {
        rows.push((format!("typ {typ}"), header(&key, "typ", json!(typ))));
    }
    for kid in [
        "../../dev/null",
        "' OR 1=1 --",
        "https://evil.example/k",
        "",
        "1\0",
        "1\n[ERROR] x",
    ] {
        rows.push((format!("kid {kid:?}"), header(&key, "kid", json!(kid))));
    }
    rows.push((
        "kid of 4 KB".to_owned(),
        header(&key, "kid", json!("k".repeat(4096))),
    ));
    assert_refused(&key, rows).await;
}

#[tokio::test]
async fn a_type_of_access_tokens_is_accepted_and_strictness_asks_for_it() {
    let key = Signer::ec("1");
    let (lax, _a) = verifier_of(&[&key], &TestClock::at(NOW), |_| {});
    let (strict, _b) = verifier_of(&[&key], &TestClock::at(NOW), |s| s.strict_type = true);
    for (typ, in_strict) in [
        (json!("at+jwt"), true),
        (json!("AT+JWT"), true),
        (json!("application/at+jwt"), true),
        (json!("JWT"), false),
        (json!("jwt"), false),
        (json!(null), false),
    ] {
        let token = header(&key, "typ", typ.clone());
        assert_eq!(code(&lax.caller(&token).await), "accepted", "{typ}");
        assert_eq!(
            code(&strict.caller(&token).await) == "accepted",
            in_strict,
            "{typ}"
        );
    }
}
