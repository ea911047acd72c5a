//! Codes by mail.

mod codes;
mod faults;
mod limits;
mod notices;
mod set_up;

use serde_json::Value;

use crate::support::smtp::Received;
use crate::support::{Client, PUBLIC_URL, Server};

pub const ENABLE: &str = "/api/v1/me/mfa/email/enable";
pub const CONFIRM: &str = "/api/v1/me/mfa/email/confirm";
pub const DISABLE: &str = "/api/v1/me/mfa/email/disable";
pub const SEND: &str = "/api/v1/me/mfa/email/send";
const REGENERATE: &str = "/api/v1/me/mfa/backup-codes/regenerate";

/// Looks until `there` is so.
async fn until(mut there: impl FnMut() -> bool) {
    crate::support::until("what is looked for is there", async || there()).await;
}

/// How many letters the mail server has been offered.
fn offered(server: &Server) -> usize {
    let heard = server.smtp.commands();
    heard.iter().filter(|line| line.starts_with("MAIL")).count()
}

/// The next mail that brings a code; notices that come before it are passed over.
pub async fn code_mail(server: &Server) -> Received {
    loop {
        let mail = server.smtp.next_mail().await;
        if mail.subject() == "Your code for Example" {
            return mail;
        }
    }
}

/// Has a code mailed by `path`, and gives it.
pub async fn mailed_code(server: &Server, person: &Client, path: &str) -> String {
    person.post(path).await.ok();
    code_mail(server).await.code().unwrap()
}

/// Turns email codes on, and gives the backup codes that came. A minute later another code can be mailed.
pub async fn enrol(server: &Server, person: &Client) -> Vec<String> {
    let code = mailed_code(server, person, ENABLE).await;
    let confirmed = person.code(CONFIRM, &code).await.ok();
    server.clock.forward(60);
    serde_json::from_value(confirmed["backup_codes"].clone()).unwrap_or_default()
}

/// Six digits that are not `code`.
fn other_than(code: &str) -> String {
    let (first, rest) = code.split_at(1);
    format!("{}{rest}", (first.parse::<u8>().unwrap() + 1) % 10)
}

/// Somebody whose token says this of their address.
fn with_address(server: &Server, subject: &str, email: impl Into<Value>) -> Client {
    let token = server.issuer.token(PUBLIC_URL, subject);
    server.bearer(token.with("email", email).sign())
}

async fn overview(person: &Client) -> Value {
    person.get("/api/v1/me/mfa").await.ok()
}
