//! Users are notified by mail of what happens to their factors: message by message, and in one digest if there is too much
//! of it within an hour.

use std::sync::Arc;
use std::time::Duration;

use crate::audit::{Actor, Origin};
use crate::base::{Failure, RequestId};
use crate::mail::{self, Address, Content, Letter, Occasion};
use crate::outbox::{self, Admission, Hour};
use crate::people::{self, Wish};
use crate::store::Read;

use super::Desk;
use super::deed::{By, Deed};

/// To whom letters are written that nobody gets (RFC 2606).
const NOBODY: &str = "nobody@example.invalid";
/// The name of a digest in the log, and in the history if it is refused.
const DIGEST: &str = "notifications.digest";

impl Deed<'_, '_> {
    /// Notifies the user at every address that is known. What is too much within an hour waits for the digest.
    ///
    /// # Errors
    /// Those of the store.
    pub fn tell<'c, C: Content>(
        &mut self,
        content: impl FnOnce(Occasion<'c>) -> C,
    ) -> Result<(), Failure>
    where
        Self: 'c,
    {
        let addresses = self.notified_at(Vec::new())?;
        if addresses.is_empty() {
            return Ok(());
        }
        self.send_due_digest()?;
        let mut hour = Hour::of(self.tx, self.person, self.now)?;
        let admission = hour.admit(C::IS_CHANGE, &addresses);
        let content = content(Occasion {
            more_after: match admission {
                Admission::LastUntil(ends_at) => Some(ends_at),
                Admission::Sent | Admission::Withheld => None,
            },
            ..self.occasion()
        });
        if let Some(change) = content.change() {
            hour.list(change);
        }
        hour.keep(self.tx, self.person)?;
        if admission == Admission::Withheld {
            tracing::warn!(user = ?self.person, "notification withheld until the hourly digest");
            return Ok(());
        }
        let letters = self.letters(addresses, &content)?;
        outbox::put(self.tx, letters, self.now)
    }

    /// As [`Deed::tell`], and to `addresses` besides, however much there was within the hour: for what an operator did, which no one else can
    /// cause often. The digest, if there is one, says it too.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) fn notify_always<'c, C: Content>(
        &mut self,
        addresses: Vec<Address>,
        content: impl FnOnce(Occasion<'c>) -> C,
    ) -> Result<(), Failure>
    where
        Self: 'c,
    {
        let addresses = self.notified_at(addresses)?;
        if addresses.is_empty() {
            return Ok(());
        }
        let content = content(self.occasion());
        if let Some(change) = content.change() {
            self.send_due_digest()?;
            let mut hour = Hour::of(self.tx, self.person, self.now)?;
            hour.add_addresses(&addresses);
            hour.list(change);
            hour.keep(self.tx, self.person)?;
        }
        let letters = self.letters(addresses, &content)?;
        outbox::put(self.tx, letters, self.now)
    }

    /// Writes a notification, and sends it nowhere: whoever measures must not learn that there is nobody to be notified.
    ///
    /// # Errors
    /// Those of the letter.
    pub(super) fn tell_nobody<'c, C: Content>(
        &self,
        content: impl FnOnce(Occasion<'c>) -> C,
    ) -> Result<(), Failure>
    where
        Self: 'c,
    {
        if self.desk.tools.mailer.is_some() {
            let nobody = NOBODY.parse::<Address>().map_err(Failure::internal)?;
            self.letters(vec![nobody], &content(self.occasion()))?;
        }
        Ok(())
    }

    /// Sends the digest of the hour that is over, if there is one. Returns whether there was.
    ///
    /// # Errors
    /// Those of the store.
    fn send_due_digest(&mut self) -> Result<bool, Failure> {
        let Some(digest) = outbox::take_digest(self.tx, self.person, self.now)? else {
            return Ok(false);
        };
        let addresses = self.notified_at(digest.addresses)?;
        let content = mail::Digest {
            occasion: Occasion {
                at: digest.began_at,
                ip: None,
                ..self.occasion()
            },
            changes: &digest.changes,
            others: digest.others,
        };
        let letters = self.letters(addresses, &content)?;
        outbox::put(self.tx, letters, self.now)?;
        Ok(true)
    }

    fn occasion<'c>(&self) -> Occasion<'c>
    where
        Self: 'c,
    {
        Occasion {
            service_name: &self.desk.tools.service_name,
            contact: self.desk.tools.brand.contact.as_deref(),
            at: self.now,
            // A proxy on this machine is not where the person is.
            ip: self.origin.ip.filter(|ip| !ip.is_loopback()),
            more_after: None,
        }
    }

    /// Returns `addresses` and every address of the user that is known, each once; none if no mail can leave.
    ///
    /// # Errors
    /// Those of the store.
    fn notified_at(&self, mut addresses: Vec<Address>) -> Result<Vec<Address>, Failure> {
        let desk = self.desk;
        if desk.tools.mailer.is_none() {
            return Ok(Vec::new());
        }
        let read: &dyn Read = self.tx;
        addresses.extend(people::addresses(read, self.person, self.now)?);
        for factor in desk.factors.all() {
            addresses.extend(factor.addresses(read, self.person)?);
        }
        addresses.sort();
        addresses.dedup();
        Ok(addresses)
    }

    /// Writes `content` to each of `addresses`, in the user's language.
    ///
    /// # Errors
    /// Those of the store and the letters.
    fn letters(
        &self,
        addresses: Vec<Address>,
        content: &impl Content,
    ) -> Result<Vec<Letter>, Failure> {
        let entropy = &*self.desk.tools.entropy;
        Letter::compose_each(addresses, content, self.language()?, entropy)
    }
}

/// Runs [`send_due_digests`] every `period`. Never ends.
pub async fn keep_sending_digests(desk: &Arc<Desk>, period: Duration) {
    loop {
        if let Err(failure) = send_due_digests(desk).await {
            tracing::warn!(error = ?failure, "digests of notifications failed");
        }
        tokio::time::sleep(period).await;
    }
}

/// Puts the digest of each user whose hour of many notifications is over into the outbox.
///
/// # Errors
/// Those of the store.
pub async fn send_due_digests(desk: &Arc<Desk>) -> Result<(), Failure> {
    let tools = &desk.tools;
    let now = tools.now();
    loop {
        let due = tools.store.read(|read| outbox::digests_due(read, now))?;
        let mut some_sent = false;
        for person in due {
            let by = By {
                key: person,
                person: None,
                session: None,
                actor: Actor::System,
                origin: Origin {
                    request: RequestId::draw(&*tools.entropy)?,
                    ip: None,
                },
                wish: Wish::default(),
                challenge: None,
            };
            // What it tells of stands in the history already.
            let sent = desk.prepare(by, DIGEST, |deed| Ok(deed.send_due_digest()?));
            match sent.await {
                Ok(sent) => some_sent |= sent,
                // One who cannot be notified now keeps no one else waiting.
                Err(failure) => tracing::warn!(error = ?failure, "digest failed"),
            }
        }
        if !some_sent {
            return Ok(());
        }
    }
}
