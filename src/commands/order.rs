//! Orders: to the running server, or on the store where none runs.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::app::{self, StartError};
use crate::base::{OsEntropy, SystemClock};
use crate::config::{Exit, Problem, StoreSettings};
use crate::console::{self, Answer, Fault, Order, Refusal, Tools, Undone};
use crate::store::{self, Store};

use super::problem;

/// How long somebody else may have the store open without taking orders: a server that starts, or
/// another command.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often we look again.
const AGAIN: Duration = Duration::from_millis(50);

/// Has `order` carried out, and gives its answer. `subject` is what problems are called by.
pub(super) async fn carry_out(
    subject: &str,
    place: &StoreSettings,
    order: Order,
) -> Result<Answer, StartError> {
    let asked = async || console::send(&place.data_dir, &order).await;
    let store = match reach(subject, place, asked).await? {
        Reached::Server(answer) => return Ok(answer),
        Reached::Store(store) => store,
    };
    let tools = Tools {
        store: store.clone(),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(OsEntropy),
        signer: None,
        timekeeper: None,
        copies: None,
        policy: Arc::new(place.policy.clone()),
        issuers: place.issuer.iter().cloned().collect(),
    };
    let outcome = console::execute(&tools, order).await;
    store.close().await;
    outcome.map_err(|failure| refused(subject, Refusal::from(&failure)))
}

/// What to say where the answer is of another kind than `what`, which was asked for.
pub(super) fn another_answer(subject: &str, what: &str) -> StartError {
    let cause = format!("the running server gave another answer than {what}");
    let hint = "restart the server, if it is of another version than this program";
    StartError {
        exit: Exit::Temporary,
        problem: problem(subject, cause, hint),
    }
}

/// Who is there to work with.
pub(super) enum Reached<T> {
    /// A server, which gave this answer.
    Server(T),
    /// The store itself, as no server runs. Whoever has it must close it.
    Store(Store),
}

fn refused(subject: &str, refusal: Refusal) -> StartError {
    let exit = match refusal.fault {
        Fault::Order => Exit::Usage,
        Fault::Passing => Exit::Temporary,
        Fault::Server => Exit::Io,
    };
    StartError {
        exit,
        problem: problem(subject, refusal.cause, &refusal.hint),
    }
}

/// Asks the server that runs at `place`; where none does, opens its store.
pub(super) async fn reach<T>(
    subject: &str,
    place: &StoreSettings,
    mut ask: impl AsyncFnMut() -> Result<T, Undone>,
) -> Result<Reached<T>, StartError> {
    let failed = |exit, cause: &dyn ToString, hint: &str| StartError {
        exit,
        problem: problem(subject, cause.to_string(), hint),
    };
    let give_up = Instant::now() + PATIENCE;
    let mut key = None;
    loop {
        match ask().await {
            Ok(answer) => return Ok(Reached::Server(answer)),
            Err(Undone::Refused(refusal)) => return Err(refused(subject, refusal)),
            Err(undone @ Undone::TooLong) => {
                return Err(failed(Exit::Usage, &undone, "say less at once"));
            }
            Err(Undone::Broken(error)) if error.kind() == io::ErrorKind::PermissionDenied => {
                let hint = "run this as the server's own user, or as root";
                return Err(failed(Exit::Config, &Undone::Broken(error), hint));
            }
            Err(undone @ Undone::Broken(_)) => {
                let hint =
                    "the order may have been carried out all the same; look before you repeat it";
                return Err(failed(Exit::Temporary, &undone, hint));
            }
            Err(Undone::NoServer) => {}
        }
        // Made by whoever gives the order, it would belong to the wrong user.
        if !store::exists(&place.data_dir) {
            let cause = format!("there is no store in {}", place.data_dir.display());
            let hint = "name the server's folder with --data-dir or its --config; the first start of mfad serve makes the store";
            return Err(failed(Exit::Config, &cause, hint));
        }
        // Asked for once, however often we look.
        let key = match &mut key {
            Some(key) => key,
            key => key.insert(app::key_place(&place.data_dir, &place.master_key)?),
        };
        match app::open_store(&place.data_dir, key, Arc::new(OsEntropy)) {
            Ok(store) => return Ok(Reached::Store(store)),
            Err(StartError {
                exit: Exit::Temporary,
                problem: Problem { cause, .. },
            }) if Instant::now() >= give_up => {
                let hint = "if that is the server, it takes no orders, and its log says why; stop it first";
                return Err(failed(Exit::Temporary, &cause, hint));
            }
            Err(StartError {
                exit: Exit::Temporary,
                ..
            }) => sleep(AGAIN).await,
            Err(error) => return Err(error),
        }
    }
}
