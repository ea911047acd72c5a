//! What is asked for on the terminal.

use std::fs::File;
use std::io;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::signal::unix::{SignalKind, signal};

use super::StartError;
use crate::base::Secret;
use crate::config::Exit;

/// How a passphrase is given.
pub(super) const PASSPHRASE_HINT: &str = "name its file with --master-key-passphrase-file, hand over the systemd credential \
     master-key-passphrase, or run this on a terminal";

/// Asks for a passphrase on the terminal, which does not show it.
///
/// # Errors
/// [`StartError`], where there is no terminal to ask on, or somebody interrupts.
///
/// # Panics
/// Outside of a runtime of tokio's, which hears of interrupts.
pub fn ask(words: &str) -> Result<Secret<Vec<u8>>, StartError> {
    // Else an interrupt would end us before the terminal is as it was.
    let interrupts = signal(SignalKind::interrupt());
    // What asks goes on to read in secret only after its words stand there; whoever types at once would be seen.
    let unshown = interrupts.and_then(|_heard| Unshown::new());
    let typed = unshown.and_then(|_unshown| rpassword::prompt_password(words));
    let typed = typed.map(|text| Secret::new(text.into_bytes()));
    typed.map_err(|error| match error.kind() {
        io::ErrorKind::Interrupted => StartError::new(
            Exit::Temporary,
            "master key",
            "nobody gave its passphrase",
            "nothing was changed",
        ),
        _ => StartError::new(
            Exit::Config,
            "master key",
            format!("its passphrase cannot be asked for: {error}"),
            PASSPHRASE_HINT,
        ),
    })
}

/// The terminal shows nothing that is typed for as long as this lives.
struct Unshown {
    terminal: File,
    before: Termios,
}

impl Unshown {
    fn new() -> io::Result<Self> {
        let terminal = File::open("/dev/tty")?;
        let before = tcgetattr(&terminal)?;
        let mut modes = before.clone();
        // An interrupt becomes what it is typed as, which whoever reads takes for one.
        modes.local_modes -= LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ISIG;
        tcsetattr(&terminal, OptionalActions::Now, &modes)?;
        Ok(Unshown { terminal, before })
    }
}

impl Drop for Unshown {
    fn drop(&mut self) {
        // A terminal that has gone has nothing to show.
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}
