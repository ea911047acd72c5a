//! The face of the room: a token in, a caller out.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::task::JoinSet;

use super::caller::{Caller, Email, LoginService, Person};
use super::claims::verified;
use super::id_token::{Expected, IdClaims, SignedIn};
use super::known::{Known, KnownTokens, TokenHash};
use super::outbound::{Outbound, OutboundError};
use super::provider::Provider;
use super::refusal::{Refusal, quote, unavailable};
use super::service_token::{NotAService, RefusedServices};
use super::settings::{AuthSetupError, IssuerSettings, check_all};
use super::source::{REFETCH_AFTER, Source};
use super::token::{LONGEST_TOKEN, Unverified};
use crate::base::{Clock, Failure};

/// Judges access tokens. Clones share their keys.
#[derive(Clone)]
pub struct Verifier(Arc<Inner>);

struct Inner {
    sources: HashMap<String, Arc<Source>>,
    known: KnownTokens,
    refused: RefusedServices,
    outbound: Outbound,
    clock: Arc<dyn Clock>,
}

/// What the userinfo endpoint says (OpenID Connect Core section 5.3.2), as far as we use it.
#[derive(Deserialize)]
struct UserInfo {
    sub: String,
    email: Option<String>,
    #[serde(default, deserialize_with = "verified")]
    email_verified: Option<bool>,
}

impl Verifier {
    /// Believes `issuers`. Asks none of them yet: that is [`Verifier::prime`].
    ///
    /// # Errors
    /// Where tokens could not be judged safely, in words for whoever wrote the settings.
    pub fn new(
        issuers: Vec<IssuerSettings>,
        outbound: Outbound,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, AuthSetupError> {
        check_all(&issuers)?;
        let sources = issuers
            .into_iter()
            .map(|settings| {
                let source = Source::new(settings, outbound.clone(), Arc::clone(&clock));
                (source.settings.issuer.clone(), Arc::new(source))
            })
            .collect();
        Ok(Verifier(Arc::new(Inner {
            sources,
            known: KnownTokens::default(),
            refused: RefusedServices::default(),
            outbound,
            clock,
        })))
    }

    #[cfg(test)]
    pub(super) fn source(&self, issuer: &str) -> Arc<Source> {
        Arc::clone(&self.0.sources[issuer])
    }

    /// Who shows `token`. No network where its key is known, and no work on a signature that was found good
    /// before, as long as the keys are the same.
    ///
    /// # Errors
    /// `invalid_token` where it is not believed, with the reason for the log
    /// alone; `unavailable` where its issuer must be asked first and does not answer.
    pub async fn caller(&self, token: &str) -> Result<Caller, Failure> {
        self.caller_and_claims(token)
            .await
            .map(|(caller, _)| caller)
    }

    /// The login service that shows `token`. The log hears of a client that could be one, if the settings named it.
    ///
    /// # Errors
    /// As [`Verifier::caller`]; `forbidden` for users, whatever their scopes and names, and for clients that may not
    /// ask.
    pub async fn login_service(&self, token: &str) -> Result<LoginService, Failure> {
        let (caller, known) = self.caller_and_claims(token).await?;
        caller.into_login_service().map_err(|failure| {
            let settings = &known.source.settings;
            let (why, client) = NotAService::of(&known.claims, settings);
            if let Some(client) = client {
                let now = self.0.clock.now();
                self.0.refused.log(&why, &client, settings, now);
            }
            failure.because(why)
        })
    }

    async fn caller_and_claims(&self, token: &str) -> Result<(Caller, Known), Failure> {
        // Looked at before anything else, so that nobody has us hash what is too long.
        if token.len() > LONGEST_TOKEN {
            return Err(Refusal::TooLong(LONGEST_TOKEN).into());
        }
        let hash = TokenHash::of(token);
        if let Some(known) = self.0.known.get(hash) {
            if known.source.stands(known.generation) {
                return match self.judge(&known) {
                    Ok(caller) => Ok((caller, known)),
                    Err(refusal) => {
                        // Its time is over, since nothing else changes.
                        self.0.known.forget(hash);
                        Err(refusal.into())
                    }
                };
            }
            self.0.known.forget(hash);
        }
        let known = self.check(token).await?;
        let caller = self.judge(&known)?;
        self.0.known.put(hash, known.clone());
        Ok((caller, known))
    }

    /// What holds of a token for as long as its issuer's keys are the same: its form, its issuer, its signature.
    async fn check(&self, token: &str) -> Result<Known, Failure> {
        let token = Unverified::read(token)?;
        let source = self.source_of(&token)?;
        if source.settings.strict_type && !token.typed {
            return Err(Refusal::Untyped.into());
        }
        let (key, generation) = source.key_for(&token).await?;
        Ok(Known {
            source: Arc::clone(source),
            generation,
            claims: Arc::new(token.verify(&key)?),
        })
    }

    /// The issuer whose token it says it is, if it may sign in this way.
    fn source_of(&self, token: &Unverified<'_>) -> Result<&Arc<Source>, Failure> {
        let source = self.source_named(&token.issuer)?;
        if !source.accepts(token.algorithm) {
            return Err(Refusal::Algorithm(token.algorithm.name().to_owned()).into());
        }
        Ok(source)
    }

    fn source_named(&self, issuer: &str) -> Result<&Arc<Source>, Refusal> {
        let source = self.0.sources.get(issuer);
        source.ok_or_else(|| Refusal::UnknownIssuer(quote(issuer)))
    }

    /// Who has signed in, as the ID token says that came with a code.
    ///
    /// # Errors
    /// `invalid_token` where it is not believed, or is of another sign-in, with the reason for the log alone;
    /// `unavailable` where its issuer must be asked first and does not answer.
    pub async fn signed_in(
        &self,
        token: &str,
        expected: &Expected<'_>,
    ) -> Result<SignedIn, Failure> {
        let token = Unverified::read(token)?;
        let source = self.source_of(&token)?;
        if token.typed {
            return Err(Refusal::Type(quote("at+jwt")).into());
        }
        let (key, _) = source.key_for(&token).await?;
        let claims: IdClaims = token.verify(&key)?;
        let now = self.0.clock.now();
        claims.check(expected, token.algorithm, now)?;
        Ok(claims.into_signed_in(now))
    }

    /// How people sign in at `issuer`. Asks it where that is not known.
    ///
    /// # Errors
    /// `unavailable` where it does not answer, or says nothing that could be used; `internal` where its keys
    /// come by another way than discovery.
    pub async fn provider(&self, issuer: &str) -> Result<Arc<Provider>, Failure> {
        self.source_named(issuer)?.provider().await
    }

    /// The same, where it is known already.
    pub fn known_provider(&self, issuer: &str) -> Option<Arc<Provider>> {
        self.0.sources.get(issuer)?.known_provider()
    }

    /// What asks the issuers.
    pub fn outbound(&self) -> &Outbound {
        &self.0.outbound
    }

    /// What must hold of it at this moment.
    fn judge(&self, known: &Known) -> Result<Caller, Refusal> {
        let (settings, now) = (&known.source.settings, self.0.clock.now());
        known
            .claims
            .check(&settings.issuer, &settings.audience, now)?;
        Ok(Caller::of(&known.claims, settings, now))
    }

    /// The issuers that are believed.
    pub fn issuers(&self) -> Vec<String> {
        self.0.sources.keys().cloned().collect()
    }

    #[cfg(test)]
    pub(super) fn known(&self) -> usize {
        self.0.known.len()
    }

    /// Fetches the keys of all issuers, for the start and for `mfad check`.
    ///
    /// # Errors
    /// `unavailable` with the first reason, where any issuer has no keys to give.
    pub async fn prime(&self) -> Result<(), Failure> {
        let mut fetches = JoinSet::new();
        for source in self.0.sources.values() {
            let source = Arc::clone(source);
            fetches.spawn(async move { source.refresh().await });
        }
        let mut outcome = Ok(());
        while let Some(fetched) = fetches.join_next().await {
            let failure = match fetched {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => unavailable(REFETCH_AFTER, error),
                Err(broken_off) => Failure::internal(broken_off),
            };
            outcome = outcome.and(Err(failure));
        }
        outcome
    }

    /// Why tokens of some issuer cannot be judged, if that is so: it has never
    /// given keys, or has been silent for a day.
    ///
    /// # Errors
    /// The reasons, for `/readyz` and the operator.
    pub fn health(&self) -> Result<(), String> {
        let mut reasons: Vec<String> = self
            .0
            .sources
            .values()
            .filter_map(|source| source.health().err())
            .collect();
        reasons.sort();
        if reasons.is_empty() {
            Ok(())
        } else {
            Err(reasons.join("; "))
        }
    }

    /// Whether some issuer has never given its keys.
    pub fn waits_for_keys(&self) -> bool {
        self.0.sources.values().any(|source| !source.has_keys())
    }

    /// Fetches all keys again every `refresh`, so that removed ones are forgotten. Files are looked at, and issuers
    /// that did not answer are asked again, every `retry`. Runs for ever; dropping it stops it.
    pub async fn keep_fresh(&self, refresh: Duration, retry: Duration) {
        let mut tasks = JoinSet::new();
        for source in self.0.sources.values() {
            tasks.spawn(Arc::clone(source).keep_fresh(refresh, retry));
        }
        while tasks.join_next().await.is_some() {}
        std::future::pending().await
    }

    /// The address of `person`: from the token, else from the issuer's userinfo
    /// endpoint, which is shown `token`. `None` where the issuer names none.
    ///
    /// # Errors
    /// `unavailable` where the issuer does not answer, or answers of somebody else.
    pub async fn email_of(&self, person: &Person, token: &str) -> Result<Option<Email>, Failure> {
        if let Some(email) = &person.email {
            return Ok(Some(email.clone()));
        }
        let source = self.source_named(&person.issuer)?;
        let Some(url) = source.userinfo() else {
            return Ok(None);
        };
        let info: UserInfo = match self.0.outbound.get_json(&url, Some(token)).await {
            Ok(info) => info,
            // The token, good as it is here, does not open userinfo: it lacks the scope `openid`.
            Err(OutboundError::Status(status @ (401 | 403))) => {
                tracing::debug!(status, "userinfo does not accept the person's token");
                return Ok(None);
            }
            Err(error) => return Err(unavailable(REFETCH_AFTER, error)),
        };
        // OpenID Connect Core section 5.3.2: what is said of another `sub` must not be used.
        if info.sub != person.subject {
            return Err(unavailable(
                REFETCH_AFTER,
                "userinfo spoke of another subject than the token",
            ));
        }
        Ok(info
            .email
            .as_deref()
            .and_then(|address| Email::of(address, info.email_verified)))
    }
}
