use std::sync::Arc;

use crate::app::{self, StartError};
use crate::auth::Verifier;
use crate::base::{Clock, OsEntropy, SystemClock};
use crate::config::{Exit, Problem, Settings, UiAuth};
use crate::console::{self, Answer, Order, Status, Tools};
use crate::session::CALLBACK_PATH;
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
    let key = match app::key_place(&settings.data_dir, &settings.master_key) {
        Ok(key) => key,
        Err(refused) => return not_started("store", refused),
    };
    // Made by whoever runs the check, it would belong to the wrong user.
    if !store::exists(&settings.data_dir) {
        if let Err(lost) = store::let_begin(&settings.data_dir, &key) {
            return not_started("store", app::store_problem(lost));
        }
        println!(
            "note: there is no store in {} yet; the first start makes it",
            settings.data_dir.display()
        );
        return Exit::Ok;
    }
    if let Ok(Answer::Status(status)) = console::send(&settings.data_dir, &Order::Status).await {
        println!(
            "note: the store in {} is in use by a running server",
            settings.data_dir.display()
        );
        return state(&status);
    }
    match app::open_store(&settings.data_dir, &key, Arc::new(OsEntropy)) {
        Ok(store) => {
            println!("ok: store in {}", settings.data_dir.display());
            let tools = Tools {
                store: store.clone(),
                clock: clock(),
                entropy: Arc::new(OsEntropy),
                policy: Arc::new(settings.policy.clone()),
                timekeeper: None,
                copies: None,
                signer: None,
            };
            let status = console::execute(&tools, Order::Status).await;
            store.close().await;
            match status {
                Ok(Answer::Status(status)) => state(&status),
                Ok(_) => Exit::Ok,
                Err(failure) => failed(
                    Exit::Io,
                    "store",
                    format!("{failure:?}"),
                    "restore a backup if the store is damaged",
                ),
            }
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

/// What the store says of itself.
fn state(status: &Status) -> Exit {
    println!("note: store {}, epoch {}", status.store, status.epoch);
    match status.last_copy {
        Some(at) => println!("note: the last backup was made {at}"),
        None => println!("note: no backup was made yet (mfad backup)"),
    }
    if let Some(why) = &status.copies {
        return failed(
            Exit::Io,
            "the backup that was due",
            why,
            "check --backup-dir: the folder must be there, be writable by the server and have space",
        );
    }
    match &status.clock {
        Some(why) => failed(
            Exit::Temporary,
            "the clock",
            why,
            "set the clock right; if it is right, mfad clock accept",
        ),
        None => Exit::Ok,
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
            sign_in(settings, &verifier).await
        }
        Err(failure) => failed(
            Exit::Temporary,
            "the issuer's keys",
            format!("{failure:?}"),
            "check --issuer, and that this machine reaches it",
        ),
    }
}

/// Whether the issuer says what signing in to the settings page needs.
async fn sign_in(settings: &Settings, verifier: &Verifier) -> Exit {
    let (UiAuth::Oidc { .. }, Some(issuer)) = (&settings.ui_auth, &settings.issuer) else {
        return Exit::Ok;
    };
    let provider = match verifier.provider(&issuer.issuer).await {
        Ok(provider) => provider,
        Err(failure) => {
            return failed(
                Exit::Config,
                "signing in to the settings page",
                format!("{failure:?}"),
                "the issuer's discovery document must name an authorization_endpoint and a token_endpoint; \
                 without them, leave out --client-id",
            );
        }
    };
    println!("ok: signing in to the settings page");
    let origin = settings.public_url.origin().ascii_serialization();
    println!("note: the issuer must send people back to {origin}{CALLBACK_PATH}");
    if !provider.says_pkce {
        println!(
            "note: the issuer does not say that it checks PKCE by S256 (code_challenge_methods_supported)"
        );
    }
    if !provider.offline_access {
        println!(
            "note: the issuer offers no offline_access, so a session may end with its first access token"
        );
    }
    Exit::Ok
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
