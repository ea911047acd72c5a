use std::sync::Arc;

use url::Url;

use super::pending::Begun;
use super::rule::{Handle, challenge};
use crate::auth::Provider;
use crate::base::Secret;

/// Where a sign-in begins.
pub const LOGIN_PATH: &str = "/auth/login";

/// Where the issuer sends people back to.
pub const CALLBACK_PATH: &str = "/auth/callback";

/// How people come to the settings page.
#[derive(Clone, Debug)]
pub enum Way {
    /// They paste an access token.
    Pasted,
    /// A proxy adds one to each request.
    Proxied,
    /// They sign in.
    Client(Client),
}

/// This server, as the issuer knows it.
#[derive(Clone, Debug)]
pub struct Client {
    /// The issuer's exact `iss`; its keys come by discovery.
    pub issuer: String,
    /// `client_id`.
    pub id: String,
    /// The client's secret, where it is no public one.
    pub secret: Option<Secret<String>>,
    /// The `aud` that access tokens must have, where it has to be asked for.
    pub audience: Option<String>,
    /// What browsers see, without a slash at its end.
    pub origin: Arc<str>,
}

impl Client {
    pub(super) fn redirect_uri(&self) -> String {
        format!("{}{CALLBACK_PATH}", self.origin)
    }

    /// The audience as RFC 8707 section 2 has it: an address without a fragment.
    pub(super) fn resource(&self) -> Option<&str> {
        let audience = self.audience.as_deref()?;
        let url = Url::parse(audience).ok()?;
        url.fragment().is_none().then_some(audience)
    }

    /// Where a browser goes to sign in.
    pub(super) fn departure(&self, provider: &Provider, begun: &Begun, state: &Handle) -> Url {
        let mut url = provider.authorization_endpoint.clone();
        let scope = match provider.offline_access {
            true => "openid email profile offline_access",
            false => "openid email profile",
        };
        let mut query = url.query_pairs_mut();
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.id)
            .append_pair("redirect_uri", &self.redirect_uri())
            .append_pair("scope", scope)
            .append_pair("state", state.text().expose())
            .append_pair("nonce", &begun.nonce)
            .append_pair("code_challenge", &challenge(&begun.verifier))
            .append_pair("code_challenge_method", "S256");
        if let Some(audience) = &self.audience {
            query.append_pair("audience", audience);
        }
        if let Some(resource) = self.resource() {
            query.append_pair("resource", resource);
        }
        if begun.fresh {
            query
                .append_pair("prompt", "login")
                .append_pair("max_age", "0");
        }
        drop(query);
        url
    }

    /// Where a person ends their session at the issuer too (OpenID Connect RP-Initiated Logout 1.0 section 2).
    /// No token stands in it.
    pub(super) fn end_session_url(&self, provider: &Provider) -> Option<Url> {
        let mut url = provider.end_session_endpoint.clone()?;
        url.query_pairs_mut()
            .append_pair("client_id", &self.id)
            .append_pair("post_logout_redirect_uri", &format!("{}/", self.origin));
        Some(url)
    }
}
