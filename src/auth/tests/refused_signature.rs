use super::*;

#[tokio::test]
async fn a_token_without_a_signature_by_the_issuers_key_is_refused() {
    let key = Signer::ec("1");
    let mut rows = Vec::new();
    for alg in [
        "none", "None", "NONE", "nOnE", "", "HS256", "HS512", "RS256", "ES512", "ES256K", "es256",
    ] {
        let unsigned = format!(
            "{}.{}",
            b64(json!({"alg": alg, "kid": "1"}).to_string()),
            b64(claims(ISSUER).to_string())
        );
        rows.push((format!("{alg} unsigned"), format!("{unsigned}.")));
        rows.push((
            format!("{alg} with bytes"),
            format!("{unsigned}.{}", b64([0; 64])),
        ));
        rows.push((format!("{alg} signed"), header(&key, "alg", json!(alg))));
    }
    rows.push((
        "another key of that name".to_owned(),
        Signer::ec("1").sign(&claims(ISSUER)),
    ));
    rows.push((
        "another curve".to_owned(),
        Signer::ec384("1").sign(&claims(ISSUER)),
    ));
    assert_refused(&key, rows).await;
}

#[tokio::test]
async fn a_public_rsa_key_is_no_secret_to_sign_with() {
    let key = Signer::rsa();
    let pair = {
        // The DER of exactly this public key, from its private half.
        let der = key.encoding.clone();
        let jwk = Jwk::from_encoding_key(&der, Algorithm::RS256).unwrap();
        serde_json::to_value(jwk).unwrap()
    };
    let n = URL_SAFE_NO_PAD.decode(pair["n"].as_str().unwrap()).unwrap();
    let e = URL_SAFE_NO_PAD.decode(pair["e"].as_str().unwrap()).unwrap();
    let pkcs1 = sequence(&[integer(&n), integer(&e)]);
    let mut bits = vec![0];
    bits.extend(&pkcs1);
    let spki = sequence(&[
        // rsaEncryption, NULL
        vec![
            0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05,
            0x00,
        ],
        tagged(0x03, &bits),
    ]);
    let lines: Vec<String> = STANDARD
        .encode(&spki)
        .as_bytes()
        .chunks(64)
        .map(|line| String::from_utf8(line.to_vec()).unwrap())
        .collect();
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        lines.join("\n")
    );
    let secrets: Vec<(&str, Vec<u8>)> = vec![
        ("PEM", pem.clone().into_bytes()),
        (
            "PEM without the last newline",
            pem.trim_end().as_bytes().to_vec(),
        ),
        ("SPKI DER", spki),
        ("PKCS#1 DER", pkcs1),
        ("JWK", key.jwk.to_string().into_bytes()),
        ("modulus", n),
        (
            "modulus as text",
            pair["n"].as_str().unwrap().as_bytes().to_vec(),
        ),
        ("nothing", Vec::new()),
    ];
    let rows = secrets
        .into_iter()
        .flat_map(|(name, secret)| {
            let forger = Signer::hs256(&secret);
            [Some("rsa"), None].map(|kid| {
                let header = json!({"alg": "HS256", "kid": kid, "typ": "JWT"});
                let token = forger.sign_raw(&header.to_string(), &claims(ISSUER).to_string());
                (format!("{name}, kid {kid:?}"), token)
            })
        })
        .collect();
    assert_refused(&key, rows).await;
}

fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap();
    let mut der = match length {
        0..=127 => vec![tag, length as u8],
        128..=255 => vec![tag, 0x81, length as u8],
        _ => vec![tag, 0x82, (length >> 8) as u8, length as u8],
    };
    der.extend(content);
    der
}

fn integer(number: &[u8]) -> Vec<u8> {
    let mut content = vec![0; usize::from(number[0] >= 0x80)];
    content.extend(number);
    tagged(0x02, &content)
}

fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    tagged(0x30, &parts.concat())
}

#[tokio::test]
async fn keys_and_addresses_in_a_header_are_not_followed() {
    let canary = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    canary.set_nonblocking(true).unwrap();
    let url = format!("http://{}/jwks", canary.local_addr().unwrap());
    let key = Signer::ec("1");
    let mallory = Signer::ec("mallory");
    let (verifier, _file) = verifier_of(&[&key], &TestClock::at(NOW), |_| {});
    for (name, value) in [
        ("jku", json!(url)),
        ("x5u", json!(url)),
        ("jwk", mallory.jwk.clone()),
        ("x5c", json!(["MIIB"])),
        ("kid", json!(url)),
    ] {
        for kid in ["mallory", "1"] {
            let token = altered(&mallory, |header, _| {
                header["kid"] = json!(kid);
                header[name] = value.clone();
            });
            assert_eq!(
                code(&verifier.caller(&token).await),
                "invalid_token",
                "{name}"
            );
        }
    }
    let elsewhere = altered(&mallory, |_, body| body["iss"] = json!(url));
    assert_eq!(code(&verifier.caller(&elsewhere).await), "invalid_token");
    let met = canary.accept();
    assert_eq!(
        met.unwrap_err().kind(),
        std::io::ErrorKind::WouldBlock,
        "nobody called"
    );
}

#[tokio::test]
async fn an_algorithm_that_the_issuer_may_not_use_is_refused() {
    let (rsa, ec) = (Signer::rsa(), Signer::ec("1"));
    let (verifier, _file) = verifier_of(&[&rsa, &ec], &TestClock::at(NOW), |s| {
        s.algorithms = vec![SigningAlgorithm::Es256];
    });
    assert_eq!(
        code(&verifier.caller(&ec.sign(&claims(ISSUER))).await),
        "accepted"
    );
    assert_eq!(
        code(&verifier.caller(&rsa.sign(&claims(ISSUER))).await),
        "invalid_token"
    );
    let expected = Expected {
        issuer: ISSUER,
        client_id: AUDIENCE,
        nonce: "n",
        access_token: "a",
    };
    for (key, reason) in [(&rsa, "algorithm RS256"), (&ec, "nonce")] {
        let id_token = altered(key, |header, body| {
            header["typ"] = json!("JWT");
            body["aud"] = json!(AUDIENCE);
        });
        let refused = verifier.signed_in(&id_token, &expected).await.unwrap_err();
        let told = format!("{refused:?}");
        assert!(told.contains(reason), "ID tokens as well: {told}");
    }
}

#[tokio::test]
async fn an_rsa_key_below_the_size_that_is_asked_for_is_refused() {
    let (rsa, ec) = (Signer::rsa(), Signer::ec("1"));
    for (bits, accepted) in [(2048, true), (2049, false), (3072, false), (8192, false)] {
        let (verifier, _file) = verifier_of(&[&rsa, &ec], &TestClock::at(NOW), |s| {
            s.rsa_min_bits = bits;
        });
        let by_rsa = verifier.caller(&rsa.sign(&claims(ISSUER))).await;
        assert_eq!(code(&by_rsa) == "accepted", accepted, "{bits}");
        let by_ec = verifier.caller(&ec.sign(&claims(ISSUER))).await;
        assert_eq!(code(&by_ec), "accepted", "{bits}");
    }
    let (alone, _file) = verifier_of(&[&rsa], &TestClock::at(NOW), |s| s.rsa_min_bits = 3072);
    let told = format!("{:?}", alone.prime().await.unwrap_err());
    assert!(told.contains("RSA from 3072 bits"), "{told}");
}

#[tokio::test]
async fn a_token_without_kid_is_accepted_only_where_one_key_fits() {
    let (rsa, ec, second) = (Signer::rsa(), Signer::ec("1"), Signer::ec("2"));
    let clock = TestClock::at(NOW);
    let nameless = altered(&ec, |header, _| {
        header.as_object_mut().unwrap().remove("kid");
    });
    let (one, _a) = verifier_of(&[&rsa, &ec], &clock, |_| {});
    assert_eq!(code(&one.caller(&nameless).await), "accepted");
    let (two, _b) = verifier_of(&[&rsa, &ec, &second], &clock, |_| {});
    assert_eq!(code(&two.caller(&nameless).await), "invalid_token");
    let (none, _c) = verifier_of(&[&rsa], &clock, |_| {});
    assert_eq!(code(&none.caller(&nameless).await), "invalid_token");
}
