use std::cmp::Reverse;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use jsonwebtoken::jwk::{Jwk, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::base::{Clock, Entropy, Failure, Secret, Timestamp};
use crate::crypto::draw_p256_key;
use crate::store::{Order, Read, Scan, Store, Tx};

use super::ROTATED_LATELY;
use super::record::StoredKey;
use super::rule::{self, Life, Lives, MOST_KEYS, Refused};

/// The `typ` of what is signed here, so that nobody takes it for a token of another kind (RFC 8725 section 3.11).
pub const TOKEN_TYPE: &str = "mfa+jwt";

/// The one algorithm that is signed with.
const ALGORITHM: Algorithm = Algorithm::ES256;

/// Signs results of verifications. Clones share the keys, which are in memory: signing waits for nothing.
#[derive(Clone)]
pub struct Signer {
    shared: Arc<Shared>,
}

struct Shared {
    store: Store,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    keys: ArcSwap<Vec<Key>>,
    /// Held from reading the store to the swap, so that what was read later is also swapped in later.
    reading: Mutex<()>,
}

/// A key, ready for use.
struct Key {
    kid: String,
    life: Life,
    signing: EncodingKey,
    /// The public half as a JWK (RFC 7517).
    public: Value,
}

/// A key as people see it: without the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedKey {
    /// Its name: the thumbprint of the public half (RFC 7638).
    pub kid: String,
    /// Since when it is published.
    pub published_at: Timestamp,
    /// Whether it signs at this moment; one key does.
    pub signs: bool,
    /// Since when it signs, or from when on.
    pub signs_from: Timestamp,
    /// Until when it signs; `None` while no other follows.
    pub signs_until: Option<Timestamp>,
    /// From when on it is published no more, and what it signed can no longer be checked.
    pub gone_at: Option<Timestamp>,
}

impl Signer {
    /// Opens the keys in `store`. The first key is made where there is none.
    ///
    /// # Errors
    /// Those of the store; `unavailable` without randomness; `internal` where a stored key cannot be used.
    pub async fn open(
        store: Store,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, Failure> {
        if store.read(stored)?.is_empty() {
            let pkcs8 = draw_p256_key(&*entropy)?;
            let life = Life::first(clock.now());
            let fresh = Key::new(pkcs8.expose(), life)?;
            let key = StoredKey::new(&pkcs8, life);
            store
                .write(move |tx| match stored(tx)?.is_empty() {
                    true => tx.put(&fresh.kid, &key),
                    false => Ok(()),
                })
                .await?;
        }
        let signer = Signer {
            shared: Arc::new(Shared {
                keys: ArcSwap::default(),
                store,
                clock,
                entropy,
                reading: Mutex::default(),
            }),
        };
        signer.refresh()?;
        Ok(signer)
    }

    /// `claims` as a JWT of the type [`TOKEN_TYPE`], signed with ES256 by the key whose turn it is.
    ///
    /// # Errors
    /// `internal` where the claims cannot be written as JSON or the library cannot sign.
    pub fn sign(&self, claims: &impl Serialize) -> Result<String, Failure> {
        let now = self.shared.clock.now();
        let keys = self.shared.keys.load();
        let key = keys
            .iter()
            .max_by_key(|key| key.life.precedence(now))
            .ok_or_else(no_key)?;
        let mut header = Header::new(ALGORITHM);
        header.typ = Some(TOKEN_TYPE.to_owned());
        header.kid = Some(key.kid.clone());
        jsonwebtoken::encode(&header, claims, &key.signing).map_err(Failure::internal)
    }

    /// The public halves as a JWK Set (RFC 7517 section 5), the key that signs first.
    pub fn jwks(&self) -> Value {
        let keys = self.shared.keys.load();
        let now = self.shared.clock.now();
        let public: Vec<&Value> = published(&keys, now).map(|key| &key.public).collect();
        json!({ "keys": public })
    }

    /// The keys that are published, the one that signs first.
    pub fn list(&self) -> Vec<PublishedKey> {
        let keys = self.shared.keys.load();
        let now = self.shared.clock.now();
        let mut list: Vec<PublishedKey> = published(&keys, now).map(Key::described).collect();
        if let Some(first) = list.first_mut() {
            first.signs = true;
        }
        list
    }

    /// Makes a new key, which is published at once, and signs once everybody may know it: [`rule::PUBLISH_BEFORE_USE`]
    /// later. Until then the key before it signs, which stays published for [`rule::PUBLISHED_AFTER_USE`] beyond that.
    /// Gives the new key.
    ///
    /// # Errors
    /// [`ROTATED_LATELY`] while a new key waits for its turn, or beside [`MOST_KEYS`]; as [`Signer::open`].
    pub async fn rotate(&self) -> Result<PublishedKey, Failure> {
        let signer = self.clone();
        // To its end even if whoever asked goes away: a key that is stored must be published.
        tokio::spawn(async move { signer.rotate_to_the_end().await })
            .await
            .map_err(Failure::internal)?
    }

    async fn rotate_to_the_end(&self) -> Result<PublishedKey, Failure> {
        let shared = &*self.shared;
        let now = shared.clock.now();
        let pkcs8 = draw_p256_key(&*shared.entropy)?;
        let fresh = Key::new(pkcs8.expose(), Life::first(now))?;
        let kid = fresh.kid.clone();
        let written = shared
            .store
            .write(move |tx| put_next(tx, &fresh.kid, &pkcs8, now))
            .await;
        // Also where it failed: of a failed commit the disk alone knows.
        let read = self.refresh();
        written.and(read)?;
        let made = self.list().into_iter().find(|key| key.kid == kid);
        let made = made.ok_or_else(|| Failure::internal("the new signing key is gone already"))?;
        tracing::info!(kid = made.kid, signs_from = %made.signs_from, "a new signing key is published");
        Ok(made)
    }

    /// Reads the keys anew. Rotations do so by themselves; once in a while it lets those go that the sweep has removed,
    /// and finds what a commit of unknown outcome has left.
    ///
    /// # Errors
    /// As [`Signer::open`]; the keys that were held stay.
    pub fn refresh(&self) -> Result<(), Failure> {
        let shared = &*self.shared;
        let _reading = shared
            .reading
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let stored = shared.store.read(stored)?;
        let keys = stored
            .iter()
            .map(|(kid, stored)| Key::read(kid, stored))
            .collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() {
            return Err(no_key());
        }
        shared.keys.store(Arc::new(keys));
        Ok(())
    }
}

impl Key {
    fn new(pkcs8: &[u8], life: Life) -> Result<Self, Failure> {
        let signing = EncodingKey::from_ec_der(pkcs8);
        let mut public = Jwk::from_encoding_key(&signing, ALGORITHM).map_err(Failure::internal)?;
        let kid = public
            .thumbprint(ThumbprintHash::SHA256)
            .map_err(Failure::internal)?;
        public.common.key_id = Some(kid.clone());
        public.common.public_key_use = Some(PublicKeyUse::Signature);
        Ok(Key {
            kid,
            life,
            signing,
            public: serde_json::to_value(&public).map_err(Failure::internal)?,
        })
    }

    fn read(kid: &str, stored: &StoredKey) -> Result<Self, Failure> {
        let key = Key::new(&stored.pkcs8()?, stored.life)?;
        match key.kid == kid {
            true => Ok(key),
            false => Err(Failure::internal(
                "a signing key is stored under another key's name",
            )),
        }
    }

    fn described(&self) -> PublishedKey {
        PublishedKey {
            kid: self.kid.clone(),
            published_at: self.life.published_at,
            signs: false,
            signs_from: self.life.signs_from,
            signs_until: self.life.signs_until,
            gone_at: self.life.gone_at(),
        }
    }
}

/// Those that are published at `now`, the one that signs first.
fn published(keys: &[Key], now: Timestamp) -> impl Iterator<Item = &Key> {
    let mut published: Vec<&Key> = keys.iter().filter(|key| !key.life.is_gone(now)).collect();
    published.sort_by_key(|key| Reverse(key.life.precedence(now)));
    published.into_iter()
}

fn stored(read: &dyn Read) -> Result<Vec<(String, StoredKey)>, Failure> {
    read.list(&Scan {
        prefix: &[],
        past: None,
        order: Order::Ascending,
        limit: MOST_KEYS,
    })
}

/// Puts the key `kid` beside those that are there, to follow the one that signs.
fn put_next(
    tx: &mut Tx<'_>,
    kid: &str,
    pkcs8: &Secret<Vec<u8>>,
    now: Timestamp,
) -> Result<(), Failure> {
    let stored = stored(tx)?;
    let lives: Lives = stored
        .iter()
        .map(|(kid, key)| (kid.clone(), key.life))
        .collect();
    let rotation = rule::rotate(&lives, now).map_err(|why| refused(why, now))?;
    for dropped in rotation.dropped {
        tx.delete::<StoredKey>(&dropped);
    }
    let (retired, life) = rotation.retired;
    for (kid, mut key) in stored {
        if let (true, Some(gone)) = (kid == retired, life.gone_at()) {
            key.life = life;
            tx.put_until(&kid, &key, gone)?;
        }
    }
    tx.put(&kid.to_owned(), &StoredKey::new(pkcs8, rotation.fresh))
}

fn refused(why: Refused, now: Timestamp) -> Failure {
    let (detail, until) = match why {
        Refused::NoKey => return no_key(),
        Refused::Waits(until) => (
            format!("A new signing key waits already: it signs from {until} on."),
            until,
        ),
        Refused::TooMany(until) => (
            format!(
                "There are {MOST_KEYS} signing keys already, with those that are still published; the oldest goes at {until}."
            ),
            until,
        ),
    };
    Failure::new(ROTATED_LATELY, detail).retry_after(now.until(until))
}

fn no_key() -> Failure {
    Failure::internal("there is no signing key in the store")
}
