//! Whose word is taken on where a request came from.

use std::net::IpAddr;
use std::str::FromStr;

use axum::http::HeaderMap;
use ipnet::IpNet;

use crate::base::PeerAddr;

/// What proxies add an address to, each at its end; the header that all of them know.
const FORWARDED_FOR: &str = "x-forwarded-for";
/// The word for whoever connects over a Unix socket.
const UNIX: &str = "unix";

/// One proxy, or a network of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrustedProxy {
    /// Those with such an address.
    Network(IpNet),
    /// Those that connect over a Unix socket.
    Unix,
}

/// Neither an address, nor a network, nor the word `unix`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is neither an address, nor a network such as 10.0.0.0/8, nor the word unix")]
pub struct NoProxy;

impl TrustedProxy {
    /// Whether it is everybody, at least of one kind of address.
    pub fn is_everybody(&self) -> bool {
        matches!(self, TrustedProxy::Network(network) if network.prefix_len() == 0)
    }
}

impl FromStr for TrustedProxy {
    type Err = NoProxy;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == UNIX {
            return Ok(TrustedProxy::Unix);
        }
        let network = match text.parse::<IpAddr>() {
            Ok(address) => IpNet::from(address.to_canonical()),
            Err(_) => text.parse().map_err(|_| NoProxy)?,
        };
        Ok(TrustedProxy::Network(network))
    }
}

fn trusts(proxies: &[TrustedProxy], address: IpAddr) -> bool {
    proxies.iter().any(|proxy| match proxy {
        TrustedProxy::Network(network) => network.contains(&address),
        TrustedProxy::Unix => false,
    })
}

/// The address in one part of the header: alone, or as some proxies write it, with a port.
fn address(part: &str) -> Option<IpAddr> {
    let part = part.trim();
    let bare = part.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let v4 = || part.split_once(':').map(|(address, _)| address);
    let address = part.parse().ok();
    let address = address.or_else(|| bare?.0.parse().ok());
    let address: Option<IpAddr> = address.or_else(|| v4()?.parse().ok());
    address.map(|address| address.to_canonical())
}

/// Where a request came from: the connection's other end, or, where that is one of `proxies`, the nearest address
/// in `X-Forwarded-For` that is none of them. What stands further to the left anybody may have written, so it is
/// not looked at; and behind what is no address, nothing is.
pub fn client(peer: PeerAddr, headers: &HeaderMap, proxies: &[TrustedProxy]) -> Option<IpAddr> {
    let mut nearest = peer.0.map(|peer| peer.ip().to_canonical());
    let believed = match nearest {
        Some(address) => trusts(proxies, address),
        None => proxies.contains(&TrustedProxy::Unix),
    };
    if !believed {
        return nearest;
    }
    for line in headers.get_all(FORWARDED_FOR).iter().rev() {
        for part in line.to_str().unwrap_or_default().rsplit(',') {
            let Some(next) = address(part) else {
                return nearest;
            };
            nearest = Some(next);
            if !trusts(proxies, next) {
                return nearest;
            }
        }
    }
    nearest
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn proxies(list: &[&str]) -> Vec<TrustedProxy> {
        list.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn from(peer: &str, lines: &[&'static str], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, HeaderValue::from_static(line));
        }
        let peer = PeerAddr(peer.parse().ok());
        client(peer, &headers, &proxies(trusted))
            .map_or_else(|| "nobody".to_owned(), |address| address.to_string())
    }

    #[test]
    fn strangers_are_who_they_are_whatever_they_say() {
        let said = &["203.0.113.9"][..];
        assert_eq!(from("198.51.100.7:1", said, &[]), "198.51.100.7");
        assert_eq!(
            from("198.51.100.7:1", said, &["10.0.0.0/8", "unix"]),
            "198.51.100.7"
        );
        assert_eq!(
            from("", said, &["0.0.0.0/0"]),
            "nobody",
            "a Unix socket is no network"
        );
    }

    #[test]
    fn a_proxy_says_who_came_to_it_and_nobody_else_does() {
        let of = |lines: &[&'static str]| from("10.0.0.1:1", lines, &["10.0.0.0/8", "fd00::/8"]);
        assert_eq!(of(&["203.0.113.9"]), "203.0.113.9");
        assert_eq!(
            of(&["1.1.1.1, 203.0.113.9"]),
            "203.0.113.9",
            "what a client wrote itself"
        );
        assert_eq!(
            of(&["1.1.1.1", "203.0.113.9, 10.2.3.4"]),
            "203.0.113.9",
            "two proxies"
        );
        assert_eq!(of(&["203.0.113.9", "fd00::5"]), "203.0.113.9");
        assert_eq!(of(&[]), "10.0.0.1");
        assert_eq!(
            of(&["10.9.9.9, 10.8.8.8"]),
            "10.9.9.9",
            "all of them proxies"
        );
        assert_eq!(
            of(&["203.0.113.9, junk"]),
            "10.0.0.1",
            "behind nonsense nothing counts"
        );
        assert_eq!(of(&["203.0.113.9, "]), "10.0.0.1");
        assert_eq!(of(&["203.0.113.9:5555"]), "203.0.113.9");
        assert_eq!(of(&["[2001:db8::1]:443"]), "2001:db8::1");
        assert_eq!(of(&["::ffff:203.0.113.9"]), "203.0.113.9");
    }

    #[test]
    fn a_unix_socket_is_believed_where_the_word_says_so() {
        assert_eq!(from("", &["203.0.113.9"], &["unix"]), "203.0.113.9");
        assert_eq!(
            from("", &["203.0.113.9, 10.0.0.1"], &["unix", "10.0.0.1"]),
            "203.0.113.9"
        );
        assert_eq!(from("", &[], &["unix"]), "nobody");
        for no in ["", "example.org", "10.0.0.0/33", "10.0.0.0/8/8", "UNIX"] {
            assert!(no.parse::<TrustedProxy>().is_err(), "{no}");
        }
    }
}
