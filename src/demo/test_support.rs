//! The demo as its tests open it: on a clock that they move, without a network.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;
use url::Url;

use super::mailbox::MailServer;
use super::{Demo, DemoSettings};
use crate::base::{OsEntropy, TestClock};

pub const BASE: &str = "http://localhost:8080";
pub const ISSUER: &str = "http://localhost:8080/demo/issuer";
pub const AUDIENCE: &str = "http://localhost:8080";
pub const CALLBACK: &str = "http://localhost:8080/auth/callback";
pub const START: u64 = 1_795_521_600;

pub struct Opened {
    pub demo: Demo,
    pub mail_server: MailServer,
    pub routes: Router,
    pub clock: Arc<TestClock>,
}

pub async fn open() -> Opened {
    let clock = TestClock::at(START);
    let settings = DemoSettings {
        public_url: Url::parse(BASE).unwrap(),
        audience: AUDIENCE.to_owned(),
    };
    let (demo, mail_server) = Demo::open(settings, clock.clone(), Arc::new(OsEntropy))
        .await
        .unwrap();
    Opened {
        routes: demo.routes(),
        demo,
        mail_server,
        clock,
    }
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }
}

pub async fn send(
    routes: &Router,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<String>,
) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    if !headers.iter().any(|(name, _)| *name == "host") {
        request = request.header("host", "localhost:8080");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::from(body.into())).unwrap();
    let response = routes.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer {
        status: parts.status,
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

pub async fn post_form(
    routes: &Router,
    path: &str,
    headers: &[(&str, &str)],
    fields: &[(&str, &str)],
) -> Answer {
    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish();
    let kind = [("content-type", "application/x-www-form-urlencoded")];
    send(routes, "POST", path, &[&kind, headers].concat(), body).await
}
