//! Ways to say who one is, good ones and others.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mfad::base::OsEntropy;
use mfad::clients::{Sends, Service, ServiceKey, Unknown};
use mfad::console::{self, Order, Tools};

use crate::support::{Issuer, PUBLIC_URL, Server};

/// A way to ask, and what it comes to where people and where services are let in.
pub struct Attempt {
    pub name: &'static str,
    pub headers: Vec<(&'static str, String)>,
    pub query: String,
    pub of_people: Answer,
    pub of_services: Answer,
}

#[derive(Clone, Copy)]
pub enum Answer {
    In,
    /// Status, code, `WWW-Authenticate`.
    Out(u16, &'static str, &'static str),
}

const NONE: Answer = Answer::Out(401, "unauthenticated", "Bearer");
const BAD: Answer = Answer::Out(401, "invalid_token", r#"Bearer error="invalid_token""#);
const FORBIDDEN: Answer = Answer::Out(403, "forbidden", "");

/// Where a token stands, and where a key may stand.
const H: &str = "authorization";
const X: &str = "x-api-key";

/// The one client that may be a login service by its tokens.
pub const CLIENT: &str = "portal";

fn bearer(name: &'static str, token: impl AsRef<str>, answer: Answer) -> Attempt {
    two_ways(name, token, answer, answer)
}

fn two_ways(
    name: &'static str,
    token: impl AsRef<str>,
    of_people: Answer,
    of_services: Answer,
) -> Attempt {
    Attempt {
        of_people,
        of_services,
        ..headers(name, &[("authorization", &bearing(token))])
    }
}

fn bearing(token: impl AsRef<str>) -> String {
    format!("Bearer {}", token.as_ref())
}

fn headers(name: &'static str, headers: &[(&'static str, &str)]) -> Attempt {
    Attempt {
        name,
        headers: headers
            .iter()
            .map(|(header, value)| (*header, (*value).to_owned()))
            .collect(),
        query: String::new(),
        of_people: NONE,
        of_services: NONE,
    }
}

fn query(name: &'static str, query: String) -> Attempt {
    Attempt {
        query,
        ..headers(name, &[])
    }
}

/// All of them.
pub async fn attempts(server: &Server, stranger: &Issuer) -> Vec<Attempt> {
    let good = server.issuer.token(PUBLIC_URL, "alice").sign();
    let mut attempts = tokens_in_odd_places(&good);
    attempts.extend(tokens_of_no_use(server, stranger));
    attempts.extend(forged_tokens(server));
    attempts.extend(tokens_of_people(server));
    attempts.extend(service_tokens(server, stranger));
    attempts.extend(service_keys(server).await);
    attempts
}

/// A good token, in places where none belongs.
fn tokens_in_odd_places(good: &str) -> Vec<Attempt> {
    let twice = bearing(good);
    vec![
        headers("no token", &[]),
        Attempt {
            // To a service's routes that is an id and a key.
            of_services: BAD,
            ..headers("another scheme", &[(H, "Basic YWxpY2U6YWxpY2U=")])
        },
        headers("no scheme", &[(H, good)]),
        headers("two headers", &[(H, &twice), (H, &twice)]),
        headers(
            "two headers, the first of no use",
            &[(H, "Basic YTpi"), (H, &twice)],
        ),
        query("a token in the query", format!("?access_token={good}")),
        query(
            "a header in the query",
            format!("?authorization=Bearer%20{good}"),
        ),
        headers("nothing after Bearer", &[(H, "Bearer ")]),
    ]
}

/// What only looks like a token for us.
fn tokens_of_no_use(server: &Server, stranger: &Issuer) -> Vec<Attempt> {
    let now = server.clock.unix();
    let token = || server.issuer.token(PUBLIC_URL, "alice");
    let good = token().sign();
    vec![
        bearer("garbage", "garbage", BAD),
        bearer("two tokens", format!("{good} {good}"), BAD),
        bearer("two tokens, a comma between", format!("{good},{good}"), BAD),
        bearer(
            "an expired token",
            token().with("exp", now - 31).sign(),
            BAD,
        ),
        bearer(
            "a token of tomorrow",
            token().with("nbf", now + 86_400).sign(),
            BAD,
        ),
        bearer(
            "a token for a week",
            token().with("exp", now + 7 * 86_400).sign(),
            BAD,
        ),
        bearer(
            "another audience",
            server
                .issuer
                .token("https://other.example.com", "alice")
                .sign(),
            BAD,
        ),
        bearer(
            "an audience in another case",
            server
                .issuer
                .token("https://MFA.example.com", "alice")
                .sign(),
            BAD,
        ),
        bearer(
            "an unknown issuer",
            stranger.token(PUBLIC_URL, "alice").sign(),
            BAD,
        ),
        bearer(
            "our issuer's name under another's signature",
            stranger
                .token(PUBLIC_URL, "alice")
                .with("iss", server.issuer.url.as_str())
                .sign(),
            BAD,
        ),
        bearer(
            "an ID token by its type",
            token().of_type("id+jwt").sign(),
            BAD,
        ),
        bearer(
            "an ID token by its claims",
            token().of_type("JWT").with("at_hash", "x").sign(),
            BAD,
        ),
        bearer(
            "a refresh token",
            token().with("typ", "Refresh").sign(),
            BAD,
        ),
        bearer(
            "a result token of our own kind",
            token().of_type("mfa+jwt").sign(),
            BAD,
        ),
        bearer("a logout token", token().of_type("logout+jwt").sign(), BAD),
        bearer("no subject", token().with("sub", "").sign(), BAD),
    ]
}

/// Tokens whose signature is not over what they say.
fn forged_tokens(server: &Server) -> Vec<Attempt> {
    let good = server.issuer.token(PUBLIC_URL, "alice").sign();
    let (head, rest) = good.split_once('.').unwrap();
    let (claims, signature) = rest.split_once('.').unwrap();
    let unsigned = data_encoding::BASE64URL_NOPAD.encode(br#"{"alg":"none","typ":"at+jwt"}"#);
    let bob = server.issuer.token(PUBLIC_URL, "bob").sign();
    let bobs = bob.split('.').nth(1).unwrap();
    vec![
        bearer("no algorithm", format!("{unsigned}.{claims}."), BAD),
        bearer(
            "no algorithm, but a signature",
            format!("{unsigned}.{claims}.{signature}"),
            BAD,
        ),
        bearer(
            "another's claims",
            format!("{head}.{bobs}.{signature}"),
            BAD,
        ),
    ]
}

/// Tokens of people, whatever else they may do.
fn tokens_of_people(server: &Server) -> Vec<Attempt> {
    let token = || server.issuer.token(PUBLIC_URL, "alice");
    vec![
        two_ways("a person's token", token().sign(), Answer::In, FORBIDDEN),
        two_ways(
            "a person's token with a service's scope",
            token().with("scope", "mfa:verify").sign(),
            Answer::In,
            FORBIDDEN,
        ),
        two_ways(
            "a person's token with a service's scope, from a service's client",
            token()
                .with("scope", "mfa:verify")
                .with("client_id", CLIENT)
                .sign(),
            Answer::In,
            FORBIDDEN,
        ),
        two_ways(
            "an operator's token",
            token().with("scope", "mfa:admin mfa:verify").sign(),
            Answer::In,
            FORBIDDEN,
        ),
    ]
}

/// Tokens of programs.
fn service_tokens(server: &Server, stranger: &Issuer) -> Vec<Attempt> {
    let now = server.clock.unix();
    let of = |client: &'static str, audience: &str| {
        server
            .issuer
            .token(audience, client)
            .with("client_id", client)
            .with("scope", "mfa:verify")
    };
    let token = || of(CLIENT, PUBLIC_URL);
    vec![
        two_ways("a service's token", token().sign(), FORBIDDEN, Answer::In),
        two_ways(
            "a service's token with more scopes",
            token().with("scope", "openid mfa:verify x").sign(),
            FORBIDDEN,
            Answer::In,
        ),
        bearer(
            "a service's token without a scope",
            token().with("scope", "openid").sign(),
            FORBIDDEN,
        ),
        bearer(
            "a service's token whose scope only begins like it",
            token().with("scope", "mfa:verify:not MFA:VERIFY").sign(),
            FORBIDDEN,
        ),
        bearer(
            "a service's token that would be an operator",
            token().with("scope", "mfa:admin").sign(),
            FORBIDDEN,
        ),
        bearer(
            "a service's token by its grant, for a client that is not listed",
            server
                .issuer
                .token(PUBLIC_URL, "alice")
                .with("gty", "client-credentials")
                .with("azp", "wiki")
                .with("scope", "mfa:verify")
                .sign(),
            FORBIDDEN,
        ),
        bearer(
            "a client that is not listed",
            of("wiki", PUBLIC_URL).sign(),
            FORBIDDEN,
        ),
        bearer(
            "a service's expired token",
            token().with("exp", now - 31).sign(),
            BAD,
        ),
        bearer(
            "a service's token for another audience",
            of(CLIENT, "https://other.example.com").sign(),
            BAD,
        ),
        bearer(
            "a service's token of an unknown issuer",
            stranger
                .token(PUBLIC_URL, CLIENT)
                .with("client_id", CLIENT)
                .with("scope", "mfa:verify")
                .sign(),
            BAD,
        ),
        bearer(
            "our issuer's name under another's signature, for a service",
            stranger
                .token(PUBLIC_URL, CLIENT)
                .with("client_id", CLIENT)
                .with("scope", "mfa:verify")
                .with("iss", server.issuer.url.as_str())
                .sign(),
            BAD,
        ),
        bearer(
            "a result of ours that is meant for a service",
            token().of_type("mfa+jwt").sign(),
            BAD,
        ),
    ]
}

fn basic(id: &str, key: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{key}")))
}

fn to_services(answer: Answer, attempt: Attempt) -> Attempt {
    Attempt {
        of_services: answer,
        ..attempt
    }
}

/// Keys of registered services and of others.
async fn service_keys(server: &Server) -> Vec<Attempt> {
    let key = server.register(registered("radius")).await;
    let other = server.register(registered("vpn")).await;
    let removed = server.register(registered("gone")).await;
    let tools = Tools::from(&server.desk.tools);
    let remove = Order::ServiceRemove { id: "gone".into() };
    console::execute(&tools, remove).await.unwrap();
    let token = server
        .issuer
        .token(PUBLIC_URL, CLIENT)
        .with("client_id", CLIENT)
        .with("scope", "mfa:verify")
        .sign();
    let mut attempts = places_of_a_key(&key, &token);
    attempts.extend(pairs_of_proofs(&key, &other, &token));
    attempts.extend(keys_of_no_use(&key, &removed));
    attempts
}

/// A key in every place that one could stand in; `token` is a service's.
fn places_of_a_key(key: &str, token: &str) -> Vec<Attempt> {
    vec![
        two_ways("a key", key, BAD, Answer::In),
        to_services(
            Answer::In,
            headers("a key and its service", &[(H, &basic("radius", key))]),
        ),
        to_services(Answer::In, headers("an API key", &[(X, key)])),
        to_services(
            BAD,
            headers("a key and an unknown id", &[(H, &basic("nobody", key))]),
        ),
        to_services(
            BAD,
            headers("a key and another's id", &[(H, &basic("vpn", key))]),
        ),
        to_services(BAD, headers("a key and no id", &[(H, &basic("", key))])),
        to_services(
            BAD,
            headers("an id in another case", &[(H, &basic("Radius", key))]),
        ),
        to_services(
            BAD,
            headers("a key in the place of an id", &[(H, &basic(key, ""))]),
        ),
        to_services(BAD, headers("no pair in Basic", &[(H, "Basic cmFkaXVz")])),
        to_services(
            BAD,
            headers("no Base64 in Basic", &[(H, &format!("Basic {key}"))]),
        ),
        to_services(BAD, headers("an empty API key", &[(X, "")])),
        to_services(BAD, headers("a token for an API key", &[(X, token)])),
        headers("a key without a scheme", &[(H, key)]),
        headers(
            "a key under another scheme",
            &[(H, &format!("Token {key}"))],
        ),
        query(
            "a key in the query",
            format!("?api_key={key}&x-api-key={key}&key={key}"),
        ),
        query(
            "a key's header in the query",
            format!("?authorization=Bearer%20{key}"),
        ),
    ]
}

/// More than one proof at once.
fn pairs_of_proofs(key: &str, other: &str, token: &str) -> Vec<Attempt> {
    vec![
        headers("two API keys", &[(X, key), (X, key)]),
        Attempt {
            of_people: BAD,
            ..headers("a key twice", &[(H, &bearing(key)), (X, key)])
        },
        Attempt {
            of_people: BAD,
            ..headers("two services' keys", &[(H, &bearing(key)), (X, other)])
        },
        headers(
            "a service's own key twice",
            &[(H, &basic("radius", key)), (X, key)],
        ),
        Attempt {
            of_people: FORBIDDEN,
            ..headers("a token and a key", &[(H, &bearing(token)), (X, key)])
        },
        headers(
            "a token and a key in one kind of header",
            &[(H, &bearing(token)), (H, &bearing(key))],
        ),
    ]
}

/// What is not, or no longer, the key of a service.
fn keys_of_no_use(key: &str, removed: &str) -> Vec<Attempt> {
    let never = ServiceKey::draw(&OsEntropy).unwrap().into_secret();
    let mut attempts = Vec::new();
    for (name, key) in [
        ("a removed key", removed.to_owned()),
        ("a key of nobody", never.expose().clone()),
        ("a key's beginning", key[..key.len() - 1].to_owned()),
        ("a key and more", format!("{key}a")),
        ("a key in another case", key.to_uppercase()),
        ("a key without its mark", key.replace("mfad_sk_", "")),
        ("a mark alone", "mfad_sk_".to_owned()),
    ] {
        attempts.extend([
            bearer(name, &key, BAD),
            to_services(BAD, headers(name, &[(H, &basic("radius", &key))])),
            to_services(BAD, headers(name, &[(H, &basic("gone", &key))])),
            to_services(BAD, headers(name, &[(X, &key)])),
        ]);
    }
    attempts
}

fn registered(id: &str) -> Service {
    Service {
        id: id.to_owned(),
        sends: Sends::Subject,
        tenants: Vec::new(),
        return_urls: Vec::new(),
        client_id: None,
        issuer: None,
        unknown: Some(Unknown::Enroll),
    }
}
