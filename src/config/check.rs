//! From text to settings, with all that is wrong told at once.

use std::path::{Path, PathBuf};

use super::args::LogArgs;
use super::brand;
use super::cli::DemoArgs;
use super::duration::email_resend_after;
use super::files;
use super::layers::{Layers, Source};
use super::limits::usage_limits;
use super::problem::Problems;
use super::settings::{
    DemoSettings, LogConfig, LogFormat, LogLevel, MasterKeyFile, MasterKeySettings, Settings,
    StoreSettings,
};
use crate::base::{ListenAddress, Secret, display_text};
use crate::words::Language;

/// The most connections that can be asked for: a descriptor each.
const MOST_CONNECTIONS: usize = 65_536;
/// The longest service name, in characters.
const LONGEST_NAME: usize = 64;

/// Collects what is wrong with the settings of some layers.
pub(super) struct Check<'a> {
    pub(super) layers: &'a Layers,
    pub(super) problems: Problems,
}

impl Layers {
    /// The settings, checked. Reads the secret files that they name.
    ///
    /// # Errors
    /// All that is wrong. A missing issuer is wrong: nobody could sign in.
    pub fn settings(&self) -> Result<Settings, Problems> {
        let mut check = Check {
            layers: self,
            problems: Problems::default(),
        };
        match check.settings() {
            Some(settings) if check.problems.0.is_empty() => Ok(settings),
            _ => Err(check.problems),
        }
    }

    /// Where the store is and the policy that belongs to it, checked.
    ///
    /// # Errors
    /// All that is wrong with these; other settings are not looked at.
    pub fn store(&self) -> Result<StoreSettings, Problems> {
        let mut check = Check {
            layers: self,
            problems: Problems::default(),
        };
        match check.store() {
            Some(store) if check.problems.0.is_empty() => Ok(store),
            _ => Err(check.problems),
        }
    }
}

impl Check<'_> {
    /// Says what is wrong with the setting of that id, and gives nothing for it.
    pub(super) fn wrong<T>(
        &mut self,
        id: &str,
        cause: impl Into<String>,
        hint: impl Into<String>,
    ) -> Option<T> {
        self.problems.add(subject(self.layers, id), cause, hint);
        None
    }

    /// Each part is looked at before the first `?`, so that none hides another's problem.
    fn settings(&mut self) -> Option<Settings> {
        let layers = self.layers;
        let args = &layers.args;
        let listen = self.listen();
        let public_url = self.public_url(&args.public_url);
        let metrics_listen = self.metrics_listen();
        let tls = self.tls(listen.as_ref(), public_url.as_ref());
        let trusted_proxies = self.trusted_proxies();
        let origins = self.origins(public_url.as_ref(), &args.origin);
        let rp_id = self.rp_id(public_url.as_ref(), &origins, args.rp_id.as_deref());
        let store = self.store();
        let issuer = self.issuer(public_url.as_ref());
        let ui_auth = self.ui_auth();
        let smtp = self.smtp();
        let ca_file = self.ca_file();
        self.can_mail_codes(store.as_ref().map(|store| &store.policy));
        let factor_change_proof = self.factor_change_proof();
        let recent_auth = self.recent_auth();
        let email_resend_after =
            email_resend_after(&args.resend, |id| subject(layers, id), &mut self.problems);
        let limits = usage_limits(&args.limits, |id| subject(layers, id), &mut self.problems);
        let copies = self.copies();
        let service_name = self.service_name(&args.service_name);
        let language = self.language(&args.language);
        let brand = brand::brand(&args.brand, |id| subject(layers, id), &mut self.problems);
        let max_connections = self.max_connections(&args.max_connections);
        let log = log(
            &args.log,
            layers.terminal,
            |id| subject(layers, id),
            &mut self.problems,
        );
        let store = store?;
        Some(Settings {
            listen: listen?,
            metrics_listen,
            tls,
            trusted_proxies,
            public_url: public_url?,
            rp_id: rp_id?,
            origins,
            data_dir: store.data_dir,
            master_key: store.master_key,
            issuer,
            ui_auth: ui_auth?,
            smtp,
            ca_file,
            policy: store.policy,
            factor_change_proof: factor_change_proof?,
            recent_auth,
            email_resend_after: email_resend_after?,
            limits: limits?,
            copies,
            service_name: service_name?,
            language: language?,
            brand: brand?,
            max_connections: max_connections?,
            log: log?,
            supervision: layers.supervision.clone(),
        })
    }

    fn store(&mut self) -> Option<StoreSettings> {
        let data_dir = self.path("data_dir", &self.layers.args.store.data_dir);
        let master_key = self.master_key();
        let policy = self.policy();
        Some(StoreSettings {
            data_dir: data_dir?,
            master_key: master_key?,
            policy: policy?,
            issuer: self.layers.args.issuer.clone(),
        })
    }

    pub(super) fn path(&mut self, id: &str, text: &str) -> Option<PathBuf> {
        if text.is_empty() {
            return self.wrong(
                id,
                "the path is empty",
                "name a path, or leave the setting out",
            );
        }
        Some(PathBuf::from(text))
    }

    fn master_key(&mut self) -> Option<MasterKeySettings> {
        let named = self.layers.args.store.master_key_file.is_some();
        let file = self.master_key_file();
        let passphrase = self.passphrase()?;
        // What was named and is wrong has been told.
        (file.is_some() || !named).then_some(MasterKeySettings { file, passphrase })
    }

    /// What the master key is sealed with; `Some(None)` where nobody says.
    fn passphrase(&mut self) -> Option<Option<Secret<Vec<u8>>>> {
        let layers = self.layers;
        let (id, path) = match &layers.args.store.master_key_passphrase_file {
            Some(path) => {
                let id = "master_key_passphrase_file";
                (id, self.path(id, path)?)
            }
            None => match layers.credential("master-key-passphrase") {
                Some(path) => ("credential master-key-passphrase", path),
                None => return Some(None),
            },
        };
        self.secret(id, &path).map(Some)
    }

    fn master_key_file(&mut self) -> Option<MasterKeyFile> {
        let layers = self.layers;
        let path = match &layers.args.store.master_key_file {
            Some(path) => self.path("master_key_file", path)?,
            None => {
                return layers
                    .credential("master-key")
                    .map(MasterKeyFile::Credential);
            }
        };
        if path.exists() {
            self.closed_to_others("master_key_file", &path)?;
        }
        Some(if layers.is_credential(&path) {
            MasterKeyFile::Credential(path)
        } else {
            MasterKeyFile::Own(path)
        })
    }

    fn ca_file(&mut self) -> Option<PathBuf> {
        let path = self.path("ca_file", self.layers.args.ca_file.as_deref()?)?;
        match files::certificates(&path) {
            Ok(()) => Some(path),
            Err(cause) => self.wrong(
                "ca_file",
                cause,
                "name a PEM file with certificates of authorities",
            ),
        }
    }

    fn service_name(&mut self, name: &str) -> Option<String> {
        if display_text(name, LONGEST_NAME).as_deref() != Some(name) || name.contains(':') {
            return self.wrong(
                "service_name",
                format!(
                    "{name:?} is no name of 1 to {LONGEST_NAME} visible characters without a colon"
                ),
                "choose one that people recognise in their authenticator app, such as Example Ltd",
            );
        }
        Some(name.to_owned())
    }

    fn language(&mut self, tag: &str) -> Option<Language> {
        match tag.parse() {
            Ok(language) => Some(language),
            Err(unknown) => self.wrong("language", unknown.to_string(), "use one of these"),
        }
    }

    fn max_connections(&mut self, text: &str) -> Option<usize> {
        match text.parse() {
            Ok(number @ 1..=MOST_CONNECTIONS) => Some(number),
            _ => self.wrong(
                "max_connections",
                format!("{text:?} is no number from 1 to {MOST_CONNECTIONS}"),
                "512 is enough for most",
            ),
        }
    }

    fn closed_to_others(&mut self, id: &str, path: &Path) -> Option<()> {
        match files::closed_to_others(path, self.layers.credentials.as_deref()) {
            Ok(()) => Some(()),
            Err(refused) => self.wrong(id, refused.cause, refused.hint),
        }
    }

    pub(super) fn secret(&mut self, id: &str, path: &Path) -> Option<Secret<Vec<u8>>> {
        match files::secret(path, self.layers.credentials.as_deref()) {
            Ok(secret) => Some(secret),
            Err(refused) => self.wrong(id, refused.cause, refused.hint),
        }
    }
}

/// The setting of that id, and where it comes from.
fn subject(layers: &Layers, id: &str) -> String {
    let key = id.replace('_', "-");
    match layers.source(id) {
        Source::Default => key,
        source => format!("{key} (from {source})"),
    }
}

/// How to log, from its two arguments; `subject` names a setting by its id.
fn log(
    args: &LogArgs,
    terminal: bool,
    subject: impl Fn(&str) -> String,
    problems: &mut Problems,
) -> Option<LogConfig> {
    let format = match args.log_format.as_deref() {
        Some("text") => Some(LogFormat::Text),
        Some("json") => Some(LogFormat::Json),
        None if terminal => Some(LogFormat::Text),
        None => Some(LogFormat::Json),
        Some(other) => {
            problems.add(
                subject("log_format"),
                format!("{other:?} is no format of the log"),
                "use text or json",
            );
            None
        }
    };
    let level = match args.level.as_str() {
        "error" => Some(LogLevel::Error),
        "warn" => Some(LogLevel::Warn),
        "info" => Some(LogLevel::Info),
        "debug" => Some(LogLevel::Debug),
        "trace" => Some(LogLevel::Trace),
        other => {
            problems.add(
                subject("log"),
                format!("{other:?} is no level of the log"),
                "use error, warn, info, debug or trace",
            );
            None
        }
    };
    Some(LogConfig {
        format: format?,
        level: level?,
    })
}

/// What `mfad demo` is told, checked.
pub(super) fn demo(args: &DemoArgs, terminal: bool) -> Result<DemoSettings, Problems> {
    let mut problems = Problems::default();
    let flag = |id: &str| id.replace('_', "-");
    let email_resend_after = email_resend_after(&args.resend, flag, &mut problems);
    let limits = usage_limits(&args.limits, flag, &mut problems);
    let brand = brand::brand(&args.brand, flag, &mut problems);
    let log = log(&args.log, terminal, flag, &mut problems);
    let listen = match args.listen.parse::<ListenAddress>() {
        Ok(listen @ ListenAddress::Tcp { .. }) if listen.is_local() => Some(listen),
        Ok(listen) => {
            problems.add(
                "listen",
                format!("the demo lets anybody sign in as anybody, so it does not listen on {listen}"),
                "use 127.0.0.1:8080, or 127.0.0.1:0 for any free port; for other machines, run: mfad serve",
            );
            None
        }
        Err(error) => {
            problems.add(
                "listen",
                format!("{:?} is no address to listen on: {error}", args.listen),
                "use 127.0.0.1:8080, or 127.0.0.1:0 for any free port",
            );
            None
        }
    };
    let settings = || {
        Some(DemoSettings {
            listen: listen?,
            data_dir: args.data_dir.as_ref().map(PathBuf::from),
            email_resend_after: email_resend_after?,
            limits: limits?,
            brand: brand?,
            log: log?,
        })
    };
    settings().ok_or(problems)
}
