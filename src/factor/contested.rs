//! A user bears a name that another one gave up, or has too.

use crate::audit::{self, Operation};
use crate::base::Failure;
use crate::mail::{Foreign, NameContested, NameShared};
use crate::people::{self, Contest, Meaning, NameNews, SharedName};
use crate::store::Read;

use super::deed::Deed;

impl Deed<'_, '_> {
    /// Notifies whom it concerns of what is new about names, and records it.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) fn tell_of_names(&mut self, news: &NameNews) -> Result<(), Failure> {
        for contest in &news.contests {
            self.tell_of_contest(contest)?;
        }
        for shared in &news.shared {
            self.tell_of_shared_name(shared)?;
        }
        Ok(())
    }

    /// The user has a second factor from now on: a name of theirs that another one has too may have another meaning.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) fn tell_of_shared_names(&mut self) -> Result<(), Failure> {
        let desk = self.desk;
        let enrolled = |read: &dyn Read, user| desk.factors.any_active(read, user);
        let shared = people::shared_names(self.tx, self.person, &enrolled, self.now)?;
        self.tell_of_names(&NameNews {
            contests: Vec::new(),
            shared,
        })
    }

    fn tell_of_shared_name(&mut self, shared: &SharedName) -> Result<(), Failure> {
        let SharedName {
            other,
            other_subject,
            name,
            means,
            notifies_user,
            notifies_other,
        } = shared;
        let is_ambiguous = *means == Meaning::Neither;
        tracing::warn!(user = ?self.person, ?other, is_ambiguous, "user name shared by two users");
        let action = match is_ambiguous {
            true => "user.name_ambiguous",
            false => "user.name_shared",
        };
        self.record_names(action, other_subject)?;
        let letter = |is_meant| {
            move |occasion| NameShared {
                occasion,
                name: Foreign(name),
                is_ambiguous,
                is_meant,
            }
        };
        if *notifies_user {
            self.tell(letter(*means == Meaning::User))?;
        }
        if *notifies_other {
            let is_others = *means == Meaning::Other;
            self.for_another(*other).tell(letter(is_others))?;
        }
        Ok(())
    }

    fn record_names(&mut self, action: &str, other_subject: &str) -> Result<(), Failure> {
        let about = self.asker.map(|asker| {
            let (subject, issuer) = (&asker.subject, &asker.issuer);
            format!("{subject}, by a name of {other_subject} at {issuer}")
        });
        audit::note(self.tx, &Operation::new(self.now, action, about))
    }

    /// Notifies both users of `contest`, and records it for operators, who alone can end it.
    ///
    /// # Errors
    /// Those of the store.
    fn tell_of_contest(&mut self, contest: &Contest) -> Result<(), Failure> {
        let Contest {
            owner,
            owner_subject,
            name,
            until,
        } = contest;
        tracing::warn!(
            user = ?self.person,
            ?owner,
            %until,
            "reserved name borne by another user, and refused at sign-ins"
        );
        self.record_names("user.name_contested", owner_subject)?;
        let letter = |by_former| {
            move |occasion| NameContested {
                occasion,
                name: Foreign(name),
                until: *until,
                by_former,
            }
        };
        self.tell(letter(false))?;
        self.for_another(*owner).tell(letter(true))
    }
}
