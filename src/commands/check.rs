mod machine;
mod policy;
mod state;
mod users;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::app::{self, StartError};
use crate::auth::Verifier;
use crate::base::{Clock, OsEntropy, SystemClock};
use crate::config::{Exit, Problem, Settings, UiAuth};
use crate::console::{self, Answer, Order, Refusal, Status, Tools};
use crate::crypto::{MasterKey, MasterKeyError};
use crate::policy::Part;
use crate::session::CALLBACK_PATH;
use crate::store::{self, Change, MasterKeyPlace, Rehearsal};

use super::block_on;

/// A server that answers something else.
const STRANGE: &str = "the running server gave another answer than was asked for";

/// Tries everything that the server will need, one after the other, and says how it went. Ends
/// with the exit code of the first thing that is wrong.
pub fn check(settings: &Settings) -> Exit {
    block_on(async {
        println!("ok: settings");
        machine::connections(settings);
        policy::factor_changes(settings.factor_change_proof);
        let outcomes = [
            machine::certificate(settings, SystemClock.now()),
            machine::room(&settings.data_dir),
            machine::copies(settings),
            open_store(settings).await,
            issuer(settings).await,
            mail(settings).await,
        ];
        first_wrong(outcomes)
    })
}

fn first_wrong(outcomes: impl IntoIterator<Item = Exit>) -> Exit {
    let mut outcomes = outcomes.into_iter();
    outcomes.find(|exit| *exit != Exit::Ok).unwrap_or(Exit::Ok)
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

fn failed(exit: Exit, what: &str, cause: impl std::fmt::Display, hint: &str) -> Exit {
    println!("failed: {what}: {cause}\n  hint: {hint}");
    exit
}

/// What should not stay so, and stops nothing.
fn warning(what: &str, cause: impl std::fmt::Display, hint: &str) {
    println!("warning: {what}: {cause}\n  hint: {hint}");
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
    let place = app::key_file(&settings.data_dir, &settings.master_key);
    // Made by whoever runs the check, it would belong to the wrong user.
    if !store::exists(&settings.data_dir) {
        if let Err(lost) = store::let_begin(&settings.data_dir, &place) {
            return not_started("store", app::store_problem(lost));
        }
        println!(
            "note: there is no store in {} yet; the first start makes it",
            settings.data_dir.display()
        );
        users::tokens(settings.issuer.as_ref(), &[]);
        return policy_of(settings, &settings.policy.parts(), &BTreeSet::new());
    }
    if let Ok(Answer::Status(status)) = console::send(&settings.data_dir, &Order::Status).await {
        println!(
            "note: the store in {} is in use by a running server",
            settings.data_dir.display()
        );
        let ask = async |order| {
            let answer = console::send(&settings.data_dir, &order).await;
            answer.map_err(|undone| undone.to_string())
        };
        return first_wrong([
            master_key(&place, &status),
            state::tell(settings, &status, true),
            stored_policy(settings, ask).await,
        ]);
    }
    let key = match app::key_place(&settings.data_dir, &settings.master_key) {
        Ok(key) => key,
        Err(refused) => return not_started("store", refused),
    };
    match app::rehearse(&settings.data_dir, &key, Arc::new(OsEntropy)) {
        Ok(rehearsal) => {
            println!("ok: store in {}", settings.data_dir.display());
            tell(&rehearsal);
            // The name that it would get is not yet its own.
            let named = !rehearsal.changes.contains(&Change::Named);
            let store = rehearsal.store;
            let tools = Tools {
                store: store.clone(),
                clock: clock(),
                entropy: Arc::new(OsEntropy),
                policy: Arc::new(settings.policy.clone()),
                issuers: Vec::new(),
                timekeeper: None,
                copies: None,
                signer: None,
            };
            let status = match console::execute(&tools, Order::Status).await {
                Ok(Answer::Status(status)) => state::tell(settings, &status, named),
                Ok(_) => Exit::Ok,
                Err(failure) => failed(
                    Exit::Io,
                    "store",
                    format!("{failure:?}"),
                    "restore a backup if the store is damaged",
                ),
            };
            let ask = async |order| {
                let answer = console::execute(&tools, order).await;
                answer.map_err(|failure| Refusal::from(&failure).cause)
            };
            let policy = stored_policy(settings, ask).await;
            store.close().await;
            first_wrong([status, policy])
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

/// What the file is, and what the next start makes of it.
fn tell(rehearsal: &Rehearsal) {
    let by = match &rehearsal.written_by {
        Some(version) => format!("mfad {version}"),
        None => "an mfad from before this was noted".to_owned(),
    };
    println!(
        "note: the store has format {}, last written by {by}",
        rehearsal.format
    );
    match rehearsal.changes.as_slice() {
        [] => println!("note: the next start changes nothing in it"),
        changes => {
            for change in changes {
                println!("note: the next start changes it: {change}");
            }
        }
    }
}

/// Whether the next start would find a key that opens what a running server has open.
fn master_key(place: &MasterKeyPlace, status: &Status) -> Exit {
    let Some(is) = status.master_key else {
        return Exit::Ok;
    };
    let sealed = MasterKey::sealed_in(&place.file, place.ours);
    let found = sealed.and_then(|name| match name {
        Some(name) => Ok(name),
        None => MasterKey::load(&place.file, place.ours, None).map(|key| key.id().to_string()),
    });
    let what = "the master key";
    match found {
        Ok(found) if found == is.to_string() => println!("ok: {what}"),
        Ok(found) if status.successors.iter().any(|it| it.to_string() == found) => {
            println!("note: the next start takes master key {found} in the place of {is}");
        }
        Ok(found) => {
            return failed(
                Exit::Config,
                what,
                format!(
                    "{} holds {found}, and the store is sealed under {is}",
                    place.file.display()
                ),
                "bring that key back into its place: the server goes on with the one that it has read, and the next start would end",
            );
        }
        Err(MasterKeyError::Missing(_)) => warning(
            what,
            format!("there is none in {}", place.file.display()),
            "if systemd hands it over, all is well; else bring it back before the next start, or nothing opens the store",
        ),
        Err(error) => warning(what, error, "run this as the server's own user, or as root"),
    }
    Exit::Ok
}

/// The policy that holds over a store, which `ask` takes orders for.
async fn stored_policy(
    settings: &Settings,
    ask: impl AsyncFn(Order) -> Result<Answer, String>,
) -> Exit {
    let told = async {
        let Answer::Policy(parts) = ask(Order::PolicyShow).await? else {
            return Err(STRANGE.to_owned());
        };
        let (mut known, mut past) = (Vec::new(), None);
        loop {
            let Answer::Services { services, more } = ask(Order::ServiceList { past }).await?
            else {
                return Err(STRANGE.to_owned());
            };
            past = services.last().map(|one| one.service.id.clone());
            known.extend(services.into_iter().map(|one| one.service));
            if !more || past.is_none() {
                return Ok((parts, known));
            }
        }
    };
    match told.await {
        Ok((parts, known)) => {
            users::services(&known);
            users::tokens(settings.issuer.as_ref(), &known);
            match ask(Order::Survey).await {
                Ok(Answer::Survey(survey)) => users::tell(&survey, &known),
                _ => println!(
                    "note: the running server did not look through the names of users; with it stopped, this says \
                     which of them are ambiguous"
                ),
            }
            let known = known.into_iter().map(|service| service.id).collect();
            policy_of(settings, &parts, &known)
        }
        Err(cause) => failed(
            Exit::Temporary,
            "the policy",
            cause,
            "look into the log of the server",
        ),
    }
}

fn policy_of(settings: &Settings, parts: &[Part], services: &BTreeSet<String>) -> Exit {
    policy::holds(parts, services, settings.smtp.is_some())
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
