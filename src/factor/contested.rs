//! A user bears a name that another one gave up.

use crate::audit::{self, Operation};
use crate::base::Failure;
use crate::mail::NameContested;
use crate::people::Contest;

use super::deed::Deed;

impl Deed<'_, '_> {
    /// Notifies both users of `contest`, and records it for operators, who alone can end it.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) fn tell_of_contest(&mut self, contest: &Contest) -> Result<(), Failure> {
        let Contest { owner, name, until } = contest;
        tracing::warn!(
            until = %until,
            "reserved name borne by another user, and refused at sign-ins; mfad audit has the name"
        );
        let line = Operation::new(self.now, "user.name_contested", Some(name.clone()));
        audit::note(self.tx, &line)?;
        let letter = |by_former| {
            move |occasion| NameContested {
                occasion,
                name,
                until: *until,
                by_former,
            }
        };
        self.tell(letter(false))?;
        self.for_another(*owner).tell(letter(true))
    }
}
