//! What stands before every page and endpoint of the demo.
//!
//! The demo hands out tokens to whoever asks, which is safe only where the
//! asker sits at this machine. A web page elsewhere can point a name of its own
//! at 127.0.0.1 (DNS rebinding) and would then share our origin, so the name in
//! `Host` must be one of loopback's own; and a page under another origin can
//! send requests across, so the browser's word on where one comes from counts.

use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, HeaderName, ORIGIN, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use url::Url;

use super::problem;

/// What pages of the demo may load and do: what comes with them, and no more.
pub const CONTENT_SECURITY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; \
     frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

const LOOPBACK_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// The port behind the public URL, which `Host` must name.
#[derive(Clone, Copy, Debug)]
pub struct Loopback {
    port: u16,
}

impl Loopback {
    /// For a server that browsers reach at `public_url`; `None` where that is
    /// not plain HTTP on a name of loopback.
    pub fn of(public_url: &Url) -> Option<Self> {
        let host = public_url.host_str()?;
        let plain = public_url.scheme() == "http" && LOOPBACK_NAMES.contains(&host);
        plain
            .then(|| public_url.port_or_known_default())
            .flatten()
            .map(|port| Loopback { port })
    }

    fn is_own(self, authority: &str) -> bool {
        LOOPBACK_NAMES.iter().any(|name| {
            let Some((head, rest)) = authority.split_at_checked(name.len()) else {
                return false;
            };
            head.eq_ignore_ascii_case(name)
                && match rest.strip_prefix(':') {
                    Some(port) => port.parse() == Ok(self.port),
                    None => rest.is_empty() && self.port == 80,
                }
        })
    }

    fn admits(self, headers: &HeaderMap, uri: &Uri) -> bool {
        let mut hosts = headers.get_all(HOST).iter();
        let named = match (hosts.next(), hosts.next()) {
            (Some(host), None) => host.to_str().is_ok_and(|host| self.is_own(host)),
            _ => false,
        };
        named
            && uri
                .authority()
                .is_none_or(|authority| self.is_own(authority.as_str()))
    }
}

/// Answers only requests that name loopback as their host, and dresses the
/// answers in headers that keep pages to themselves.
pub async fn loopback_only(
    State(loopback): State<Loopback>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = if loopback.admits(request.headers(), request.uri()) {
        next.run(request).await
    } else {
        problem(
            StatusCode::MISDIRECTED_REQUEST,
            "misdirected",
            "The demo answers only under localhost, 127.0.0.1 and [::1].",
        )
    };
    let dress = [
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, CONTENT_SECURITY),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ];
    for (name, value) in dress {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Refuses what a browser sends for a page of another origin. Programs, which
/// send neither header, pass: they sit at this machine already.
pub async fn same_origin_only(request: Request, next: Next) -> Response {
    if is_same_origin(request.headers()) {
        next.run(request).await
    } else {
        problem(
            StatusCode::FORBIDDEN,
            "forbidden",
            "This is for the demo's own page alone.",
        )
        .into_response()
    }
}

fn is_same_origin(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site");
    let origin = headers.get(ORIGIN);
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let same_site = site.is_none_or(|site| site == "same-origin");
    let same_origin = origin.is_none_or(|origin| {
        let origin = origin.to_str().ok().and_then(|o| o.strip_prefix("http://"));
        origin
            .zip(host)
            .is_some_and(|(origin, host)| origin.eq_ignore_ascii_case(host))
    });
    same_site && same_origin
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn only_the_names_of_loopback_with_our_port_are_our_host() {
        let loopback = Loopback::of(&Url::parse("http://localhost:8080").unwrap()).unwrap();
        let uri = Uri::from_static("/demo");
        for host in [
            "localhost:8080",
            "LOCALHOST:8080",
            "127.0.0.1:8080",
            "[::1]:8080",
        ] {
            assert!(loopback.admits(&with(&[("host", host)]), &uri), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:8080",
            "localhost",
            "localhost:80",
            "localhost:8080:8080",
            "localhost.:8080",
            "localhost.evil.example:8080",
            "localhost:8080.evil.example",
            "127.0.0.1.nip.io:8080",
            "user@localhost:8080",
            "",
        ] {
            let headers = with(&[("host", host)]);
            assert!(!loopback.admits(&headers, &uri), "{host}");
        }
        assert!(!loopback.admits(&HeaderMap::new(), &uri));
        let twice = with(&[("host", "localhost:8080"), ("host", "evil.example:8080")]);
        assert!(!loopback.admits(&twice, &uri));
        let elsewhere = Uri::from_static("http://evil.example:8080/demo");
        assert!(!loopback.admits(&with(&[("host", "localhost:8080")]), &elsewhere));
    }

    #[test]
    fn the_demo_lives_on_loopback_alone() {
        for url in [
            "https://mfa.example.com",
            "http://example.com:8080",
            "http://10.0.0.1:80",
        ] {
            assert!(Loopback::of(&Url::parse(url).unwrap()).is_none(), "{url}");
        }
        let plain = Loopback::of(&Url::parse("http://localhost").unwrap()).unwrap();
        assert!(plain.is_own("localhost") && plain.is_own("localhost:80"));
    }

    #[test]
    fn pages_of_other_origins_are_refused_and_programs_are_not() {
        let host = ("host", "localhost:8080");
        for more in [
            &[][..],
            &[("sec-fetch-site", "same-origin")],
            &[
                ("sec-fetch-site", "same-origin"),
                ("origin", "http://localhost:8080"),
            ],
        ] {
            assert!(is_same_origin(&with(&[&[host], more].concat())), "{more:?}");
        }
        for more in [
            &[("sec-fetch-site", "cross-site")][..],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "none")],
            &[("origin", "http://localhost:9999")],
            &[("origin", "https://localhost:8080")],
            &[("origin", "null")],
        ] {
            assert!(
                !is_same_origin(&with(&[&[host], more].concat())),
                "{more:?}"
            );
        }
    }
}
