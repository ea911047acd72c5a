//! The way to the issuer and back.

use std::net::IpAddr;

use url::Url;

use super::client::Client;
use super::exchange::{self, NoTokens, Tokens};
use super::keep;
use super::pending::{self, Begun, CookiePlace};
use super::record::Kept;
use super::rule::{HOME, Handle, Returned, error_word, return_path};
use super::service::{RETRY_AFTER, SESSION, SIGN_IN_FAILED, Sessions};
use crate::auth::{self, Expected, LEEWAY, Person, Provider, SignedIn};
use crate::base::{Failure, Kind, Secret, Timestamp, display_text};
use crate::words::{self, Language};

/// The member of a failed sign-in that names the words for why.
pub const SENTENCE: &str = "sentence";

/// The most characters of what a browser calls itself.
const LONGEST_USER_AGENT: usize = 256;

/// What is kept of the word that goes to the issuer and comes back.
const STATE: &str = "sign-in state";

/// A browser on its way to the issuer.
pub struct Departure {
    /// Where it goes.
    pub url: Url,
    /// What it takes along, and must bring back.
    pub cookie: Secret<String>,
    /// Which of its cookies that is.
    pub place: CookiePlace,
}

/// Where a user signs in from. It is shown to them, and decides nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct SignInOrigin<'a> {
    /// The browser's address.
    pub ip: Option<IpAddr>,
    /// What it calls itself.
    pub user_agent: Option<&'a str>,
}

/// A browser that is back, with a session.
#[derive(Debug)]
pub struct Arrival {
    /// What it shows from now on.
    pub session: Secret<String>,
    /// The path that it goes on to.
    pub return_to: String,
    /// The cookie that it needs no longer.
    pub place: CookiePlace,
}

/// A browser that is back, without.
#[derive(Debug)]
pub struct Unfinished {
    /// Why.
    pub failure: Failure,
    /// The path that it would have gone on to.
    pub return_to: String,
    /// The cookie of the sign-in, if it was one of this browser's: it needs that no longer.
    pub place: Option<CookiePlace>,
}

/// A sign-in that did not succeed, for the reason that `words` holds under `key`.
fn failed(key: &'static str) -> Failure {
    Failure::new(SIGN_IN_FAILED, words::find(Language::English, key, None)).with(SENTENCE, key)
}

impl Sessions {
    /// Begins a sign-in, for the browser that shows the cookies `shown`, and sends it to the issuer; `fresh` has that ask
    /// again who it is. It ends at the path `return_to`, if that is one ([`return_path`]). Nothing is stored.
    ///
    /// # Errors
    /// `not_found` where nobody signs in here; `unavailable` where the issuer does not answer.
    pub async fn begin(
        &self,
        shown: &[(CookiePlace, &str)],
        return_to: Option<&str>,
        fresh: bool,
        now: Timestamp,
    ) -> Result<Departure, Failure> {
        let client = self.client()?;
        let provider = self.verifier.provider(&client.issuer).await?;
        let (entropy, keys) = (&*self.entropy, self.store.sealer());
        let state = Handle::draw(entropy)?;
        let (place, number) = pending::place(keys, entropy, client, shown, now)?;
        let begun = Begun {
            number,
            state: self.hash(&state, STATE),
            nonce: Handle::draw(entropy)?.text().expose().clone(),
            verifier: Handle::draw(entropy)?.text().expose().clone(),
            return_to: return_path(return_to.unwrap_or(HOME)).to_owned(),
            fresh,
            begun_at: now,
        };
        Ok(Departure {
            url: client.departure(&provider, &begun, &state),
            cookie: pending::seal(keys, entropy, client, &begun)?,
            place,
        })
    }

    /// Ends a sign-in: the browser that shows the cookies `shown` is back from the issuer with `query`. If it had the
    /// session `former`, that ends: nobody shall be signed in by a word that somebody else put there.
    ///
    /// # Errors
    /// [`Unfinished`]; its sentence is for the person.
    pub async fn finish(
        &self,
        shown: &[(CookiePlace, &str)],
        query: &str,
        former: Option<&str>,
        origin: SignInOrigin<'_>,
        now: Timestamp,
    ) -> Result<Arrival, Unfinished> {
        let nowhere = |failure| Unfinished {
            failure,
            return_to: HOME.to_owned(),
            place: None,
        };
        let client = self.client().map_err(nowhere)?;
        let returned = Returned::read(query).unwrap_or_default();
        let state = returned.state.as_deref().and_then(Handle::read);
        let found = state.and_then(|state| {
            let state = self.hash(&state, STATE);
            pending::find(self.store.sealer(), client, shown, &state, now)
        });
        let (place, begun) = found.ok_or_else(|| nowhere(failed("sign_in.over")))?;
        let arrived = self.arrive(client, &begun, returned, former, origin, now);
        match arrived.await {
            Ok(session) => Ok(Arrival {
                session: session.text().clone(),
                return_to: begun.return_to.clone(),
                place,
            }),
            Err(failure) => Err(Unfinished {
                failure,
                return_to: begun.return_to.clone(),
                place: Some(place),
            }),
        }
    }

    async fn arrive(
        &self,
        client: &Client,
        begun: &Begun,
        returned: Returned,
        former: Option<&str>,
        origin: SignInOrigin<'_>,
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
            user_agent: origin
                .user_agent
                .and_then(|text| display_text(text, LONGEST_USER_AGENT)),
            ip: origin.ip,
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
