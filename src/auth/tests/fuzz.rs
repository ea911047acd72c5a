//! Whatever bears a token or comes from an issuer.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use url::Url;

use super::*;
use crate::auth::claims::LEEWAY;
use crate::auth::keys::{KeyDocument, KeySet, MOST_KEYS, Pick};
use crate::auth::provider::Provider;
use crate::auth::token::Unverified;
use crate::base::fuzz::{Target, json_object, stands_twice};

/// Claims of which one that stands twice could mean either.
const CLAIMS: &[&str] = &[
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "scope",
    "client_id",
    "azp",
    "typ",
    "email",
    "email_verified",
    "tenant_id",
    "auth_time",
    "amr",
    "events",
    "at_hash",
    "token_use",
    "preferred_username",
    "locale",
];
const HEADER: &[&str] = &[
    "alg", "kid", "typ", "crit", "b64", "zip", "enc", "cty", "jku", "jwk",
];

fn header_text() -> impl Strategy<Value = String> {
    let values = select(
        &[
            "\"ES256\"",
            "\"none\"",
            "\"HS256\"",
            "\"EdDSA\"",
            "\"1\"",
            "\"ed\"",
            "\"at+jwt\"",
            "\"JWT\"",
            "[\"exp\"]",
        ][..],
    );
    let odd = json_object(HEADER, values.prop_map(str::to_owned));
    let usual = select(
        &[
            r#"{"alg":"ES256","kid":"1","typ":"at+jwt"}"#,
            r#"{"alg":"ES256","kid":"1"}"#,
            r#"{"alg":"ES256"}"#,
            r#"{"alg":"HS256","kid":"1"}"#,
        ][..],
    );
    prop_oneof![3 => usual.prop_map(str::to_owned), 1 => odd]
}

fn claims_text() -> impl Strategy<Value = String> {
    let values = select(vec![
        format!("{ISSUER:?}"),
        format!("{AUDIENCE:?}"),
        format!("[{AUDIENCE:?},\"x\"]"),
        format!("{}", NOW + 600),
        format!("{}", NOW - 600),
        format!("{}", NOW - 31),
        "\"alice\"".to_owned(),
        "\"id\"".to_owned(),
        "\"a@example.com\"".to_owned(),
        "[\"pwd\",\"otp\"]".to_owned(),
    ]);
    let more = json_object(CLAIMS, values);
    let good = format!(
        "\"iss\":{ISSUER:?},\"sub\":\"alice\",\"aud\":{AUDIENCE:?},\"exp\":{}",
        NOW + 600
    );
    (more, 0..4).prop_map(move |(more, kind)| match kind {
        0 => more,
        1 if more != "{}" => format!("{{{good},{}", &more[1..]),
        _ => format!("{{{good}}}"),
    })
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// No text is a good token but the very ones that a key of the issuer has signed.
#[test]
fn fuzz_tokens() {
    let keys = [
        Signer::ec("1"),
        Signer::ec384("384"),
        Signer::ed("ed"),
        Signer::rsa(),
    ];
    let (strangers, runtime) = ([Signer::ec("1"), Signer::ed("ed")], runtime());
    let (verifier, _file) = verifier_of(&keys.each_ref(), &TestClock::at(NOW), |_| {});
    let good: Vec<String> = keys.iter().map(|key| key.sign(&claims(ISSUER))).collect();
    let mut target =
        Target::new("tokens").words(&[".", "..", "=", "A", "eyJhbGciOiJub25lIn0", "\u{a0}", "\r"]);
    for token in &good {
        target = target.seed(token.as_str());
    }
    for stranger in &strangers {
        target = target.seed(stranger.sign(&claims(ISSUER)));
    }
    let parts: Vec<String> = good
        .iter()
        .flat_map(|token| token.split('.').map(str::to_owned))
        .collect();
    let part = prop_oneof![
        header_text().prop_map(b64),
        claims_text().prop_map(b64),
        select(parts),
        vec(any::<u8>(), 0..70).prop_map(b64),
    ];
    let generated = prop_oneof![
        3 => vec(part, 3..=3).prop_map(|parts| parts.join(".").into_bytes()),
        1 => select(good.clone()).prop_map(String::into_bytes),
    ];
    target.check(generated, |input| {
        let Ok(token) = std::str::from_utf8(input) else {
            return false;
        };
        let outcome = runtime.block_on(verifier.caller(token));
        match &outcome {
            Ok(_) => assert!(good.iter().any(|one| one == token), "{token}"),
            Err(failure) => {
                assert_eq!(failure.code().name, "invalid_token");
                assert!(!good.iter().any(|one| one == token), "{failure:?}");
            }
        }
        outcome.is_ok()
    });
}

/// Whatever the right key has signed is accepted only if it is a live access token for us, in one reading.
#[test]
fn fuzz_signed_claims() {
    let (key, runtime) = (Signer::ec("1"), runtime());
    let (verifier, _file) = verifier_of(&[&key], &TestClock::at(NOW), |_| {});
    let generated = (header_text(), claims_text())
        .prop_map(|(header, claims)| format!("{header}\n{claims}").into_bytes());
    let target = Target::new("signed_claims").words(&[
        "\"iss\":",
        "\"aud\":",
        "\"exp\":",
        "\"alg\":\"none\",",
        ".0",
        "e0",
    ]);
    target.check(generated, |input| {
        let Some(at) = input.iter().position(|byte| *byte == b'\n') else {
            return false;
        };
        let (header, claims) = (&input[..at], &input[at + 1..]);
        let token = key.sign_raw(header, claims);
        let Ok(caller) = runtime.block_on(verifier.caller(&token)) else {
            return false;
        };
        let text = std::str::from_utf8;
        let (header, claims) = (text(header).unwrap(), text(claims).unwrap());
        let twice = |text, names: &[&str]| names.iter().any(|name| stands_twice(text, name));
        assert!(!twice(header, &HEADER[..8]) && !twice(claims, CLAIMS));
        // Members that nobody reads may hold numbers and escapes that no value has.
        let value = serde_json::from_str::<Value>;
        let (Ok(header), Ok(claims)) = (value(header), value(claims)) else {
            return true;
        };
        assert_eq!(header["alg"], "ES256");
        assert!(
            ["crit", "b64", "zip", "enc", "cty"]
                .iter()
                .all(|name| header.get(name).is_none())
        );
        assert_eq!(claims["iss"], ISSUER);
        let names_us = |word: &Value| *word == AUDIENCE;
        assert!(names_us(&claims["aud"]) || claims["aud"].as_array().unwrap().iter().any(names_us));
        assert!(claims["exp"].as_u64().unwrap() > NOW - LEEWAY);
        for begin in ["nbf", "iat"] {
            assert!(
                claims[begin]
                    .as_u64()
                    .is_none_or(|begin| begin <= NOW + LEEWAY)
            );
        }
        assert!(claims.get("events").is_none() && claims.get("at_hash").is_none());
        let subject = claims["sub"].as_str().unwrap();
        assert!(!subject.is_empty() && !subject.chars().any(char::is_control));
        match caller {
            Caller::Person(person) => {
                assert_eq!(
                    (person.issuer.as_str(), person.subject.as_str()),
                    (ISSUER, subject)
                );
                assert!(!person.operator);
                let email = person
                    .email
                    .is_none_or(|email| claims["email"] == email.address.as_str());
                assert!(email && person.auth_time.is_none_or(|at| at.unix() <= NOW + LEEWAY));
            }
            Caller::LoginService(service) => assert_eq!(service.issuer, ISSUER),
        }
        true
    });
}

/// A document of keys makes a token good only if it holds the very key that signed it.
#[test]
fn fuzz_jwks() {
    let keys = [Signer::ec("1"), Signer::ed("1"), Signer::rsa()];
    let tokens: Vec<String> = keys.iter().map(|key| key.sign(&claims(ISSUER))).collect();
    let sets: Vec<String> = keys
        .iter()
        .map(|key| json!({"keys": [key.jwk]}).to_string())
        .chain([json!({"keys": public(&keys.each_ref())}).to_string()])
        .collect();
    let mut target = Target::new("jwks").words(&[
        "\"use\":\"enc\",",
        "\"kty\":\"oct\",\"k\":\"AAAA\",",
        "\"alg\":\"HS256\",",
        "AQAB",
    ]);
    for set in &sets {
        target = target.seed(set.as_str());
    }
    let members: &[&str] = &[
        "kty", "crv", "x", "y", "n", "e", "k", "alg", "use", "key_ops", "kid",
    ];
    let values = [
        "\"EC\"",
        "\"OKP\"",
        "\"RSA\"",
        "\"oct\"",
        "\"P-256\"",
        "\"Ed25519\"",
        "\"AQAB\"",
        "\"sig\"",
        "\"1\"",
    ];
    let jwk = json_object(members, select(values.map(str::to_owned).to_vec()));
    let known: Vec<String> = keys.iter().map(|key| key.jwk.to_string()).collect();
    let generated = vec(prop_oneof![jwk, select(known)], 0..5)
        .prop_map(|keys| format!("{{\"keys\":[{}]}}", keys.join(",")).into_bytes());
    target.check(generated, |input| {
        let Ok(document) = serde_json::from_slice::<KeyDocument>(input) else {
            return false;
        };
        let settings = IssuerSettings::new(ISSUER, Vec::new(), KeySource::Discovery);
        let Ok(set) = KeySet::read(document, &settings) else {
            return false;
        };
        assert!((1..=MOST_KEYS).contains(&set.len()));
        assert!(!matches!(
            set.pick(None, SigningAlgorithm::Hs256),
            Pick::Found(_)
        ));
        let said: Value = serde_json::from_slice(input).unwrap();
        for (key, token) in keys.iter().zip(&tokens) {
            let token = Unverified::read(token).unwrap();
            for kid in [Some(key.kid.as_str()), None] {
                let Pick::Found(found) = set.pick(kid, token.algorithm) else {
                    continue;
                };
                if token.verify::<Value>(&found).is_ok() {
                    let same = |jwk: &Value| {
                        ["x", "y", "n"]
                            .iter()
                            .all(|part| jwk[part] == key.jwk[part])
                    };
                    assert!(said["keys"].as_array().unwrap().iter().any(same));
                }
            }
        }
        true
    });
}

/// What an issuer says of itself leads nobody to a place that its own address does not vouch for.
#[test]
fn fuzz_discovery() {
    let members: &[&str] = &[
        "issuer",
        "jwks_uri",
        "userinfo_endpoint",
        "authorization_endpoint",
        "token_endpoint",
        "end_session_endpoint",
        "response_types_supported",
        "scopes_supported",
    ];
    let values = select(
        &[
            "\"https://issuer.example\"",
            "\"https://issuer.example/a\"",
            "\"http://issuer.example/a\"",
            "\"http://localhost/a\"",
            "\"https://u:p@issuer.example/\"",
            "\"https://issuer.example/#f\"",
            "\"file:///etc/passwd\"",
            "\"javascript:alert(1)\"",
            "[\"code\"]",
            "[\"token\"]",
        ][..],
    );
    let generated =
        json_object(members, values.prop_map(str::to_owned)).prop_map(String::into_bytes);
    let at = Url::parse("https://issuer.example/.well-known/openid-configuration").unwrap();
    Target::new("discovery")
        .words(&["http://", "https://", "\"code\"", "#f", "@"])
        .check(generated, |input| {
            let Ok(document) = serde_json::from_slice::<Value>(input) else {
                return false;
            };
            if let Ok(found) = crate::auth::fetch::discovered(&at, ISSUER, &document) {
                assert_eq!(document["issuer"], ISSUER);
                let named = [Some(found.keys), found.userinfo];
                assert!(
                    named
                        .into_iter()
                        .flatten()
                        .all(|url| url.scheme() == "https" && url.has_host())
                );
            }
            let Ok(provider) = Provider::read(&at, &document) else {
                return false;
            };
            let urls = [
                Some(provider.authorization_endpoint),
                Some(provider.token_endpoint),
                provider.end_session_endpoint,
            ];
            for url in urls.into_iter().flatten() {
                assert!(
                    url.scheme() == "https" && url.has_host() && url.fragment().is_none(),
                    "{url}"
                );
                assert!(
                    url.username().is_empty() && url.password().is_none(),
                    "{url}"
                );
            }
            let types = &document["response_types_supported"];
            assert!(types.is_null() || types.as_array().unwrap().iter().any(|kind| kind == "code"));
            true
        });
}
