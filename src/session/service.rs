use std::sync::Arc;

use url::Url;

use super::client::{Client, Way};
use super::flight::Flights;
use super::keep;
use super::record::Kept;
use super::rule::Handle;
use crate::auth::Verifier;
use crate::base::{Code, Entropy, Failure, Kind, Timestamp};
use crate::crypto::CodeHash;
use crate::store::Store;

/// Seconds after which to ask again an issuer that did not answer.
pub(super) const RETRY_AFTER: u64 = 10;

/// What is kept of a session's word.
pub(super) const SESSION: &str = "session";

/// A sign-in that came to nothing.
pub const SIGN_IN_FAILED: Code = Code {
    name: "sign_in_failed",
    kind: Kind::BadProof,
    title: "The sign-in did not succeed",
};

/// What this room answers with, beside `auth`'s.
pub const CODES: &[Code] = &[SIGN_IN_FAILED];

/// What may be shown of a session.
#[derive(Debug, PartialEq)]
pub struct Seen {
    /// `name`.
    pub name: Option<String>,
    /// `preferred_username`.
    pub username: Option<String>,
    /// `email`, in full.
    pub email: Option<String>,
    /// When it ends, if it is not used before.
    pub expires_at: Timestamp,
}

/// The sessions of the settings page. Clones share them.
#[derive(Clone)]
pub struct Sessions {
    pub(super) store: Store,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) verifier: Verifier,
    way: Arc<Way>,
    pub(super) flights: Flights,
}

impl Sessions {
    /// Sessions kept in `store`, whose tokens `verifier` judges.
    pub fn new(store: Store, entropy: Arc<dyn Entropy>, verifier: Verifier, way: Way) -> Self {
        Sessions {
            store,
            entropy,
            verifier,
            way: Arc::new(way),
            flights: Flights::default(),
        }
    }

    /// The same sessions under other settings. Renewals that are under way stay the only ones for their sessions:
    /// a refresh token that is used twice may end what it is for.
    pub fn with(&self, verifier: Verifier, way: Way) -> Self {
        Sessions {
            verifier,
            way: Arc::new(way),
            ..self.clone()
        }
    }

    /// How people come to the settings page.
    pub fn way(&self) -> &Way {
        &self.way
    }

    pub(super) fn client(&self) -> Result<&Client, Failure> {
        match &*self.way {
            Way::Client(client) => Ok(client),
            Way::Pasted | Way::Proxied => Err(Failure::not_found()),
        }
    }

    pub(super) fn hash(&self, handle: &Handle, role: &str) -> CodeHash {
        handle.hash(self.store.sealer(), role)
    }

    /// The session that a browser's word names, in this server's spelling.
    pub(super) fn id(&self, shown: &str) -> Option<CodeHash> {
        Some(self.hash(&Handle::read(shown)?, SESSION))
    }

    pub(super) fn kept(&self, id: &CodeHash, now: Timestamp) -> Result<Option<Kept>, Failure> {
        self.store.read(|read| keep::read(read, id, now))
    }

    /// What may be shown of the session that a browser shows. It is not a use, and asks nobody.
    ///
    /// # Errors
    /// Those of the store.
    pub fn look(&self, shown: &str, now: Timestamp) -> Result<Option<Seen>, Failure> {
        let Some(id) = self.id(shown) else {
            return Ok(None);
        };
        Ok(self.kept(&id, now)?.map(|kept| Seen {
            name: kept.name.clone(),
            username: kept.username.clone(),
            email: kept.email.clone(),
            expires_at: kept.end(),
        }))
    }

    /// Ends the session that a browser shows, if there is one.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn end(&self, shown: &str) -> Result<(), Failure> {
        match self.id(shown) {
            Some(id) => self.end_by_id(&id).await,
            None => Ok(()),
        }
    }

    pub(super) async fn end_by_id(&self, id: &CodeHash) -> Result<(), Failure> {
        let id = *id;
        self.store.write(move |tx| keep::remove(tx, &id)).await
    }

    /// Where a person ends their session at the issuer too, where there is such a place.
    pub fn end_session_url(&self) -> Option<Url> {
        let client = self.client().ok()?;
        let provider = self.verifier.known_provider(&client.issuer)?;
        client.end_session_url(&provider)
    }
}
