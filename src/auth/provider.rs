//! How people sign in at an issuer, in its own words.

use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::fetch::{FetchError, check_named, read};

/// What an issuer says of signing in at it (OpenID Connect Discovery 1.0 section 3, RFC 8414
/// section 2, RFC 9207 section 3), as far as we use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    /// Where people are sent.
    pub authorization_endpoint: Url,
    /// Where a code, or a refresh token, becomes tokens.
    pub token_endpoint: Url,
    /// Where people end their session at the issuer.
    pub end_session_endpoint: Option<Url>,
    /// Whether its answers name it in `iss`: one that does not is another's.
    pub names_itself: bool,
    /// Whether it gives refresh tokens to those who ask for `offline_access`.
    pub offline_access: bool,
    /// Whether it says that it checks PKCE by S256.
    pub says_pkce: bool,
    /// Whether a client's secret has to stand in the form, and not in the header.
    pub secret_in_form: bool,
}

#[derive(Deserialize)]
struct Document {
    authorization_endpoint: Option<Url>,
    token_endpoint: Option<Url>,
    end_session_endpoint: Option<Url>,
    response_types_supported: Option<Vec<String>>,
    scopes_supported: Option<Vec<String>>,
    code_challenge_methods_supported: Option<Vec<String>>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    authorization_response_iss_parameter_supported: Option<bool>,
}

fn lists(words: Option<&Vec<String>>, wanted: &str) -> bool {
    words.is_some_and(|words| words.iter().any(|word| word == wanted))
}

impl Provider {
    /// What the discovery document, which was found at `at`, says.
    pub(super) fn read(at: &Url, document: &Value) -> Result<Self, FetchError> {
        let document: Document = read(document)?;
        let authorization_endpoint = document
            .authorization_endpoint
            .ok_or(FetchError::Missing("authorization_endpoint"))?;
        let token_endpoint = document
            .token_endpoint
            .ok_or(FetchError::Missing("token_endpoint"))?;
        for url in [
            Some(&authorization_endpoint),
            Some(&token_endpoint),
            document.end_session_endpoint.as_ref(),
        ]
        .into_iter()
        .flatten()
        {
            check_named(at, url)?;
            // RFC 6749 sections 3.1 and 3.2.
            if url.fragment().is_some() {
                return Err(FetchError::NotOffered("addresses without a fragment"));
            }
        }
        let types = document.response_types_supported.as_ref();
        if types.is_some() && !lists(types, "code") {
            return Err(FetchError::NotOffered("the authorization code flow"));
        }
        let proofs = document.token_endpoint_auth_methods_supported.as_ref();
        Ok(Provider {
            authorization_endpoint,
            token_endpoint,
            end_session_endpoint: document.end_session_endpoint,
            names_itself: document
                .authorization_response_iss_parameter_supported
                .unwrap_or(false),
            offline_access: lists(document.scopes_supported.as_ref(), "offline_access"),
            says_pkce: lists(document.code_challenge_methods_supported.as_ref(), "S256"),
            // Where nothing is listed, the header will do (OpenID Connect Discovery 1.0 section 3).
            secret_in_form: !lists(proofs, "client_secret_basic")
                && lists(proofs, "client_secret_post"),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with(name: &str, value: Value) -> Result<Provider, String> {
        let at: Url = "https://login.example/.well-known/openid-configuration"
            .parse()
            .unwrap();
        let mut document = json!({
            "authorization_endpoint": "https://login.example/authorize?tenant=1",
            "token_endpoint": "https://tokens.example/token",
        });
        document[name] = value;
        Provider::read(&at, &document).map_err(|e| e.to_string())
    }

    #[test]
    fn what_an_issuer_does_not_say_is_taken_as_the_standards_do() {
        let provider = with("issuer", json!("https://login.example")).unwrap();
        assert_eq!(
            provider.authorization_endpoint.as_str(),
            "https://login.example/authorize?tenant=1"
        );
        assert_eq!(provider.end_session_endpoint, None);
        assert!(!provider.names_itself && !provider.offline_access);
        assert!(!provider.says_pkce && !provider.secret_in_form);
    }

    #[test]
    fn what_an_issuer_says_is_heard() {
        let heard = |name: &str, value| with(name, value).unwrap();
        assert!(
            heard(
                "authorization_response_iss_parameter_supported",
                json!(true)
            )
            .names_itself
        );
        assert!(heard("scopes_supported", json!(["openid", "offline_access"])).offline_access);
        assert!(heard("code_challenge_methods_supported", json!(["plain", "S256"])).says_pkce);
        let proofs = "token_endpoint_auth_methods_supported";
        assert!(heard(proofs, json!(["client_secret_post"])).secret_in_form);
        let both = json!(["client_secret_post", "client_secret_basic"]);
        assert!(!heard(proofs, both).secret_in_form);
        assert!(!heard(proofs, json!(["none"])).secret_in_form);
    }

    #[test]
    fn addresses_that_are_not_asked_and_flows_that_are_not_ours_are_refused() {
        for endpoint in [
            "authorization_endpoint",
            "token_endpoint",
            "end_session_endpoint",
        ] {
            for address in [
                json!("http://login.example/x"),
                // Within this machine, but the issuer is not.
                json!("http://localhost:8080/x"),
                json!("javascript:alert(1)"),
                json!("https://user:secret@login.example/x"),
                json!("https://login.example/x#y"),
                json!("no address"),
                json!(7),
            ] {
                assert!(with(endpoint, address.clone()).is_err(), "{address}");
            }
        }
        assert!(with("token_endpoint", Value::Null).is_err());
        assert!(with("authorization_endpoint", Value::Null).is_err());
        assert!(with("response_types_supported", json!(["id_token"])).is_err());
    }
}
