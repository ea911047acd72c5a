//! The part of an issuer that signs people in: codes that a test puts there, and a token endpoint that takes them
//! once, with the verifier that they were asked for with.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aws_lc_rs::digest::{SHA256, digest};
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use url::form_urlencoded;

/// What a client sent: its form, and `Authorization` where there was one.
pub type Asked = BTreeMap<String, String>;

/// What waits behind a code.
#[derive(Clone)]
pub struct Grant {
    /// As the client sent it on the way there.
    pub challenge: String,
    pub client_id: String,
    pub redirect_uri: String,
    /// The body of the answer.
    pub answer: Value,
}

#[derive(Default)]
pub struct Oidc {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    codes: BTreeMap<String, Grant>,
    /// By the refresh token that is good now.
    renewals: BTreeMap<String, Value>,
    asked: Vec<Asked>,
    refuses: Option<(StatusCode, Value)>,
    gate: Option<Arc<Semaphore>>,
}

impl Oidc {
    /// Gives out a code.
    pub fn code(&self, code: &str, grant: Grant) {
        self.inner
            .lock()
            .unwrap()
            .codes
            .insert(code.to_owned(), grant);
    }

    /// Answers this, once, to that refresh token.
    pub fn renews(&self, refresh_token: &str, answer: Value) {
        let mut inner = self.inner.lock().unwrap();
        inner.renewals.insert(refresh_token.to_owned(), answer);
    }

    /// Refuses whatever is asked, until told otherwise.
    pub fn refuses(&self, refusal: Option<(u16, &str)>) {
        self.inner.lock().unwrap().refuses = refusal.map(|(status, error)| {
            let status = StatusCode::from_u16(status).unwrap();
            (status, json!({ "error": error }))
        });
    }

    /// Holds every answer back until it is let go.
    pub fn holds_back(&self) -> Arc<Semaphore> {
        let gate = Arc::new(Semaphore::new(0));
        self.inner.lock().unwrap().gate = Some(gate.clone());
        gate
    }

    /// All that was asked of the token endpoint.
    pub fn asked(&self) -> Vec<Asked> {
        self.inner.lock().unwrap().asked.clone()
    }

    fn answer(&self, asked: &Asked) -> Result<Value, (StatusCode, Value)> {
        let refused = |error: &str| (StatusCode::BAD_REQUEST, json!({ "error": error }));
        let field = |name: &str| asked.get(name).map(String::as_str);
        let mut inner = self.inner.lock().unwrap();
        if let Some(refusal) = &inner.refuses {
            return Err(refusal.clone());
        }
        match field("grant_type") {
            Some("authorization_code") => {
                let code = field("code").unwrap_or_default();
                let grant = inner.codes.remove(code).ok_or(refused("invalid_grant"))?;
                let verifier = field("code_verifier").unwrap_or_default();
                let hash = digest(&SHA256, verifier.as_bytes());
                let fits = BASE64URL_NOPAD.encode(hash.as_ref()) == grant.challenge
                    && (43..=128).contains(&verifier.len())
                    && field("redirect_uri") == Some(&grant.redirect_uri)
                    && field("client_id").is_none_or(|id| id == grant.client_id);
                if fits {
                    Ok(grant.answer)
                } else {
                    Err(refused("invalid_grant"))
                }
            }
            Some("refresh_token") => {
                let shown = field("refresh_token").unwrap_or_default();
                inner.renewals.remove(shown).ok_or(refused("invalid_grant"))
            }
            _ => Err(refused("unsupported_grant_type")),
        }
    }
}

pub async fn token(
    State(oidc): State<Arc<Oidc>>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, Json<Value>) {
    let mut asked: Asked = form_urlencoded::parse(&body).into_owned().collect();
    if let Some(authorization) = headers.get("authorization") {
        let text = authorization.to_str().unwrap().to_owned();
        asked.insert("Authorization".to_owned(), text);
    }
    let gate = {
        let mut inner = oidc.inner.lock().unwrap();
        inner.asked.push(asked.clone());
        inner.gate.clone()
    };
    if let Some(gate) = gate {
        gate.acquire().await.unwrap().forget();
    }
    match oidc.answer(&asked) {
        Ok(answer) => (StatusCode::OK, Json(answer)),
        Err((status, refusal)) => (status, Json(refusal)),
    }
}
