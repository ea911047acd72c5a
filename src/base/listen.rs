//! Where to listen, as people write it.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// The longest path that fits `sockaddr_un` on Linux, without its closing zero.
const LONGEST_SOCKET_PATH: usize = 107;

/// Whether `host` is this machine by its very name: `localhost`, or a loopback address, in brackets or
/// without. Names below `localhost` are not: a resolver may ask the network for them.
pub fn is_this_machine(host: &str) -> bool {
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host);
    bare.eq_ignore_ascii_case("localhost")
        || bare
            .parse::<IpAddr>()
            .is_ok_and(|ip| ip.to_canonical().is_loopback())
}

/// Where to listen: `host:port` or `unix:/path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// A TCP port of one host. Port 0 takes any free one.
    Tcp {
        /// A name or an address; an IPv6 address without its brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// A Unix socket.
    Unix(PathBuf),
}

/// A text that says not where to listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListenAddressError {
    /// Neither `host:port` nor `unix:/path`.
    #[error("it must be host:port, such as 127.0.0.1:8080, or unix:/path")]
    Shape,
    /// The port is no number up to 65535.
    #[error("the port must be a number from 0 to 65535")]
    Port,
    /// The path of the socket is relative, or longer than the system can take.
    #[error("the path of a Unix socket must begin with / and be at most 107 bytes long")]
    Path,
}

impl ListenAddress {
    /// Whether only this machine can connect.
    pub fn is_local(&self) -> bool {
        match self {
            ListenAddress::Unix(_) => true,
            ListenAddress::Tcp { host, .. } => is_this_machine(host),
        }
    }
}

impl FromStr for ListenAddress {
    type Err = ListenAddressError;

    fn from_str(text: &str) -> Result<Self, ListenAddressError> {
        if let Some(path) = text.strip_prefix("unix:") {
            if !path.starts_with('/') || path.len() > LONGEST_SOCKET_PATH || path.contains('\0') {
                return Err(ListenAddressError::Path);
            }
            return Ok(ListenAddress::Unix(PathBuf::from(path)));
        }
        let (host, port) = text.rsplit_once(':').ok_or(ListenAddressError::Shape)?;
        let bracketed = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        let host = match bracketed {
            Some(inner) if inner.contains(':') => inner,
            None if !host.contains([':', '[', ']']) => host,
            _ => return Err(ListenAddressError::Shape),
        };
        if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c == '/') {
            return Err(ListenAddressError::Shape);
        }
        if !port.bytes().all(|b| b.is_ascii_digit()) {
            return Err(ListenAddressError::Port);
        }
        Ok(ListenAddress::Tcp {
            host: host.to_owned(),
            port: port.parse().map_err(|_| ListenAddressError::Port)?,
        })
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenAddress::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            ListenAddress::Tcp { host, port } => write!(f, "{host}:{port}"),
            ListenAddress::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_as_it_was_read() {
        for text in [
            "127.0.0.1:8080",
            "[::1]:0",
            "localhost:443",
            "unix:/run/m.sock",
        ] {
            let address: ListenAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
            assert!(address.is_local(), "{text}");
        }
        for text in ["0.0.0.0:80", "[::]:80", "mfa.example.org:80"] {
            assert!(!text.parse::<ListenAddress>().unwrap().is_local(), "{text}");
        }
    }

    #[test]
    fn only_names_that_never_leave_this_machine_are_its_own() {
        for own in [
            "localhost",
            "LocalHost",
            "127.0.0.1",
            "127.9.9.9",
            "::1",
            "[::1]",
            "::ffff:127.0.0.1",
        ] {
            assert!(is_this_machine(own), "{own}");
        }
        for other in [
            "a.localhost",
            "localhost.",
            "localhost.example",
            "10.0.0.1",
            "[::1",
            "",
            "0.0.0.0",
        ] {
            assert!(!is_this_machine(other), "{other}");
        }
    }

    #[test]
    fn what_names_no_place_is_refused() {
        for text in [
            "",
            "8080",
            ":8080",
            "localhost",
            "::1:80",
            "[::1]",
            "[a]:1",
            "a:",
            "a:+1",
            "a:65536",
            "http://a:80",
            "unix:m.sock",
            "unix:",
        ] {
            assert!(text.parse::<ListenAddress>().is_err(), "{text}");
        }
        let long = format!("unix:/{}", "a".repeat(107));
        assert_eq!(long.parse::<ListenAddress>(), Err(ListenAddressError::Path));
    }
}
