//! A name that was given up is released by an operator.

use super::{USAGE, order, ordered};
use crate::api::totp;
use crate::support::{Client, PUBLIC_URL, Server};

fn called(server: &Server, username: &str) -> Client {
    let token = server.issuer.token(PUBLIC_URL, "s-1");
    server.bearer(token.with("preferred_username", username).sign())
}

#[tokio::test]
async fn a_reserved_name_is_released_once_in_any_spelling() {
    let server = Server::start().await;
    totp::enrol(&server, &called(&server, "alice")).await;
    // Refused, and it says how she is called now.
    let renamed = called(&server, "alicia")
        .code(totp::CONFIRM, "123456")
        .await;
    renamed.refused(409, "not_pending");
    for arguments in [
        &["release-name", "bob"][..],
        &["release-name", "alicia"],
        &["release-name", "alice", "--issuer", "https://other.example"],
    ] {
        let mut refused = order(&server, arguments);
        refused.ends_with(USAGE).await;
        assert!(refused.stderr().contains("That name is not reserved"));
    }
    let said = ordered(&server, &["release-name", "ＡＬＩＣＥ"]).await;
    let line = format!(
        "No longer reserved for subject s-1 of issuer {}.\n",
        server.issuer.url
    );
    assert_eq!(said, line);
    order(&server, &["release-name", "alice"])
        .ends_with(USAGE)
        .await;
}
