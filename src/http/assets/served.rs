//! What is sent, as it is and small.

use std::io::Write;

use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, VARY};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;

/// A file as it is, and small. Nothing in it is secret or comes from a request, so its size tells nothing.
#[derive(Clone)]
pub(super) struct Served {
    pub(super) kind: &'static str,
    pub(super) plain: Bytes,
    gzip: Option<Bytes>,
}

impl Served {
    pub(super) fn new(kind: &'static str, plain: Vec<u8>) -> Self {
        Served {
            kind,
            gzip: small(&plain).map(Bytes::from),
            plain: Bytes::from(plain),
        }
    }

    pub(super) fn answer(&self, asked: &HeaderMap) -> Response {
        let small = self.gzip.as_ref().filter(|_| reads_gzip(asked));
        let body = small.unwrap_or(&self.plain).clone();
        let headers = [(CONTENT_TYPE, self.kind), (VARY, "accept-encoding")];
        let mut response = (headers, body).into_response();
        if small.is_some() {
            let gzip = HeaderValue::from_static("gzip");
            response.headers_mut().insert(CONTENT_ENCODING, gzip);
        }
        response
    }
}

/// Compressed, where that makes it smaller.
fn small(plain: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).ok()?;
    let small = encoder.finish().ok()?;
    (small.len() < plain.len()).then_some(small)
}

/// Whether a client says that it reads gzip (RFC 9110 section 12.5.3).
fn reads_gzip(headers: &HeaderMap) -> bool {
    let lists = headers.get_all(ACCEPT_ENCODING).iter();
    let mut codings = lists
        .filter_map(|list| list.to_str().ok())
        .flat_map(|list| list.split(','));
    codings.any(|coding| {
        let mut words = coding.split(';').map(str::trim);
        let gzip = words
            .next()
            .is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let refused = words
            .filter_map(|word| word.strip_prefix("q="))
            .any(|weight| weight.parse::<f32>().is_ok_and(|weight| weight <= 0.0));
        gzip && !refused
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepting(lists: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for list in lists {
            headers.append(ACCEPT_ENCODING, HeaderValue::from_static(list));
        }
        headers
    }

    #[test]
    fn only_who_says_so_gets_gzip() {
        let yes: [&[_]; 4] = [
            &["gzip"],
            &["br;q=1, GZIP ; q=0.5"],
            &["deflate", "br,gzip"],
            &["gzip;q=much"],
        ];
        for said in yes {
            assert!(reads_gzip(&accepting(said)), "{said:?}");
        }
        let no: [&[_]; 6] = [
            &[],
            &["br"],
            &["gzip;q=0"],
            &["gzip; q=0.000"],
            &["x-gzip"],
            &["*"],
        ];
        for said in no {
            assert!(!reads_gzip(&accepting(said)), "{said:?}");
        }
    }
}
