//! The commands, and what each is told on the command line beside its settings, which [`super::args`] says.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::args::{LogArgs, PlaceArgs, SettingsArgs};
use super::brand::BrandArgs;
use super::duration::ResendArgs;
use super::limits::LimitArgs;
use super::manual::Shell;
use super::orders::{
    AuditCommand, BackupCommand, ClockCommand, DataKeyCommand, MasterKeyCommand, PolicyCommand,
    RestoreCommand, ServiceCommand, SigningKeyCommand,
};
use super::users::UserCommand;

/// A multi-factor authentication server: one binary, one file.
#[derive(Parser)]
#[command(
    name = "mfad",
    version,
    propagate_version = true,
    disable_help_subcommand = true,
    arg_required_else_help = true,
    after_help = "Examples:\n  \
        mfad demo\n      Try the whole product in a browser, with nothing to set up.\n  \
        mfad serve --public-url https://mfa.example.org --issuer https://login.example.org\n      \
        Serve people and login services, behind a proxy that speaks TLS.\n  \
        mfad check --config /etc/mfad/mfad.toml\n      Say what is wrong with a set-up, and what to do.\n  \
        mfad service add portal --config /etc/mfad/mfad.toml > portal.key\n      Register a login service, and keep its key.\n\n\
        A setting is given as a flag, as an MFAD_... variable or in the --config file; the first of these wins.\n\
        Exit codes: 0 done, 64 wrong usage, 74 input or output failed, 75 temporary trouble, 78 wrong settings."
)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: CliCommand,
}

#[derive(Subcommand)]
pub(super) enum CliCommand {
    /// Run the server
    #[command(after_help = SETTINGS_HELP)]
    Serve(Box<SettingsArgs>),
    /// Try the whole product: own store, own sign-in, own mailbox; this machine only, not for production
    Demo(DemoArgs),
    /// Check the settings, the store, the issuer and the mail server, and say what is wrong, what to do, and
    /// what the next start would change in the store; changes nothing itself
    #[command(after_help = SETTINGS_HELP)]
    Check(Box<SettingsArgs>),
    /// Print the settings in effect and where each comes from, as a file for --config
    #[command(after_help = SETTINGS_HELP)]
    Config(Box<SettingsArgs>),
    /// Register login services, and give them keys; through the running server, or on its store where none runs
    Service(ServiceArgs),
    /// Tell who must have which factor, and change it; through the running server, or on its store where none runs
    Policy(PolicyArgs),
    /// Show users and help those who lost their second factors; through the running server, or on its store where none runs
    User(UserArgs),
    /// Tell and rotate the keys that sign results; through the running server, or on its store where none runs
    SigningKey(SigningKeyArgs),
    /// Tell of the master key, seal it with a passphrase, and replace it
    MasterKey(MasterKeyArgs),
    /// Tell and rotate the key that seals the store; through the running server, or on its store where none runs
    DataKey(DataKeyArgs),
    /// Write a sealed copy of the store to a file, from the running server, or from its store where none runs
    #[command(after_help = BACKUP_HELP)]
    Backup(BackupArgs),
    /// Bring a backup back, while no server runs; what may have been used since becomes void
    #[command(after_help = RESTORE_HELP)]
    Restore(RestoreArgs),
    /// Say that the clock of this machine is right; through the running server, or on its store where none runs
    Clock(ClockArgs),
    /// Tell what was done to the server, the newest first: services, policy, keys, clock, settings, restores; through the running server, or from its store where none runs
    Audit(AuditArgs),
    /// Print the OpenAPI document of the HTTP interface
    Openapi,
    /// Print the manual page, for man
    Man {
        /// Write it into that folder instead, with a page for each command beside it
        #[arg(long, value_name = "DIR")]
        into: Option<PathBuf>,
    },
    /// Print what a shell needs to complete command lines of mfad
    #[command(after_help = COMPLETIONS_HELP)]
    Completions {
        /// The shell
        #[arg(value_name = "SHELL")]
        shell: Shell,
    },
    /// Ask a running server about the code that somebody typed: for pam_exec.so with expose_authtok
    #[command(after_help = PAM_HELP)]
    Pam(PamArgs),
}

const SETTINGS_HELP: &str = "The file is TOML, its keys are the flags without their dashes:\n  \
    public-url = \"https://mfa.example.org\"\n  \
    issuer = \"https://login.example.org\"\n  \
    audience = [\"https://mfa.example.org\", \"mfa\"]\n\n\
    In a variable, several values are separated by commas. An empty variable counts as absent.\n\
    Secrets are read from files only, and these must be readable by nobody but their owner.";

const BACKUP_HELP: &str = "The master key is not in the backup, and without it the backup restores nothing: keep a copy of the key, \
    elsewhere.\nThe file appears under its name when all of it is on disk, and only its owner can read it:\n  \
    mfad backup /var/backups/mfad-$(date +%F).backup --config /etc/mfad/mfad.toml";

const RESTORE_HELP: &str = "The whole backup is checked before anything is changed, and the master key that it was made under must be in \
    its place.\nThe store that was there stays beside the new one, as mfad.redb.before-restore-TIME.\n\n\
    Used codes do not become good again. Void from then on: codes of apps up to the present moment, mailed codes, sign-ins \
    under way, sessions of the settings page, trusted browsers; and unused backup codes, unless the store that was there \
    can still be read and says which were used. Whose backup codes became void is told.";
const COMPLETIONS_HELP: &str = "Where they belong, unless the package has put them there:\n  \
    mfad completions bash > /usr/share/bash-completion/completions/mfad\n  \
    mfad completions zsh > /usr/share/zsh/vendor-completions/_mfad\n  \
    mfad completions fish > /usr/share/fish/vendor_completions.d/mfad.fish";

const PAM_HELP: &str = "In /etc/pam.d:\n  \
    auth required pam_exec.so expose_authtok /usr/bin/mfad pam \\\n      \
    --url https://mfa.example.org --key-file /etc/mfad/pam.key\n\n\
    The code comes on standard input, the name in PAM_USER.\n\
    Exit codes: 0 the code is right, 1 it is not, 75 the server cannot be asked, 64 and 78 this line or the key is wrong. \
    All but 0 let nobody in.";

/// Above what says where to give an order, apart from the order's own arguments.
const STORE_HEADING: &str = "Which server";

#[derive(Args)]
pub(super) struct PolicyArgs {
    #[command(flatten)]
    pub(super) place: PlaceArgs,

    /// Tells it where nothing else is asked
    #[command(subcommand)]
    pub(super) command: Option<PolicyCommand>,
}

#[derive(Args)]
pub(super) struct ServiceArgs {
    #[command(flatten, next_help_heading = STORE_HEADING)]
    pub(super) place: PlaceArgs,

    #[command(subcommand)]
    pub(super) command: ServiceCommand,
}

#[derive(Args)]
pub(super) struct UserArgs {
    #[command(flatten, next_help_heading = STORE_HEADING)]
    pub(super) place: PlaceArgs,

    #[command(subcommand)]
    pub(super) command: UserCommand,
}

#[derive(Args)]
pub(super) struct SigningKeyArgs {
    #[command(flatten, next_help_heading = STORE_HEADING)]
    pub(super) place: PlaceArgs,

    #[command(subcommand)]
    pub(super) command: SigningKeyCommand,
}

#[derive(Args)]
pub(super) struct DataKeyArgs {
    #[command(flatten, next_help_heading = STORE_HEADING)]
    pub(super) place: PlaceArgs,

    #[command(subcommand)]
    pub(super) command: DataKeyCommand,
}

#[derive(Args)]
pub(super) struct AuditArgs {
    #[command(flatten, next_help_heading = STORE_HEADING)]
    pub(super) place: PlaceArgs,

    #[command(flatten)]
    pub(super) command: AuditCommand,
}

#[derive(Args)]
pub(super) struct MasterKeyArgs {
    #[command(flatten, next_help_heading = STORE_HEADING)]
    pub(super) place: PlaceArgs,

    #[command(subcommand)]
    pub(super) command: MasterKeyCommand,
}

#[derive(Args)]
pub(super) struct ClockArgs {
    #[command(flatten, next_help_heading = STORE_HEADING)]
    pub(super) place: PlaceArgs,

    #[command(subcommand)]
    pub(super) command: ClockCommand,
}

#[derive(Args)]
pub(super) struct BackupArgs {
    #[command(flatten)]
    pub(super) command: BackupCommand,

    #[command(flatten, next_help_heading = STORE_HEADING)]
    pub(super) place: PlaceArgs,
}

#[derive(Args)]
pub(super) struct RestoreArgs {
    #[command(flatten)]
    pub(super) command: RestoreCommand,

    #[command(flatten, next_help_heading = STORE_HEADING)]
    pub(super) place: PlaceArgs,
}

#[derive(Args)]
pub(super) struct DemoArgs {
    /// Where to listen, on this machine only. Port 0 takes any free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub(super) listen: String,

    /// A folder that keeps what you do; without it a temporary one that goes at the end
    #[arg(long, value_name = "DIR")]
    pub(super) data_dir: Option<String>,

    #[command(flatten)]
    pub(super) resend: ResendArgs,

    #[command(flatten)]
    pub(super) limits: LimitArgs,

    #[command(flatten)]
    pub(super) brand: BrandArgs,

    #[command(flatten)]
    pub(super) log: LogArgs,
}

// No variables: those that PAM hands over may be the user's own.
#[derive(Args)]
pub(super) struct PamArgs {
    /// Where the server is: https, or http for this machine
    #[arg(long, value_name = "URL")]
    pub(super) url: String,

    /// The file of the service key that `mfad service add` printed, readable by its owner alone
    #[arg(long, value_name = "FILE")]
    pub(super) key_file: String,

    /// Further certificate authorities (PEM) to trust at the server
    #[arg(long, value_name = "FILE")]
    pub(super) ca_file: Option<String>,
}
