//! How people come to the settings page.

use std::path::Path;

use super::check::Check;
use super::settings::UiAuth;
use crate::base::Secret;

impl Check<'_> {
    pub(super) fn ui_auth(&mut self) -> Option<UiAuth> {
        let args = &self.layers.args;
        if args.client_id.as_ref().is_some_and(String::is_empty) {
            return self.wrong("client_id", "it is empty", "leave it out");
        }
        let secret = match &args.client_secret_file {
            Some(path) => Some(self.secret_line("client_secret_file", Path::new(path))?),
            None => None,
        };
        if secret.is_some() && args.client_id.is_none() {
            return self.wrong(
                "client_secret_file",
                "there is a secret, and no client whose it is",
                "set --client-id, or leave it out",
            );
        }
        match (args.ui_auth.as_deref(), &args.client_id) {
            (None, None) => Some(UiAuth::Pasted),
            (Some("proxy"), _) => Some(UiAuth::Proxy),
            (None | Some("oidc"), Some(client_id)) => self.oidc(client_id, secret),
            (Some("oidc"), None) => self.wrong(
                "ui_auth",
                "people are to sign in, and there is no client to do it with",
                "set --client-id to the client that your identity provider has for the settings page",
            ),
            (Some(other), _) => self.wrong(
                "ui_auth",
                format!("{other:?} is no way to the settings page"),
                "use oidc or proxy, or leave it out",
            ),
        }
    }

    fn oidc(&mut self, client_id: &str, client_secret: Option<Secret<String>>) -> Option<UiAuth> {
        let args = &self.layers.args;
        let own_keys = [
            ("jwks-file", args.jwks_file.is_some()),
            ("jwks-url", args.jwks_url.is_some()),
            ("hs256-secret-file", args.hs256_secret_file.is_some()),
        ];
        if let Some((name, _)) = own_keys.iter().find(|(_, given)| *given) {
            return self.wrong(
                "client_id",
                format!("{name} is set, so that nobody asks the issuer where people sign in"),
                format!("leave {name} out, and keys and addresses come by discovery; or leave client-id out"),
            );
        }
        Some(UiAuth::Oidc {
            client_id: client_id.to_owned(),
            client_secret,
        })
    }
}
