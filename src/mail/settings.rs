//! How the mail server is reached.

use std::time::Duration;

use lettre::message::Mailbox;

use super::address::{Address, AddressError};
use crate::base::{Secret, is_this_machine};

/// How the way to the mail server is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Security {
    /// Plain at first, then STARTTLS; without it nothing is sent (RFC 3207). Usually port 587.
    #[default]
    StartTls,
    /// STARTTLS where the server offers it, else in the clear: whoever sits on
    /// the way can read along. No password is used but with a loopback host.
    Opportunistic,
    /// TLS from the first byte (RFC 8314 section 3). Usually port 465.
    Implicit,
    /// In the clear: for a server on this machine only.
    None,
}

/// How the mail server is reached and in whose name we write.
#[derive(Clone, Debug)]
pub struct SmtpSettings {
    /// Name or IP address; with TLS it must stand in the server's certificate.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Protection of the connection.
    pub security: Security,
    /// User for AUTH; both or neither of `username` and `password`.
    pub username: Option<String>,
    /// Password for AUTH.
    pub password: Option<Secret<String>>,
    /// `mfa@example.com` or `Name <mfa@example.com>`.
    pub from: String,
    /// Certificates (PEM) of authorities to trust beside the public ones.
    pub extra_ca_pem: Option<Vec<u8>>,
    /// For one letter, from asking for a connection to the server's last word.
    pub deadline: Duration,
    /// Connections open at once; at least 1 is used.
    pub concurrency: usize,
}

impl SmtpSettings {
    /// Default of `deadline`.
    pub const DEADLINE: Duration = Duration::from_secs(8);
    /// Default of `concurrency`.
    pub const CONCURRENCY: usize = 4;

    /// Settings with STARTTLS required, no user, and the default bounds.
    pub fn new(host: impl Into<String>, port: u16, from: impl Into<String>) -> Self {
        SmtpSettings {
            host: host.into(),
            port,
            security: Security::default(),
            username: None,
            password: None,
            from: from.into(),
            extra_ca_pem: None,
            deadline: Self::DEADLINE,
            concurrency: Self::CONCURRENCY,
        }
    }

    /// Whether the host is this machine by its very name.
    pub(super) fn is_loopback(&self) -> bool {
        is_this_machine(&self.host)
    }

    /// Whether the settings contradict what we promise.
    pub(super) fn check(&self) -> Result<(), SettingsError> {
        if self.host.is_empty() || self.host.contains(|c: char| c.is_whitespace()) {
            return Err(SettingsError::Host);
        }
        if self.username.is_some() != self.password.is_some() {
            return Err(SettingsError::HalfLogin);
        }
        if self.is_loopback() {
            return Ok(());
        }
        match self.security {
            Security::None => Err(SettingsError::ClearText),
            Security::Opportunistic if self.password.is_some() => {
                Err(SettingsError::PasswordInTheClear)
            }
            _ => Ok(()),
        }
    }

    /// The sender, as the library wants it.
    ///
    /// The name is checked here because the library panics when it formats one with a line break.
    pub(super) fn sender(&self) -> Result<(Mailbox, Address), SettingsError> {
        if self.from.contains(|c: char| c.is_control()) {
            return Err(SettingsError::From(AddressError));
        }
        let mut mailbox: Mailbox = self
            .from
            .parse()
            .map_err(|_| SettingsError::From(AddressError))?;
        let address: Address = mailbox
            .email
            .to_string()
            .parse()
            .map_err(SettingsError::From)?;
        mailbox.email = address
            .as_str()
            .parse()
            .map_err(|_| SettingsError::From(AddressError))?;
        Ok((mailbox, address))
    }
}

/// Settings with which no mail can be sent, or not safely.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Empty, or with white space.
    #[error("the mail server's host name is empty or holds white space")]
    Host,
    /// Unencrypted mail would leave the machine.
    #[error("mail without TLS is only possible to a server on this machine (localhost)")]
    ClearText,
    /// Whoever suppresses STARTTLS would be told the password.
    #[error(
        "a password is not sent to a mail server for which TLS is optional; require TLS, or leave out the user"
    )]
    PasswordInTheClear,
    /// A user without a password, or the other way round.
    #[error("the mail server's user and password belong together, but only one of them is set")]
    HalfLogin,
    /// The sender is no address.
    #[error("the sender of our mail is not an address such as mfa@example.com")]
    From(#[source] AddressError),
    /// The extra certificates are no PEM certificates.
    #[error("the additional certificates for the mail server cannot be used: {0}")]
    Certificates(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(host: &str, security: Security, password: bool) -> SmtpSettings {
        SmtpSettings {
            security,
            username: password.then(|| "mfa".to_owned()),
            password: password.then(|| Secret::new("hunter2".to_owned())),
            ..SmtpSettings::new(host, 25, "mfa@example.com")
        }
    }

    #[test]
    fn nothing_leaves_the_machine_in_the_clear_by_setting() {
        use Security::{Implicit, None, Opportunistic, StartTls};
        for (host, security, password, good) in [
            ("mail.example.com", StartTls, true, true),
            ("mail.example.com", Implicit, true, true),
            ("mail.example.com", Opportunistic, false, true),
            ("mail.example.com", Opportunistic, true, false),
            ("mail.example.com", None, false, false),
            ("192.0.2.1", None, false, false),
            ("localhost.evil.example", None, false, false),
            ("localhost", None, true, true),
            ("127.0.0.1", None, false, true),
            ("::1", Opportunistic, true, true),
            ("::ffff:127.0.0.1", None, false, true),
            ("", StartTls, false, false),
            ("a b", StartTls, false, false),
        ] {
            let settings = settings(host, security, password);
            assert_eq!(settings.check().is_ok(), good, "{settings:?}");
        }
        let mut half = settings("localhost", StartTls, true);
        half.password = Option::None;
        assert!(matches!(half.check(), Err(SettingsError::HalfLogin)));
    }

    #[test]
    fn a_password_is_not_shown() {
        let shown = format!("{:?}", settings("localhost", Security::None, true));
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn the_sender_is_an_address_with_or_without_a_name() {
        for (from, good) in [
            ("mfa@example.com", true),
            ("Example <mfa@Example.com>", true),
            ("\"Bücher, GmbH\" <mfa@example.com>", true),
            ("mfa", false),
            ("mfa@localhost", false),
            ("Evil\r\nBcc: eve@evil.example <mfa@example.com>", false),
            ("", false),
        ] {
            let settings = SmtpSettings::new("localhost", 25, from);
            assert_eq!(settings.sender().is_ok(), good, "{from:?}");
        }
    }
}
