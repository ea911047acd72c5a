//! The pages and their parts, compiled in. Parts stand under a hash of all of
//! them, so that they can be kept for ever; the pages themselves are never kept.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, LazyLock};

use aws_lc_rs::digest;
use axum::Router;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::HeaderMap;
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, VARY,
};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use flate2::Compression;
use flate2::write::GzEncoder;
use rust_embed::Embed;

use super::face::Face;
use super::{edge, html};
use crate::words::Language;

const PAGE: &str = "text/html; charset=utf-8";

#[derive(Embed)]
#[folder = "assets/ui"]
struct Ui;

/// Changes whenever any part does.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hash = digest::Context::new(&digest::SHA256);
    for name in Ui::iter() {
        hash.update(name.as_bytes());
        hash.update(&Ui::get(&name).map(|file| file.data).unwrap_or_default());
    }
    data_encoding::HEXLOWER.encode(hash.finish().as_ref().get(..8).unwrap_or_default())
});

/// A file as it is, and small. Nothing in it is secret or comes from a request, so its size tells nothing.
struct Served {
    kind: &'static str,
    plain: Bytes,
    gzip: Option<Bytes>,
}

static FILES: LazyLock<BTreeMap<String, Served>> = LazyLock::new(|| {
    let files = Ui::iter().filter_map(|name| {
        let kind = match name.rsplit_once('.').map(|(_, ending)| ending)? {
            "js" => "text/javascript; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "svg" => "image/svg+xml",
            "html" => PAGE,
            // Nothing else is meant for browsers.
            _ => return None,
        };
        let file = Ui::get(&name)?.data.into_owned();
        let plain = match kind {
            PAGE => {
                let html = String::from_utf8(file).ok()?;
                let assets = format!("/assets/{}", *VERSION);
                html.replace("{{assets}}", &assets).into_bytes()
            }
            _ => file,
        };
        Some((name.into_owned(), Served::new(kind, plain)))
    });
    files.collect()
});

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

impl Served {
    fn new(kind: &'static str, plain: Vec<u8>) -> Served {
        Served {
            kind,
            gzip: small(&plain).map(Bytes::from),
            plain: Bytes::from(plain),
        }
    }

    fn answer(&self, asked: &HeaderMap) -> Response {
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

/// The pages with `face` on them, and their parts.
pub(super) fn routes(face: &Face) -> Router {
    let page = |name: &str| {
        let page = branded(name, face).map(Arc::new);
        get(async move |asked: HeaderMap| match page {
            Some(page) => page.answer(&asked),
            None => edge::not_found().await,
        })
    };
    Router::new()
        .route("/", page("settings.html"))
        .route("/prompt", page("prompt.html"))
        .route("/prompt/", page("prompt.html"))
        .route("/assets/{version}/{*name}", get(part))
}

/// Where a part stands, for pages that are made here.
pub(super) fn address(name: &str) -> String {
    format!("/assets/{}/{name}", *VERSION)
}

fn branded(name: &str, face: &Face) -> Option<Served> {
    let shell = std::str::from_utf8(&FILES.get(name)?.plain).ok()?;
    let page = html::fill(shell, |gap| face.markup(gap, Language::English));
    Some(Served::new(PAGE, page.into_bytes()))
}

async fn part(Path((version, name)): Path<(String, String)>, asked: HeaderMap) -> Response {
    match FILES.get(&name) {
        // Pages are served where they belong.
        Some(file) if version == *VERSION && file.kind != PAGE => {
            let mut response = file.answer(&asked);
            let forever = HeaderValue::from_static("public, max-age=31536000, immutable");
            response.headers_mut().insert(CACHE_CONTROL, forever);
            response
        }
        _ => edge::not_found().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::brand::Brand;

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

    #[test]
    fn pages_name_parts_that_are_served_and_hold_nothing_inline() {
        let base = format!("/assets/{}/", *VERSION);
        let face = Face::new("Example", &Brand::default());
        for name in FILES
            .iter()
            .filter(|(_, file)| file.kind == PAGE)
            .map(|(name, _)| name)
        {
            let page = branded(name, &face).unwrap();
            let html = std::str::from_utf8(&page.plain).unwrap();
            let quoted = html.split('"');
            let parts: Vec<_> = quoted.filter_map(|text| text.strip_prefix(&base)).collect();
            assert!(!parts.is_empty(), "{name}");
            for part in parts {
                assert!(FILES.contains_key(part), "{name} asks for {part}");
            }
            for word in ["{{", "<style", " style=", " onclick=", "http:", "https:"] {
                assert!(!html.contains(word), "{name} holds {word}");
            }
        }
    }
}
