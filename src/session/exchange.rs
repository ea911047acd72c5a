//! The token endpoint: a code, or a refresh token, becomes tokens (RFC 6749 sections 4.1.3, 5 and 6, RFC 8707
//! section 2.2).

use serde::Deserialize;

use super::client::Client;
use super::rule::error_word;
use crate::auth::{LONGEST_TOKEN, Outbound, Provider};
use crate::base::Secret;

/// What a code or a refresh token became.
pub(super) struct Tokens {
    pub access: Secret<String>,
    pub refresh: Option<Secret<String>>,
    pub id: Option<Secret<String>>,
}

/// Why it became nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoTokens {
    /// The issuer says no, by this word.
    #[error("the token endpoint answers {0}")]
    Refused(String),
    /// It says nothing that can be understood.
    #[error("the token endpoint: {0}")]
    Away(String),
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    token_type: String,
    refresh_token: Option<String>,
    id_token: Option<String>,
}

#[derive(Deserialize)]
struct NotGranted {
    error: String,
}

/// The code for the tokens of the sign-in that was begun with `verifier`.
pub(super) async fn redeem(
    outbound: &Outbound,
    client: &Client,
    provider: &Provider,
    code: &str,
    verifier: &str,
) -> Result<Tokens, NoTokens> {
    let redirect_uri = client.redirect_uri();
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", &redirect_uri),
        ("code_verifier", verifier),
    ];
    ask(outbound, client, provider, &fields).await
}

/// New tokens for a refresh token, which may be used up by it.
pub(super) async fn renew(
    outbound: &Outbound,
    client: &Client,
    provider: &Provider,
    refresh_token: &str,
) -> Result<Tokens, NoTokens> {
    let fields = [
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh_token),
    ];
    ask(outbound, client, provider, &fields).await
}

async fn ask(
    outbound: &Outbound,
    client: &Client,
    provider: &Provider,
    fields: &[(&str, &str)],
) -> Result<Tokens, NoTokens> {
    let mut fields = fields.to_vec();
    fields.extend(client.resource().map(|resource| ("resource", resource)));
    let mut by_header = None;
    match &client.secret {
        Some(secret) if !provider.secret_in_form => {
            by_header = Some((&*client.id, &**secret.expose()))
        }
        secret => {
            fields.push(("client_id", &client.id));
            fields.extend(
                secret
                    .iter()
                    .map(|secret| ("client_secret", secret.expose().as_str())),
            );
        }
    }
    let away = |error: &dyn std::fmt::Display| NoTokens::Away(error.to_string());
    let answer = outbound
        .post_form(&provider.token_endpoint, by_header, &fields)
        .await
        .map_err(|e| away(&e))?;
    match answer.status {
        200 => {
            let granted: Granted = answer.json().map_err(|e| away(&e))?;
            if !granted.token_type.eq_ignore_ascii_case("bearer") {
                return Err(NoTokens::Away("the tokens are no bearer tokens".to_owned()));
            }
            Ok(Tokens {
                access: Secret::new(granted.access_token),
                refresh: granted
                    .refresh_token
                    .filter(|token| !token.is_empty() && token.len() <= LONGEST_TOKEN)
                    .map(Secret::new),
                id: granted.id_token.map(Secret::new),
            })
        }
        // RFC 6749 section 5.2; 403 is how some say it.
        400 | 401 | 403 => {
            let refused: NotGranted = answer.json().map_err(|e| away(&e))?;
            Err(NoTokens::Refused(error_word(&refused.error).to_owned()))
        }
        status => Err(NoTokens::Away(format!("it answered with status {status}"))),
    }
}
