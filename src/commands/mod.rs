//! What the commands do, from checked settings to how the process ends.

mod audit;
mod backup;
mod check;
mod clock;
mod data_key;
mod demo;
mod manual;
mod master_key;
mod order;
mod pam;
mod policy;
mod restore;
mod serve;
mod service;
mod signing_key;
mod user;

use std::future::Future;
use std::io::{self, Write};

use rustix::process::{DumpableBehavior, Resource, Rlimit};

use crate::config::{Exit, Problem};

pub use audit::audit;
pub use backup::backup;
pub use check::check;
pub use clock::clock;
pub use data_key::data_key;
pub use demo::demo;
pub use manual::manual;
pub use master_key::master_key;
pub use pam::pam;
pub use policy::policy;
pub use restore::restore;
pub use serve::serve;
pub use service::service;
pub use signing_key::signing_key;
pub use user::user;

/// Says what is wrong, and gives what the process ends with.
fn report(exit: Exit, problem: &Problem) -> Exit {
    eprintln!("{problem}");
    exit
}

fn problem(subject: &str, cause: impl ToString, hint: &str) -> Problem {
    Problem {
        subject: subject.to_owned(),
        cause: cause.to_string(),
        hint: hint.to_owned(),
    }
}

/// Prints all of `text`; whoever reads it may stop early.
pub fn print(text: impl AsRef<[u8]>) -> Exit {
    match write_out(text.as_ref()) {
        Ok(()) => Exit::Ok,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Ok,
        Err(error) => {
            eprintln!("error: the output could not be written: {error}");
            Exit::Io
        }
    }
}

fn write_out(text: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text)?;
    out.flush()
}

/// Runs `work` on a runtime of its own, and ends with what it ends with.
fn block_on(work: impl Future<Output = Exit>) -> Exit {
    keep_secrets_out_of_dumps();
    match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime.block_on(work),
        Err(e) => report(
            Exit::Temporary,
            &problem("runtime", e, "try again; the system is short of threads"),
        ),
    }
}

/// Keys live in this process: no core dump, and no reading of its memory by the same user's other processes.
fn keep_secrets_out_of_dumps() {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    if let Err(e) = rustix::process::setrlimit(Resource::Core, none) {
        tracing::warn!(%e, "core dumps could not be turned off");
    }
    if let Err(e) = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%e, "the process could not be made undumpable");
    }
}

/// Done when somebody asks the process to end: SIGTERM, or SIGINT from a terminal. They are caught from
/// this call on, so that one which comes while the store is opened still ends in good order.
fn asked_to_stop() -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};
    let caught = |kind| {
        let caught = signal(kind);
        async move {
            match caught {
                Ok(mut signals) => {
                    signals.recv().await;
                }
                Err(e) => {
                    tracing::warn!(%e, "a signal cannot be caught, and ends the process at once");
                    std::future::pending::<()>().await;
                }
            }
        }
    };
    let terminate = caught(SignalKind::terminate());
    let interrupt = caught(SignalKind::interrupt());
    async {
        tokio::select! {
            () = terminate => {}
            () = interrupt => {}
        }
        tracing::info!("stopping: finishing the requests under way");
    }
}
