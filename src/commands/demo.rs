use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use url::Url;

use crate::app::App;
use crate::base::{Clock, Entropy, Failure, ListenAddress, OsEntropy, SystemClock};
use crate::clients::{Sends, Service, Unknown};
use crate::config::{
    self, Exit, IssuerConfig, KeySource, MasterKeySettings, Settings, SmtpConfig, SmtpSecurity,
    Supervision, UiAuth,
};
use crate::console::{self, Order, Tools};
use crate::demo::issuer::{SERVICE_CLIENT_ID, SETTINGS_CLIENT_ID};
use crate::demo::{Demo, DemoSettings, MAIL_FROM};
use crate::policy::{FactorChangeProof, Policy};
use crate::server::Listener;
use crate::words::Language;

use super::serve::{address, fetch_keys, listen};
use super::{asked_to_stop, block_on, problem, report};

/// The service that the demo's people sign in to.
const SERVICE_NAME: &str = "mfad demo";

/// Runs the whole product on this machine alone, with nothing to set up.
pub fn demo(settings: &config::DemoSettings) -> Exit {
    block_on(async {
        if let Some(folder) = &settings.data_dir {
            return run(settings, folder).await;
        }
        let folder = match temporary_folder() {
            Ok(folder) => folder,
            Err(failure) => {
                return report(
                    Exit::Io,
                    &problem(
                        "data-dir",
                        format!("{failure:?}"),
                        "name a folder with --data-dir",
                    ),
                );
            }
        };
        let exit = run(settings, &folder).await;
        if let Err(e) = fs::remove_dir_all(&folder) {
            tracing::warn!(%e, folder = %folder.display(), "the demo's folder could not be removed");
        }
        exit
    })
}

/// A folder that nobody could have made before us.
fn temporary_folder() -> Result<PathBuf, Failure> {
    let entropy: &dyn Entropy = &OsEntropy;
    let folder = std::env::temp_dir().join(format!(
        "mfad-demo-{:032x}",
        u128::from_le_bytes(entropy.bytes()?)
    ));
    DirBuilder::new()
        .mode(0o700)
        .create(&folder)
        .map_err(Failure::internal)?;
    Ok(folder)
}

async fn run(settings: &config::DemoSettings, folder: &Path) -> Exit {
    let stop = asked_to_stop();
    let listener = match listen(&settings.listen).await {
        Ok(listener) => listener,
        Err(exit) => return exit,
    };
    let hint =
        "look into the log; the demo needs a loopback port for itself and one for its mailbox";
    let public_url = match public_url(&listener, &settings.listen) {
        Ok(url) => url,
        Err(failure) => {
            return report(
                Exit::Usage,
                &problem("listen", format!("{failure:?}"), hint),
            );
        }
    };
    let (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>) =
        (Arc::new(SystemClock), Arc::new(OsEntropy));
    let audience = public_url.origin().ascii_serialization();
    let around = DemoSettings {
        public_url: public_url.clone(),
        audience: audience.clone(),
    };
    let (demo, mail_server) = match Demo::open(around, clock.clone(), entropy.clone()).await {
        Ok(opened) => opened,
        Err(failure) => return report(Exit::Io, &problem("demo", format!("{failure:?}"), hint)),
    };
    let server_settings = server_settings(settings, folder, &public_url, &audience, &demo);
    let app = match App::open(&server_settings, clock, entropy).await {
        Ok(app) => app,
        Err(refused) => return report(refused.exit, &refused.problem),
    };
    fetch_keys(&app);
    if let Err(failure) = register_service(&app, &audience).await {
        app.desk.tools.store.close().await;
        return report(Exit::Io, &problem("demo", format!("{failure:?}"), hint));
    }
    println!(
        "mfad demo: everything runs on this machine alone, and nobody proves who they are. No production set-up.\n\n  \
         Open  {audience}/demo\n\nCtrl-C ends it."
    );
    let (stop_mail, mail_stopped) = tokio::sync::oneshot::channel::<()>();
    let mailbox = tokio::spawn(mail_server.serve(async move {
        // Dropped or sent: both end the mailbox.
        let _ = mail_stopped.await;
    }));
    let served = app.run(listener, demo.routes(), stop).await;
    drop(stop_mail);
    if let Err(e) = mailbox.await {
        tracing::warn!(%e, "the mailbox did not end well");
    }
    match served {
        Ok(()) => Exit::Ok,
        Err(e) => report(Exit::Io, &problem("listen", e, hint)),
    }
}

/// The page plays a login service, which is registered as an operator would, to be brought back to.
async fn register_service(app: &App, origin: &str) -> Result<(), Failure> {
    let tools = Tools::from(&app.desk.tools);
    let id = SERVICE_CLIENT_ID.to_owned();
    // A kept folder knows it from before, perhaps under another port.
    let forget = Order::ServiceRemove { id: id.clone() };
    let _ = console::execute(&tools, forget).await;
    let service = Service {
        id: id.clone(),
        sends: Sends::Subject,
        tenants: Vec::new(),
        unknown: Some(Unknown::Allow),
        return_urls: vec![format!("{origin}/demo/returned")],
        client_id: Some(id),
        issuer: None,
    };
    console::execute(&tools, Order::ServiceAdd(service)).await?;
    Ok(())
}

/// Security keys are bound to a name, so the demo has one: `localhost`.
fn public_url(listener: &Listener, wanted: &ListenAddress) -> Result<Url, Failure> {
    match address(listener, wanted) {
        ListenAddress::Tcp { port, .. } => {
            Url::parse(&format!("http://localhost:{port}/")).map_err(Failure::internal)
        }
        ListenAddress::Unix(_) => Err(Failure::internal(
            "the demo is for browsers, which need a TCP port",
        )),
    }
}

/// The same settings that an operator would write.
fn server_settings(
    settings: &config::DemoSettings,
    folder: &Path,
    public_url: &Url,
    audience: &str,
    demo: &Demo,
) -> Settings {
    Settings {
        metrics_listen: None,
        tls: None,
        trusted_proxies: Vec::new(),
        listen: settings.listen.clone(),
        public_url: public_url.clone(),
        rp_id: "localhost".to_owned(),
        origins: vec![public_url.clone()],
        data_dir: PathBuf::from(folder),
        master_key: MasterKeySettings::default(),
        issuer: Some(IssuerConfig {
            issuer: demo.issuer().url().to_owned(),
            keys: KeySource::Discovery,
            audiences: vec![audience.to_owned()],
            verify_scope: crate::auth::VERIFY_SCOPE.to_owned(),
            verify_clients: Vec::new(),
            admin_scope: crate::auth::ADMIN_SCOPE.to_owned(),
            may_grant_admin: true,
        }),
        ui_auth: UiAuth::Oidc {
            client_id: SETTINGS_CLIENT_ID.to_owned(),
            client_secret: None,
        },
        smtp: Some(SmtpConfig {
            host: demo.smtp_address().ip().to_string(),
            port: demo.smtp_address().port(),
            security: SmtpSecurity::Plain,
            username: None,
            password: None,
            from: MAIL_FROM.to_owned(),
        }),
        ca_file: None,
        policy: Policy::default(),
        factor_change_proof: FactorChangeProof::default(),
        recent_auth: None,
        email_resend_after: settings.email_resend_after,
        limits: settings.limits,
        copies: None,
        service_name: SERVICE_NAME.to_owned(),
        language: Language::English,
        brand: settings.brand.clone(),
        max_connections: 512,
        log: settings.log,
        supervision: Supervision::default(),
    }
}
