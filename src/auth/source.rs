//! Keeps the keys of one issuer at hand: fetches, refreshes, and knows when they are too old.
//!
//! A token whose key is known needs no lock and no network. All fetches of an
//! issuer pass through one lock, so there is one at a time, however many wait.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::{Mutex, OwnedMutexGuard};
use url::Url;

use super::fetch::{self, FetchError, FileMark};
use super::keys::{Key, KeySet, Pick};
use super::outbound::Outbound;
use super::provider::Provider;
use super::refusal::{Refusal, quote, unavailable};
use super::settings::{IssuerSettings, KeySource, SigningAlgorithm};
use super::token::Unverified;
use crate::base::{Clock, Failure, Timestamp};

/// Seconds between two fetches because of a key that is not known.
pub(super) const REFETCH_AFTER: u64 = 10;

/// For how many seconds after the last good fetch keys are believed while the issuer is silent.
pub(super) const LONGEST_SILENCE: u64 = 24 * 60 * 60;

/// How long a request waits for a fetch, its own or another's: discovery and keys, each in its time.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Which set of keys it was, of all that a source has held: no two are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Generation(u64);

/// What was found beside the keys.
#[derive(Clone, Default)]
struct Found {
    userinfo: Option<Url>,
    /// How people sign in, or why they cannot; `None` where nothing was discovered.
    provider: Option<Result<Arc<Provider>, Arc<str>>>,
}

/// What is held of an issuer.
struct Held {
    keys: Arc<KeySet>,
    generation: Generation,
    found: Found,
    /// The last time that the issuer, or its file, confirmed them.
    confirmed: Timestamp,
}

/// What only the one fetch under way may touch.
#[derive(Default)]
struct Flight {
    last_attempt: Option<Timestamp>,
    file: Option<FileMark>,
}

/// The keys of one issuer, and how to get them.
pub(super) struct Source {
    pub settings: IssuerSettings,
    outbound: Outbound,
    clock: Arc<dyn Clock>,
    held: ArcSwapOption<Held>,
    /// Why the last fetch failed; `None` after a good one.
    trouble: ArcSwap<Option<String>>,
    flight: Arc<Mutex<Flight>>,
}

impl Source {
    pub fn new(settings: IssuerSettings, outbound: Outbound, clock: Arc<dyn Clock>) -> Self {
        let source = Source {
            settings,
            outbound,
            clock,
            held: ArcSwapOption::empty(),
            trouble: ArcSwap::from_pointee(None),
            flight: Arc::default(),
        };
        if let KeySource::Hs256(secret) = &source.settings.keys {
            source.held.store(Some(Arc::new(Held {
                keys: Arc::new(KeySet::secret(secret.expose())),
                generation: Generation(0),
                found: Found::default(),
                confirmed: Timestamp::MAX,
            })));
        }
        source
    }

    /// Whether the issuer may sign in this way.
    pub fn accepts(&self, algorithm: SigningAlgorithm) -> bool {
        match self.settings.keys {
            KeySource::Hs256(_) => algorithm == SigningAlgorithm::Hs256,
            _ => self.settings.algorithms.contains(&algorithm),
        }
    }

    /// The key that `token` asks for, and the set that it was found in. Fetches only where it is not known.
    pub async fn key_for(
        self: &Arc<Self>,
        token: &Unverified<'_>,
    ) -> Result<(Arc<Key>, Generation), Failure> {
        match self.pick(token) {
            Some((Pick::Found(key), generation)) => return Ok((key, generation)),
            Some((Pick::Refused(refusal), _)) => return Err(refusal.into()),
            Some((Pick::Unknown, _)) | None => self.refresh_if_due().await,
        }
        match self.pick(token) {
            Some((Pick::Found(key), generation)) => Ok((key, generation)),
            Some((Pick::Refused(refusal), _)) => Err(refusal.into()),
            // The issuer may have a new key and be unable to tell: that is no fault of the token.
            Some((Pick::Unknown, _)) if self.trouble.load().is_none() => {
                Err(Refusal::UnknownKey(quote(token.kid.as_deref().unwrap_or(""))).into())
            }
            Some((Pick::Unknown, _)) | None => Err(unavailable(REFETCH_AFTER, self.why_not())),
        }
    }

    /// Whether the keys of that set are believed now: none has come after it, and it is not too old.
    pub fn stands(&self, generation: Generation) -> bool {
        self.fresh()
            .is_some_and(|held| held.generation == generation)
    }

    /// Where to ask for a person's address.
    pub fn userinfo(&self) -> Option<Url> {
        self.settings.userinfo.clone().or_else(|| {
            let held = self.held.load();
            held.as_ref().and_then(|held| held.found.userinfo.clone())
        })
    }

    /// How people sign in. Fetches only where nothing is held.
    pub async fn provider(self: &Arc<Self>) -> Result<Arc<Provider>, Failure> {
        if self.fresh().is_none() {
            self.refresh_if_due().await;
        }
        let issuer = &self.settings.issuer;
        match self.fresh().map(|held| held.found.provider.clone()) {
            Some(Some(Ok(provider))) => Ok(provider),
            Some(Some(Err(why))) => Err(unavailable(
                REFETCH_AFTER,
                format!("issuer {issuer}: {why}"),
            )),
            Some(None) => Err(Failure::internal("the issuer is not one to discover")),
            None => Err(unavailable(REFETCH_AFTER, self.why_not())),
        }
    }

    /// How people sign in, where that is known already.
    pub fn known_provider(&self) -> Option<Arc<Provider>> {
        self.held.load().as_ref()?.found.provider.clone()?.ok()
    }

    /// Fetches now, after whatever fetch is under way.
    pub async fn refresh(self: &Arc<Self>) -> Result<(), FetchError> {
        let flight = Arc::clone(&self.flight).lock_owned().await;
        self.fetch(flight).await
    }

    /// Fetches the keys every `refresh`; a file is looked at, and an issuer that did not answer is asked again, every
    /// `retry`. Never ends.
    pub async fn keep_fresh(self: Arc<Self>, refresh: Duration, retry: Duration) {
        if matches!(self.settings.keys, KeySource::Hs256(_)) {
            return std::future::pending().await;
        }
        loop {
            let well = self.trouble.load().is_none() && self.held.load().is_some();
            let pause = match self.settings.keys {
                KeySource::File(_) => retry,
                _ if well => refresh,
                _ => retry,
            };
            tokio::time::sleep(pause).await;
            // What went wrong has been logged and is kept for `health`.
            let _ = self.refresh().await;
        }
    }

    /// Why no token of this issuer can be judged, if none can.
    pub fn health(&self) -> Result<(), String> {
        match self.fresh() {
            Some(_) => Ok(()),
            None => Err(self.why_not()),
        }
    }

    /// Whether the issuer has ever given keys.
    pub fn has_keys(&self) -> bool {
        self.held.load().is_some()
    }

    fn pick(&self, token: &Unverified<'_>) -> Option<(Pick, Generation)> {
        let held = self.fresh()?;
        let pick = held.keys.pick(token.kid.as_deref(), token.algorithm);
        Some((pick, held.generation))
    }

    /// What is held, unless it is too old.
    fn fresh(&self) -> Option<Arc<Held>> {
        let held = self.held.load_full()?;
        (self.clock.now().since(held.confirmed) < LONGEST_SILENCE).then_some(held)
    }

    fn why_not(&self) -> String {
        let state = match self.held.load().as_ref() {
            None => "no keys have come yet".to_owned(),
            Some(held) => format!("its keys were last confirmed at {}", held.confirmed),
        };
        let cause = match self.trouble.load().as_ref() {
            Some(trouble) => format!(": {trouble}"),
            None => String::new(),
        };
        format!("issuer {}: {state}{cause}", self.settings.issuer)
    }

    /// Fetches, unless that was done a moment ago; waits for a fetch under way.
    async fn refresh_if_due(self: &Arc<Self>) {
        let waiting = async {
            let flight = Arc::clone(&self.flight).lock_owned().await;
            let now = self.clock.now();
            // A clock that was set back must not keep us from asking.
            let just_now = flight
                .last_attempt
                .is_some_and(|last| last <= now && now.since(last) < REFETCH_AFTER);
            if !just_now {
                // Logged where it happens; the caller looks at what is held.
                let _ = self.fetch(flight).await;
            }
        };
        let _ = tokio::time::timeout(LONGEST_WAIT, waiting).await;
    }

    /// One fetch, in its own task: a client that hangs up does not break it off.
    async fn fetch(
        self: &Arc<Self>,
        mut flight: OwnedMutexGuard<Flight>,
    ) -> Result<(), FetchError> {
        let source = Arc::clone(self);
        tokio::spawn(async move {
            flight.last_attempt = Some(source.clock.now());
            let outcome = source.load(&mut flight).await;
            source.note(&outcome);
            flight.last_attempt = Some(source.clock.now());
            outcome
        })
        .await
        .unwrap_or(Err(FetchError::BrokenOff))
    }

    async fn load(&self, flight: &mut Flight) -> Result<(), FetchError> {
        let settings = &self.settings;
        match &self.settings.keys {
            KeySource::Hs256(_) => return Ok(()),
            KeySource::Url(url) => {
                let document = fetch::document(&self.outbound, url).await?;
                let keys = KeySet::read(document, settings)?;
                self.hold(Arc::new(keys), Found::default());
            }
            KeySource::Discovery => {
                let discovered = fetch::discover(&self.outbound, &self.settings.issuer).await?;
                let document = fetch::document(&self.outbound, &discovered.keys).await?;
                let provider = discovered.provider.map(Arc::new);
                let found = Found {
                    userinfo: discovered.userinfo,
                    provider: Some(provider.map_err(|error| with_causes(&error).into())),
                };
                self.hold(Arc::new(KeySet::read(document, settings)?), found);
            }
            KeySource::File(path) => {
                let held = self.held.load_full();
                let known = held.as_ref().and(flight.file);
                let (mark, document) = fetch::file(path, known).await?;
                match (document, held) {
                    (Some(document), _) => {
                        let keys = KeySet::read(document, settings)?;
                        self.hold(Arc::new(keys), Found::default());
                    }
                    (None, Some(held)) => self.hold(Arc::clone(&held.keys), Found::default()),
                    (None, None) => return Err(FetchError::BrokenOff),
                }
                flight.file = Some(mark);
            }
        }
        Ok(())
    }

    /// One fetch at a time holds what it has brought, so generations do not cross.
    fn hold(&self, keys: Arc<KeySet>, found: Found) {
        let generation = match self.held.load().as_ref() {
            None => Generation(0),
            Some(held) if Arc::ptr_eq(&held.keys, &keys) => held.generation,
            Some(held) => Generation(held.generation.0.wrapping_add(1)),
        };
        self.held.store(Some(Arc::new(Held {
            keys,
            generation,
            found,
            confirmed: self.clock.now(),
        })));
    }

    fn note(&self, outcome: &Result<(), FetchError>) {
        let issuer = self.settings.issuer.as_str();
        match outcome {
            Ok(()) => {
                let keys = self.held.load().as_ref().map_or(0, |held| held.keys.len());
                if self.trouble.swap(Arc::new(None)).is_some() {
                    tracing::info!(issuer, keys, "the issuer's keys have come again");
                } else {
                    tracing::debug!(issuer, keys, "the issuer's keys were refreshed");
                }
            }
            Err(error) => {
                let why = with_causes(error);
                tracing::warn!(issuer, why, "the issuer's keys could not be refreshed");
                self.trouble.store(Arc::new(Some(why)));
            }
        }
    }
}

/// The error and what lies under it, in one line.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
