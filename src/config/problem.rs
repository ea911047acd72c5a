//! What is wrong with the settings, said so that it can be put right, and how the process ends.

use std::fmt;
use std::process::ExitCode;

/// How the process ends, in the words of `sysexits.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Ok,
    /// Somebody was told no: the answer to what was asked, and no fault (1).
    Refused,
    /// The command line cannot be understood (EX_USAGE, 64).
    Usage,
    /// Reading or writing failed (EX_IOERR, 74).
    Io,
    /// It may go well later: the store is in use, something does not answer (EX_TEMPFAIL, 75).
    Temporary,
    /// The settings are wrong, and starting again will not help (EX_CONFIG, 78).
    Config,
}

impl Exit {
    /// The number that the parent process sees.
    pub const fn code(self) -> u8 {
        match self {
            Exit::Ok => 0,
            Exit::Refused => 1,
            Exit::Usage => 64,
            Exit::Io => 74,
            Exit::Temporary => 75,
            Exit::Config => 78,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

/// One thing that is wrong, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Which setting, and where it comes from.
    pub subject: String,
    /// What is wrong with it. Never holds a secret.
    pub cause: String,
    /// What to do.
    pub hint: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "error: {}: {}\n  hint: {}",
            self.subject, self.cause, self.hint
        )
    }
}

/// All that is wrong. Never empty where it is returned as an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Adds a problem.
    pub fn add(
        &mut self,
        subject: impl Into<String>,
        cause: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.0.push(Problem {
            subject: subject.into(),
            cause: cause.into(),
            hint: hint.into(),
        });
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.0.iter().enumerate() {
            if number > 0 {
                writeln!(f)?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
