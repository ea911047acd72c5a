//! A browser as a server meets it: a jar of cookies, and headers that no page can set.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use axum::body::Bytes;
use axum::http::Method;
use serde_json::{Value, json};
use url::Url;

use super::client::{Client, Reply};
use super::issuer::Issuer;
use super::oidc::Grant;
use super::server::{PUBLIC_URL, Server};

/// The page's client at the issuer.
pub const CLIENT_ID: &str = "mfad-page";

pub const SESSION: &str = "__Host-mfad_session";
/// The names of the cookies of sign-ins that are under way begin so.
pub const SIGN_IN: &str = "__Host-mfad_sign_in_";

/// A window that goes to an address.
pub const WINDOW: [(&str, &str); 3] = [
    ("sec-fetch-site", "none"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-dest", "document"),
];

/// The page's own script.
pub const PAGE: [(&str, &str); 3] = [
    ("sec-fetch-site", "same-origin"),
    ("origin", PUBLIC_URL),
    ("x-mfad", "1"),
];

#[derive(Clone)]
pub struct Browser {
    pub client: Client,
    pub jar: BTreeMap<String, String>,
}

/// A browser on its way to the issuer.
#[derive(Clone, Debug)]
pub struct Departure {
    pub url: Url,
    pub query: BTreeMap<String, String>,
}

impl Departure {
    pub fn get(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }

    /// What the issuer would send back with that code.
    pub fn callback(&self, code: &str) -> String {
        format!("/auth/callback?code={code}&state={}", self.get("state"))
    }

    /// What waits behind a code for this sign-in.
    pub fn grant(&self, answer: Value) -> Grant {
        Grant {
            challenge: self.get("code_challenge").to_owned(),
            client_id: CLIENT_ID.to_owned(),
            redirect_uri: format!("{PUBLIC_URL}/auth/callback"),
            answer,
        }
    }
}

/// What the token endpoint answers for a person who has just signed in.
pub fn tokens(issuer: &Issuer, departure: &Departure, subject: &str) -> Value {
    let id = issuer.token(PUBLIC_URL, subject);
    let id = id.for_client(CLIENT_ID, departure.get("nonce"));
    json!({
        "access_token": issuer.token(PUBLIC_URL, subject).sign(), "token_type": "Bearer", "expires_in": 3600,
        "id_token": id.sign(), "refresh_token": format!("refresh-1-{subject}"),
    })
}

impl Browser {
    pub fn new(address: SocketAddr) -> Self {
        Browser {
            client: Client::new(address, None),
            jar: BTreeMap::new(),
        }
    }

    /// The cookies of its sign-ins that are under way.
    pub fn sign_ins(&self) -> BTreeMap<String, String> {
        let own = self
            .jar
            .iter()
            .filter(|(name, _)| name.starts_with(SIGN_IN));
        own.map(|(k, v)| (k.clone(), v.clone())).collect()
    }

    fn cookies(&self) -> Option<String> {
        let pairs: Vec<String> = self.jar.iter().map(|(k, v)| format!("{k}={v}")).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    /// Sends exactly that, and the cookies.
    pub async fn send(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Reply {
        let cookies = self.cookies();
        let mut headers = headers.to_vec();
        headers.extend(cookies.as_deref().map(|cookies| ("cookie", cookies)));
        let reply = self.client.send(method, path, &headers, body.into()).await;
        for line in reply.headers.get_all("set-cookie") {
            let (pair, attributes) = line.to_str().unwrap().split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            if attributes.contains("Max-Age=0;") {
                self.jar.remove(name);
            } else {
                self.jar.insert(name.to_owned(), value.to_owned());
            }
        }
        reply
    }

    /// Goes there with the whole window.
    pub async fn go(&mut self, path: &str) -> Reply {
        self.send(Method::GET, path, &WINDOW, Bytes::new()).await
    }

    /// As the page's script asks.
    pub async fn ask(&mut self, method: Method, path: &str) -> Reply {
        self.send(method, path, &PAGE, Bytes::new()).await
    }

    pub async fn overview(&mut self) -> Reply {
        self.ask(Method::GET, "/api/v1/me/mfa").await
    }

    pub async fn session(&mut self) -> Value {
        self.ask(Method::GET, "/auth/session").await.ok()
    }

    /// Begins a sign-in.
    #[track_caller]
    pub fn departs(&mut self, path: &str) -> impl Future<Output = Departure> {
        let caller = std::panic::Location::caller();
        async move {
            let reply = self.go(path).await;
            assert_eq!(reply.status, 303, "{caller}: {}", reply.text);
            Self::departure(&reply)
        }
    }

    /// Where an answer sends the browser to.
    pub fn departure(reply: &Reply) -> Departure {
        let url: Url = reply.header("location").parse().unwrap();
        let query = url.query_pairs().into_owned().collect();
        Departure { url, query }
    }

    /// A whole sign-in, without a fault.
    pub async fn sign_in(&mut self, server: &Server, subject: &str) {
        let departure = self.departs("/auth/login").await;
        let answer = tokens(&server.issuer, &departure, subject);
        self.arrives(server, &departure, answer).await;
    }

    /// Comes back with a code for these tokens, and is signed in.
    pub async fn arrives(&mut self, server: &Server, departure: &Departure, answer: Value) {
        let reply = self.comes_back(&server.issuer, departure, answer).await;
        assert_eq!(reply.status, 303, "{}", reply.text);
    }

    /// Comes back with a code for these tokens.
    pub async fn comes_back(
        &mut self,
        issuer: &Issuer,
        departure: &Departure,
        answer: Value,
    ) -> Reply {
        let code = format!("code-{}", departure.get("state"));
        issuer.oidc().code(&code, departure.grant(answer));
        self.go(&departure.callback(&code)).await
    }
}
