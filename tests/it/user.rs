//! Users, as an operator on the machine sees and helps them.

mod release;
mod reset;
mod show;

use serde_json::Value;

use crate::support::{Process, Server, Site};

/// Exit codes.
const USAGE: i32 = 64;

/// `mfad user` for the server in this process.
fn order(server: &Server, arguments: &[&str]) -> Process {
    let place = ["--data-dir", server.data_dir().to_str().unwrap()];
    Process::mfad([&["user"], arguments, &place].concat())
}

/// The same, and what it prints; it must end well.
async fn ordered(server: &Server, arguments: &[&str]) -> String {
    let mut process = order(server, arguments);
    process.ends_with(0).await;
    process.stdout()
}

async fn shown(server: &Server, who: &str) -> Value {
    serde_json::from_str(&ordered(server, &["show", who, "--json"]).await).unwrap()
}

/// Removes all second factors of a user, and gives what is said then.
async fn reset(server: &Server, who: &str) -> String {
    ordered(server, &["reset", who, "--reason", "lost phone", "--yes"]).await
}

/// `mfad user` on a site's store, or for its server.
fn on_site(site: &Site, arguments: &[&str]) -> Process {
    let config = site.config_file();
    let place = ["--config", config.to_str().unwrap()];
    Process::mfad([&["user"], arguments, &place].concat())
}
