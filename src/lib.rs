//! mfad: a multi-factor authentication server. One binary, one file.
//!
//! # The map
//!
//! Arrows run down only; rooms on one line do not see each other. A test reads
//! the sources and holds this picture, line by line.
//!
//! ```text
//! main
//! commands
//! app demo log
//! http console
//! login
//! factor
//! wire
//! services config
//! lockout audit people outbox policy clients session signing trust copies timekeeper
//! auth mail store server
//! brand crypto words metrics
//! base
//! ```
//!
//! - `main` reads what is asked for, `commands` do it, `app` composes a running server from settings.
//! - `demo` is an issuer, a mailbox and a page around the real server.
//! - `http` is the edge: router, names of requests, headers, health, our public keys, the OpenAPI document,
//!   the page and the routes by which people sign in to it. `console` takes orders from the command line.
//! - `login` is a sign-in that a login service asks about: challenges, answers, the hosted prompt, results.
//! - `factor` holds what every second factor can do, the one list of those there
//!   are, and a room for each: `totp`, `email`, `webauthn`, `backup_codes`. These do not see each other.
//! - `wire` makes requests into types and failures into problem documents.
//! - `services` are the tools that every room gets. `config` reads arguments, variables and files.
//! - `lockout` counts misses, `audit` writes lines, `people` knows names and addresses and finds whom they
//!   belong to, `outbox` holds notices until they leave. `policy` says who must have which factor, `trust`
//!   knows the browsers that people trust, `clients` knows login services, `session` signs people in to the
//!   settings page and keeps what they proved there, `signing` keeps the keys that sign results and knows whose turn it is. `copies` puts copies
//!   of the store into files, `timekeeper` knows whether the clock can be right.
//! - `auth` says who is calling, `mail` writes and sends letters, `store` keeps records, `server`
//!   takes connections.
//! - `crypto` seals and hashes. `words` holds what is said to people, in their languages. `metrics` counts.
//!   `brand` knows which logos and colours pages can wear. `base` knows nobody: time, randomness, identifiers, secrets, failures, and the form
//!   in which names are compared.
//!
//! Rooms have the same shelves, where they need them: `rule.rs` (what is true: pure, the time an
//! argument), `service.rs` (what is done, within a transaction), `record.rs` (what is kept),
//! `http.rs` (how it is asked), `testing.rs` (what unit tests of this room and those above open:
//! `store::testing::TestStore`, `services::testing::TestContext`).
//!
//! # Two walks
//!
//! **`POST /api/v1/me/mfa/totp/confirm`.** `server` takes the connection, and hands on a head that has
//! one reading. `http` names the request, starts its 30 seconds, and routes it. `wire` proves the caller
//! (`Me`: `auth` checks the bearer token, `crypto` makes issuer and subject into the person's key) and
//! reads the body. `factor::totp` reads the answer's shape and asks `Desk::act` for one deed: `now` is taken once,
//! and one write transaction opens. In it `people` notes what the token says of the person, `lockout`
//! may refuse, `totp::rule` compares the code with three steps, `totp::record` keeps the app and the
//! step that was used up, backup codes are drawn where it is the first factor, the notice goes
//! into the `outbox`, and `audit` appends its line. `store` commits all of it together with whatever else
//! waits, and only then the answer leaves. A wrong code takes the same way: its tally and its line are committed,
//! and the answer is 400.
//!
//! **`POST /api/v1/me/mfa/email/enable`.** The same as far as `factor::email`, which asks `auth` for the
//! address that the issuer has of the person: from the token, else from userinfo. A first transaction
//! reserves the one place for a mail, so that a hundred requests at once send one. Outside of any transaction
//! `mail` hands the letter to the SMTP server, within 8 seconds. Where the server has taken it, a
//! second transaction keeps the code's hash, the pending address, the quota and the audit's line, and the answer
//! names the masked address. Where it has not, the place is given back, nothing else has
//! changed, and the answer is 503.
//!
//! # What is not there
//!
//! - No room but `store` names redb. No room but `mail` names lettre (the demo's tests send with it).
//! - No room but `factor::webauthn` names webauthn-rs, none but `factor::totp` names totp-rs, none but
//!   `config` names clap.
//! - No token in a browser that signed in here, and no cookie that counts but for a person's own requests.
//! - No room but `auth` checks a token's signature. `signing` alone signs what others shall believe, by
//!   ES256; the `demo`'s issuer signs for itself.
//! - No room outside `factor` names one factor, and no factor names another.
//! - No room but `main`, `commands`, `app` and `log` sees settings.
//! - No `SystemTime::now` outside `base`, and no `Instant` but Tokio's, which tests can stop; no
//!   randomness but through `base::Entropy`.
//! - No network, no slow hash and no wait inside a transaction.
//! - In a transaction, `Err` rolls back and `Refused` commits: a wrong answer is an outcome, and its
//!   tally must stay.
//! - No request over HTTP registers a login service: `console` alone does, for the server's own user and root.
//! - No secret in a log, an error, a `Debug` or a URL: [`base::Secret`] has no words for itself.
//! - No `unwrap`, `expect`, `panic!` or indexing outside tests.

#![cfg_attr(
    not(test),
    warn(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::unimplemented,
        clippy::unreachable
    )
)]

pub mod app;
pub mod audit;
pub mod auth;
pub mod base;
pub mod brand;
pub mod clients;
pub mod commands;
pub mod config;
pub mod console;
pub mod copies;
pub mod crypto;
pub mod demo;
pub mod factor;
pub mod http;
pub mod lockout;
pub mod log;
pub mod login;
pub mod mail;
pub mod metrics;
pub mod outbox;
pub mod people;
pub mod policy;
pub mod server;
pub mod services;
pub mod session;
pub mod signing;
pub mod store;
pub mod timekeeper;
pub mod trust;
pub mod wire;
pub mod words;
