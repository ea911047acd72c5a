//! What `mfad demo` puts around the real server: an OpenID Connect issuer, a
//! mailbox that speaks SMTP, and a page on which to try it all.
//!
//! The server itself is the same as in production, and is told of issuer and
//! mailbox by its ordinary settings: nothing here reaches into it. Nobody proves
//! who they are here, so all of this answers to loopback alone (see [`guard`]).

pub mod guard;
pub mod issuer;
pub mod mailbox;
mod page;
pub mod persona;
#[cfg(test)]
mod test_support;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::json;
use url::Url;

use self::guard::{Loopback, loopback_only};
use self::issuer::{Issuer, IssuerSettings};
use self::mailbox::{MailServer, Mailbox};
use crate::base::{Clock, Entropy, Failure};

/// Where the issuer is mounted, under the public URL.
pub const ISSUER_PATH: &str = "/demo/issuer";
/// Where the settings page's sign-in ends, under the public URL.
const CALLBACK_PATH: &str = "/auth/callback";
/// From whom the server's mails come in the demo.
pub const MAIL_FROM: &str = "mfad demo <mfad@demo.example>";

/// What the demo must be told.
#[derive(Clone, Debug)]
pub struct DemoSettings {
    /// What browsers see of the server: `http://localhost:8080`. Plain HTTP on
    /// a name of loopback, without a path.
    pub public_url: Url,
    /// What the server accepts as `aud`.
    pub audience: String,
}

/// Issuer, mailbox and page.
pub struct Demo {
    loopback: Loopback,
    issuer: Arc<Issuer>,
    mailbox: Mailbox,
    smtp_address: SocketAddr,
    clock: Arc<dyn Clock>,
}

impl Demo {
    /// Makes the issuer and opens the mailbox's port, which the second value
    /// then has to serve.
    ///
    /// # Errors
    /// `internal` where the public URL is not one of loopback, the key cannot be
    /// made or no port can be opened; `unavailable` without randomness.
    pub async fn open(
        settings: DemoSettings,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<(Demo, MailServer), Failure> {
        let loopback = Loopback::of(&settings.public_url)
            .ok_or_else(|| Failure::internal("the demo's public URL must be on loopback"))?;
        let base = settings.public_url.origin().ascii_serialization();
        let issuer = Issuer::new(
            IssuerSettings {
                url: format!("{base}{ISSUER_PATH}"),
                audience: settings.audience,
                redirect_uris: vec![format!("{base}{CALLBACK_PATH}")],
            },
            Arc::clone(&clock),
            entropy,
        )?;
        let mail_server = MailServer::bind(0, Arc::clone(&clock)).await?;
        let demo = Demo {
            loopback,
            issuer: Arc::new(issuer),
            mailbox: mail_server.mailbox(),
            smtp_address: mail_server.address(),
            clock,
        };
        Ok((demo, mail_server))
    }

    /// The issuer, for the server's `issuer` setting and for tokens.
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// Where the mailbox takes mail, without TLS, from this machine alone.
    pub fn smtp_address(&self) -> SocketAddr {
        self.smtp_address
    }

    /// All routes of the demo, from `/demo` down, to be merged with the server's own.
    pub fn routes(&self) -> Router {
        let page = page::routes(
            Arc::clone(&self.issuer),
            self.mailbox.clone(),
            Arc::clone(&self.clock),
        );
        Router::new()
            .nest(ISSUER_PATH, Arc::clone(&self.issuer).routes())
            .merge(page)
            .layer(from_fn_with_state(self.loopback, loopback_only))
    }
}

/// A refusal in the shape of the server's own (RFC 9457).
fn problem(status: StatusCode, code: &'static str, detail: &str) -> Response {
    let body = json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or_default(),
        "status": status.as_u16(),
        "detail": detail,
        "code": code,
    });
    let mut response = (status, Json(body)).into_response();
    response.headers_mut().insert(
        CONTENT_TYPE,
        axum::http::HeaderValue::from_static("application/problem+json"),
    );
    response
}
