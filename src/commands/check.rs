use std::sync::Arc;

use crate::app::App;
use crate::base::{OsEntropy, SystemClock};
use crate::config::{Exit, Settings};

use super::{block_on, report};

/// Tries everything that the server will need, and says how it went.
pub fn check(settings: &Settings) -> Exit {
    block_on(async {
        let app = match App::open(settings, Arc::new(SystemClock), Arc::new(OsEntropy)) {
            Ok(app) => app,
            Err(refused) => return report(refused.exit, &refused.problem),
        };
        println!("ok: settings");
        println!("ok: store in {}", settings.data_dir.display());
        let tools = &app.desk.tools;
        let mut exit = Exit::Ok;
        match tools.verifier.prime().await {
            Ok(()) => println!("ok: the issuer's keys"),
            Err(failure) => {
                println!(
                    "failed: the issuer's keys: {failure:?}\n  hint: check --issuer, and that this machine reaches it"
                );
                exit = Exit::Temporary;
            }
        }
        match &tools.mailer {
            None => {
                println!("note: no SMTP server is set (--smtp-url), so email codes are not offered")
            }
            Some(mailer) => match mailer.probe().await {
                Ok(()) => println!("ok: the SMTP server"),
                Err(why) => {
                    println!(
                        "failed: the SMTP server: {why}\n  hint: check --smtp-url and --smtp-password-file"
                    );
                    exit = Exit::Temporary;
                }
            },
        }
        tools.store.close().await;
        exit
    })
}
