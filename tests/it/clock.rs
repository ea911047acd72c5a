//! A clock that cannot be right.

use serde_json::Value;

use crate::support::process::Process;
use crate::support::{App, Client, Server};

const ENABLE: &str = "/api/v1/me/mfa/totp/enable";
const CONFIRM: &str = "/api/v1/me/mfa/totp/confirm";
const REPLACE: &str = "/api/v1/me/mfa/totp/replace";
const OVERVIEW: &str = "/api/v1/me/mfa";
const DAY: u64 = 86_400;

async fn enrolled(server: &Server) -> App {
    let alice = server.alice();
    let app = App::scan(&alice.post(ENABLE).await.ok());
    let code = app.code(server.clock.unix());
    alice.code(CONFIRM, &code).await.ok();
    app
}

async fn readyz(server: &Server) -> (u16, Value) {
    let reply = server.stranger().get("/readyz").await;
    (reply.status.as_u16(), reply.json())
}

async fn is_behind(server: &Server, alice: &Client) {
    alice.get(OVERVIEW).await.refused(503, "unavailable");
    let (status, ready) = readyz(server).await;
    assert_eq!(status, 503);
    assert_eq!(ready["checks"]["clock"], "failing");
    assert_eq!(ready["reasons"][0]["part"], "clock");
    let why = ready["reasons"][0]["words"].as_str().unwrap();
    assert!(why.contains("before what was seen already"), "{why}");
    // What needs no time goes on.
    let stranger = server.stranger();
    assert_eq!(stranger.get("/healthz").await.status, 200);
    assert_eq!(stranger.get("/.well-known/jwks.json").await.status, 200);
}

async fn is_right(server: &Server) {
    let (status, ready) = readyz(server).await;
    assert_eq!((status, &ready["checks"]["clock"]), (200, &"ok".into()));
    assert_eq!(ready["reasons"], serde_json::json!([]));
}

#[tokio::test]
async fn a_step_back_is_noticed_judges_nothing_and_makes_no_used_code_good() {
    let server = Server::start().await;
    let app = enrolled(&server).await;
    let alice = server.alice();
    is_right(&server).await;
    server.clock.forward(60);
    let used = app.code(server.clock.unix());
    alice.code(REPLACE, &used).await.ok();

    server.clock.back(3600);
    is_behind(&server, &alice).await;
    // No miss is counted meanwhile.
    for _ in 0..6 {
        alice.code(REPLACE, &used).await.refused(503, "unavailable");
    }
    // Small corrections are nobody's business, and the code is used all the same.
    server.clock.forward(3600 - 60);
    is_right(&server).await;
    // The code of a minute ahead is further away than any that is taken.
    for (at, refusal) in [(0, "code_used"), (30, "code_used"), (60, "wrong_code")] {
        let code = app.code(server.clock.unix() + at);
        alice.code(REPLACE, &code).await.refused(400, refusal);
        server.clock.forward(30);
        server.clock.back(30);
    }
    server.clock.forward(60);
    alice.code(REPLACE, &used).await.refused(400, "code_used");
    server.clock.forward(30);
    let code = app.code(server.clock.unix());
    alice.code(REPLACE, &code).await.ok();
}

#[tokio::test]
async fn a_start_far_before_the_newest_record_waits_for_the_clock() {
    let mut server = Server::start().await;
    let app = enrolled(&server).await;
    let used = app.code(server.clock.unix() + 30);
    server.alice().code(REPLACE, &used).await.ok();
    let right = server.clock.unix();
    // No battery: 1970.
    server.clock.back(right);
    server.restart().await;
    let alice = server.alice();
    is_behind(&server, &alice).await;
    server.clock.forward(right);
    // The issuer's keys were fetched by the wrong time.
    server.desk.tools.verifier.prime().await.unwrap();
    is_right(&server).await;
    server
        .alice()
        .code(REPLACE, &used)
        .await
        .refused(400, "code_used");

    // A day before is as wrong, until somebody says that it is right.
    server.clock.back(DAY);
    server.restart().await;
    is_behind(&server, &server.alice()).await;
    let data = server.data_dir().to_str().unwrap().to_owned();
    let mut accepted = Process::mfad(["clock", "accept", "--data-dir", &data]);
    accepted.ends_with(0).await;
    is_right(&server).await;
    server.alice().get(OVERVIEW).await.ok();
    // The step that was used stays used, a day later and now.
    let alice = server.alice();
    alice.code(REPLACE, &used).await.refused(400, "wrong_code");
    let code = app.code(server.clock.unix());
    alice.code(REPLACE, &code).await.refused(400, "code_used");
}

#[tokio::test]
async fn years_ahead_and_back_again_nothing_is_swept_away_and_locks_stay() {
    let mut server = Server::start().await;
    let app = enrolled(&server).await;
    let alice = server.alice();
    let used = app.code(server.clock.unix() + 30);
    alice.code(REPLACE, &used).await.ok();
    for _ in 0..5 {
        let wrong = app.wrong_code(server.clock.unix());
        alice.code(REPLACE, &wrong).await.refused(400, "wrong_code");
    }
    alice.code(REPLACE, "000000").await.refused(429, "locked");
    let events = "/api/v1/me/mfa/events";
    let before = alice.get(events).await.ok()["events"].clone();

    let years = 10 * 365 * DAY;
    server.clock.forward(years);
    // It sweeps when it starts.
    server.restart().await;
    let tools = &server.desk.tools;
    assert!(tools.timekeeper.for_sweeping().unix() < server.clock.unix() - years + DAY);
    is_right(&server).await;
    server.stop().await;
    server.clock.back(years);
    server.restart().await;
    is_right(&server).await;
    let alice = server.alice();
    alice.code(REPLACE, "000000").await.refused(429, "locked");
    // But for the line of this last one, all is as it was.
    let after = alice.get(events).await.ok()["events"].clone();
    assert_eq!(
        after.as_array().unwrap()[1..],
        before.as_array().unwrap()[..]
    );
    server.clock.forward(30);
    alice.code(REPLACE, &used).await.refused(400, "code_used");
}
