//! Who comes with a session, and how its tokens stay good.

use super::exchange::{self, NoTokens};
use super::flight::Landing;
use super::keep;
use super::proof::SessionId;
use super::record::Kept;
use super::service::{RETRY_AFTER, Sessions};
use crate::auth::{self, Person, UNAUTHENTICATED};
use crate::base::{Failure, Kind, Secret, Timestamp};
use crate::crypto::CodeHash;

/// Seconds before an access token's end from which on it is renewed: what is asked with it takes a while.
const RENEW_BEFORE: u64 = 10;

/// Seconds between two notes that a session was used.
const NOTED_EVERY: u64 = 60;

/// For how long, in seconds, tokens are kept that could not be checked: long enough to be checked by the next request.
const UNCHECKED_SECONDS: u64 = 60;

/// Somebody who is signed in.
pub struct Resumed {
    /// As the access token describes them; when and how they signed in, and their language, also as the ID token did.
    pub person: Person,
    /// The access token.
    pub token: Secret<String>,
    /// The session, where they came with one.
    pub session: Option<SessionId>,
}

/// When and how somebody signed in, as one statement: of the access token, or else of the ID token. The time of one
/// says nothing about the methods of the other.
fn sign_in_of(
    access: (Option<Timestamp>, Vec<String>),
    id: (Option<Timestamp>, Vec<String>),
) -> (Option<Timestamp>, Vec<String>) {
    let both = |it: &(Option<Timestamp>, Vec<String>)| it.0.is_some() && !it.1.is_empty();
    match (both(&access), both(&id)) {
        (true, _) => access,
        (false, true) => id,
        // Whoever says when is believed on that alone.
        _ => match access.0.or(id.0) {
            Some(at) => (Some(at), Vec::new()),
            None if access.1.is_empty() => id,
            None => access,
        },
    }
}

/// The refusal of a request whose session has ended.
pub fn signed_out() -> Failure {
    Failure::new(UNAUTHENTICATED, "You are signed out. Sign in again.")
}

impl Sessions {
    /// Whose session it is that a browser shows. Renews its tokens where they are over.
    ///
    /// # Errors
    /// `unauthenticated` where it is nobody's, or not any more; `unavailable` where the issuer must be asked and
    /// does not answer (the session stays), or the store does not.
    pub async fn resume(&self, shown: &str, now: Timestamp) -> Result<Resumed, Failure> {
        let id = self.id(shown).ok_or_else(signed_out)?;
        let kept = self.kept(&id, now)?.ok_or_else(signed_out)?;
        let (kept, mut person) = self.usable(&id, kept, now).await?;
        self.note_use(&id, &kept, now).await;
        let access = (person.auth_time, std::mem::take(&mut person.amr));
        (person.auth_time, person.amr) = sign_in_of(access, (kept.auth_time, kept.amr.clone()));
        person.acr = person.acr.or_else(|| kept.acr.clone());
        person.language = person.language.or(kept.language);
        Ok(Resumed {
            person,
            token: Secret::new(kept.access_token.clone()),
            session: Some(SessionId(id)),
        })
    }

    /// The session with an access token that is believed.
    async fn usable(
        &self,
        id: &CodeHash,
        kept: Kept,
        now: Timestamp,
    ) -> Result<(Kept, Person), Failure> {
        let believed = self.believed(&kept, now).await?;
        let stale = believed.is_none() || kept.access_ends <= now.plus(RENEW_BEFORE);
        match (believed, stale && kept.refresh_token.is_some()) {
            (Some(person), false) => return Ok((kept, person)),
            (None, false) => {
                self.end_by_id(id).await?;
                return Err(signed_out());
            }
            (believed, true) => match (self.renew(id, &kept, now).await?, believed) {
                (Landing::Renewed, _) => {}
                (Landing::Ended, _) => return Err(signed_out()),
                // It is good for some seconds more.
                (Landing::Away(_), Some(person)) => return Ok((kept, person)),
                (Landing::Away(why), None) => return Err(auth::unavailable(RETRY_AFTER, &*why)),
            },
        }
        let kept = self.kept(id, now)?.ok_or_else(signed_out)?;
        match self.believed(&kept, now).await? {
            Some(person) => Ok((kept, person)),
            None => {
                self.end_by_id(id).await?;
                Err(signed_out())
            }
        }
    }

    /// Whom the access token speaks for, if it is good at this moment, and still for the one who signed in.
    async fn believed(&self, kept: &Kept, now: Timestamp) -> Result<Option<Person>, Failure> {
        if now >= kept.access_ends {
            return Ok(None);
        }
        let caller = self.verifier.caller(&kept.access_token).await;
        match caller.and_then(auth::Caller::into_person) {
            Ok(person) => Ok(self.is_of(kept, &person).then_some(person)),
            Err(failure) if failure.code().kind == Kind::Unavailable => Err(failure),
            Err(failure) => {
                tracing::info!(
                    ?failure,
                    "the access token of a session is not accepted any more"
                );
                Ok(None)
            }
        }
    }

    fn is_of(&self, kept: &Kept, person: &Person) -> bool {
        let keys = self.store.sealer();
        keys.person(&person.issuer, &person.subject) == kept.person
    }

    async fn renew(&self, id: &CodeHash, kept: &Kept, now: Timestamp) -> Result<Landing, Failure> {
        let (sessions, id, stale) = (self.clone(), *id, Secret::new(kept.access_token.clone()));
        let work = || async move {
            match sessions.fly(&id, stale.expose(), now).await {
                Ok(landing) => landing,
                Err(failure) => {
                    tracing::warn!(?failure, "a session could not be renewed");
                    Landing::Away(format!("{failure:?}").into())
                }
            }
        };
        self.flights.join(&id, work).await
    }

    /// Gives the session new tokens in place of `stale`, unless it has them already.
    async fn fly(&self, id: &CodeHash, stale: &str, now: Timestamp) -> Result<Landing, Failure> {
        let Some(kept) = self.kept(id, now)? else {
            return Ok(Landing::Ended);
        };
        if kept.access_token != stale {
            return Ok(Landing::Renewed);
        }
        let Some(refresh_token) = &kept.refresh_token else {
            return Ok(Landing::Ended);
        };
        let client = self.client()?;
        let provider = self.verifier.provider(&client.issuer).await?;
        let outbound = self.verifier.outbound();
        let tokens = match exchange::renew(outbound, client, &provider, refresh_token).await {
            Ok(tokens) => tokens,
            Err(NoTokens::Refused(word)) if word == "invalid_grant" => {
                self.end_by_id(id).await?;
                return Ok(Landing::Ended);
            }
            Err(other) => return Err(auth::unavailable(RETRY_AFTER, other)),
        };
        let caller = self.verifier.caller(tokens.access.expose()).await;
        let access_ends = match caller.and_then(auth::Caller::into_person) {
            Ok(person) if self.is_of(&kept, &person) => person.expires,
            // The refresh token that has just been used up must not be all that is left.
            Err(failure) if failure.code().kind == Kind::Unavailable => now.plus(UNCHECKED_SECONDS),
            other => {
                let failure = other.err();
                tracing::warn!(
                    ?failure,
                    "the issuer renewed a session by a token that is not good for it"
                );
                self.end_by_id(id).await?;
                return Ok(Landing::Ended);
            }
        };
        let id = *id;
        let written = self.store.write(move |tx| {
            // Who signed out meanwhile stays so.
            let Some(mut kept) = tx.get::<Kept>(&keep::key(&id))? else {
                return Ok(Landing::Ended);
            };
            kept.access_token.clone_from(tokens.access.expose());
            kept.access_ends = access_ends;
            if let Some(refresh) = &tokens.refresh {
                kept.refresh_token = Some(refresh.expose().clone());
            }
            keep::put(tx, &id, &kept)?;
            Ok(Landing::Renewed)
        });
        written.await
    }

    /// Notes that the session was used, unless that was noted within the minute. What cannot be noted shortens
    /// the session and stops nobody.
    async fn note_use(&self, id: &CodeHash, kept: &Kept, now: Timestamp) {
        if now.since(kept.used_at) < NOTED_EVERY {
            return;
        }
        let id = *id;
        let noted = self.store.write(move |tx| {
            if let Some(mut kept) = keep::read(tx, &id, now)? {
                kept.used_at = kept.used_at.max(now);
                keep::put(tx, &id, &kept)?;
            }
            Ok(())
        });
        if let Err(failure) = noted.await {
            tracing::debug!(?failure, "the use of a session could not be noted");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_one_token_says_nothing_about_the_methods_of_the_other() {
        let (now, old) = (
            Some(Timestamp::from_unix(90_000)),
            Some(Timestamp::from_unix(1)),
        );
        let said = |at, amr: &[&str]| (at, amr.iter().map(|word| (*word).to_owned()).collect());
        for (access, id, together) in [
            (
                said(now, &["mfa"]),
                said(old, &["pwd"]),
                said(now, &["mfa"]),
            ),
            (said(now, &[]), said(old, &["mfa"]), said(old, &["mfa"])),
            (
                said(None, &["mfa"]),
                said(now, &["pwd"]),
                said(now, &["pwd"]),
            ),
            (said(None, &["mfa"]), said(now, &[]), said(now, &[])),
            (said(now, &[]), said(None, &["mfa"]), said(now, &[])),
            (said(None, &[]), said(now, &["mfa"]), said(now, &["mfa"])),
            (said(None, &["mfa"]), said(None, &[]), said(None, &["mfa"])),
            (said(None, &[]), said(None, &["mfa"]), said(None, &["mfa"])),
            (said(now, &[]), said(None, &[]), said(now, &[])),
        ] {
            assert_eq!(
                sign_in_of(access.clone(), id.clone()),
                together,
                "{access:?} {id:?}"
            );
        }
    }
}
