use url::Url;

use super::*;
use crate::base::Secret;

fn attempt(change: impl FnOnce(&mut IssuerSettings)) -> Result<(), String> {
    let mut settings = IssuerSettings::new(
        ISSUER,
        vec![AUDIENCE.to_owned()],
        KeySource::Hs256(Secret::new(vec![1; 32])),
    );
    change(&mut settings);
    Verifier::new(
        vec![settings],
        Outbound::new(None).unwrap(),
        TestClock::at(NOW),
    )
    .map(|_| ())
    .map_err(|e| e.to_string())
}

#[test]
fn settings_that_would_believe_too_much_are_refused() {
    assert_eq!(attempt(|_| {}), Ok(()));
    let short = attempt(|s| s.keys = KeySource::Hs256(Secret::new(vec![1; 31]))).unwrap_err();
    assert!(short.contains("31") && short.contains("32"), "{short}");
    assert!(attempt(|s| s.keys = KeySource::Hs256(Secret::new(Vec::new()))).is_err());
    assert!(attempt(|s| s.issuer = String::new()).is_err());
    assert!(attempt(|s| s.audience = Vec::new()).is_err());
    assert!(attempt(|s| s.audience = vec![String::new()]).is_err());
    assert!(attempt(|s| s.verify_scope = String::new()).is_err());
    assert!(attempt(|s| s.admin_scope = "a b".to_owned()).is_err());
    let file = || KeySource::File("jwks.json".into());
    assert_eq!(attempt(|s| s.keys = file()), Ok(()));
    for algorithms in [
        vec![],
        vec![SigningAlgorithm::Hs256],
        vec![SigningAlgorithm::Rs256, SigningAlgorithm::Hs256],
    ] {
        assert!(
            attempt(|s| {
                s.keys = file();
                s.algorithms = algorithms;
            })
            .is_err()
        );
    }
    for bits in [0, 1024, 2047, 8193] {
        assert!(attempt(|s| s.rsa_min_bits = bits).is_err(), "{bits}");
    }
    let outbound = Outbound::new(None).unwrap();
    assert!(Verifier::new(vec![], outbound.clone(), TestClock::at(NOW)).is_err());
    let one = IssuerSettings::new(ISSUER, vec![AUDIENCE.to_owned()], file());
    let mut two = one.clone();
    two.keys = KeySource::Hs256(Secret::new(vec![1; 32]));
    assert!(
        Verifier::new(vec![one, two], outbound, TestClock::at(NOW)).is_err(),
        "a secret beside public keys"
    );
}

#[test]
fn only_https_and_this_machine_are_asked() {
    for (url, allowed) in [
        ("https://issuer.example/jwks", true),
        ("http://localhost:8080/jwks", true),
        ("http://127.0.0.1/jwks", true),
        ("http://127.9.9.9/jwks", true),
        ("http://[::1]/jwks", true),
        ("http://issuer.example/jwks", false),
        ("http://localhost.evil.example/jwks", false),
        ("http://10.0.0.1/jwks", false),
        ("http://0.0.0.0/jwks", false),
        ("http://[::ffff:10.0.0.1]/jwks", false),
        ("https://user:geheim@issuer.example/", false),
        ("file:///etc/passwd", false),
        ("ftp://localhost/", false),
        ("unix:/run/x", false),
    ] {
        let parsed = Url::parse(url).unwrap();
        let outcome = check_address(&parsed);
        assert_eq!(outcome.is_ok(), allowed, "{url}");
        if let Err(error) = outcome {
            assert!(!error.to_string().contains("geheim"));
        }
        assert_eq!(
            attempt(|s| s.keys = KeySource::Url(parsed.clone())).is_ok(),
            allowed
        );
        assert_eq!(attempt(|s| s.userinfo = Some(parsed)).is_ok(), allowed);
    }
    for issuer in [
        "issuer",
        "http://issuer.example",
        "https://issuer.example/?x=1",
    ] {
        let outcome = attempt(|s| {
            s.issuer = issuer.to_owned();
            s.keys = KeySource::Discovery;
        });
        assert!(outcome.is_err(), "{issuer}");
    }
}

#[test]
fn secrets_are_not_printed_with_the_settings() {
    let settings = IssuerSettings::new(
        ISSUER,
        vec![AUDIENCE.to_owned()],
        KeySource::Hs256(Secret::new(b"geheim geheim geheim geheim geheim".to_vec())),
    );
    let shown = format!("{settings:?}");
    assert!(
        !shown.contains("geheim") && !shown.contains("103, 101"),
        "{shown}"
    );
}
