//! Where mail goes, and how it is protected on the way.

use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;
use url::Url;

use super::check::Check;
use super::settings::{SmtpConfig, SmtpSecurity};
use super::web::{Refused, refused};
use crate::base::{Secret, is_this_machine};

/// The port for mail that is submitted (RFC 6409), and with TLS from the start (RFC 8314).
const SUBMISSION: u16 = 587;
const SUBMISSIONS: u16 = 465;

impl Check<'_> {
    pub(super) fn smtp(&mut self) -> Option<SmtpConfig> {
        let layers = self.layers;
        let args = &layers.args;
        let Some(url) = &args.smtp_url else {
            for (id, given) in [
                ("smtp_password_file", &args.smtp_password_file),
                ("mail_from", &args.mail_from),
            ] {
                if given.is_some() {
                    self.wrong::<()>(
                        id,
                        "no mail server is named, so that no mail could be sent",
                        "set --smtp-url, or leave this out",
                    );
                }
            }
            return None;
        };
        let server = match server(url) {
            Ok(server) => Some(server),
            Err(refused) => self.wrong("smtp_url", refused.cause, refused.hint),
        };
        let from = match &args.mail_from {
            Some(from) => self.mail_from(from),
            None => self.wrong(
                "mail_from",
                "mail needs a sender",
                "set it to an address that the mail server may send from, such as mfa@example.org",
            ),
        };
        let password = match &args.smtp_password_file {
            Some(path) => Some(("smtp_password_file", PathBuf::from(path))),
            None => layers
                .credential("smtp-password")
                .map(|path| ("credential smtp-password", path)),
        };
        let password = match password {
            Some((id, path)) => Some(self.secret_line(id, &path)?),
            None => None,
        };
        let (server, from) = (server?, from?);
        match (&server.username, &password) {
            (Some(_), None) => self.wrong(
                "smtp_password_file",
                "smtp-url names a user, and there is no password for it",
                "set --smtp-password-file, or hand over the systemd credential smtp-password",
            ),
            (None, Some(_)) => self.wrong(
                "smtp_url",
                "there is a password, and no user whose it is",
                "write the user into the URL: smtps://user@host:465",
            ),
            _ => Some(SmtpConfig {
                host: server.host,
                port: server.port,
                security: server.security,
                username: server.username,
                password,
                from,
            }),
        }
    }

    fn mail_from(&mut self, text: &str) -> Option<String> {
        let address = match text
            .strip_suffix('>')
            .and_then(|rest| rest.rsplit_once('<'))
        {
            Some((_, address)) => address,
            None => text,
        };
        let plain = |part: &str| {
            !part.is_empty()
                && !part.contains(|c: char| {
                    c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | ',' | '@')
                })
        };
        match address.rsplit_once('@') {
            Some((local, domain))
                if plain(local) && plain(domain) && !text.contains(char::is_control) =>
            {
                Some(text.to_owned())
            }
            _ => self.wrong(
                "mail_from",
                format!("{text:?} is no mail address"),
                "write mfa@example.org or Example <mfa@example.org>",
            ),
        }
    }

    /// A secret that is one line of text.
    pub(super) fn secret_line(&mut self, id: &str, path: &Path) -> Option<Secret<String>> {
        let secret = self.secret(id, path)?;
        match std::str::from_utf8(secret.expose()) {
            Ok(text) if !text.contains(char::is_control) => Some(Secret::new(text.to_owned())),
            _ => self.wrong(
                id,
                format!("what {} holds is no single line of text", path.display()),
                "write the secret alone into the file",
            ),
        }
    }
}

/// The part of the SMTP settings that the URL holds.
struct Server {
    host: String,
    port: u16,
    security: SmtpSecurity,
    username: Option<String>,
}

/// Reads `smtps://user@host:465` and `smtp://host:587?tls=required`. What is
/// refused is not repeated in the words: it may hold a password.
fn server(text: &str) -> Result<Server, Refused> {
    const SHAPE: &str = "write smtps://user@host:465 or smtp://host:587?tls=required";
    let url = Url::parse(text).map_err(|error| refused(format!("it is no URL: {error}"), SHAPE))?;
    if url.password().is_some() {
        return Err(refused(
            "it contains a password, and settings are seen by many",
            "leave it out of the URL, and name the file that holds it with --smtp-password-file",
        ));
    }
    let host = url.host_str().unwrap_or_default();
    if host.is_empty() || !matches!(url.path(), "" | "/") || url.fragment().is_some() {
        return Err(refused("it is no address of a mail server", SHAPE));
    }
    let username = match url.username() {
        "" => None,
        user => match percent_decode_str(user).decode_utf8() {
            Ok(user) if !user.contains(char::is_control) => Some(user.into_owned()),
            _ => return Err(refused("the user in it is no text", SHAPE)),
        },
    };
    let mut tls = None;
    for (key, value) in url.query_pairs() {
        if key != "tls" || tls.is_some() {
            return Err(refused(
                "the one thing that may follow the question mark is tls=, once",
                SHAPE,
            ));
        }
        tls = Some(security(&value).ok_or_else(|| {
            refused(
                "what it says of tls is not known",
                "use tls=required, tls=opportunistic, or tls=none on this machine",
            )
        })?);
    }
    let (security, port) = match (url.scheme(), tls) {
        ("smtps", None) => (SmtpSecurity::Tls, SUBMISSIONS),
        ("smtps", Some(_)) => {
            return Err(refused(
                "smtps is TLS from the first byte, and tls= says otherwise",
                "leave out tls=, or write smtp: for STARTTLS",
            ));
        }
        ("smtp", tls) => (tls.unwrap_or(SmtpSecurity::StartTls), SUBMISSION),
        _ => return Err(refused("its scheme is neither smtps nor smtp", SHAPE)),
    };
    match security {
        SmtpSecurity::Plain if !is_this_machine(host) => Err(refused(
            "tls=none would send codes in the clear to another machine",
            "use tls=required, or smtps:",
        )),
        SmtpSecurity::Opportunistic if username.is_some() => Err(refused(
            "with tls=opportunistic anybody on the way could have the password sent in the clear",
            "use tls=required, or smtps:",
        )),
        _ => Ok(Server {
            host: host
                .trim_start_matches('[')
                .trim_end_matches(']')
                .to_owned(),
            port: url.port().unwrap_or(port),
            security,
            username,
        }),
    }
}

/// The protection that `tls=` names.
fn security(name: &str) -> Option<SmtpSecurity> {
    match name {
        "required" => Some(SmtpSecurity::StartTls),
        "opportunistic" => Some(SmtpSecurity::Opportunistic),
        "none" => Some(SmtpSecurity::Plain),
        _ => None,
    }
}
