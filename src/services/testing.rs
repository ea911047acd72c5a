//! The tools of a server, for the tests of the rooms that get them.

use std::ops::Deref;
use std::sync::Arc;

use super::Services;
use crate::audit::AuditLimits;
use crate::auth::{IssuerSettings, KeySource, Outbound, Verifier};
use crate::base::{OsEntropy, RateLimit, Secret, TestClock};
use crate::clients::Doorkeeper;
use crate::metrics::Metrics;
use crate::session::{Sessions, Way};
use crate::signing::Signer;
use crate::store::testing::TestStore;
use crate::timekeeper::Timekeeper;
use crate::words::Language;

/// The tools of a server over a store of its own, on a clock that the test moves.
pub struct TestContext {
    /// What time it is.
    pub clock: Arc<TestClock>,
    /// Where everything is kept.
    pub store: TestStore,
    services: Services,
}

/// Builds a [`TestContext`]: of a server without mail that believes one issuer.
pub struct TestContextBuilder {
    clock: Arc<TestClock>,
    issuer: IssuerSettings,
}

impl TestContext {
    /// Begins a server at 2026-11-24T12:00:00Z, whose issuer gives nobody a token.
    pub fn builder() -> TestContextBuilder {
        let keys = KeySource::Hs256(Secret::new(vec![7; 32]));
        let audiences = vec!["mfa".to_owned()];
        TestContextBuilder {
            clock: TestClock::new(),
            issuer: IssuerSettings::new("https://issuer.example", audiences, keys),
        }
    }
}

impl TestContextBuilder {
    /// Puts the server on this clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<TestClock>) -> Self {
        self.clock = clock;
        self
    }

    /// Makes the server believe this issuer.
    #[must_use]
    pub fn issuer(mut self, issuer: IssuerSettings) -> Self {
        self.issuer = issuer;
        self
    }

    /// Makes a store, and the tools over it.
    pub async fn build(self) -> TestContext {
        let TestContextBuilder { clock, issuer } = self;
        let (store, entropy) = (TestStore::create(), Arc::new(OsEntropy));
        let outbound = Outbound::new(None).unwrap();
        let verifier = Verifier::new(vec![issuer], outbound, clock.clone()).unwrap();
        let signer = Signer::open(store.clone(), clock.clone(), entropy.clone());
        let sessions = Sessions::new(
            store.clone(),
            entropy.clone(),
            verifier.clone(),
            Way::Pasted,
        );
        let services = Services {
            store: store.clone(),
            clock: clock.clone(),
            timekeeper: Timekeeper::open(store.clone(), clock.clone()).unwrap(),
            copies: None,
            entropy,
            verifier,
            sessions,
            clients: Doorkeeper::new(store.clone()),
            metrics: Metrics::new(),
            mailer: None,
            signer: signer.await.unwrap(),
            policy: Arc::default(),
            factor_change_proof: Default::default(),
            recent_auth: None,
            audit_limits: AuditLimits::default(),
            account_limit: Arc::new(RateLimit::new(60)),
            phantom_failures: Arc::default(),
            email_resend_after: 60,
            origin: "https://mfa.example.com".into(),
            service_name: "Example".into(),
            language: Language::English,
            brand: Arc::default(),
        };
        TestContext {
            clock,
            store,
            services,
        }
    }
}

impl Deref for TestContext {
    type Target = Services;

    fn deref(&self) -> &Services {
        &self.services
    }
}
