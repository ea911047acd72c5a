//! Tokens whose signature has been checked before. People use one token for many requests, and
//! checking its signature costs more than all else that a read does.
//!
//! What is kept says only that a key of a certain set has signed these claims. Whether that set still
//! stands, and all that depends on the time, is asked again each time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest;

use super::claims::Claims;
use super::source::{Generation, Source};

/// The most tokens that are known at once.
pub(super) const MOST_KNOWN: usize = 10_000;

/// Parts with a lock each, so that requests seldom meet at one.
const SHARDS: usize = 16;

/// The most tokens of one of the two halves of a shard.
const HALF: usize = MOST_KNOWN / SHARDS / 2;

/// What a token is known by: no two have the same, and none can be made from it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct TokenHash([u8; 32]);

impl TokenHash {
    /// Of the whole token: header, claims and signature.
    pub fn of(compact: &str) -> Self {
        let mut hash = [0; 32];
        let digest = digest::digest(&digest::SHA256, compact.as_bytes());
        // SHA-256 has 32 bytes; anything else would be one hash for all tokens.
        debug_assert_eq!(digest.as_ref().len(), hash.len());
        for (to, from) in hash.iter_mut().zip(digest.as_ref()) {
            *to = *from;
        }
        TokenHash(hash)
    }

    fn shard(self) -> usize {
        let [first, ..] = self.0;
        usize::from(first) % SHARDS
    }
}

/// A token that was good.
#[derive(Clone)]
pub(super) struct Known {
    /// Whose it is.
    pub source: Arc<Source>,
    /// The set of keys, one of which has signed it.
    pub generation: Generation,
    /// What it says.
    pub claims: Arc<Claims>,
}

/// What is known of tokens: bounded, and without a word of the tokens themselves.
pub(super) struct KnownTokens {
    shards: [Mutex<Shard>; SHARDS],
}

/// Two halves: what is new goes into the young one, and when that is full it becomes the old one, whose own
/// content goes. What was used lately is thus there longer than what was not, without any order kept.
#[derive(Default)]
struct Shard {
    young: HashMap<TokenHash, Known>,
    old: HashMap<TokenHash, Known>,
}

impl Default for KnownTokens {
    fn default() -> Self {
        KnownTokens {
            shards: std::array::from_fn(|_| Mutex::default()),
        }
    }
}

impl KnownTokens {
    /// What is known of a token.
    pub fn get(&self, hash: TokenHash) -> Option<Known> {
        let shard = self.shards.get(hash.shard())?;
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = shard.young.get(&hash) {
            return Some(known.clone());
        }
        let known = shard.old.remove(&hash)?;
        let dropped = shard.put(hash, known.clone());
        drop(shard);
        drop(dropped);
        Some(known)
    }

    /// Keeps what is known of a token.
    pub fn put(&self, hash: TokenHash, known: Known) {
        let Some(shard) = self.shards.get(hash.shard()) else {
            return;
        };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let dropped = shard.put(hash, known);
        drop(shard);
        // Not while others wait.
        drop(dropped);
    }

    /// Forgets a token.
    pub fn forget(&self, hash: TokenHash) {
        let Some(shard) = self.shards.get(hash.shard()) else {
            return;
        };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let dropped = (shard.young.remove(&hash), shard.old.remove(&hash));
        drop(shard);
        drop(dropped);
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        let length = |shard: &Mutex<Shard>| {
            let shard = shard.lock().unwrap();
            shard.young.len() + shard.old.len()
        };
        self.shards.iter().map(length).sum()
    }
}

impl Shard {
    /// Keeps what is known of a token, and gives what went for it.
    #[must_use]
    fn put(&mut self, hash: TokenHash, known: Known) -> HashMap<TokenHash, Known> {
        let mut dropped = HashMap::new();
        if self.young.len() >= HALF && !self.young.contains_key(&hash) {
            let full = std::mem::take(&mut self.young);
            dropped = std::mem::replace(&mut self.old, full);
        }
        self.old.remove(&hash);
        self.young.insert(hash, known);
        dropped
    }
}
