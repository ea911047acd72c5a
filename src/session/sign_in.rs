//! The way to the issuer and back.

use url::Url;

use super::client::Client;
use super::exchange::{self, NoTokens, Tokens};
use super::keep;
use super::pending;
use super::record::{Begun, Kept};
use super::rule::{HOME, Handle, Returned, error_word, return_path};
use super::service::{RETRY_AFTER, SESSION, SIGN_IN_FAILED, Sessions};
use crate::auth::{self, Expected, LEEWAY, Person, Provider, SignedIn};
use crate::base::{Failure, Kind, Secret, Timestamp};
use crate::words::{self, Language};

/// The member of a failed sign-in that names the words for why.
pub const SENTENCE: &str = "sentence";

/// What is kept of the browser's word while it signs in, and of its sign-in's.
const BROWSER: &str = "sign-in browser";
const STATE: &str = "sign-in state";

/// A browser on its way to the issuer.
pub struct Departure {
    /// Where it goes.
    pub url: Url,
    /// What it takes along, and must bring back.
    pub browser: Secret<String>,
}

/// A browser that is back, with a session.
#[derive(Debug)]
pub struct Arrival {
    /// What it shows from now on.
    pub session: Secret<String>,
    /// The path that it goes on to.
    pub return_to: String,
    /// Whether it has no other sign-in under way.
    pub last: bool,
}

/// A browser that is back, without.
#[derive(Debug)]
pub struct Unfinished {
    /// Why.
    pub failure: Failure,
    /// The path that it would have gone on to.
    pub return_to: String,
}

/// A sign-in that did not succeed, for the reason that `words` holds under `key`.
fn failed(key: &'static str) -> Failure {
    Failure::new(SIGN_IN_FAILED, words::find(Language::English, key, None)).with(SENTENCE, key)
}

impl Sessions {
    /// Begins a sign-in, for the browser that shows `shown`, and sends it to the issuer; `fresh` has that ask
    /// anew who it is. It shall end at the path `return_to`, where that is one ([`return_path`]).
    ///
    /// # Errors
    /// `not_found` where nobody signs in here; `unavailable` where the issuer or the store does not answer.
    pub async fn begin(
        &self,
        shown: Option<&str>,
        return_to: Option<&str>,
        fresh: bool,
        now: Timestamp,
    ) -> Result<Departure, Failure> {
        let client = self.client()?;
        let provider = self.verifier.provider(&client.issuer).await?;
        let entropy = &*self.entropy;
        let state = Handle::draw(entropy)?;
        let new = pending::New {
            state: self.hash(&state, STATE),
            nonce: Handle::draw(entropy)?.text().expose().clone(),
            verifier: Handle::draw(entropy)?.text().expose().clone(),
            return_to: return_path(return_to.unwrap_or(HOME)).to_owned(),
            fresh,
        };
        let url = client.departure(&provider, &new, &state);
        let known = shown.and_then(Handle::read);
        let spare = Handle::draw(entropy)?;
        let known_hash = known.as_ref().map(|handle| self.hash(handle, BROWSER));
        let spare_hash = self.hash(&spare, BROWSER);
        let was_known = self
            .store
            .write(move |tx| pending::begin(tx, known_hash.as_ref(), &spare_hash, &new, now))
            .await?;
        let browser = known.filter(|_| was_known).unwrap_or(spare);
        Ok(Departure {
            url,
            browser: browser.text().clone(),
        })
    }

    /// Ends a sign-in: the browser that shows `shown` is back from the issuer with `query`. Where it had the
    /// session `former`, that ends: nobody shall be signed in by a word that somebody else put there.
    ///
    /// # Errors
    /// [`Unfinished`]; its sentence is for the person.
    pub async fn finish(
        &self,
        shown: Option<&str>,
        query: &str,
        former: Option<&str>,
        now: Timestamp,
    ) -> Result<Arrival, Unfinished> {
        let nowhere = |failure| Unfinished {
            failure,
            return_to: HOME.to_owned(),
        };
        let client = self.client().map_err(nowhere)?;
        let returned = Returned::read(query).unwrap_or_default();
        let (begun, others) = self.take(shown, &returned, now).await.map_err(nowhere)?;
        match self.arrive(client, &begun, returned, former, now).await {
            Ok(session) => Ok(Arrival {
                session: session.text().clone(),
                return_to: begun.return_to.clone(),
                last: !others,
            }),
            Err(failure) => Err(Unfinished {
                failure,
                return_to: begun.return_to.clone(),
            }),
        }
    }

    /// The sign-in that this browser began with the state that came back. It is used up.
    async fn take(
        &self,
        shown: Option<&str>,
        returned: &Returned,
        now: Timestamp,
    ) -> Result<(Begun, bool), Failure> {
        let unknown = || failed("sign_in.over");
        let browser = shown.and_then(Handle::read).ok_or_else(unknown)?;
        let state = returned.state.as_deref().and_then(Handle::read);
        let state = self.hash(&state.ok_or_else(unknown)?, STATE);
        let browser = self.hash(&browser, BROWSER);
        let taken = self
            .store
            .write(move |tx| pending::take(tx, &browser, &state, now))
            .await?;
        taken.ok_or_else(unknown)
    }

    async fn arrive(
        &self,
        client: &Client,
        begun: &Begun,
        returned: Returned,
        former: Option<&str>,
        now: Timestamp,
    ) -> Result<Handle, Failure> {
        let provider = self.verifier.provider(&client.issuer).await?;
        let code = code_of(client, &provider, returned)?;
        let outbound = self.verifier.outbound();
        let tokens = exchange::redeem(outbound, client, &provider, &code, &begun.verifier)
            .await
            .map_err(not_redeemed)?;
        let (person, signed_in) = self.judge_both(client, begun, &tokens).await?;
        let Tokens {
            access, refresh, ..
        } = tokens;
        let keys = self.store.sealer();
        let kept = Kept {
            person: keys.person(&person.issuer, &person.subject),
            access_token: access.expose().clone(),
            access_ends: person.expires,
            refresh_token: refresh.map(|token| token.expose().clone()),
            created_at: now,
            used_at: now,
            auth_time: signed_in.auth_time,
            amr: signed_in.amr,
            acr: signed_in.acr,
            language: signed_in.language.or(person.language),
            name: signed_in.name.or(person.name),
            username: signed_in.username.or(person.username),
            email: signed_in.email.or(person.email.map(|email| email.address)),
            // The sign-in is the issuer's word: only what is proved here counts.
            verified_at: None,
            verified_with: None,
        };
        let session = Handle::draw(&*self.entropy)?;
        let id = self.hash(&session, SESSION);
        let former = former.and_then(|shown| self.id(shown));
        self.store
            .write(move |tx| {
                if let Some(former) = &former {
                    keep::remove(tx, former)?;
                }
                keep::begin(tx, &id, &kept, now)
            })
            .await?;
        Ok(session)
    }

    /// Whether both tokens are those of this sign-in, and of one person.
    async fn judge_both(
        &self,
        client: &Client,
        begun: &Begun,
        tokens: &Tokens,
    ) -> Result<(Person, SignedIn), Failure> {
        let id_token = tokens.id.as_ref().ok_or_else(|| {
            failed("sign_in.nameless").because("there is no ID token beside the access token")
        })?;
        let expected = Expected {
            issuer: &client.issuer,
            client_id: &client.id,
            nonce: &begun.nonce,
            access_token: tokens.access.expose(),
        };
        let signed_in = self
            .verifier
            .signed_in(id_token.expose(), &expected)
            .await
            .map_err(|failure| but_away(failure, "sign_in.not_this"))?;
        const NO_ACCESS: &str = "sign_in.no_access";
        let person = self
            .verifier
            .caller(tokens.access.expose())
            .await
            .and_then(auth::Caller::into_person)
            .map_err(|failure| but_away(failure, NO_ACCESS))?;
        if person.issuer != client.issuer || person.subject != signed_in.subject {
            let why = "the access token is of another subject than the ID token";
            return Err(failed(NO_ACCESS).because(why));
        }
        let since = begun.begun_at.minus(LEEWAY);
        if begun.fresh && signed_in.auth_time.is_none_or(|at| at < since) {
            let why = "the ID token's auth_time is missing, or before this sign-in began";
            return Err(failed("sign_in.not_anew").because(why));
        }
        Ok((person, signed_in))
    }
}

/// The code that came back, if it comes from our issuer (RFC 9207 section 2.4) and is no error.
fn code_of(client: &Client, provider: &Provider, returned: Returned) -> Result<String, Failure> {
    let ours = match &returned.iss {
        Some(iss) => *iss == client.issuer,
        None => !provider.names_itself,
    };
    if !ours {
        let why = "iss is missing, or another issuer's";
        let failure = failed("sign_in.foreign");
        return Err(failure.because(why));
    }
    match (returned.error.as_deref(), returned.code) {
        (None, Some(code)) => Ok(code.0),
        (None, None) => Err(failed("sign_in.empty")),
        (Some("access_denied"), _) => Err(failed("sign_in.cancelled")),
        (
            Some(
                "login_required"
                | "interaction_required"
                | "consent_required"
                | "account_selection_required",
            ),
            _,
        ) => Err(failed("sign_in.there_first")),
        (Some(error @ ("server_error" | "temporarily_unavailable")), _) => Err(auth::unavailable(
            RETRY_AFTER,
            format!("the issuer answers {error}"),
        )),
        (Some(error), _) => {
            let why = format!("the issuer answers {}", error_word(error));
            Err(failed("sign_in.refused").because(why))
        }
    }
}

fn not_redeemed(error: NoTokens) -> Failure {
    match &error {
        NoTokens::Refused(word) if word == "invalid_grant" => {
            failed("sign_in.not_taken").because(error)
        }
        NoTokens::Refused(_) => failed("sign_in.server_refused").because(error),
        NoTokens::Away(_) => auth::unavailable(RETRY_AFTER, error),
    }
}

/// That the issuer is away stays what it is; all else gets the sentence of `key`.
fn but_away(failure: Failure, key: &'static str) -> Failure {
    if failure.code().kind == Kind::Unavailable {
        return failure;
    }
    failed(key).because(failure)
}
