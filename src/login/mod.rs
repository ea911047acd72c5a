//! A login service has checked the first factor, and asks about the second.
//!
//! ```text
//!              ┌─ allow ─▶ (nothing to prove)          ┌─ right ──▶ Passed ──▶ a signed result
//!   opened ────┼─ challenge ─▶ Open ── answers ────────┼─ wrong, 5 times ──▶ Failed
//!              ├─ enroll ─▶ (set one up first)          ├─ given up ──▶ Cancelled
//!              └─ deny                                  └─ 5 minutes ──▶ (expired)
//! ```
//!
//! A challenge belongs to the service that opened it and to one person. It is answered through the
//! service, or on a page of ours (`prompt`), which brings the person back to the service.

mod answering;
mod challenge;
#[cfg(test)]
mod fuzz;
mod http;

mod one_call;
mod opening;
mod outcome;
mod prompt;
mod record;
mod request;
mod reset;
mod rule;
mod unfinished;
mod view;
mod whom;

use std::sync::Arc;

use utoipa_axum::router::OpenApiRouter;

use crate::base::{Code, Kind};
use crate::factor::Desk;
use crate::store::Record;

pub use reset::{WaitingSignIn, reset, waiting};
pub use unfinished::{keep_notifying_of_unfinished, notify_of_unfinished};

/// Tables of sign-ins under way: void in a store that was brought back from a copy.
pub const OPEN_TABLES: &[&str] = &[
    record::Challenge::TABLE,
    record::Live::TABLE,
    record::PromptToken::TABLE,
    record::Unfinished::TABLE,
    record::LastFinished::TABLE,
];

/// The challenge was open for longer than five minutes.
pub const CHALLENGE_EXPIRED: Code = Code {
    name: "challenge_expired",
    kind: Kind::Conflict,
    title: "The sign-in took too long",
};
/// The challenge takes no answer: it has had its right one, or too many wrong ones, or none was asked for.
pub const CHALLENGE_CLOSED: Code = Code {
    name: "challenge_closed",
    kind: Kind::Conflict,
    title: "The sign-in takes no answer",
};
/// Several people go by the name.
pub const AMBIGUOUS_NAME: Code = Code {
    name: "ambiguous_name",
    kind: Kind::Conflict,
    title: "More than one person has that name",
};

/// The codes of this room.
pub const CODES: &[Code] = &[CHALLENGE_EXPIRED, CHALLENGE_CLOSED, AMBIGUOUS_NAME];

/// The routes of login services, and of the page that answers for them.
pub fn routes() -> OpenApiRouter<Arc<Desk>> {
    OpenApiRouter::new()
        .merge(http::routes())
        .merge(prompt::routes())
}
