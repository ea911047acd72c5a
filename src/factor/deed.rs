//! One change by one person: one transaction, one line in the audit.

use std::sync::Arc;

use crate::audit::{self, Actor, Class, Event, Origin, Outcome};
use crate::auth::Person;
use crate::base::{ChallengeId, Code, DeviceId, Failure, PersonKey, Timestamp};
use crate::people::{self, NameNews, Wish};
use crate::session::{self, SessionId};
use crate::store::{Read, Tx};
use crate::wire::Me;
use crate::words::Language;

use super::{Desk, RATE_LIMITED};

/// Why a deed was not done.
#[derive(Debug)]
pub enum Refusal {
    /// As the rules say: tallies and audit are kept.
    Refused(Failure),
    /// It came too late, for what is over already: what was written is kept, and neither history nor metrics say
    /// anything of it.
    Moot(Failure),
    /// Something broke: nothing is kept.
    Broken(Failure),
}

/// What fails on the way, by `?`, is broken; a refusal is said by name.
impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Refusal::Broken(failure)
    }
}

/// A refusal that the audit shall remember.
pub fn refuse<T>(failure: Failure) -> Result<T, Refusal> {
    Err(Refusal::Refused(failure))
}

/// A refusal that leaves no record.
pub fn moot<T>(failure: Failure) -> Result<T, Refusal> {
    Err(Refusal::Moot(failure))
}

/// A refusal that was found outside the transaction that remembers it, which may be run more than once.
pub struct Remembered(Failure);

impl Remembered {
    /// Keeps what the client is to hear; the cause goes to the log here.
    pub fn new(failure: Failure) -> Self {
        tracing::debug!(?failure, "to be refused");
        Remembered(failure)
    }

    /// Whether it is refused for this.
    pub fn is(&self, code: Code) -> bool {
        self.0.code() == code
    }

    /// The refusal, as often as it is asked for.
    pub fn failure(&self) -> Failure {
        let failure = Failure::new(self.0.code(), self.0.detail().to_owned());
        match self.0.wait() {
            Some(seconds) => failure.retry_after(seconds),
            None => failure,
        }
    }
}

/// In whose name something is done, and from where.
#[derive(Clone, Debug)]
pub struct By {
    /// The person whom it is about.
    pub key: PersonKey,
    /// The person, where they ask themselves: their token says what is known of them.
    pub person: Option<Person>,
    /// Their session of the settings page, where they ask with its cookie.
    pub session: Option<SessionId>,
    /// Who asks.
    pub actor: Actor,
    /// From where.
    pub origin: Origin,
    /// In which language.
    pub wish: Wish,
    /// The sign-in that is answered: it has a limit of its own, so that whoever deals with one keeps its user from no
    /// other.
    pub challenge: Option<ChallengeId>,
}

impl From<&Me> for By {
    fn from(me: &Me) -> Self {
        By {
            key: me.key,
            person: Some(me.person.clone()),
            session: me.session,
            actor: Actor::Person,
            origin: me.origin,
            wish: me.wish,
            challenge: None,
        }
    }
}

impl From<&By> for By {
    fn from(by: &By) -> Self {
        by.clone()
    }
}

/// One change by one person, while its transaction runs.
pub struct Deed<'a, 'tx> {
    /// The tools and factors.
    pub desk: &'a Desk,
    /// The transaction.
    pub tx: &'a mut Tx<'tx>,
    /// About whom.
    pub person: PersonKey,
    /// As their token describes them, where they ask themselves.
    pub asker: Option<&'a Person>,
    /// Their session of the settings page, where they ask with its cookie.
    pub(super) session: Option<SessionId>,
    /// By whom.
    pub actor: Actor,
    /// From where.
    pub origin: Origin,
    /// In which language it was asked for, be it by a stranger.
    wish: Wish,
    /// Whether the server has met the user: nothing is recorded of others.
    is_met: bool,
    /// When: one moment for the whole deed.
    pub now: Timestamp,
    /// With which kind of factor the person proved themselves, once they have.
    pub(super) proved_with: Option<&'static str>,
    /// What became of that factor, if a wrong answer locked it: the action that is recorded.
    pub(super) locked: Option<&'static str>,
    device: Option<DeviceId>,
}

impl Desk {
    /// Runs `work` as one change, and writes its line in the audit whether it is done or refused.
    ///
    /// # Errors
    /// What `work` was refused for, after the refusal is on disk; those of the store.
    pub async fn act<T, F>(
        self: &Arc<Self>,
        by: impl Into<By>,
        action: &'static str,
        work: F,
    ) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: Fn(&mut Deed<'_, '_>) -> Result<T, Refusal> + Send + 'static,
    {
        self.run(by.into(), action, work, Class::of(action), true)
            .await
    }

    /// Runs `work` as a step towards a change: only its refusal is a line in the audit.
    ///
    /// # Errors
    /// As [`Desk::act`].
    pub async fn prepare<T, F>(
        self: &Arc<Self>,
        by: impl Into<By>,
        action: &'static str,
        work: F,
    ) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: Fn(&mut Deed<'_, '_>) -> Result<T, Refusal> + Send + 'static,
    {
        self.run(by.into(), action, work, Class::Step, false).await
    }

    /// Whether the token of a user whom the server has met says something new of them.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) fn has_news(
        &self,
        read: &dyn Read,
        me: &Me,
        now: Timestamp,
    ) -> Result<bool, Failure> {
        let enrolled = |read: &dyn Read, user| self.factors.any_active(read, user);
        let keys = self.tools.keys();
        people::has_news(read, keys, me.key, &me.person, me.wish, &enrolled, now)
    }

    /// Records what the token of a user says of them, though they change nothing: a user who has another name or tenant
    /// by now is known under it from the moment their page is open. Reading does not fail because this does.
    pub(super) async fn learn(self: &Arc<Self>, me: &Me) {
        if let Err(failure) = self.prepare(me, "account.seen", |_| Ok(())).await {
            tracing::debug!(?failure, "what a token says of its user was not recorded");
        }
    }

    /// `is_recorded` says whether it is recorded, and counted, when it is done; when it is refused it always is.
    async fn run<T, F>(
        self: &Arc<Self>,
        by: By,
        action: &'static str,
        work: F,
        class: Class,
        is_recorded: bool,
    ) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: Fn(&mut Deed<'_, '_>) -> Result<T, Refusal> + Send + 'static,
    {
        let desk = self.clone();
        let now = self.tools.now();
        match (by.challenge, &by.actor) {
            (Some(challenge), _) => self.challenge_limit.take(challenge, now)?,
            (None, Actor::Service { id }) => {
                self.sign_in_limit.take((by.key, id.clone()), now)?;
            }
            (None, _) => {}
        }
        let (outcome, factor) = self
            .tools
            .store
            .write(move |tx| {
                // The session may have ended while the body, or a mail, was on its way. What ends sessions ends this too.
                if let Some(session) = by.session
                    && !session::is_live(tx, session, by.key, now)?
                {
                    return Err(session::signed_out());
                }
                let news = match &by.person {
                    Some(person) => {
                        let enrolled = |read: &dyn Read, user| desk.factors.any_active(read, user);
                        let keys = desk.tools.keys();
                        people::meet(tx, keys, by.key, person, by.wish, &enrolled, now)?
                    }
                    None => NameNews::default(),
                };
                let is_met = by.person.is_some()
                    || audit::knows(tx, by.key)?
                    || people::profile(tx, by.key)?.is_some();
                let mut deed = Deed {
                    desk: &desk,
                    tx,
                    person: by.key,
                    asker: by.person.as_ref(),
                    session: by.session,
                    actor: by.actor.clone(),
                    origin: by.origin,
                    wish: by.wish,
                    is_met,
                    now,
                    proved_with: None,
                    locked: None,
                    device: None,
                };
                deed.tell_of_names(&news)?;
                let class = match (&deed.actor, class) {
                    (Actor::System, Class::Change) => Class::Certain,
                    _ => class,
                };
                let outcome = match deed.admit_change(class).and_then(|()| work(&mut deed)) {
                    Ok(value) => Ok(value),
                    Err(Refusal::Refused(failure)) => Err(failure),
                    Err(Refusal::Moot(failure)) => return Ok((Err(Refusal::Moot(failure)), None)),
                    Err(Refusal::Broken(failure)) => return Err(failure),
                };
                match &outcome {
                    Ok(_) if is_recorded => deed.record(action, None, class)?,
                    Ok(_) => {}
                    Err(failure) => {
                        deed.record(action, Some(failure.reason()), Class::Refusal)?;
                    }
                }
                if let Some(action) = deed.locked {
                    deed.record(action, None, Class::Certain)?;
                }
                let factor = deed.proved_with;
                Ok((outcome.map_err(Refusal::Refused), factor))
            })
            .await?;
        match outcome {
            Ok(value) => {
                if is_recorded {
                    self.tools.metrics.happened(action, None, factor);
                }
                Ok(value)
            }
            Err(Refusal::Refused(failure)) => {
                let reason = Some(failure.reason());
                self.tools.metrics.happened(action, reason, factor);
                Err(failure)
            }
            Err(Refusal::Moot(failure) | Refusal::Broken(failure)) => Err(failure),
        }
    }
}

impl<'tx> Deed<'_, 'tx> {
    /// The same moment for another user, whom it does not concern from where and in which language it was asked for.
    pub(super) fn for_another(&mut self, person: PersonKey) -> Deed<'_, 'tx> {
        Deed {
            desk: self.desk,
            tx: self.tx,
            person,
            asker: None,
            session: None,
            actor: Actor::System,
            origin: Origin {
                ip: None,
                ..self.origin
            },
            wish: Wish::default(),
            is_met: true,
            now: self.now,
            proved_with: None,
            locked: None,
            device: None,
        }
    }
}

impl Deed<'_, '_> {
    /// Names the device that the deed is about, for the audit.
    pub fn about(&mut self, device: DeviceId) {
        self.device = Some(device);
    }

    /// Refuses a change beyond those of the user's day.
    fn admit_change(&self, class: Class) -> Result<(), Refusal> {
        if class != Class::Change {
            return Ok(());
        }
        let limits = &self.desk.tools.audit_limits;
        match audit::may_change(self.tx, limits, self.person, self.now)? {
            Ok(()) => Ok(()),
            Err(rest) => {
                let detail = "Too many changes on one day. Go on tomorrow.";
                refuse(Failure::new(RATE_LIMITED, detail).retry_after(rest))
            }
        }
    }

    /// Records what was done or, for `reason`, refused.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) fn record(
        &mut self,
        action: &str,
        reason: Option<&str>,
        class: Class,
    ) -> Result<(), Failure> {
        if !self.is_met {
            return Ok(());
        }
        let (actor, origin) = (self.actor.clone(), self.origin);
        let done = Event::done(self.now, self.person, actor, action, origin);
        let event = Event {
            outcome: match reason {
                Some(_) => Outcome::Refused,
                None => Outcome::Done,
            },
            reason: reason.map(str::to_owned),
            factor: self.proved_with.map(str::to_owned),
            device: self.device,
            ..done
        };
        audit::record(self.tx, &self.desk.tools.audit_limits, event, class)
    }

    /// The language that the person is written to in.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) fn language(&self) -> Result<Language, Failure> {
        people::language(self.tx, self.person, self.wish, self.desk.tools.language)
    }

    /// Whoever asked has just proved to be the person: the language that they chose on the page, if they did, is the
    /// person's choice.
    ///
    /// # Errors
    /// Those of the store.
    pub fn note_choice(&mut self) -> Result<(), Failure> {
        match self.wish.chosen {
            Some(language) => people::choose(self.tx, self.person, language),
            None => Ok(()),
        }
    }
}
