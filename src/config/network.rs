//! Where connections come from, and what protects them.

use std::path::Path;

use clap::Args;
use url::Url;

use super::args::{BOOLEAN, NUMBER};
use super::check::Check;
use super::files;
use super::settings::Hsts;
use crate::base::ListenAddress;
use crate::server::{self, Tls, TlsFiles, TrustedProxy};

/// The most days of HSTS: two years, as the preload lists of browsers recommend.
const MOST_HSTS_DAYS: u64 = 730;

/// Settings of connections.
#[derive(Args)]
pub(super) struct NetworkArgs {
    /// Where to listen: host:port, or unix:/path for a proxy on this machine. A socket that systemd hands over wins
    #[arg(
        long,
        value_name = "ADDR",
        env = "MFAD_LISTEN",
        hide_env_values = true,
        default_value = "127.0.0.1:8080"
    )]
    pub(super) listen: String,

    /// Where to serve counts for Prometheus, at /metrics over plain HTTP to whoever can connect: host:port, or unix:/path. Nowhere where it is not set
    #[arg(
        long,
        value_name = "ADDR",
        env = "MFAD_METRICS_LISTEN",
        hide_env_values = true
    )]
    pub(super) metrics_listen: Option<String>,

    /// The server's certificate (PEM, then those up to an authority), to speak TLS itself instead of a proxy in front. Read again when it changes
    #[arg(
        long,
        value_name = "FILE",
        env = "MFAD_TLS_CERT_FILE",
        hide_env_values = true
    )]
    pub(super) tls_cert_file: Option<String>,

    /// The private key of that certificate (PEM, without a passphrase); not readable by everybody
    #[arg(
        long,
        value_name = "FILE",
        env = "MFAD_TLS_KEY_FILE",
        hide_env_values = true
    )]
    pub(super) tls_key_file: Option<String>,

    /// A proxy in front, whose X-Forwarded-For is believed: an address, a network such as 10.0.0.0/8, or unix for those that connect over a Unix socket. Repeatable
    #[arg(
        long,
        value_name = "ADDR",
        env = "MFAD_TRUSTED_PROXY",
        hide_env_values = true
    )]
    pub(super) trusted_proxy: Vec<String>,

    /// Days, 0 to 730, for which browsers that came over https come over nothing else (HSTS); with 0, they forget it
    #[arg(
        long,
        value_name = NUMBER,
        env = "MFAD_HSTS_DAYS",
        hide_env_values = true,
        default_value = "365"
    )]
    pub(super) hsts_days: String,

    /// Whether this holds for all sub-domains of the public URL's host as well (includeSubDomains). All of them must speak https then
    #[arg(
        long,
        value_name = BOOLEAN,
        env = "MFAD_HSTS_INCLUDE_SUBDOMAINS",
        hide_env_values = true,
        default_value = "false"
    )]
    pub(super) hsts_include_subdomains: String,
}

impl Check<'_> {
    pub(super) fn listen(&mut self) -> Option<ListenAddress> {
        let layers = self.layers;
        let text = &layers.args.network.listen;
        match text.parse::<ListenAddress>() {
            Ok(listen) => Some(listen),
            Err(error) => self.wrong(
                "listen",
                format!("{text:?} is no address to listen on: {error}"),
                "use 127.0.0.1:8080 or unix:/run/mfad/mfad.sock behind a proxy on this machine, \
                 0.0.0.0:8080 for others",
            ),
        }
    }

    pub(super) fn metrics_listen(&mut self) -> Option<ListenAddress> {
        let text = self.layers.args.network.metrics_listen.as_deref()?;
        match text.parse::<ListenAddress>() {
            Ok(listen) => Some(listen),
            Err(error) => self.wrong(
                "metrics_listen",
                format!("{text:?} is no address to listen on: {error}"),
                "use 127.0.0.1:9464, or unix:/run/mfad/metrics.sock",
            ),
        }
    }

    /// What browsers remember about https.
    pub(super) fn hsts(&mut self) -> Option<Hsts> {
        let network = &self.layers.args.network;
        let days = match network.hsts_days.parse() {
            Ok(days @ 0..=MOST_HSTS_DAYS) => Some(days),
            _ => self.wrong(
                "hsts_days",
                format!(
                    "{:?} is no number from 0 to {MOST_HSTS_DAYS}",
                    network.hsts_days
                ),
                "use 365; 0 has browsers forget it",
            ),
        };
        let include_subdomains =
            self.boolean("hsts_include_subdomains", &network.hsts_include_subdomains);
        Some(Hsts {
            days: days?,
            include_subdomains: include_subdomains?,
        })
    }

    /// Certificate and key, where there are such. `None` also where they are wrong.
    pub(super) fn tls(
        &mut self,
        listen: Option<&ListenAddress>,
        public_url: Option<&Url>,
    ) -> Option<TlsFiles> {
        let layers = self.layers;
        let network = &layers.args.network;
        let (certificate, key) = match (&network.tls_cert_file, &network.tls_key_file) {
            (None, None) => return None,
            (Some(certificate), Some(key)) => (certificate, key),
            (Some(_), None) => {
                return self.wrong(
                    "tls_cert_file",
                    "its key is missing",
                    "set tls-key-file too",
                );
            }
            (None, Some(_)) => {
                let hint = "set tls-cert-file too";
                return self.wrong("tls_key_file", "its certificate is missing", hint);
            }
        };
        if let Some(ListenAddress::Unix(_)) = listen {
            return self.wrong(
                "tls_cert_file",
                "a Unix socket speaks no TLS",
                "leave the certificate to the proxy, or listen on host:port",
            );
        }
        let files = TlsFiles {
            certificate: self.path("tls_cert_file", certificate)?,
            key: self.path("tls_key_file", key)?,
        };
        let credentials = self.layers.credentials.as_deref();
        if let Err(refused) = files::closed_to_everybody(&files.key, credentials) {
            return self.wrong("tls_key_file", refused.cause, refused.hint);
        }
        if let Err(error) = Tls::read(files.clone()) {
            return self.wrong(
                "tls_cert_file",
                error.to_string(),
                "give the full chain in PEM, and the key that belongs to its first certificate",
            );
        }
        self.is_for(&files.certificate, public_url?)?;
        Some(files)
    }

    fn is_for(&mut self, certificate: &Path, public_url: &Url) -> Option<()> {
        let host = public_url.host_str()?;
        if public_url.scheme() != "https" {
            return self.wrong(
                "public_url",
                format!("with a certificate, browsers see https, and not {public_url}"),
                format!("set it to https://{host} and the port, or leave out tls-cert-file"),
            );
        }
        match server::is_for_host(certificate, host) {
            Ok(true) => Some(()),
            Ok(false) => self.wrong(
                "tls_cert_file",
                format!("the certificate is not for {host}, which browsers ask for"),
                "get one for the host of the public URL",
            ),
            Err(error) => self.wrong("tls_cert_file", error.to_string(), "replace the file"),
        }
    }

    pub(super) fn trusted_proxies(&mut self) -> Vec<TrustedProxy> {
        let layers = self.layers;
        let given = layers.args.network.trusted_proxy.iter();
        let read = given.filter_map(|text| match text.parse::<TrustedProxy>() {
            Ok(proxy) => Some(proxy),
            Err(error) => self.wrong(
                "trusted_proxy",
                format!("{text:?}: {error}"),
                "name those that connect to mfad, such as 127.0.0.1",
            ),
        });
        read.collect()
    }
}
