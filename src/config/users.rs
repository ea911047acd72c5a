//! What `mfad user` is told.

use clap::{Args, Subcommand};

use crate::audit;

/// What `mfad user` is told.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum UserCommand {
    /// Show a user: who they are, their second factors, sessions and trusted browsers, and the end of their history
    Show {
        /// Which user
        #[command(flatten)]
        user: UserSelector,
        /// As JSON, for programs
        #[arg(long)]
        json: bool,
    },
    /// Remove all second factors of a user who lost them
    #[command(
        after_help = "Removed are factors, set-ups under way, backup codes, locks, trusted browsers and sessions of the settings \
        page; sign-ins that wait for an answer fail. Profile and history stay. The user is told by mail, and the reason \
        stands in mfad audit. From then on the password alone is enough to sign in, until the user sets up a factor, \
        unless the policy asks for one:\n  \
        mfad user reset alice --reason \"lost phone and codes, INC-4711\""
    )]
    Reset {
        /// Which user
        #[command(flatten)]
        user: UserSelector,
        /// Why, in 1 to 200 characters: it is kept in mfad audit
        #[arg(
            long,
            value_name = "TEXT",
            required_unless_present = "dry_run",
            value_parser = reason
        )]
        reason: Option<String>,
        /// Do not ask for the user name first: for scripts
        #[arg(long)]
        yes: bool,
        /// Only show what would be removed
        #[arg(long)]
        dry_run: bool,
    },
    /// End what reserves a name that a user gave up: it means its next user from now on
    #[command(
        after_help = "A name is reserved for 400 days after a user with a second factor is called otherwise at the issuer, and \
        lets nobody in meanwhile. Make sure first that the next user has it rightly:\n  \
        mfad user release-name alice"
    )]
    ReleaseName {
        /// The user name or email address; spelling makes no difference
        #[arg(value_name = "NAME")]
        name: String,
        /// The issuer where it was given up; all issuers if not set
        #[arg(long, value_name = "URL")]
        issuer: Option<String>,
    },
}

/// Which user is meant.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct UserSelector {
    /// The user's subject, user name, verified email address, or id as mfad user show tells it
    #[arg(value_name = "WHO")]
    pub who: String,
    /// The issuer that the user belongs to, if it is not the one of the settings, or if several users fit
    #[arg(long, value_name = "URL")]
    pub issuer: Option<String>,
}

fn reason(text: &str) -> Result<String, String> {
    audit::reason(text).ok_or_else(|| {
        let most = audit::LONGEST_REASON;
        format!("write 1 to {most} characters that can be seen")
    })
}
