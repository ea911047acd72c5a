//! What a request's head must be before anybody else reads it.
//!
//! hyper takes some messages that another HTTP reader in front of us may take
//! differently (bare line feeds, two lengths, two hosts). Here each of them has
//! one reading or none: RFC 9112 sections 2.2, 3.2 and 6.3.

use axum::http::uri::{Authority, Uri};

/// The most header lines in one head.
pub(super) const MOST_HEADERS: usize = 100;

/// How the body after a head is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// So many bytes, 0 where there is none.
    Length(u64),
    /// Chunks, whose end only the reader of the chunks knows.
    Chunked,
}

/// Why a head is not handed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// More bytes or lines than we read.
    TooLarge,
    /// No HTTP/1 message, or one that could be read in two ways; says which rule it breaks.
    Bad(&'static str),
}

const NOT_HTTP: Refusal = Refusal::Bad("This is not an HTTP/1.1 request.");
const HOST: Refusal =
    Refusal::Bad("A request must name its host in exactly one valid Host header.");
const LENGTH: Refusal = Refusal::Bad("Content-Length must be one plain number.");
const CODING: Refusal =
    Refusal::Bad("The only Transfer-Encoding read here is a single \"chunked\".");
const BOTH: Refusal =
    Refusal::Bad("A request may carry Content-Length or Transfer-Encoding, not both.");

/// Looks for the end of a head, each byte once.
#[derive(Default)]
pub(super) struct Scanner {
    seen: usize,
}

impl Scanner {
    /// Whether nothing of a head was seen yet.
    pub(super) fn is_fresh(&self) -> bool {
        self.seen == 0
    }

    /// How long the head at the start of `bytes` is, once all of it is there.
    /// `bytes` must begin with those of the call before.
    ///
    /// # Errors
    /// As soon as the bytes can no longer become a head that we read.
    pub(super) fn scan(&mut self, bytes: &[u8], most: usize) -> Result<Option<usize>, Refusal> {
        // A TLS greeting and other noise shows at once, and needs no deadline to be told so.
        if !bytes.first().is_none_or(u8::is_ascii_alphabetic) {
            return Err(NOT_HTTP);
        }
        for (at, byte) in bytes.iter().enumerate().skip(self.seen) {
            match byte {
                0 => return Err(Refusal::Bad("A head must not contain a zero byte.")),
                b'\n' => {
                    let before = bytes.get(..at).unwrap_or_default();
                    if !before.ends_with(b"\r") {
                        return Err(Refusal::Bad("Each line of a head must end in CR LF."));
                    }
                    if before.ends_with(b"\r\n\r") {
                        let length = at.saturating_add(1);
                        return if length > most {
                            Err(Refusal::TooLarge)
                        } else {
                            Ok(Some(length))
                        };
                    }
                }
                _ => {}
            }
        }
        self.seen = bytes.len();
        if bytes.len() >= most {
            return Err(Refusal::TooLarge);
        }
        Ok(None)
    }
}

/// Reads a whole head, as [`Scanner::scan`] found it, and says how its body is delimited.
///
/// # Errors
/// Where the head has no or more than one reading.
pub(super) fn judge(head: &[u8]) -> Result<Body, Refusal> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(head) {
        Ok(httparse::Status::Complete(length)) if length == head.len() => {}
        Ok(_) => return Err(NOT_HTTP),
        Err(httparse::Error::TooManyHeaders) => return Err(Refusal::TooLarge),
        Err(httparse::Error::Version) => {
            return Err(Refusal::Bad("Only HTTP/1.1 and HTTP/1.0 are spoken here."));
        }
        Err(_) => return Err(NOT_HTTP),
    }
    let one_point_one = request.version == Some(1);
    let target: Uri = request
        .path
        // A request's target has no fragment; hyper leaves out what others may read.
        .filter(|target| !target.contains('#'))
        .and_then(|target| target.parse().ok())
        .ok_or(Refusal::Bad(
            "The target of the request is not a valid one.",
        ))?;

    let (mut host, mut length, mut chunked) = (None, None, false);
    for header in request.headers.iter() {
        if header.name.eq_ignore_ascii_case("host") {
            if host.is_some() {
                return Err(HOST);
            }
            host = Some(authority(header.value).ok_or(HOST)?);
        } else if header.name.eq_ignore_ascii_case("content-length") {
            if length.is_some() {
                return Err(LENGTH);
            }
            length = Some(number(header.value).ok_or(LENGTH)?);
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            if chunked || !one_point_one || !header.value.eq_ignore_ascii_case(b"chunked") {
                return Err(CODING);
            }
            chunked = true;
        }
    }
    match (&host, target.authority()) {
        (None, _) if one_point_one => return Err(HOST),
        (Some(host), Some(named)) if target.scheme().is_some() && host != named => {
            return Err(Refusal::Bad(
                "The target of the request and its Host header name different hosts.",
            ));
        }
        _ => {}
    }
    match (length, chunked) {
        (Some(_), true) => Err(BOTH),
        (None, true) => Ok(Body::Chunked),
        (length, false) => Ok(Body::Length(length.unwrap_or(0))),
    }
}

/// `host[:port]` (RFC 9110 section 7.2), without a user and not empty.
fn authority(value: &[u8]) -> Option<Authority> {
    let authority = Authority::try_from(value).ok()?;
    let host = authority.host();
    let rest = authority.as_str().strip_prefix(host)?;
    let port_is_whole = match rest.strip_prefix(':') {
        Some(port) => port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok(),
        None => rest.is_empty(),
    };
    (!host.is_empty() && port_is_whole).then_some(authority)
}

/// `1*DIGIT` that fits 64 bits: no sign, no list, no blanks.
fn number(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 1024;

    fn read(head: &str) -> Result<Body, Refusal> {
        let length = Scanner::default().scan(head.as_bytes(), MOST)?;
        judge(&head.as_bytes()[..length.expect("a whole head")])
    }

    #[test]
    fn plain_messages_have_their_one_reading() {
        for (head, body) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", Body::Length(0)),
            ("GET / HTTP/1.0\r\n\r\n", Body::Length(0)),
            ("get / HTTP/1.1\r\nhost: a\r\n\r\n", Body::Length(0)),
            (
                "GET http://a/x HTTP/1.1\r\nHost: a\r\n\r\n",
                Body::Length(0),
            ),
            ("OPTIONS * HTTP/1.1\r\nHost: a:80\r\n\r\n", Body::Length(0)),
            (
                "POST / HTTP/1.1\r\nHOST: [::1]:8080\r\nContent-length: 12\r\n\r\n",
                Body::Length(12),
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n",
                Body::Chunked,
            ),
        ] {
            assert_eq!(read(head), Ok(body), "{head:?}");
        }
    }

    #[test]
    fn a_message_with_two_readings_has_none() {
        for lines in [
            "GET / HTTP/1.1\r\n",
            "GET / HTTP/1.1\r\nHost:\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n",
            "GET / HTTP/1.0\r\nHost: a\r\nhost: b\r\n",
            "GET / HTTP/1.1\r\nHost: a b\r\n",
            "GET / HTTP/1.1\r\nHost: a/b\r\n",
            "GET / HTTP/1.1\r\nHost: u@a\r\n",
            "GET / HTTP/1.1\r\nHost: a:\r\n",
            "GET / HTTP/1.1\r\nHost: a:+1\r\n",
            "GET / HTTP/1.1\r\nHost: a:65536\r\n",
            "GET / HTTP/1.1\r\nHost: [::1\r\n",
            "GET http://b/ HTTP/1.1\r\nHost: a\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "GET / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n folded\r\n",
            "GET / HTTP/1.1\r\nHost : a\r\n",
            "GET / HTTP/1.1\r\n Host: a\r\n",
            "GET / HTTP/1.1\r\nHost: a\nX: y\r\n",
            "GET / HTTP/1.1\nHost: a\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nNo colon\r\n",
            "GET /a#b HTTP/1.1\r\nHost: a\r\n",
            "GET  / HTTP/1.1\r\nHost: a\r\n",
            "GET / HTTP/2.0\r\nHost: a\r\n",
            "PRI * HTTP/2.0\r\n",
            "GET /\r\n",
            " GET / HTTP/1.1\r\nHost: a\r\n",
            "\u{16}\u{3}\u{1}",
        ] {
            let head = format!("{lines}\r\n");
            assert!(
                matches!(read(&head), Err(Refusal::Bad(_))),
                "{head:?} was read as {:?}",
                read(&head)
            );
        }
    }

    #[test]
    fn a_head_has_a_longest_length_and_a_largest_count() {
        let long = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "y".repeat(MOST));
        assert_eq!(read(&long), Err(Refusal::TooLarge));
        assert_eq!(read(&format!("{long}\r\n\r\n")), Err(Refusal::TooLarge));
        let lines = |n: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(n));
        assert_eq!(read(&lines(99)), Ok(Body::Length(0)));
        assert_eq!(judge(lines(100).as_bytes()), Err(Refusal::TooLarge));
    }

    #[test]
    fn a_head_is_found_however_it_is_cut() {
        let message = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nbody\r\n\r\n";
        let mut scanner = Scanner::default();
        for end in 0..message.len() {
            let found = scanner.scan(&message[..end], MOST).unwrap();
            if end < 27 {
                assert_eq!(found, None, "{end}");
            } else {
                assert_eq!(found, Some(27));
                return;
            }
        }
    }
}
