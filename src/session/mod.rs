//! People sign in to the settings page, and stay signed in: this server is the page's OpenID Connect client, so
//! that no token ever lives in a browser (draft-ietf-oauth-browser-based-apps, "Backend For Frontend").
//!
//! ```text
//! begin   sealed cookie + state  ─ authorization code, PKCE S256, nonce ─> the issuer
//! finish  state, by that browser ─> code becomes tokens, once ─> they are of that sign-in ─> session
//! resume  session cookie ─> whose it is; tokens are renewed here, one flight at a time
//! end
//! ```
//!
//! While it signs in, a browser holds what the server needs on the way back, encrypted: what another browser began
//! does not end here, and the store keeps nothing of people who have proved nothing yet. For its session it holds a random
//! word; the store knows that by its keyed hash alone, and has the tokens in sealed rows.

mod client;
mod exchange;
mod flight;
mod keep;
mod pending;
mod proof;
mod record;
mod renew;
mod rule;
mod service;
mod sign_in;

use crate::store::Record;

/// Tables of sessions: void in a store that was brought back from a copy.
pub const OPEN_TABLES: &[&str] = &[record::Kept::TABLE, record::OfPerson::TABLE];

pub use client::{CALLBACK_PATH, Client, LOGIN_PATH, Way};
pub use keep::{
    ABSOLUTE_SECONDS, IDLE_SECONDS, ListedSession, LiveSession, MOST_SESSIONS, end_all, end_one,
    end_others, list, live,
};
pub use pending::{CookiePlace, MOST_PENDING_OF_BROWSER, PENDING_SECONDS};
pub use proof::{
    PROOF_SECONDS, SessionId, SessionProof, forget_proofs, is_live, note_proof, proof,
};
pub use renew::{Resumed, signed_out};
pub use rule::return_path;
pub use service::{CODES, SIGN_IN_FAILED, Seen, Sessions};
pub use sign_in::{Arrival, Departure, SENTENCE, SignInOrigin, Unfinished};
