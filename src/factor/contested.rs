//! A user bears a name that another one gave up.

use crate::audit::{self, Operation};
use crate::base::Failure;
use crate::mail::{Foreign, NameContested};
use crate::people::Contest;

use super::deed::Deed;

impl Deed<'_, '_> {
    /// Notifies both users of `contest`, and records it for operators, who alone can end it.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) fn tell_of_contest(&mut self, contest: &Contest) -> Result<(), Failure> {
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
        let about = self.asker.map(|asker| {
            let (subject, issuer) = (&asker.subject, &asker.issuer);
            format!("{subject}, by a name of {owner_subject} at {issuer}")
        });
        let line = Operation::new(self.now, "user.name_contested", about);
        audit::note(self.tx, &line)?;
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
