//! One dialogue with the mail server, step by step.

use std::net::SocketAddr;
use std::time::Duration;

use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters,
};
use lettre::transport::smtp::commands::{Data, Mail, Noop, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::settings::{Security, SettingsError, SmtpSettings};
use super::trouble::{Progress, Stage, Trouble};
use super::wire::Wire;
use crate::base::Secret;

/// Addresses of the server that are tried, one after the other.
const MOST_ADDRESSES: usize = 6;

/// The mail server and how to come to it.
pub(super) struct Server {
    host: String,
    port: u16,
    security: Security,
    loopback: bool,
    tls: Option<TlsParameters>,
    login: Option<(String, Secret<String>)>,
    hello: ClientId,
    deadline: Duration,
}

impl Server {
    pub(super) fn new(settings: &SmtpSettings) -> Result<Self, SettingsError> {
        settings.check()?;
        let tls = match settings.security {
            Security::None => None,
            _ => Some(tls_parameters(settings)?),
        };
        Ok(Server {
            host: settings.host.clone(),
            port: settings.port,
            security: settings.security,
            loopback: settings.is_loopback(),
            tls,
            login: settings.username.clone().zip(settings.password.clone()),
            hello: ClientId::default(),
            deadline: settings.deadline,
        })
    }

    pub(super) fn name(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    pub(super) fn login(&self) -> Option<(&str, &str)> {
        self.login
            .as_ref()
            .map(|(user, password)| (user.as_str(), password.expose().as_str()))
    }

    /// Connects, protects the connection and logs in.
    pub(super) async fn connect(&self, progress: &Progress) -> Result<Connection, Trouble> {
        progress.reach(Stage::Connect);
        let addresses = self.addresses().await?;
        let mut smtp = match (self.security, self.tls.clone()) {
            (Security::Implicit, Some(tls)) => {
                progress.reach(Stage::Tls);
                let each = share(self.deadline, addresses.len());
                AsyncSmtpConnection::connect_tokio1(
                    addresses.as_slice(),
                    Some(each),
                    &self.hello,
                    Some(tls),
                    None,
                )
                .await
                .map_err(|e| Trouble::smtp(Stage::Tls, &e))?
            }
            (_, tls) => {
                let tcp = self.dial(&addresses).await?;
                progress.reach(Stage::Greeting);
                let smtp = AsyncSmtpConnection::connect_with_transport(
                    Box::new(Wire::new(tcp)),
                    &self.hello,
                )
                .await
                .map_err(|e| Trouble::smtp(Stage::Greeting, &e))?;
                match tls {
                    Some(tls) => self.protect(smtp, tls, progress).await?,
                    None => smtp,
                }
            }
        };
        if let Some((user, password)) = &self.login {
            progress.reach(Stage::Login);
            log_in(&mut smtp, user, password)
                .await
                .map_err(|e| Trouble::smtp(Stage::Login, &e))?;
        }
        Ok(Connection { smtp })
    }

    async fn protect(
        &self,
        mut smtp: AsyncSmtpConnection,
        tls: TlsParameters,
        progress: &Progress,
    ) -> Result<AsyncSmtpConnection, Trouble> {
        progress.reach(Stage::Tls);
        if !smtp.can_starttls() {
            return match self.security {
                Security::Opportunistic => Ok(smtp),
                _ => Err(Trouble::new(
                    Stage::Tls,
                    "the server offers no STARTTLS, so nothing was sent",
                )),
            };
        }
        smtp.starttls(tls, &self.hello)
            .await
            .map_err(|e| Trouble::smtp(Stage::Tls, &e))?;
        Ok(smtp)
    }

    async fn addresses(&self) -> Result<Vec<SocketAddr>, Trouble> {
        let found = tokio::net::lookup_host((self.host.as_str(), self.port))
            .await
            .map_err(|e| Trouble::new(Stage::Connect, format!("the name does not resolve: {e}")))?;
        // What is lawful only on this machine must not follow a name that leads elsewhere.
        let must_stay = self.loopback && self.security != Security::Implicit;
        let addresses: Vec<SocketAddr> = found
            .filter(|address| !must_stay || address.ip().to_canonical().is_loopback())
            .take(MOST_ADDRESSES)
            .collect();
        if addresses.is_empty() {
            return Err(Trouble::new(
                Stage::Connect,
                "the name resolves to no usable address",
            ));
        }
        Ok(addresses)
    }

    async fn dial(&self, addresses: &[SocketAddr]) -> Result<TcpStream, Trouble> {
        let each = share(self.deadline, addresses.len());
        let mut last = Trouble::new(Stage::Connect, "no address to connect to");
        for address in addresses {
            match timeout(each, TcpStream::connect(address)).await {
                Ok(Ok(tcp)) => {
                    // A dialogue of short lines; without this each costs a delayed acknowledgement.
                    // Where it cannot be set, mail is slower and nothing else.
                    let _ = tcp.set_nodelay(true);
                    return Ok(tcp);
                }
                Ok(Err(e)) => last = Trouble::new(Stage::Connect, e.to_string()),
                Err(_) => last = Trouble::late(Stage::Connect, each),
            }
        }
        Err(last)
    }
}

/// The time for one address, so that one that swallows everything leaves some for the next and for the dialogue.
fn share(deadline: Duration, addresses: usize) -> Duration {
    let parts = u32::try_from(addresses.saturating_add(1)).unwrap_or(u32::MAX);
    deadline.checked_div(parts).unwrap_or(deadline)
}

fn tls_parameters(settings: &SmtpSettings) -> Result<TlsParameters, SettingsError> {
    let refused = |e: lettre::transport::smtp::Error| {
        SettingsError::Certificates(Trouble::smtp(Stage::Tls, &e).to_string())
    };
    let mut builder = TlsParameters::builder(settings.host.clone())
        .certificate_store(CertificateStore::WebpkiRoots);
    if let Some(pem) = &settings.extra_ca_pem {
        builder = builder.add_root_certificate(Certificate::from_pem(pem).map_err(refused)?);
    }
    builder.build_rustls().map_err(refused)
}

async fn log_in(
    smtp: &mut AsyncSmtpConnection,
    user: &str,
    password: &Secret<String>,
) -> Result<(), lettre::transport::smtp::Error> {
    let credentials = Credentials::new(user.to_owned(), password.expose().clone());
    smtp.auth(&[Mechanism::Plain, Mechanism::Login], &credentials)
        .await?;
    Ok(())
}

/// A letter in the form in which it travels.
pub(super) struct Parcel {
    pub(super) from: lettre::Address,
    pub(super) to: lettre::Address,
    pub(super) message: Vec<u8>,
}

/// A connection on which letters can be handed over. Dropped, it closes
/// without a word; so does one whose dialogue was given up in the middle,
/// which must never be used again: its next reply answers an older question.
pub(super) struct Connection {
    smtp: AsyncSmtpConnection,
}

impl Connection {
    /// Hands over one letter. After an error the connection is to be dropped.
    pub(super) async fn hand_over(
        &mut self,
        parcel: &Parcel,
        progress: &Progress,
    ) -> Result<(), Trouble> {
        let smtp = &mut self.smtp;
        progress.reach(Stage::Sender);
        smtp.command(Mail::new(Some(parcel.from.clone()), Vec::new()))
            .await
            .map_err(|e| Trouble::smtp(Stage::Sender, &e))?;
        progress.reach(Stage::Recipient);
        smtp.command(Rcpt::new(parcel.to.clone(), Vec::new()))
            .await
            .map_err(|e| Trouble::smtp(Stage::Recipient, &e))?;
        progress.reach(Stage::Letter);
        let go_on = smtp
            .command(Data)
            .await
            .map_err(|e| Trouble::smtp(Stage::Letter, &e))?;
        if !go_on.has_code(354) {
            return Err(Trouble::new(
                Stage::Letter,
                "the server does not ask for the letter",
            ));
        }
        let taken = smtp
            .message(&parcel.message)
            .await
            .map_err(|e| Trouble::smtp(Stage::Letter, &e))?;
        if !taken.has_code(250) {
            return Err(Trouble::new(
                Stage::Letter,
                "the server does not say that it took the letter",
            ));
        }
        Ok(())
    }

    /// Asks the server whether it is still there.
    pub(super) async fn is_alive(&mut self) -> Result<(), Trouble> {
        self.smtp
            .command(Noop)
            .await
            .map(drop)
            .map_err(|e| Trouble::smtp(Stage::Greeting, &e))
    }

    /// Takes leave properly.
    pub(super) async fn quit(mut self) {
        // The letters are delivered and the connection ends either way.
        let _ = self.smtp.quit().await;
    }
}
