//! The settings. Each is said here once: its flag, its variable,
//! its default and what it means. Help, the settings table and the keys of the
//! file are read off these definitions.
//!
//! Values stay text here, so that all that is wrong with them can be told at once.

use clap::Args;

use super::brand::BrandArgs;
use super::duration::ResendArgs;
use super::limits::LimitArgs;
use super::network::NetworkArgs;

#[derive(Args)]
pub(super) struct SettingsArgs {
    #[command(flatten)]
    pub(super) file: FileArgs,

    #[command(flatten)]
    pub(super) network: NetworkArgs,

    /// The address that browsers see: https, or http for localhost. A host name and no IP address, because security keys are bound to names
    #[arg(
        long,
        value_name = "URL",
        env = "MFAD_PUBLIC_URL",
        hide_env_values = true,
        default_value = "http://localhost:8080"
    )]
    pub(super) public_url: String,

    /// The domain that security keys are bound to: the host of the public URL, unless a parent domain lets login pages beside it use the same keys. Changing it later makes all enrolled keys useless
    #[arg(long, value_name = "HOST", env = "MFAD_RP_ID", hide_env_values = true)]
    pub(super) rp_id: Option<String>,

    /// A further web origin whose pages may use security keys, beside the public URL's. Repeatable
    #[arg(long, value_name = "URL", env = "MFAD_ORIGIN", hide_env_values = true)]
    pub(super) origin: Vec<String>,

    #[command(flatten)]
    pub(super) store: StoreArgs,

    /// Required: whose access tokens are believed, exactly as in their iss. Its public keys are found through its discovery document, unless a setting below says otherwise
    #[arg(long, value_name = "URL", env = "MFAD_ISSUER", hide_env_values = true)]
    pub(super) issuer: Option<String>,

    /// The issuer's public keys as a JWKS file, instead of discovery. Read again when it changes
    #[arg(
        long,
        value_name = "FILE",
        env = "MFAD_JWKS_FILE",
        hide_env_values = true
    )]
    pub(super) jwks_file: Option<String>,

    /// Where the issuer's public keys are, instead of discovery
    #[arg(
        long,
        value_name = "URL",
        env = "MFAD_JWKS_URL",
        hide_env_values = true
    )]
    pub(super) jwks_url: Option<String>,

    /// A secret shared with the issuer, at least 32 bytes, for HS256 tokens instead of public keys
    #[arg(
        long,
        value_name = "FILE",
        env = "MFAD_HS256_SECRET_FILE",
        hide_env_values = true
    )]
    pub(super) hs256_secret_file: Option<String>,

    /// The aud that access tokens must name; the public URL where none is set. Repeatable: any of them will do
    #[arg(
        long,
        value_name = "AUD",
        env = "MFAD_AUDIENCE",
        hide_env_values = true
    )]
    pub(super) audience: Vec<String>,

    /// The OpenID Connect client of the settings page at the issuer, which sends people back to /auth/callback at the public URL. Where none is set, an access token is pasted into the page
    #[arg(
        long,
        value_name = "ID",
        env = "MFAD_CLIENT_ID",
        hide_env_values = true
    )]
    pub(super) client_id: Option<String>,

    /// The secret of that client, where it is no public one
    #[arg(
        long,
        value_name = "FILE",
        env = "MFAD_CLIENT_SECRET_FILE",
        hide_env_values = true
    )]
    pub(super) client_secret_file: Option<String>,

    /// How people come to the settings page: oidc (they sign in at the issuer; so where a client-id is set) or proxy (a proxy in front adds an access token to each request)
    #[arg(
        long,
        value_name = "oidc|proxy",
        env = "MFAD_UI_AUTH",
        hide_env_values = true
    )]
    pub(super) ui_auth: Option<String>,

    /// The scope that lets a login service ask for verification
    #[arg(
        long,
        value_name = "SCOPE",
        env = "MFAD_VERIFY_SCOPE",
        hide_env_values = true,
        default_value = "mfa:verify"
    )]
    pub(super) verify_scope: String,

    /// An OAuth client that may be a login service by its own tokens. Repeatable; where none is set, any client with the scope may
    #[arg(
        long,
        value_name = "ID",
        env = "MFAD_VERIFY_CLIENT",
        hide_env_values = true
    )]
    pub(super) verify_client: Vec<String>,

    /// The scope that makes a person an operator
    #[arg(
        long,
        value_name = "SCOPE",
        env = "MFAD_ADMIN_SCOPE",
        hide_env_values = true,
        default_value = "mfa:admin"
    )]
    pub(super) admin_scope: String,

    /// Whether the admin scope in the issuer's tokens makes operators; with false, there are none
    #[arg(
        long,
        value_name = BOOLEAN,
        env = "MFAD_ISSUER_MAY_GRANT_ADMIN",
        hide_env_values = true,
        default_value = "true"
    )]
    pub(super) issuer_may_grant_admin: String,

    /// The mail server: smtps://user@host:465, or smtp://host:587?tls=required (also tls=opportunistic; tls=none for this machine only). Without it no codes are mailed
    #[arg(
        long,
        value_name = "URL",
        env = "MFAD_SMTP_URL",
        hide_env_values = true
    )]
    pub(super) smtp_url: Option<String>,

    /// The password for the mail server. Where it is not set: the systemd credential smtp-password
    #[arg(
        long,
        value_name = "FILE",
        env = "MFAD_SMTP_PASSWORD_FILE",
        hide_env_values = true
    )]
    pub(super) smtp_password_file: Option<String>,

    /// The sender of mails: mfa@example.org, or "Example <mfa@example.org>"
    #[arg(
        long,
        value_name = "ADDR",
        env = "MFAD_MAIL_FROM",
        hide_env_values = true
    )]
    pub(super) mail_from: Option<String>,

    /// Further certificate authorities (PEM) to trust at the issuer and the mail server
    #[arg(
        long,
        value_name = "FILE",
        env = "MFAD_CA_FILE",
        hide_env_values = true
    )]
    pub(super) ca_file: Option<String>,

    /// A kind of second factor that people may set up: totp, email or webauthn; all where none is named. Repeatable
    #[arg(
        long,
        value_name = "KIND",
        env = "MFAD_ALLOW_FACTOR",
        hide_env_values = true
    )]
    pub(super) allow_factor: Vec<String>,

    /// Of whom a second factor is required: all, tenant:ID, scope:NAME (of a person's token) or service:ID (whoever signs in there); of nobody where none is named, or the word none alone. Repeatable: of whoever any of them fits
    #[arg(
        long,
        value_name = "RULE",
        env = "MFAD_REQUIRE_MFA",
        hide_env_values = true
    )]
    pub(super) require_mfa: Vec<String>,

    /// What codes by mail are good for: on (a second factor like any other), recovery (they prove their owner on the settings page alone, and are not the factor that is required) or off (they cannot be set up)
    #[arg(
        long,
        value_name = "on|recovery|off",
        env = "MFAD_EMAIL_FACTOR",
        hide_env_values = true,
        default_value = "on"
    )]
    pub(super) email_factor: String,

    /// Days, 0 to 365, for which somebody without the factor that is required of them may go on, from when they were first asked
    #[arg(
        long,
        value_name = NUMBER,
        env = "MFAD_GRACE_DAYS",
        hide_env_values = true,
        default_value = "0"
    )]
    pub(super) grace_days: String,

    /// Days, 0 to 365, for which a browser can be trusted to need no second factor; 0 forbids it
    #[arg(
        long,
        value_name = NUMBER,
        env = "MFAD_TRUSTED_DEVICE_DAYS",
        hide_env_values = true,
        default_value = "30"
    )]
    pub(super) trusted_device_days: String,

    #[command(flatten)]
    pub(super) resend: ResendArgs,

    /// Whether users who have a second factor prove one before a factor is set up, replaced, renamed or removed: when-enrolled, or off. The proof is a code in the request; a token of a sign-in with a second factor (amr) of the last 12 hours (auth_time); or, on the settings page, a proof of the last 10 minutes in the same session. With off, anyone who knows a user's password can add a factor of their own and sign in with it
    #[arg(
        long,
        value_name = "WHEN",
        env = "MFAD_FACTOR_CHANGE_PROOF",
        hide_env_values = true,
        default_value = "when-enrolled"
    )]
    pub(super) factor_change_proof: String,

    /// How long ago, at the most, somebody may have signed in (as the token's auth_time says) who sets up a factor or changes their security keys: 1m to 24h, as in 600s, 10m or 1h. Whoever has a second factor must have signed in with one (amr), and a code in the request will do instead. Needs an issuer that says auth_time. It comes on top of --factor-change-proof, and also holds for a first factor
    #[arg(
        long,
        value_name = "DURATION",
        env = "MFAD_REQUIRE_RECENT_AUTH",
        hide_env_values = true
    )]
    pub(super) require_recent_auth: Option<String>,

    /// What people see in authenticator apps, mails and on pages
    #[arg(
        long,
        value_name = "NAME",
        env = "MFAD_SERVICE_NAME",
        hide_env_values = true,
        default_value = "mfad"
    )]
    pub(super) service_name: String,

    /// The language of pages and mails for whoever asks for none that there is: en, nl, de, fr or es
    #[arg(
        long,
        value_name = "LANGUAGE",
        env = "MFAD_LANGUAGE",
        hide_env_values = true,
        default_value = "en"
    )]
    pub(super) language: String,

    /// A folder that exists, into which the server writes a copy of the store by itself, sealed like those of mfad backup; none where it is not set. The master key is not in it
    #[arg(
        long,
        value_name = "DIR",
        env = "MFAD_BACKUP_DIR",
        hide_env_values = true
    )]
    pub(super) backup_dir: Option<String>,

    /// How often it writes one: 1h to 720h
    #[arg(
        long,
        value_name = "DURATION",
        env = "MFAD_BACKUP_EVERY",
        hide_env_values = true,
        default_value = "24h"
    )]
    pub(super) backup_every: String,

    /// How many of these copies stay, 1 to 1000; older ones are removed
    #[arg(
        long,
        value_name = NUMBER,
        env = "MFAD_BACKUP_KEEP",
        hide_env_values = true,
        default_value = "7"
    )]
    pub(super) backup_keep: String,

    #[command(flatten)]
    pub(super) limits: LimitArgs,

    #[command(flatten)]
    pub(super) brand: BrandArgs,

    /// How many connections are served at once; others wait
    #[arg(
        long,
        value_name = NUMBER,
        env = "MFAD_MAX_CONNECTIONS",
        hide_env_values = true,
        default_value = "512"
    )]
    pub(super) max_connections: String,

    #[command(flatten)]
    pub(super) log: LogArgs,
}

/// Where settings stand; like all arguments of [`PlaceArgs`] it is taken on either side of a subcommand's name.
#[derive(Args)]
pub(super) struct FileArgs {
    /// A TOML file with settings
    #[arg(
        long,
        value_name = "FILE",
        env = "MFAD_CONFIG",
        hide_env_values = true,
        global = true
    )]
    pub(super) config: Option<String>,
}

/// Where everything is kept.
#[derive(Args)]
pub(super) struct StoreArgs {
    /// The folder of the store and the key. Under systemd, STATE_DIRECTORY takes the place of the default
    #[arg(
        long,
        value_name = "DIR",
        env = "MFAD_DATA_DIR",
        hide_env_values = true,
        global = true,
        default_value = "./mfad-data"
    )]
    pub(super) data_dir: String,

    /// The file of the master key, which seals what the store holds; made at the first start. Where it is not set: the systemd credential master-key, else master.key in the data folder
    #[arg(
        long,
        value_name = "FILE",
        env = "MFAD_MASTER_KEY_FILE",
        hide_env_values = true,
        global = true
    )]
    pub(super) master_key_file: Option<String>,

    /// The file that holds the passphrase, where the master key is sealed with one (mfad master-key protect), or shall be when it is made. Where it is not set: the systemd credential master-key-passphrase, else it is asked for on the terminal
    #[arg(
        long,
        value_name = "FILE",
        env = "MFAD_MASTER_KEY_PASSPHRASE_FILE",
        hide_env_values = true,
        global = true
    )]
    pub(super) master_key_passphrase_file: Option<String>,
}

/// What a command needs that gives an order to a server, or works on its store where none runs.
#[derive(Args)]
pub(super) struct PlaceArgs {
    #[command(flatten)]
    pub(super) file: FileArgs,
    #[command(flatten)]
    pub(super) store: StoreArgs,
}

/// The value names that tell the file's reader to expect something other than text.
pub(super) const BOOLEAN: &str = "true|false";
pub(super) const NUMBER: &str = "N";

#[derive(Args)]
pub(super) struct LogArgs {
    /// How the log on standard error is written; text on a terminal, else json
    #[arg(
        long,
        value_name = "text|json",
        env = "MFAD_LOG_FORMAT",
        hide_env_values = true
    )]
    pub(super) log_format: Option<String>,

    /// How much is logged: error, warn, info, debug or trace
    #[arg(
        long = "log",
        id = "log",
        value_name = "LEVEL",
        env = "MFAD_LOG",
        hide_env_values = true,
        default_value = "info"
    )]
    pub(super) level: String,
}
