//! Signing in to the settings page, and staying signed in: the server is the page's client at the issuer.

mod attacks;
mod flow;
mod life;
mod list;
mod pages;
mod renewal;
mod sign_in_cookies;
mod tokens;

use mfad::base::Secret;
use mfad::config::UiAuth;
use serde_json::Value;

use crate::support::browser::CLIENT_ID;
use crate::support::{Options, Server};

pub fn options() -> Options {
    Options {
        ui_auth: Some(UiAuth::Oidc {
            client_id: CLIENT_ID.to_owned(),
            client_secret: None,
        }),
        ..Options::default()
    }
}

/// A server at which people sign in.
pub async fn server() -> Server {
    Server::start_with(options()).await
}

/// The same, whose client has a secret.
pub async fn confidential(secret: &str) -> Server {
    Server::start_with(Options {
        ui_auth: Some(UiAuth::Oidc {
            client_id: CLIENT_ID.to_owned(),
            client_secret: Some(Secret::new(secret.to_owned())),
        }),
        ..Options::default()
    })
    .await
}

/// Has the issuer say something else of itself, and the server hear it.
pub async fn describe(server: &Server, member: &str, value: impl Into<Value>) {
    server.issuer.describes(member, value);
    server.desk.tools.verifier.prime().await.unwrap();
}
