use std::sync::Arc;

use crate::app::{self, StartError};
use crate::base::{Clock, OsEntropy, SystemClock};
use crate::config::{Exit, Problem, Settings};
use crate::store;

use super::block_on;

/// Tries everything that the server will need, one after the other, and says how it went. Ends
/// with the exit code of the first thing that is wrong.
pub fn check(settings: &Settings) -> Exit {
    block_on(async {
        println!("ok: settings");
        let outcomes = [
            open_store(settings).await,
            issuer(settings).await,
            mail(settings).await,
        ];
        outcomes
            .into_iter()
            .find(|exit| *exit != Exit::Ok)
            .unwrap_or(Exit::Ok)
    })
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

fn failed(exit: Exit, what: &str, cause: impl std::fmt::Display, hint: &str) -> Exit {
    println!("failed: {what}: {cause}\n  hint: {hint}");
    exit
}

fn not_started(
    what: &str,
    StartError {
        exit,
        problem: Problem { cause, hint, .. },
    }: StartError,
) -> Exit {
    failed(exit, what, cause, &hint)
}

async fn open_store(settings: &Settings) -> Exit {
    // Made by whoever runs the check, it would belong to the wrong user.
    if !store::exists(&settings.data_dir) {
        println!(
            "note: there is no store in {} yet; the first start makes it",
            settings.data_dir.display()
        );
        return Exit::Ok;
    }
    match app::open_store(
        &settings.data_dir,
        settings.master_key.as_ref(),
        Arc::new(OsEntropy),
    ) {
        Ok(store) => {
            store.close().await;
            println!("ok: store in {}", settings.data_dir.display());
            Exit::Ok
        }
        // What a running server has open, it has checked itself.
        Err(StartError {
            exit: Exit::Temporary,
            ..
        }) => {
            println!(
                "note: the store in {} is in use by a running server",
                settings.data_dir.display()
            );
            Exit::Ok
        }
        Err(refused) => not_started("store", refused),
    }
}

async fn issuer(settings: &Settings) -> Exit {
    let verifier = match app::verifier(settings, clock()) {
        Ok(verifier) => verifier,
        Err(refused) => return not_started("issuer", refused),
    };
    match verifier.prime().await {
        Ok(()) => {
            println!("ok: the issuer's keys");
            Exit::Ok
        }
        Err(failure) => failed(
            Exit::Temporary,
            "the issuer's keys",
            format!("{failure:?}"),
            "check --issuer, and that this machine reaches it",
        ),
    }
}

async fn mail(settings: &Settings) -> Exit {
    let mailer = match app::mailer(settings, clock()) {
        Ok(Some(mailer)) => mailer,
        Ok(None) => {
            println!("note: no SMTP server is set (--smtp-url), so email codes are not offered");
            return Exit::Ok;
        }
        Err(refused) => return not_started("the SMTP server", refused),
    };
    match mailer.probe().await {
        Ok(()) => {
            println!("ok: the SMTP server");
            Exit::Ok
        }
        Err(why) => failed(
            Exit::Temporary,
            "the SMTP server",
            why,
            "check --smtp-url, --smtp-password-file and --ca-file",
        ),
    }
}
