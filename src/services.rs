//! The tools that every room gets: where things are kept, what time it is, who
//! is believed, how mail leaves, what signs.

#[cfg(test)]
pub mod testing;

use std::sync::Arc;

use crate::audit::AuditLimits;
use crate::auth::Verifier;
use crate::base::{Clock, Entropy, RateLimit, Timestamp};
use crate::brand::Brand;
use crate::clients::Doorkeeper;
use crate::copies::Schedule;
use crate::crypto::Sealer;
use crate::lockout::PhantomFailures;
use crate::mail::Mailer;
use crate::metrics::Metrics;
use crate::policy::{FactorChangeProof, Policy};
use crate::session::Sessions;
use crate::signing::Signer;
use crate::store::Store;
use crate::timekeeper::Timekeeper;
use crate::words::Language;

/// The tools. Clones share them.
#[derive(Clone)]
pub struct Services {
    /// Where everything is kept.
    pub store: Store,
    /// What time it is. A request asks once and passes the answer on.
    pub clock: Arc<dyn Clock>,
    /// Whether that can be right.
    pub timekeeper: Timekeeper,
    /// The copies of the store that are made by themselves.
    pub copies: Option<Schedule>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Who is calling.
    pub verifier: Verifier,
    /// Who is signed in to the settings page.
    pub sessions: Sessions,
    /// Which login service is calling.
    pub clients: Doorkeeper,
    /// What is counted.
    pub metrics: Metrics,
    /// How mail leaves; `None` where no SMTP server is set.
    pub mailer: Option<Mailer>,
    /// Signs the results of verifications.
    pub signer: Signer,
    /// Who must have which factor, as the settings say; [`crate::policy::in_effect`] lays over it what is stored.
    pub policy: Arc<Policy>,
    /// Whether users who have a factor prove one before their factors change.
    pub factor_change_proof: FactorChangeProof,
    /// How long ago, in seconds, somebody may have signed in who changes their factors without a code; `None`
    /// where it does not matter.
    pub recent_auth: Option<u64>,
    /// How much of what users do is recorded.
    pub audit_limits: AuditLimits,
    /// How many requests that change something are made with one token or session cookie: by keyed hashes of these.
    pub account_limit: Arc<RateLimit<[u8; 32]>>,
    /// Failures with factors that do not exist, as far as the store does not keep them.
    pub phantom_failures: Arc<PhantomFailures>,
    /// Seconds between two mailed codes to one person.
    pub email_resend_after: u64,
    /// What browsers see, without a slash at its end; the `iss` of what we sign.
    pub origin: Arc<str>,
    /// The service, as people know it: at most 64 characters, no `:`.
    pub service_name: Arc<str>,
    /// The language of whoever asks for none of ours.
    pub language: Language,
    /// How the pages look, where they point to for help, and whom mails name.
    pub brand: Arc<Brand>,
}

impl Services {
    /// The present moment.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The keys that name people and hash codes.
    pub fn keys(&self) -> &Sealer {
        self.store.sealer()
    }
}
