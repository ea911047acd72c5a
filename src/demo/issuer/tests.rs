use std::io::Write;
use std::sync::{Arc, Mutex};

use axum::http::StatusCode;
use data_encoding::BASE64;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::Value;
use tracing_subscriber::fmt::MakeWriter;
use url::Url;

use super::client::{Client, Grants};
use super::{Issuer, IssuerSettings, SERVICE_CLIENT_ID, SETTINGS_CLIENT_ID};
use crate::base::OsEntropy;
use crate::demo::persona::Persona;
use crate::demo::test_support::*;

/// RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const AUTHORIZE: &str = "/demo/issuer/authorize";
const SIGN_IN: &str = "/demo/issuer/sign-in";
const TOKEN: &str = "/demo/issuer/token";

type Fields<'a> = Vec<(&'a str, &'a str)>;

fn asked() -> Fields<'static> {
    vec![
        ("response_type", "code"),
        ("client_id", SETTINGS_CLIENT_ID),
        ("redirect_uri", CALLBACK),
        ("scope", "openid profile email mfa:admin"),
        ("state", "a state & more"),
        ("nonce", "n-0S6"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ]
}

fn without<'a>(fields: &Fields<'a>, name: &str) -> Fields<'a> {
    fields.iter().copied().filter(|(n, _)| *n != name).collect()
}

fn with<'a>(fields: &Fields<'a>, name: &'a str, value: &'a str) -> Fields<'a> {
    let mut fields = without(fields, name);
    fields.push((name, value));
    fields
}

async fn authorize(opened: &Opened, fields: &Fields<'_>) -> Answer {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish();
    send(
        &opened.routes,
        "GET",
        &format!("{AUTHORIZE}?{query}"),
        &[],
        "",
    )
    .await
}

/// What the form and the cookie of a page hold.
struct Form {
    request: String,
    csrf: String,
    cookie: String,
}

fn form_of(page: &Answer) -> Form {
    let hidden = |name: &str| {
        let (_, rest) = page
            .body
            .split_once(&format!("name=\"{name}\" value=\""))
            .unwrap();
        rest.split('"').next().unwrap().to_owned()
    };
    Form {
        request: hidden("request"),
        csrf: hidden("csrf"),
        cookie: page
            .header("set-cookie")
            .split(';')
            .next()
            .unwrap()
            .to_owned(),
    }
}

async fn choose(opened: &Opened, form: &Form, persona: &str) -> Answer {
    let fields = [
        ("request", form.request.as_str()),
        ("csrf", form.csrf.as_str()),
        ("persona", persona),
    ];
    post_form(
        &opened.routes,
        SIGN_IN,
        &[("cookie", &form.cookie)],
        &fields,
    )
    .await
}

fn returned(answer: &Answer) -> Vec<(String, String)> {
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    let url = Url::parse(answer.header("location")).unwrap();
    assert!(answer.header("location").starts_with(CALLBACK));
    url.query_pairs()
        .map(|(n, v)| (n.into_owned(), v.into_owned()))
        .collect()
}

fn value<'a>(pairs: &'a [(String, String)], name: &str) -> &'a str {
    pairs.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v)
}

async fn code_for(opened: &Opened, persona: &str) -> String {
    let page = authorize(opened, &asked()).await;
    assert_eq!(page.status, StatusCode::OK);
    let pairs = returned(&choose(opened, &form_of(&page), persona).await);
    assert_eq!(value(&pairs, "state"), "a state & more");
    assert_eq!(value(&pairs, "iss"), ISSUER);
    value(&pairs, "code").to_owned()
}

fn redeeming(code: &str) -> Fields<'_> {
    vec![
        ("grant_type", "authorization_code"),
        ("client_id", SETTINGS_CLIENT_ID),
        ("redirect_uri", CALLBACK),
        ("code", code),
        ("code_verifier", VERIFIER),
    ]
}

async fn token(opened: &Opened, fields: &Fields<'_>) -> Answer {
    post_form(&opened.routes, TOKEN, &[], fields).await
}

async fn refused(opened: &Opened, fields: &Fields<'_>, error: &str) {
    let answer = token(opened, fields).await;
    let status = if error == "invalid_client" { 401 } else { 400 };
    assert_eq!(answer.status.as_u16(), status, "{}", answer.body);
    assert_eq!(answer.json()["error"], error, "{}", answer.body);
    assert_eq!(answer.header("cache-control"), "no-store");
}

/// Checks as a stranger would, with what is published alone.
async fn verified(opened: &Opened, token: &str, audience: &str, typ: &str) -> Value {
    let served = send(&opened.routes, "GET", "/demo/issuer/jwks", &[], "").await;
    let set: JwkSet = serde_json::from_str(&served.body).unwrap();
    let header = jsonwebtoken::decode_header(token).unwrap();
    assert_eq!(header.typ.as_deref(), Some(typ));
    let key = set.find(header.kid.as_deref().unwrap()).unwrap();
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[audience]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    // The clock of the test stands still, the library's does not.
    validation.validate_exp = false;
    jsonwebtoken::decode(token, &DecodingKey::from_jwk(key).unwrap(), &validation)
        .unwrap()
        .claims
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

#[tokio::test]
async fn what_discovery_names_is_there() {
    let opened = open().await;
    let path = "/demo/issuer/.well-known/openid-configuration";
    let document = send(&opened.routes, "GET", path, &[], "").await.json();
    assert_eq!(document["issuer"], ISSUER);
    for (endpoint, status) in [
        ("authorization_endpoint", 400),
        ("token_endpoint", 405),
        ("userinfo_endpoint", 401),
        ("jwks_uri", 200),
    ] {
        let path = text(&document, endpoint).strip_prefix(BASE).unwrap();
        let answer = send(&opened.routes, "GET", path, &[], "").await;
        assert_eq!(answer.status.as_u16(), status, "{endpoint}");
    }
    let jwks = send(&opened.routes, "GET", "/demo/issuer/jwks", &[], "")
        .await
        .json();
    let key = &jwks["keys"][0];
    assert_eq!(
        (
            text(key, "kty"),
            text(key, "crv"),
            text(key, "alg"),
            text(key, "use")
        ),
        ("EC", "P-256", "ES256", "sig")
    );
    assert!(key.get("d").is_none(), "the private half is published");
}

#[tokio::test]
async fn a_person_signs_in_with_code_and_pkce() {
    let opened = open().await;
    let code = code_for(&opened, "alice").await;
    let tokens = token(&opened, &redeeming(&code)).await.json();
    assert_eq!(
        (text(&tokens, "token_type"), tokens["expires_in"].as_u64()),
        ("Bearer", Some(3600))
    );
    assert_eq!(
        tokens["scope"], "openid profile email",
        "alice is no operator"
    );

    let access = verified(&opened, text(&tokens, "access_token"), AUDIENCE, "at+jwt").await;
    assert_eq!(access["sub"], "alice");
    assert_eq!(access["client_id"], SETTINGS_CLIENT_ID);
    assert_eq!(
        (text(&access, "email"), &access["email_verified"]),
        ("alice@example.com", &true.into())
    );
    assert_eq!(access["exp"].as_u64(), Some(START + 3600));

    let id = verified(
        &opened,
        text(&tokens, "id_token"),
        SETTINGS_CLIENT_ID,
        "JWT",
    )
    .await;
    assert_eq!((text(&id, "sub"), text(&id, "nonce")), ("alice", "n-0S6"));
    assert_eq!(id["auth_time"].as_u64(), Some(START));

    let bearer = format!("Bearer {}", text(&tokens, "access_token"));
    let headers = [("authorization", bearer.as_str())];
    let info = send(&opened.routes, "GET", "/demo/issuer/userinfo", &headers, "").await;
    assert_eq!(info.json()["email"], "alice@example.com");
    assert_eq!(info.json()["sub"], "alice");
}

#[tokio::test]
async fn the_operator_gets_what_alice_does_not() {
    let opened = open().await;
    let code = code_for(&opened, "olga").await;
    let tokens = token(&opened, &redeeming(&code)).await.json();
    assert_eq!(tokens["scope"], "openid profile email mfa:admin");
}

#[tokio::test]
async fn nobody_is_sent_to_an_address_that_is_not_registered() {
    let opened = open().await;
    for uri in [
        "http://evil.example/auth/callback",
        "http://localhost:8080/auth/callback/",
        "http://localhost:8080/auth/callback?x=1",
        "http://LOCALHOST:8080/auth/callback",
        "http://localhost:8081/auth/callback",
        "javascript:alert(1)",
    ] {
        let answer = authorize(&opened, &with(&asked(), "redirect_uri", uri)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{uri}");
        assert_eq!(answer.header("location"), "", "{uri}");
    }
    for fields in [
        without(&asked(), "redirect_uri"),
        without(&asked(), "client_id"),
        with(&asked(), "client_id", "nobody"),
        with(&asked(), "client_id", SERVICE_CLIENT_ID),
        [asked(), vec![("redirect_uri", "http://evil.example")]].concat(),
    ] {
        let answer = authorize(&opened, &fields).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert_eq!(answer.header("location"), "");
    }
}

#[tokio::test]
async fn what_is_asked_wrongly_goes_back_as_an_error() {
    let opened = open().await;
    for (fields, error) in [
        (without(&asked(), "code_challenge"), "invalid_request"),
        (
            without(&asked(), "code_challenge_method"),
            "invalid_request",
        ),
        (
            with(&asked(), "code_challenge_method", "plain"),
            "invalid_request",
        ),
        (with(&asked(), "code_challenge", "short"), "invalid_request"),
        (
            with(&asked(), "response_type", "token"),
            "unsupported_response_type",
        ),
        (
            with(&asked(), "response_mode", "fragment"),
            "invalid_request",
        ),
        (with(&asked(), "scope", "profile"), "invalid_scope"),
        (with(&asked(), "prompt", "none"), "login_required"),
        (
            with(&asked(), "request", "e30.e30."),
            "request_not_supported",
        ),
        (
            with(&asked(), "request_uri", "http://evil.example"),
            "request_uri_not_supported",
        ),
        (
            [asked(), vec![("nonce", "second")]].concat(),
            "invalid_request",
        ),
    ] {
        let pairs = returned(&authorize(&opened, &fields).await);
        assert_eq!(value(&pairs, "error"), error);
        assert_eq!(value(&pairs, "state"), "a state & more");
        assert_eq!(value(&pairs, "code"), "");
    }
}

#[tokio::test]
async fn a_hint_preselects_and_a_prompt_is_heeded() {
    let opened = open().await;
    let fields = with(
        &with(&asked(), "login_hint", "olga@example.com"),
        "prompt",
        "login",
    );
    let page = authorize(&opened, &fields).await;
    assert_eq!(page.status, StatusCode::OK);
    let suggested = "value=\"olga\" class=\"persona suggested\" autofocus";
    assert!(page.body.contains(suggested), "{}", page.body);
    let hostile = with(&asked(), "login_hint", "\"><script>alert(1)</script>");
    assert!(!authorize(&opened, &hostile).await.body.contains("<script"));
    assert!(
        page.header("content-security-policy")
            .contains("default-src 'none'")
    );
}

#[tokio::test]
async fn a_form_from_elsewhere_signs_nobody_in() {
    let opened = open().await;
    let form = form_of(&authorize(&opened, &asked()).await);
    let other = form_of(&authorize(&opened, &asked()).await);
    for forged in [
        Form {
            csrf: "guess".to_owned(),
            ..form_of_parts(&form)
        },
        Form {
            csrf: other.csrf.clone(),
            ..form_of_parts(&form)
        },
        Form {
            cookie: other.cookie.clone(),
            ..form_of_parts(&form)
        },
        Form {
            cookie: "mfad_demo_browser=x".to_owned(),
            ..form_of_parts(&form)
        },
        Form {
            request: "guess".to_owned(),
            ..form_of_parts(&form)
        },
    ] {
        let answer = choose(&opened, &forged, "alice").await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert_eq!(answer.header("location"), "");
    }
    let service = choose(&opened, &form, "login-service").await;
    assert_eq!(service.status, StatusCode::BAD_REQUEST);
    // The refusals above did not spend it; an answer does.
    assert_eq!(
        choose(&opened, &form, "alice").await.status,
        StatusCode::SEE_OTHER
    );
    assert_eq!(
        choose(&opened, &form, "alice").await.status,
        StatusCode::BAD_REQUEST
    );
}

fn form_of_parts(form: &Form) -> Form {
    Form {
        request: form.request.clone(),
        csrf: form.csrf.clone(),
        cookie: form.cookie.clone(),
    }
}

#[tokio::test]
async fn two_pages_of_one_browser_can_both_be_answered() {
    let opened = open().await;
    let first = authorize(&opened, &asked()).await;
    let form = form_of(&first);
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(asked())
        .finish();
    let headers = [("cookie", form.cookie.as_str())];
    let second = send(
        &opened.routes,
        "GET",
        &format!("{AUTHORIZE}?{query}"),
        &headers,
        "",
    )
    .await;
    assert_eq!(form_of(&second).cookie, form.cookie);
    assert_eq!(
        choose(&opened, &form, "alice").await.status,
        StatusCode::SEE_OTHER
    );
    assert_eq!(
        choose(&opened, &form_of(&second), "olga").await.status,
        StatusCode::SEE_OTHER
    );
}

#[tokio::test]
async fn a_page_that_stood_open_too_long_is_stale_and_cancelling_is_told() {
    let opened = open().await;
    let form = form_of(&authorize(&opened, &asked()).await);
    opened.clock.forward(600);
    assert_eq!(
        choose(&opened, &form, "alice").await.status,
        StatusCode::BAD_REQUEST
    );
    let form = form_of(&authorize(&opened, &asked()).await);
    let pairs = returned(&choose(&opened, &form, "nobody").await);
    assert_eq!(value(&pairs, "error"), "access_denied");
}

#[tokio::test]
async fn a_code_needs_its_verifier_its_address_and_its_moment() {
    let opened = open().await;
    for (name, wrong, error) in [
        (
            "code_verifier",
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
            "invalid_grant",
        ),
        ("code_verifier", "short", "invalid_grant"),
        ("redirect_uri", "http://localhost:8080/", "invalid_grant"),
        ("code", "guess", "invalid_grant"),
        ("code_verifier", "", "invalid_request"),
        ("redirect_uri", "", "invalid_request"),
        ("grant_type", "password", "unsupported_grant_type"),
        ("grant_type", "client_credentials", "unauthorized_client"),
    ] {
        let code = code_for(&opened, "alice").await;
        refused(&opened, &with(&redeeming(&code), name, wrong), error).await;
    }
    let code = code_for(&opened, "alice").await;
    refused(
        &opened,
        &with(&redeeming(&code), "code_verifier", CHALLENGE),
        "invalid_grant",
    )
    .await;
    // A code that was tried with a wrong verifier is spent.
    refused(&opened, &redeeming(&code), "invalid_grant").await;
    let code = code_for(&opened, "alice").await;
    opened.clock.forward(60);
    refused(&opened, &redeeming(&code), "invalid_grant").await;
}

#[tokio::test]
async fn a_code_works_once_and_its_second_use_ends_what_came_of_it() {
    let opened = open().await;
    let code = code_for(&opened, "alice").await;
    let tokens = token(&opened, &redeeming(&code)).await.json();
    refused(&opened, &redeeming(&code), "invalid_grant").await;
    let renewing = vec![
        ("grant_type", "refresh_token"),
        ("client_id", SETTINGS_CLIENT_ID),
        ("refresh_token", text(&tokens, "refresh_token")),
    ];
    refused(&opened, &renewing, "invalid_grant").await;
}

#[tokio::test]
async fn a_refresh_token_is_rotated_and_an_old_one_ends_the_family() {
    fn renewing(token: &str) -> Fields<'_> {
        vec![
            ("grant_type", "refresh_token"),
            ("client_id", SETTINGS_CLIENT_ID),
            ("refresh_token", token),
        ]
    }
    let opened = open().await;
    let code = code_for(&opened, "olga").await;
    let first = token(&opened, &redeeming(&code)).await.json();
    let old = text(&first, "refresh_token");
    refused(
        &opened,
        &with(&renewing(old), "scope", "openid mfa:verify"),
        "invalid_scope",
    )
    .await;
    let second = token(&opened, &with(&renewing(old), "scope", "openid"))
        .await
        .json();
    assert_eq!(second["scope"], "openid");
    let third = token(&opened, &renewing(text(&second, "refresh_token")))
        .await
        .json();
    assert_eq!(third["scope"], "openid profile email mfa:admin");
    verified(&opened, text(&third, "access_token"), AUDIENCE, "at+jwt").await;
    refused(&opened, &renewing(old), "invalid_grant").await;
    refused(
        &opened,
        &renewing(text(&third, "refresh_token")),
        "invalid_grant",
    )
    .await;
}

#[tokio::test]
async fn a_code_is_of_no_use_to_another_client() {
    let mut opened = open().await;
    let settings = IssuerSettings {
        url: ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
        redirect_uris: vec![CALLBACK.to_owned()],
    };
    let mut issuer = Issuer::new(settings, opened.clock.clone(), Arc::new(OsEntropy)).unwrap();
    issuer.clients.push(Client {
        id: "another".to_owned(),
        name: "another client",
        secret: None,
        redirect_uris: vec![CALLBACK.to_owned()],
        grants: Grants::SignIn,
    });
    opened.routes = axum::Router::new().nest("/demo/issuer", Arc::new(issuer).routes());
    let code = code_for(&opened, "alice").await;
    refused(
        &opened,
        &with(&redeeming(&code), "client_id", "another"),
        "invalid_grant",
    )
    .await;
}

#[tokio::test]
async fn the_login_service_proves_itself_in_either_way() {
    let opened = open().await;
    let secret = opened
        .demo
        .issuer()
        .service_secret()
        .unwrap()
        .expose()
        .clone();
    let basic = |id: &str, secret: &str| {
        format!(
            "Basic {}",
            BASE64.encode(format!("{id}:{secret}").as_bytes())
        )
    };
    let grant = [("grant_type", "client_credentials")];
    let right = basic(SERVICE_CLIENT_ID, &secret);
    let by_basic = post_form(&opened.routes, TOKEN, &[("authorization", &right)], &grant).await;
    let by_post = [
        ("grant_type", "client_credentials"),
        ("client_id", SERVICE_CLIENT_ID),
        ("client_secret", &secret),
    ];
    let by_post = post_form(&opened.routes, TOKEN, &[], &by_post).await;
    for answer in [by_basic, by_post] {
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        let tokens = answer.json();
        let claims = verified(&opened, text(&tokens, "access_token"), AUDIENCE, "at+jwt").await;
        assert_eq!(claims["sub"], SERVICE_CLIENT_ID);
        assert_eq!(claims["client_id"], SERVICE_CLIENT_ID);
        assert_eq!(claims["scope"], "mfa:verify");
        assert!(claims.get("email").is_none());
        assert!(tokens.get("refresh_token").is_none());
        let bearer = format!("Bearer {}", text(&tokens, "access_token"));
        let headers = [("authorization", bearer.as_str())];
        let info = send(&opened.routes, "GET", "/demo/issuer/userinfo", &headers, "").await;
        assert_eq!(info.status, StatusCode::FORBIDDEN);
    }
    for wrong in [
        basic(SERVICE_CLIENT_ID, "guess"),
        basic(SERVICE_CLIENT_ID, ""),
        basic("nobody", &secret),
        basic(SETTINGS_CLIENT_ID, &secret),
        "Basic !".to_owned(),
        format!("Bearer {secret}"),
    ] {
        let answer = post_form(&opened.routes, TOKEN, &[("authorization", &wrong)], &grant).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{wrong}");
        assert!(answer.header("www-authenticate").starts_with("Basic"));
    }
    let service = vec![
        ("grant_type", "client_credentials"),
        ("client_id", SERVICE_CLIENT_ID),
    ];
    refused(&opened, &service, "invalid_client").await;
    let proven = with(&service, "client_secret", &secret);
    refused(
        &opened,
        &with(&proven, "scope", "mfa:admin"),
        "invalid_scope",
    )
    .await;
    refused(
        &opened,
        &with(&proven, "grant_type", "authorization_code"),
        "unauthorized_client",
    )
    .await;
    let both = post_form(&opened.routes, TOKEN, &[("authorization", &right)], &proven).await;
    assert_eq!(both.json()["error"], "invalid_request");
}

#[tokio::test]
async fn userinfo_takes_only_its_own_live_access_tokens() {
    let opened = open().await;
    let ask = async |header: &str| {
        let headers = [("authorization", header)];
        send(&opened.routes, "GET", "/demo/issuer/userinfo", &headers, "")
            .await
            .status
    };
    let good = opened
        .demo
        .issuer()
        .token_for(Persona::Alice, Default::default())
        .unwrap();
    assert_eq!(ask(&format!("Bearer {good}")).await, StatusCode::OK);
    let other = open().await;
    let foreign = other
        .demo
        .issuer()
        .token_for(Persona::Alice, Default::default())
        .unwrap();
    assert_eq!(
        ask(&format!("Bearer {foreign}")).await,
        StatusCode::UNAUTHORIZED
    );
    let code = code_for(&opened, "alice").await;
    let tokens = token(&opened, &redeeming(&code)).await.json();
    let id = text(&tokens, "id_token");
    assert_eq!(ask(&format!("Bearer {id}")).await, StatusCode::UNAUTHORIZED);
    assert_eq!(ask("Bearer x.y.z").await, StatusCode::UNAUTHORIZED);
    opened.clock.forward(3600);
    assert_eq!(
        ask(&format!("Bearer {good}")).await,
        StatusCode::UNAUTHORIZED
    );
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Log;
    fn make_writer(&'a self) -> Log {
        self.clone()
    }
}

#[tokio::test]
async fn no_token_or_secret_is_in_a_log_or_an_address() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    tracing::info!("the log is heard");
    let opened = open().await;
    let page = authorize(&opened, &asked()).await;
    let answer = choose(&opened, &form_of(&page), "alice").await;
    let location = answer.header("location").to_owned();
    let pairs = returned(&answer);
    let code = value(&pairs, "code");
    let tokens = token(&opened, &redeeming(code)).await.json();
    refused(&opened, &redeeming(code), "invalid_grant").await;
    let secret = opened
        .demo
        .issuer()
        .service_secret()
        .unwrap()
        .expose()
        .clone();
    let heard = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(heard.contains("the log is heard"));
    for name in ["access_token", "id_token", "refresh_token"] {
        assert!(!heard.contains(text(&tokens, name)), "{name} is in the log");
        assert!(
            !location.contains(text(&tokens, name)),
            "{name} is in the address"
        );
    }
    assert!(!heard.contains(code) && !heard.contains(&secret));
}
