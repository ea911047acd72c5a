use std::sync::Arc;

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey};
use aws_lc_rs::digest;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};

use crate::base::{Clock, Failure, OsEntropy, Secret, TestClock, Timestamp};
use crate::store::testing::{ALL_ROWS, TestStore};

use super::record::StoredKey;
use super::rule::Life;
use super::{MOST_KEYS, PUBLISH_BEFORE_USE, PUBLISHED_AFTER_USE, ROTATED_LATELY, Signer};

const T: u64 = 1_795_521_600;

/// A store with signing keys in it, and the clock that they are used by.
struct KeyStore {
    clock: Arc<TestClock>,
    store: TestStore,
}

impl KeyStore {
    fn new() -> Self {
        KeyStore {
            clock: TestClock::at(T),
            store: TestStore::create(),
        }
    }

    async fn open(&self) -> Result<Signer, Failure> {
        Signer::open(self.store.clone(), self.clock.clone(), Arc::new(OsEntropy)).await
    }

    async fn restart(&mut self) -> Signer {
        self.store.restart().await;
        self.open().await.unwrap()
    }

    /// The `kid`s in the store.
    fn stored(&self) -> Vec<String> {
        let rows = self.store.read(|read| read.list::<StoredKey>(&ALL_ROWS));
        rows.unwrap().into_iter().map(|(kid, _)| kid).collect()
    }
}

fn kids(signer: &Signer) -> Vec<String> {
    let jwks = signer.jwks();
    let keys = jwks["keys"].as_array().unwrap();
    keys.iter()
        .map(|key| key["kid"].as_str().unwrap().to_owned())
        .collect()
}

/// The `kid` of what is signed now.
fn signs(signer: &Signer) -> String {
    let token = signer.sign(&json!({"sub": "alice"})).unwrap();
    jsonwebtoken::decode_header(token).unwrap().kid.unwrap()
}

/// The claims of `token`, by a key of `jwks` and what that key says of itself.
fn check(jwks: &Value, token: &str) -> Result<Value, String> {
    let set: JwkSet = serde_json::from_value(jwks.clone()).unwrap();
    let header = jsonwebtoken::decode_header(token).unwrap();
    assert_eq!(header.alg, Algorithm::ES256);
    assert_eq!(header.typ.as_deref(), Some("mfa+jwt"));
    let jwk = set.find(&header.kid.unwrap()).ok_or("unknown key")?;
    let mut validation = Validation::new(Algorithm::ES256);
    validation.validate_exp = false;
    validation.required_spec_claims.clear();
    let key = DecodingKey::from_jwk(jwk).unwrap();
    jsonwebtoken::decode::<Value>(token, &key, &validation)
        .map(|data| data.claims)
        .map_err(|e| e.to_string())
}

#[tokio::test]
async fn what_is_signed_is_checked_with_what_is_published_and_nothing_more_is_published() {
    let keys = KeyStore::new();
    let signer = keys.open().await.unwrap();
    let claims = json!({"sub": "alice", "iat": T});
    let token = signer.sign(&claims).unwrap();
    let jwks = signer.jwks();
    assert_eq!(check(&jwks, &token), Ok(claims));

    let key = &jwks["keys"][0];
    let mut members: Vec<&str> = key.as_object().unwrap().keys().map(|k| &**k).collect();
    members.sort();
    assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x", "y"]);
    for (member, value) in [
        ("kty", "EC"),
        ("crv", "P-256"),
        ("use", "sig"),
        ("alg", "ES256"),
    ] {
        assert_eq!(key[member], value);
    }
    let (rest, signature) = token.rsplit_once('.').unwrap();
    let mut bytes = BASE64URL_NOPAD.decode(signature.as_bytes()).unwrap();
    bytes[5] ^= 1;
    let forged = format!("{rest}.{}", BASE64URL_NOPAD.encode(&bytes));
    assert!(check(&jwks, &forged).is_err());
    let other = KeyStore::new().open().await.unwrap();
    assert_eq!(check(&other.jwks(), &token), Err("unknown key".to_owned()));
}

/// The key of RFC 7517 appendix A.2, and the thumbprint of it that RFC 7638 section 3 makes.
#[tokio::test]
async fn a_key_is_named_by_its_thumbprint() {
    let decode = |text: &str| BASE64URL_NOPAD.decode(text.as_bytes()).unwrap();
    let scalar = decode("870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE");
    let x = "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4";
    let y = "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM";
    let thumbprint = "cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s";
    let input = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
    let hash = digest::digest(&digest::SHA256, input.as_bytes());
    assert_eq!(BASE64URL_NOPAD.encode(hash.as_ref()), thumbprint);

    let private = PrivateKey::from_private_key(&ECDH_P256, &scalar).unwrap();
    let public = private.compute_public_key().unwrap();
    let pair = EcdsaKeyPair::from_private_key_and_public_key(
        &ECDSA_P256_SHA256_FIXED_SIGNING,
        &scalar,
        public.as_ref(),
    );
    let pkcs8 = pair.unwrap().to_pkcs8v1().unwrap().as_ref().to_vec();
    let keys = KeyStore::new();
    let key = StoredKey::new(&Secret::new(pkcs8), Life::first(Timestamp::from_unix(T)));
    keys.store
        .write(move |tx| tx.put(&thumbprint.to_owned(), &key))
        .await
        .unwrap();
    let signer = keys.open().await.unwrap();
    let expected = json!({
        "kty": "EC", "crv": "P-256", "x": x, "y": y, "use": "sig", "alg": "ES256", "kid": thumbprint,
    });
    assert_eq!(signer.jwks(), json!({ "keys": [expected] }));
    assert_eq!(signs(&signer), thumbprint);
}

#[tokio::test]
async fn a_key_is_not_used_under_another_name_nor_if_it_is_none() {
    let keys = KeyStore::new();
    let life = Life::first(Timestamp::from_unix(T));
    for odd in [b"no key".to_vec(), Vec::new()] {
        let key = StoredKey::new(&Secret::new(odd), life);
        let put = keys.store.write(move |tx| tx.put(&"k".to_owned(), &key));
        put.await.unwrap();
        assert!(keys.open().await.is_err());
    }
    let pkcs8 = crate::crypto::draw_p256_key(&OsEntropy).unwrap();
    let key = StoredKey::new(&pkcs8, life);
    let put = keys.store.write(move |tx| tx.put(&"k".to_owned(), &key));
    put.await.unwrap();
    assert!(keys.open().await.is_err());
    // None was made in its place.
    assert_eq!(keys.stored(), ["k"]);
}

#[tokio::test]
async fn coordinates_keep_their_leading_zeros() {
    for _ in 0..600 {
        let pkcs8 = crate::crypto::draw_p256_key(&OsEntropy).unwrap();
        let key = jsonwebtoken::EncodingKey::from_ec_der(pkcs8.expose());
        let jwk = jsonwebtoken::jwk::Jwk::from_encoding_key(&key, Algorithm::ES256);
        let jwk = serde_json::to_value(jwk.unwrap()).unwrap();
        for member in ["x", "y"] {
            assert_eq!(jwk[member].as_str().unwrap().len(), 43, "{jwk}");
        }
    }
}

#[tokio::test]
async fn a_restart_keeps_the_keys() {
    let mut keys = KeyStore::new();
    let signer = keys.open().await.unwrap();
    signer.rotate().await.unwrap();
    let (jwks, list, kid) = (signer.jwks(), signer.list(), signs(&signer));
    let token = signer.sign(&json!({"sub": "alice"})).unwrap();
    keys.clock.forward(60);
    let signer = keys.restart().await;
    assert_eq!(signer.jwks(), jwks);
    assert_eq!(signer.list(), list);
    assert_eq!(signs(&signer), kid);
    assert!(check(&signer.jwks(), &token).is_ok());
}

#[tokio::test]
async fn signers_that_start_at_once_agree_on_one_key() {
    let keys = KeyStore::new();
    let (a, b, c) = tokio::join!(keys.open(), keys.open(), keys.open());
    let (a, b, c) = (a.unwrap(), b.unwrap(), c.unwrap());
    assert_eq!(a.jwks(), b.jwks());
    assert_eq!(a.jwks(), c.jwks());
    assert_eq!(keys.stored(), kids(&a));
}

#[tokio::test]
async fn a_rotation_is_published_at_once_signs_later_and_leaves_the_old_key_for_an_hour() {
    let mut keys = KeyStore::new();
    let signer = keys.open().await.unwrap();
    let clone = signer.clone();
    let first = signs(&signer);
    let before = signer.sign(&json!({"sub": "alice"})).unwrap();
    keys.clock.forward(1_000);
    let made = signer.rotate().await.unwrap();
    let second = made.kid.clone();
    let now = T + 1_000;
    assert!(!made.signs);
    assert_eq!(made.published_at.unix(), now);
    assert_eq!(made.signs_from.unix(), now + PUBLISH_BEFORE_USE);
    assert_eq!((made.signs_until, made.gone_at), (None, None));

    // The key that signs stands first.
    assert_eq!(kids(&clone), [&*first, &*second]);
    assert_eq!(signs(&clone), first);
    keys.clock.forward(PUBLISH_BEFORE_USE - 1);
    let last = signer.sign(&json!({"sub": "alice"})).unwrap();
    assert_eq!(signs(&signer), first);
    keys.clock.forward(1);
    assert_eq!(signs(&signer), second);
    assert_eq!(signs(&clone), second);
    assert_eq!(kids(&signer), [&*second, &*first]);
    let list = signer.list();
    assert_eq!(
        list.iter().map(|key| key.signs).collect::<Vec<_>>(),
        [true, false]
    );
    let switch = Timestamp::from_unix(now + PUBLISH_BEFORE_USE);
    assert_eq!(list[1].signs_until, Some(switch));
    assert_eq!(list[1].gone_at, Some(switch.plus(PUBLISHED_AFTER_USE)));

    // What the old key signed last is checked until nobody has a reason to, and the sweep takes the key.
    keys.clock.forward(PUBLISHED_AFTER_USE - 1);
    keys.store.sweep(keys.clock.now()).await.unwrap();
    signer.refresh().unwrap();
    for token in [&before, &last] {
        assert!(check(&signer.jwks(), token).is_ok());
    }
    keys.clock.forward(1);
    assert_eq!(kids(&signer), [&*second]);
    assert!(check(&signer.jwks(), &last).is_err());
    assert_eq!(keys.stored().len(), 2);
    keys.store.sweep(keys.clock.now()).await.unwrap();
    assert_eq!(keys.stored(), [&*second]);
    signer.refresh().unwrap();
    let signer = keys.restart().await;
    assert_eq!(kids(&signer), [&*second]);
    assert_eq!(signs(&signer), second);
}

#[tokio::test]
async fn the_next_rotation_removes_what_is_gone_even_where_nobody_sweeps() {
    let keys = KeyStore::new();
    let signer = keys.open().await.unwrap();
    let first = signs(&signer);
    signer.rotate().await.unwrap();
    keys.clock.forward(PUBLISH_BEFORE_USE + PUBLISHED_AFTER_USE);
    signer.rotate().await.unwrap();
    assert_eq!(keys.stored().len(), 2);
    assert!(!keys.stored().contains(&first));
}

#[tokio::test]
async fn of_rotations_at_once_one_is_done() {
    let keys = KeyStore::new();
    let signer = keys.open().await.unwrap();
    let asked: Vec<_> = (0..16)
        .map(|_| {
            let signer = signer.clone();
            tokio::spawn(async move { signer.rotate().await })
        })
        .collect();
    let mut made = Vec::new();
    for rotation in asked {
        match rotation.await.unwrap() {
            Ok(key) => made.push(key.kid),
            Err(refused) => {
                assert_eq!(refused.code(), ROTATED_LATELY);
                assert_eq!(refused.wait(), Some(PUBLISH_BEFORE_USE));
                assert_eq!(
                    refused.detail(),
                    "A new signing key waits already: it signs from 2026-11-24T12:05:30Z on."
                );
            }
        }
    }
    assert_eq!(made.len(), 1);
    assert_eq!(kids(&signer)[1..], made);
    assert_eq!(keys.stored().len(), 2);
}

#[tokio::test]
async fn there_are_eight_keys_at_the_most() {
    let keys = KeyStore::new();
    let signer = keys.open().await.unwrap();
    for _ in 1..MOST_KEYS {
        signer.rotate().await.unwrap();
        keys.clock.forward(PUBLISH_BEFORE_USE);
    }
    let refused = signer.rotate().await.unwrap_err();
    assert_eq!(refused.code(), ROTATED_LATELY);
    assert_eq!(
        refused.detail(),
        "There are 8 signing keys already, with those that are still published; the oldest goes at 2026-11-24T13:10:30Z."
    );
    assert_eq!(kids(&signer).len(), MOST_KEYS);
    keys.clock.forward(refused.wait().unwrap());
    signer.rotate().await.unwrap();
    assert_eq!(kids(&signer).len(), MOST_KEYS);
}

#[tokio::test]
async fn a_rotation_goes_to_its_end_when_nobody_waits_for_it() {
    let keys = KeyStore::new();
    let signer = keys.open().await.unwrap();
    let news = keys.store.watch("signing keys");
    let asked = tokio::spawn({
        let signer = signer.clone();
        async move { signer.rotate().await }
    });
    // It has begun once its key is on disk; by then nobody may be waiting.
    news.notified().await;
    asked.abort();
    while kids(&signer).len() < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(keys.stored().len(), 2);
}

#[tokio::test]
async fn signing_goes_on_while_the_store_does_not_answer() {
    let keys = KeyStore::new();
    let signer = keys.open().await.unwrap();
    keys.store.close().await;
    assert!(signer.rotate().await.is_err());
    assert!(signer.refresh().is_err());
    let token = signer.sign(&json!({"sub": "alice"})).unwrap();
    assert!(check(&signer.jwks(), &token).is_ok());
}
