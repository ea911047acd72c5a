//! Whether the machine's clock can be right. An appliance without a battery starts in 1970, and an administrator may
//! mistype a year: what was used would be good again at the same time of day, and what must be remembered would be
//! swept away.
//!
//! ```text
//!                     more than 2 minutes before what was seen
//!            ┌───────┐ ────────────────────────────────────────▶ ┌────────┐  nothing is judged: 503
//!            │ Right │ ◀──────────────────────────────────────── │ Behind │
//!            └───────┘          the clock has caught up          └────────┘
//!             ▲     │  a leap forward, further than time can have passed
//!   an hour   │     ▼
//!   so, or back again
//!            ┌───────┐
//!            │ Ahead │  all goes on, but nothing is swept away by that time
//!            └───────┘
//! ```
//!
//! Steps of apps that were used, locks and expiries need none of this to fail closed; this says why they do.

mod record;
mod rule;
mod service;

pub use rule::{BELIEVED_AT_ONCE, BELIEVED_AT_START, FIRST_DAY, PROBATION, Standing, TOLERATED};
pub use service::{Timekeeper, accept, heal, newest};
