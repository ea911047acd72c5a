//! The parts of a server, as the settings say.

use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::StartError;
use super::terminal::{PASSPHRASE_HINT, ask};
use crate::auth::{self, IssuerSettings, Outbound, Verifier};
use crate::base::{Clock, Entropy, Failure, Timestamp};
use crate::clients;
use crate::config::{
    Exit, IssuerConfig, KeySource, MasterKeyFile, MasterKeySettings, Settings, SmtpConfig,
    SmtpSecurity, UiAuth,
};
use crate::crypto::{MasterKey, MasterKeyError};
use crate::factor::let_hold;
use crate::mail::{Mailer, Security, SmtpSettings};
use crate::policy::{self, OPERATORS_SHUT_OUT};
use crate::server::TlsError;
use crate::services::Services;
use crate::session::{Client, Way};
use crate::signing::Signer;
use crate::store::{self, MasterKeyPlace, OpenError, Rehearsal, Store};

/// Services that are read at once.
const SERVICES: usize = 100;
/// The name of the master key in the data folder.
const MASTER_KEY: &str = "master.key";

/// Where everything is kept, as the settings say.
///
/// # Errors
/// [`StartError`].
pub fn open_store(
    data_dir: &Path,
    key: &MasterKeyPlace,
    entropy: Arc<dyn Entropy>,
) -> Result<Store, StartError> {
    store::open(data_dir, key, entropy).map_err(store_problem)
}

/// How a start would go on what is kept there, which is left as it is.
///
/// # Errors
/// [`StartError`].
pub fn rehearse(
    data_dir: &Path,
    key: &MasterKeyPlace,
    entropy: Arc<dyn Entropy>,
) -> Result<Rehearsal, StartError> {
    store::rehearse(data_dir, key, entropy).map_err(store_problem)
}

/// Where the master key is, as the settings say, and what opens it: somebody at the terminal is asked for its
/// passphrase, where it has one that the settings do not tell.
///
/// # Errors
/// [`StartError`], where it was asked for, and cannot be read.
pub fn key_place(
    data_dir: &Path,
    settings: &MasterKeySettings,
) -> Result<MasterKeyPlace, StartError> {
    let mut place = key_file(data_dir, settings);
    if place.passphrase.is_none() && io::stdin().is_terminal() {
        // What is wrong with the file, whoever opens it will say.
        if let Ok(Some(key)) = MasterKey::sealed_in(&place.file, place.ours) {
            place.passphrase = Some(ask(&format!("Passphrase of the master key {key}: "))?);
        }
    }
    Ok(place)
}

/// Where the master key is, as the settings say, and the passphrase that they tell.
pub fn key_file(data_dir: &Path, settings: &MasterKeySettings) -> MasterKeyPlace {
    let (file, ours) = match &settings.file {
        Some(MasterKeyFile::Credential(path)) => (path.clone(), false),
        Some(MasterKeyFile::Own(path)) => (path.clone(), true),
        None => (data_dir.join(MASTER_KEY), true),
    };
    MasterKeyPlace {
        file,
        ours,
        passphrase: settings.passphrase.clone(),
    }
}

/// What signs, with a first key where the store is new. Closes the store where there is none to be had.
pub(super) async fn signer(
    store: &Store,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
) -> Result<Signer, StartError> {
    match Signer::open(store.clone(), clock, entropy).await {
        Ok(signer) => Ok(signer),
        Err(failure) => {
            store.close().await;
            Err(StartError::new(
                Exit::Io,
                "signing key",
                format!("{failure:?}"),
                "check that the data folder is writable and has space",
            ))
        }
    }
}

/// Whether the policy in effect can hold: it is sound, and leaves an operator who can sign in.
pub(super) fn check_policy(tools: &Services) -> Result<(), StartError> {
    const BACK: &str = "mfad policy show says where each part of it comes from; \
        change the setting, or take back what was stored with mfad policy unset";
    let checked = tools.store.read(|read| {
        let policy = policy::in_effect(read, &tools.policy)?;
        Ok(match policy.check() {
            Err(misfit) => Err(misfit.cause),
            Ok(()) => match let_hold(read, &policy) {
                Err(failure) if failure.code() == OPERATORS_SHUT_OUT => {
                    Err(failure.detail().trim_end_matches('.').to_owned())
                }
                other => Ok(other?),
            },
        })
    });
    match checked {
        Ok(Ok(())) => Ok(()),
        Ok(Err(cause)) => Err(StartError::new(Exit::Config, "policy", cause, BACK)),
        Err(failure) => Err(unreadable("policy", &failure)),
    }
}

pub(super) fn unreadable(what: &str, failure: &Failure) -> StartError {
    let hint = "restore a backup if the store is damaged";
    StartError::new(Exit::Io, what, format!("{failure:?}"), hint)
}

/// What to do about a master key that cannot be used.
pub fn master_key_hint(error: &MasterKeyError) -> &'static str {
    match error {
        MasterKeyError::Sealed(_) => PASSPHRASE_HINT,
        MasterKeyError::Passphrase(_) => {
            "give the passphrase that it was sealed with; without it nothing in the store can be read"
        }
        MasterKeyError::Unknown(_) => "use the newer mfad that has sealed it",
        MasterKeyError::Open(_) => {
            "seal it with mfad master-key protect, or take the setting or credential of the passphrase away"
        }
        MasterKeyError::PassphraseLength(_) => "take a longer one: six random words, say",
        _ => "check --master-key-file: 32 bytes, mode 0600",
    }
}

/// What to say of a store that cannot be opened.
pub fn store_problem(refused: OpenError) -> StartError {
    let (exit, hint) = match &refused {
        OpenError::InUse(_) => (
            Exit::Temporary,
            "another mfad is running on this store; stop it first, or choose another --data-dir",
        ),
        OpenError::Newer { .. } => (
            Exit::Config,
            "install that mfad again, or a later one; or bring back a backup from before it with mfad restore. \
             Nothing was changed",
        ),
        OpenError::NotUpgraded { .. } => (
            Exit::Io,
            "check that the data folder is writable and has space, and try again; the mfad that wrote it still opens it",
        ),
        OpenError::MasterKeyLost { .. } => (
            Exit::Config,
            "bring the key back from where you keep it; a new one would not open what is there",
        ),
        OpenError::StoreLost { .. } => (
            Exit::Config,
            "bring a copy back with mfad restore: an empty store would leave everybody without a second factor. \
             For a new one on purpose, move master.key and mfad.witness away first",
        ),
        OpenError::Doubted { .. } => (
            Exit::Config,
            "codes that were used since may be good in it. Put the right file back; or, to go on with this one, \
             mfad restore --accept-rollback makes what may have been used void",
        ),
        OpenError::MasterKey(MasterKeyError::Io { source, .. })
            if source.kind() != io::ErrorKind::PermissionDenied =>
        {
            (
                Exit::Io,
                "check that the folder of the key exists, is writable and has space",
            )
        }
        OpenError::MasterKey(error) => (Exit::Config, master_key_hint(error)),
        OpenError::KeyRing(_) => (
            Exit::Config,
            "give the master key that this store was made with",
        ),
        OpenError::Damaged { .. } => (
            Exit::Io,
            "restore a backup; the damaged file was left as it is",
        ),
        OpenError::Foreign { .. } => (
            Exit::Config,
            "run as the owner of the data folder, and let it hold nothing of others",
        ),
        OpenError::Io { .. } => (
            Exit::Io,
            "check that the data folder exists, is writable and has space, and that nothing but a file of the server's \
             stands under that name",
        ),
        OpenError::Start(_) => (Exit::Io, "try again; the system is short of something"),
    };
    StartError::new(exit, "store", refused, hint)
}

pub(super) fn tls_problem(error: TlsError) -> StartError {
    let hint = "give the full chain in PEM, and the key that belongs to its first certificate";
    StartError::new(Exit::Config, "tls-cert-file", error, hint)
}

fn outbound(ca_file: Option<&PathBuf>) -> Result<Outbound, StartError> {
    Outbound::new(ca_file.map(PathBuf::as_path)).map_err(|e| {
        StartError::new(
            Exit::Config,
            "ca-file",
            e,
            "give a PEM file with at least one certificate",
        )
    })
}

/// Who is believed, as the settings say.
///
/// # Errors
/// [`StartError`].
pub fn verifier(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Verifier, StartError> {
    let hint = "see mfad serve --help";
    let issuers = settings.issuer.iter().map(issuer).collect();
    Verifier::new(issuers, outbound(settings.ca_file.as_ref())?, clock)
        .map_err(|e| StartError::new(Exit::Config, "issuer", e, hint))
}

fn issuer(config: &IssuerConfig) -> IssuerSettings {
    let keys = match &config.keys {
        KeySource::Discovery => auth::KeySource::Discovery,
        KeySource::JwksFile(path) => auth::KeySource::File(path.clone()),
        KeySource::JwksUrl(url) => auth::KeySource::Url(url.clone()),
        KeySource::Hs256(secret) => auth::KeySource::Hs256(secret.clone()),
    };
    let mut issuer = IssuerSettings::new(config.issuer.clone(), config.audiences.clone(), keys);
    issuer.verify_scope = config.verify_scope.clone();
    issuer.verify_clients = config.verify_clients.clone();
    issuer.admin_scope = config.admin_scope.clone();
    issuer.may_grant_admin = config.may_grant_admin;
    issuer.algorithms.clone_from(&config.algorithms);
    issuer.rsa_min_bits = config.rsa_min_bits;
    issuer.strict_type = config.require_at_jwt;
    issuer
}

/// How people come to the settings page, as the settings say.
pub(super) fn way(settings: &Settings) -> Way {
    match (&settings.ui_auth, &settings.issuer) {
        (UiAuth::Pasted, _) | (UiAuth::Oidc { .. }, None) => Way::Pasted,
        (UiAuth::Proxy, _) => Way::Proxied,
        (
            UiAuth::Oidc {
                client_id,
                client_secret,
            },
            Some(issuer),
        ) => {
            // Tokens are for the client that asks for them, where nothing else is said.
            let own = issuer.audiences.contains(client_id);
            Way::Client(Client {
                issuer: issuer.issuer.clone(),
                id: client_id.clone(),
                secret: client_secret.clone(),
                audience: issuer.audiences.first().filter(|_| !own).cloned(),
                origin: settings.public_url.origin().ascii_serialization().into(),
            })
        }
    }
}

/// How mail leaves, as the settings say.
///
/// # Errors
/// [`StartError`].
pub fn mailer(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Option<Mailer>, StartError> {
    let Some(config) = &settings.smtp else {
        return Ok(None);
    };
    let mut smtp = smtp(config);
    if let Some(path) = &settings.ca_file {
        let pem = fs::read(path)
            .map_err(|e| StartError::new(Exit::Config, "ca-file", e, "make the file readable"))?;
        smtp.extra_ca_pem = Some(pem);
    }
    let mailer = Mailer::new(&smtp, clock).map_err(|e| {
        StartError::new(
            Exit::Config,
            "smtp-url",
            e,
            "see --smtp-url and --mail-from in mfad serve --help",
        )
    })?;
    Ok(Some(mailer))
}

fn smtp(config: &SmtpConfig) -> SmtpSettings {
    let mut smtp = SmtpSettings::new(config.host.clone(), config.port, config.from.clone());
    smtp.security = match config.security {
        SmtpSecurity::Tls => Security::Implicit,
        SmtpSecurity::StartTls => Security::StartTls,
        SmtpSecurity::Opportunistic => Security::Opportunistic,
        SmtpSecurity::Plain => Security::None,
    };
    smtp.username = config.username.clone();
    smtp.password = config.password.clone();
    smtp
}

/// Names the services in the log that were registered before it could be said what an unknown user means to them.
pub(super) fn warn_of_unset_services(store: &Store, now: Timestamp) -> Result<(), Failure> {
    let mut past: Option<String> = None;
    loop {
        let services = store.read(|read| clients::list(read, past.as_deref(), SERVICES, now))?;
        let Some(last) = services.last() else {
            return Ok(());
        };
        past = Some(last.service.id.clone());
        for registered in services.iter().filter(|it| it.service.unknown.is_none()) {
            tracing::warn!(
                service = registered.service.id,
                "login service lets unknown users in until mfad service set --unknown says otherwise"
            );
        }
    }
}
