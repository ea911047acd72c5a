//! Knows services by what they show.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::auth::{FORBIDDEN, INVALID_TOKEN, LoginService};
use crate::base::{Failure, Timestamp};
use crate::crypto::{CodeHash, constant_time_eq};
use crate::store::Store;

use super::key::ServiceKey;
use super::record::Service;
use super::service;

/// Seconds between two notes that the same proof was used.
const NOTED_EVERY: u64 = 60;
/// Remembered notes from which on old ones are forgotten.
const REMEMBERED: usize = 1024;

/// Knows services by what they show, and notes that they came. Clones share what they remember.
///
/// To prove oneself is a read. The note is written beside it, at most once a minute for each key, and
/// nobody waits for it.
#[derive(Clone)]
pub struct Doorkeeper {
    store: Store,
    noted: Arc<Mutex<BTreeMap<Proof, Timestamp>>>,
}

/// What a use is noted for: the service, and the key's hash where it was a key.
type Proof = (String, Option<[u8; 32]>);

impl Doorkeeper {
    /// For the services that `store` has.
    pub fn new(store: Store) -> Self {
        Doorkeeper {
            store,
            noted: Arc::default(),
        }
    }

    /// Whose key `shown` is. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// `invalid_token` where it is nobody's, or not any more; those of the store.
    pub fn by_key(&self, shown: &str, now: Timestamp) -> Result<Service, Failure> {
        self.prove(None, shown, now)
    }

    /// The service `id`, whose key `shown` is. A name that nobody has and a key that is not its own
    /// look alike, and take the same time: the key is looked for first. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// As [`Doorkeeper::by_key`].
    pub fn by_id_and_key(&self, id: &str, shown: &str, now: Timestamp) -> Result<Service, Failure> {
        self.prove(Some(id), shown, now)
    }

    /// The service that shows `token`: the one that its client is registered for, else one of few
    /// rights. What the token is confined to, it stays confined to, unless the register names tenants.
    /// Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// `forbidden` where the client merely bears the name of a registered service; those of the store.
    pub fn by_token(&self, token: &LoginService, now: Timestamp) -> Result<Service, Failure> {
        let (owner, namesake) = self.store.read(|read| {
            let owner = service::of_client(read, &token.client)?;
            Ok((owner, service::get(read, &token.client, now)?))
        })?;
        let owner = owner.filter(|owner| {
            // The same client id at another issuer is another client.
            owner
                .issuer
                .as_ref()
                .is_none_or(|issuer| *issuer == token.issuer)
        });
        match (owner, namesake) {
            (Some(mut owner), _) => {
                self.note(&owner.id, None, now);
                if owner.tenants.is_empty() {
                    owner.tenants.extend(token.tenant.clone());
                }
                Ok(owner)
            }
            (None, Some(_)) => Err(Failure::new(
                FORBIDDEN,
                "A service is registered under this client's name, but not for this client: \
                 register it with --client-id.",
            )),
            (None, None) => Ok(Service::of_token(token)),
        }
    }

    fn prove(&self, id: Option<&str>, shown: &str, now: Timestamp) -> Result<Service, Failure> {
        let key = ServiceKey::read(shown).ok_or_else(not_accepted)?;
        let hash = key.hash(self.store.sealer());
        let owner = self
            .store
            .read(|read| service::owner(read, &hash, now))?
            .filter(|owner| {
                id.is_none_or(|id| constant_time_eq(id.as_bytes(), owner.id.as_bytes()))
            })
            .ok_or_else(not_accepted)?;
        self.note(&owner.id, Some(hash), now);
        Ok(owner)
    }

    /// Writes that `id` came, unless that was written within the minute.
    fn note(&self, id: &str, hash: Option<CodeHash>, now: Timestamp) {
        let proof = (id.to_owned(), hash.map(|hash| *hash.as_bytes()));
        // A clock that was put back must not keep uses from being noted.
        let fresh = |at: Timestamp| at <= now && now.since(at) < NOTED_EVERY;
        {
            let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
            if noted.get(&proof).is_some_and(|at| fresh(*at)) {
                return;
            }
            if noted.len() >= REMEMBERED {
                noted.retain(|_, at| fresh(*at));
            }
            noted.insert(proof, now);
        }
        let (store, id) = (self.store.clone(), id.to_owned());
        tokio::spawn(async move {
            let written = store
                .write(move |tx| service::note_use(tx, &id, hash.as_ref(), now))
                .await;
            if let Err(failure) = written {
                tracing::debug!(?failure, "the use of a service key could not be noted");
            }
        });
    }
}

/// The failure for what is nobody's key.
pub fn not_accepted() -> Failure {
    Failure::new(INVALID_TOKEN, "The service key is not accepted.")
}
