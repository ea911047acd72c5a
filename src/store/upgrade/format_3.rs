//! From format 2 to 3. A user may have several former addresses, the history of a user is bounded, and sign-ins under
//! way are counted for each login service.

mod sign_ins;

use super::Step;

pub const STEP: Step = Step {
    says: "users keep several former addresses for notifications, what one user adds to the history is bounded, and \
           sign-ins under way are counted for each login service",
    passes: &[sign_ins::live, sign_ins::ceremonies],
};
