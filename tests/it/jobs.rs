//! What the server does by itself while it runs.

use std::time::Duration;

use mfad::app::JobPeriods;

use crate::support::{Options, Server, periods, until};

const OVERVIEW: &str = "/api/v1/me/mfa";

#[tokio::test]
async fn an_issuer_that_was_away_at_the_start_is_found_when_it_comes() {
    let server = Server::start_with(Options {
        issuer_away: true,
        periods: Some(JobPeriods {
            issuer_retry: Duration::from_millis(20),
            ..periods()
        }),
        ..Options::default()
    })
    .await;
    let alice = server.alice();
    alice.get(OVERVIEW).await.refused(503, "unavailable");
    server.issuer.be_away(false);
    // No user has to ask for it: the clock stands still, so no request would have the keys fetched again.
    until("the keys are there", async || {
        server.stranger().get("/readyz").await.status == 200
    })
    .await;
    alice.get(OVERVIEW).await.ok();
}
