//! What each order does.

use std::sync::Arc;

use base64::prelude::{BASE64_STANDARD, Engine};

use crate::audit::{self, Operation};
use crate::base::{Clock, Entropy, Failure, Timestamp};
use crate::clients::{self, ServiceKey};
use crate::copies::{self, Schedule};
use crate::factor::{self, kinds_of};
use crate::outbox;
use crate::people;
use crate::policy::{self, Policy};
use crate::services::Services;
use crate::signing::Signer;
use crate::store::{Read, Store, Tx};
use crate::timekeeper::{self, Timekeeper};

use super::order::{Answer, Order, Status};
use super::user;

/// Services that one answer tells of.
const PAGE: usize = 100;
/// Lines of what was done that one answer tells of.
const OPERATIONS: usize = 1000;
/// Names of several users that one answer tells of.
const TWINS: usize = 20;
/// Letters that are looked at for the oldest.
const LETTERS: usize = 1000;

/// What orders work with: less than a running server has, so that they can do without one.
#[derive(Clone)]
pub struct Tools {
    /// Where everything is kept.
    pub store: Store,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// The policy of the settings.
    pub policy: Arc<Policy>,
    /// The issuers that users are looked for at; with none, those of all users that are known.
    pub issuers: Vec<String>,
    /// The running server's, which must hear that the clock is believed; `None` where none runs.
    pub timekeeper: Option<Timekeeper>,
    /// The running server's, which knows how the copies go that are due; `None` where none are, or none runs.
    pub copies: Option<Schedule>,
    /// The running server's signer, which must learn of new keys; `None` where none runs.
    pub signer: Option<Signer>,
}

impl Tools {
    async fn signer(&self) -> Result<Signer, Failure> {
        match &self.signer {
            Some(signer) => Ok(signer.clone()),
            None => {
                let (clock, entropy) = (self.clock.clone(), self.entropy.clone());
                Signer::open(self.store.clone(), clock, entropy).await
            }
        }
    }
}

impl From<&Services> for Tools {
    fn from(services: &Services) -> Self {
        Tools {
            store: services.store.clone(),
            clock: services.clock.clone(),
            entropy: services.entropy.clone(),
            policy: services.policy.clone(),
            issuers: services.verifier.issuers(),
            signer: Some(services.signer.clone()),
            timekeeper: Some(services.timekeeper.clone()),
            copies: services.copies.clone(),
        }
    }
}

/// Carries out `order`. What it changed is on disk when this answers.
///
/// # Errors
/// Those of the room whose work it is, with a member `hint` where there is something to do about it.
pub async fn execute(tools: &Tools, order: Order) -> Result<Answer, Failure> {
    let now = tools.clock.now();
    match order {
        Order::ServiceAdd(service) => {
            let key = ServiceKey::draw(&*tools.entropy)?;
            let hash = key.hash(tools.store.sealer());
            let id = service.id.clone();
            tools
                .store
                .write(move |tx| {
                    clients::add(tx, &service, hash, now)?;
                    note(tx, now, "service.add", Some(service.id.clone()))
                })
                .await?;
            tracing::info!(service = id, "a login service was registered");
            Ok(Answer::Key {
                key: key.into_secret(),
                old_until: None,
            })
        }
        Order::ServiceList { past } => tools.store.read(|read| {
            let mut services = clients::list(read, past.as_deref(), PAGE + 1, now)?;
            let more = services.len() > PAGE;
            services.truncate(PAGE);
            Ok(Answer::Services { services, more })
        }),
        Order::ServiceRotate { id, overlap } => {
            let key = ServiceKey::draw(&*tools.entropy)?;
            let hash = key.hash(tools.store.sealer());
            let service = id.clone();
            let old_until = tools
                .store
                .write(move |tx| {
                    let old_until = clients::rotate(tx, &service, hash, overlap, now)?;
                    note(tx, now, "service.rotate", Some(service.clone()))?;
                    Ok(old_until)
                })
                .await?;
            tracing::info!(service = id, overlap, "a login service was given a new key");
            Ok(Answer::Key {
                key: key.into_secret(),
                old_until,
            })
        }
        Order::ServiceSet { id, unknown } => {
            let service = id.clone();
            tools
                .store
                .write(move |tx| {
                    clients::set_unknown(tx, &service, unknown)?;
                    let about = format!("{service} unknown={unknown}");
                    note(tx, now, "service.set", Some(about))
                })
                .await?;
            tracing::info!(service = id, %unknown, "login service changed");
            Ok(Answer::Done)
        }
        Order::ReleaseName { name, issuer } => {
            let store = tools.store.clone();
            let released = tools.store.write(move |tx| {
                let keys = store.sealer();
                let released = people::release_name(tx, keys, &name, issuer.as_deref())?;
                for (subject, issuer) in &released {
                    let about = format!("{subject} at {issuer}");
                    note(tx, now, "user.release_name", Some(about))?;
                }
                Ok(released)
            });
            let released = released.await?;
            tracing::info!(users = released.len(), "reserved name released");
            Ok(Answer::Released(released))
        }
        Order::Survey => {
            let store = tools.store.clone();
            // It reads every user, which takes seconds where there are many.
            let survey = tokio::task::spawn_blocking(move || {
                store.read(|read| {
                    let enrolled =
                        |read: &dyn Read, person| Ok(!kinds_of(read, person)?.is_empty());
                    people::survey(read, TWINS, &enrolled, now)
                })
            });
            let survey = survey.await.map_err(Failure::internal)??;
            Ok(Answer::Survey(survey))
        }
        Order::ServiceRemove { id } => {
            let service = id.clone();
            tools
                .store
                .write(move |tx| {
                    clients::remove(tx, &service)?;
                    note(tx, now, "service.remove", Some(service.clone()))
                })
                .await?;
            tracing::info!(service = id, "a login service was struck off");
            Ok(Answer::Done)
        }
        Order::PolicyShow => {
            let policy = tools
                .store
                .read(|read| policy::in_effect(read, &tools.policy))?;
            Ok(Answer::Policy(policy.parts()))
        }
        Order::PolicySet { key, words } => {
            let policy = factor::set_policy(&tools.store, &tools.policy, key, words, now).await?;
            Ok(Answer::Policy(policy.parts()))
        }
        Order::Status => {
            let (id, progress) = tools.store.progress()?;
            let last = tools.store.read(copies::last)?;
            let clock = match &tools.timekeeper {
                Some(timekeeper) => timekeeper.clone(),
                None => Timekeeper::open(tools.store.clone(), tools.clock.clone())?,
            };
            let (master_key, successors) = tools.store.master_keys()?;
            Ok(Answer::Status(Status {
                store: data_encoding::HEXLOWER.encode(&id),
                epoch: progress.epoch,
                last_copy: last.map(|last| last.made_at),
                clock: clock.health().err(),
                copies: tools.copies.as_ref().and_then(Schedule::trouble),
                master_key: Some(master_key),
                successors,
                oldest_letter: tools.store.read(|read| outbox::oldest(read, LETTERS))?,
                history_bytes: tools.store.read(audit::size)?,
            }))
        }
        Order::ClockAccept => {
            match &tools.timekeeper {
                Some(timekeeper) => timekeeper.accept().await?,
                None => {
                    tools
                        .store
                        .write(move |tx| timekeeper::accept(tx, now))
                        .await?
                }
            }
            write_down(tools, "clock.accept", None).await?;
            tracing::warn!(%now, "the clock is believed as it is, by order");
            Ok(Answer::Done)
        }
        // What is behind this answer comes from whoever gives it.
        Order::Backup => Ok(Answer::Copy),
        Order::SigningKeyList => Ok(Answer::SigningKeys(tools.signer().await?.list())),
        Order::SigningKeyRotate => {
            let signer = tools.signer().await?;
            let made = signer.rotate().await?;
            write_down(tools, "signing_key.rotate", Some(made.kid)).await?;
            Ok(Answer::SigningKeys(signer.list()))
        }
        Order::DataKeyList => Ok(data_keys(tools)),
        Order::DataKeyRotate => {
            tools.store.rotate_data_key(now).await?;
            write_down(tools, "data_key.rotate", None).await?;
            tracing::info!("a new data key seals the store");
            // A running server does it beside its work.
            if tools.signer.is_none() {
                tools.store.reseal().await?;
            }
            Ok(data_keys(tools))
        }
        Order::MasterKeyHandOver { from, to, handed } => {
            let handed = BASE64_STANDARD.decode(handed);
            let handed = handed.map_err(|_| Failure::internal("the key is not in Base64"))?;
            tools.store.hand_over(from, to, handed).await?;
            write_down(tools, "master_key.rotate", Some(to.to_string())).await?;
            tracing::warn!(%from, %to, "the next start takes a new master key");
            Ok(Answer::Done)
        }
        Order::Operations { limit } => {
            let lines = tools
                .store
                .read(|read| audit::operations(read, None, limit.min(OPERATIONS)))?;
            Ok(Answer::Operations(lines))
        }
        Order::UserShow { who, issuer } => user::show(tools, &who, issuer.as_deref(), now),
        Order::UserReset { user, reason } => user::reset(tools, user, &reason, now).await,
        Order::PolicyUnset { key } => {
            let policy = factor::unset_policy(&tools.store, &tools.policy, key, now).await?;
            Ok(Answer::Policy(policy.parts()))
        }
    }
}

fn note(
    tx: &mut Tx<'_>,
    now: Timestamp,
    action: &str,
    about: Option<String>,
) -> Result<(), Failure> {
    audit::note(tx, &Operation::new(now, action, about))
}

/// The line of what has committed already, by a room that does not see the audit.
async fn write_down(
    tools: &Tools,
    action: &'static str,
    about: Option<String>,
) -> Result<(), Failure> {
    let now = tools.clock.now();
    let written = tools
        .store
        .write(move |tx| note(tx, now, action, about.clone()));
    written.await
}

fn data_keys(tools: &Tools) -> Answer {
    Answer::DataKeys {
        keys: tools.store.data_keys(),
        resealed: tools.store.resealed(),
    }
}
