//! From format 2 to 3. A user may have several former addresses, and the history of a user is bounded.

use super::Step;

pub const STEP: Step = Step {
    says: "users keep several former addresses for notifications, and what one user adds to the history is bounded",
    passes: &[],
};
