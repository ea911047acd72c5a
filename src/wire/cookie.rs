//! What browsers bring along by themselves: cookies, and word of which page a request comes from.

use axum::http::header::{COOKIE, HeaderMap, HeaderValue, ORIGIN};
use axum::http::{HeaderName, Method};

use crate::auth::FORBIDDEN;
use crate::base::{Failure, Secret};
use crate::session::{CookiePlace, MOST_PENDING_OF_BROWSER};

/// The cookie of a session. Its prefix has browsers take it from this very origin alone, and from nobody beside or
/// below it (RFC 6265bis section 4.1.3.2).
pub const SESSION_COOKIE: &str = "__Host-mfad_session";

/// The cookies of a browser that is signing in, one for each sign-in that is under way.
pub const SIGN_IN_COOKIES: [&str; MOST_PENDING_OF_BROWSER] = [
    "__Host-mfad_sign_in_1",
    "__Host-mfad_sign_in_2",
    "__Host-mfad_sign_in_3",
    "__Host-mfad_sign_in_4",
    "__Host-mfad_sign_in_5",
];

/// What our own pages send with each request, and no form and no other origin's script can.
const OWN_HEADER: &str = "x-mfad";

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The cookies that came with a request, by name and value.
fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim_matches([' ', '\t']).split_once('='))
}

/// Returns what stands under each of [`SIGN_IN_COOKIES`], with its place there. A name may stand several times: another
/// site of the domain can add one in old browsers, and the values say themselves whose they are.
pub fn sign_in_cookies(headers: &HeaderMap) -> Vec<(CookiePlace, &str)> {
    let place = |name| SIGN_IN_COOKIES.iter().position(|own| *own == name);
    cookies(headers)
        .filter_map(|(name, value)| Some((place(name)?, value)))
        .collect()
}

/// The cookie of that name. `None` where it stands twice: one of the two is not ours.
pub fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut found = cookies(headers)
        .filter(|(key, _)| *key == name)
        .map(|(_, value)| value);
    match (found.next(), found.next()) {
        (value, None) => value,
        _ => None,
    }
}

/// `Set-Cookie` for this origin alone, out of the reach of scripts, until the browser closes or for `seconds`.
/// Lax: Strict would not be there on the way back from the issuer.
///
/// # Errors
/// `internal` where the value could not stand in a cookie.
pub fn set_cookie(
    name: &str,
    value: &Secret<String>,
    seconds: Option<u64>,
) -> Result<HeaderValue, Failure> {
    written(name, value.expose(), seconds)
}

/// `Set-Cookie` that takes the cookie away.
///
/// # Errors
/// As [`set_cookie`].
pub fn clear_cookie(name: &str) -> Result<HeaderValue, Failure> {
    written(name, "", Some(0))
}

fn written(name: &str, value: &str, seconds: Option<u64>) -> Result<HeaderValue, Failure> {
    // RFC 6265 section 4.1.1: anything else could end the value and begin an attribute.
    let fits = |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b',' | b';' | b'\\');
    if !value.bytes().all(fits) {
        return Err(Failure::internal(
            "a cookie's value has characters that none may have",
        ));
    }
    let age = seconds.map_or_else(String::new, |seconds| format!("; Max-Age={seconds}"));
    let text = Secret::new(format!(
        "{name}={value}; Path=/{age}; Secure; HttpOnly; SameSite=Lax"
    ));
    let mut header = HeaderValue::try_from(text.expose().as_str()).map_err(Failure::internal)?;
    header.set_sensitive(true);
    Ok(header)
}

/// Which page a request comes from, in the browser's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Page {
    /// One of ours.
    Own,
    /// None: typed, or a bookmark.
    Nobody,
    /// The browser does not say.
    Unsaid,
    /// Another's, be it a neighbour's.
    Other,
}

/// `Sec-Fetch-Site` cannot be set by a page. Where an older browser does not send it, `Origin` says it for all but
/// plain GETs.
fn page(headers: &HeaderMap, origin: &str) -> Page {
    let mut sites = headers.get_all(SEC_FETCH_SITE).iter();
    let mut origins = headers.get_all(ORIGIN).iter();
    match (sites.next(), sites.next(), origins.next(), origins.next()) {
        (_, Some(_), _, _) | (_, _, _, Some(_)) => Page::Other,
        // What says it twice says it alike.
        (_, _, Some(theirs), None) if theirs.as_bytes() != origin.as_bytes() => Page::Other,
        (Some(site), None, _, _) => match site.as_bytes() {
            b"same-origin" => Page::Own,
            b"none" => Page::Nobody,
            _ => Page::Other,
        },
        (None, None, Some(_), None) => Page::Own,
        (None, None, None, None) => Page::Unsaid,
    }
}

/// Whether a request whose cookie (or proxy) says who is asking comes from a page of this `origin`: a browser sends
/// cookies along whoever has it ask. Reading is also for those who typed the address.
///
/// # Errors
/// `forbidden`, in words for whoever writes a page.
pub fn from_own_page(method: &Method, headers: &HeaderMap, origin: &str) -> Result<(), Failure> {
    let page = page(headers, origin);
    if *method == Method::GET || *method == Method::HEAD {
        return match page {
            Page::Own | Page::Nobody | Page::Unsaid => Ok(()),
            Page::Other => Err(foreign()),
        };
    }
    if page != Page::Own {
        return Err(foreign());
    }
    if headers.get(OWN_HEADER).is_none_or(|value| value != "1") {
        return Err(Failure::new(
            FORBIDDEN,
            "With a session cookie, whatever changes something needs the header X-Mfad: 1.",
        ));
    }
    Ok(())
}

/// Whether a request does not come from another's page, as far as is said.
///
/// # Errors
/// `forbidden`.
pub(super) fn not_from_elsewhere(headers: &HeaderMap, origin: &str) -> Result<(), Failure> {
    match page(headers, origin) {
        Page::Other => Err(foreign()),
        Page::Own | Page::Nobody | Page::Unsaid => Ok(()),
    }
}

fn foreign() -> Failure {
    Failure::new(
        FORBIDDEN,
        "A session is good for requests of this server's own pages alone; this one comes from elsewhere.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "https://mfa.example.org";

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn a_cookie_is_found_among_others_and_never_guessed_between_two() {
        let found = |lines: &[(&'static str, &'static str)]| {
            cookie(&headers(lines), SESSION_COOKIE).map(str::to_owned)
        };
        let one = Some("abc".to_owned());
        assert_eq!(found(&[("cookie", "__Host-mfad_session=abc")]), one);
        let among = "a=b; __Host-mfad_session=abc; c=d";
        assert_eq!(found(&[("cookie", among)]), one);
        assert_eq!(
            found(&[("cookie", "a=b"), ("cookie", "__Host-mfad_session=abc")]),
            one
        );
        for none in [
            "",
            "mfad_session=abc",
            "__host-mfad_session=abc",
            "__Host-mfad_session",
            "x__Host-mfad_session=abc",
            "__Host-mfad_session =abc",
            "__Host-mfad_session=abc; __Host-mfad_session=abc",
            "__Host-mfad_session=abc; __Host-mfad_session=def",
        ] {
            assert_eq!(found(&[("cookie", none)]), None, "{none}");
        }
        let twice = [
            ("cookie", "__Host-mfad_session=a"),
            ("cookie", "__Host-mfad_session=b"),
        ];
        assert_eq!(found(&twice), None);
    }

    #[test]
    fn cookies_are_written_for_this_origin_alone() {
        let value = Secret::new("abc".to_owned());
        let set = set_cookie(SESSION_COOKIE, &value, None).unwrap();
        assert_eq!(
            set.to_str().unwrap(),
            "__Host-mfad_session=abc; Path=/; Secure; HttpOnly; SameSite=Lax"
        );
        assert!(set.is_sensitive());
        let set = set_cookie(SIGN_IN_COOKIES[0], &value, Some(600)).unwrap();
        assert_eq!(
            set.to_str().unwrap(),
            "__Host-mfad_sign_in_1=abc; Path=/; Max-Age=600; Secure; HttpOnly; SameSite=Lax"
        );
        let clear = clear_cookie(SESSION_COOKIE).unwrap();
        assert_eq!(
            clear.to_str().unwrap(),
            "__Host-mfad_session=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax"
        );
    }

    #[test]
    fn changes_come_from_our_own_pages_and_say_so() {
        let own = ("x-mfad", "1");
        for good in [
            &[own, ("sec-fetch-site", "same-origin")][..],
            &[own, ("sec-fetch-site", "same-origin"), ("origin", OURS)],
            // Browsers that do not send the other.
            &[own, ("origin", OURS)],
        ] {
            for method in [Method::POST, Method::DELETE, Method::PATCH, Method::PUT] {
                let judged = from_own_page(&method, &headers(good), OURS);
                assert!(judged.is_ok(), "{good:?}");
            }
        }
        for bad in [
            &[][..],
            &[own],
            &[("sec-fetch-site", "same-origin")],
            &[("origin", OURS)],
            &[("x-mfad", "0"), ("sec-fetch-site", "same-origin")],
            &[own, ("sec-fetch-site", "same-site")],
            &[own, ("sec-fetch-site", "cross-site")],
            &[own, ("sec-fetch-site", "none")],
            &[own, ("sec-fetch-site", "Same-Origin")],
            &[own, ("sec-fetch-site", "")],
            &[
                own,
                ("sec-fetch-site", "same-origin"),
                ("sec-fetch-site", "same-origin"),
            ],
            &[own, ("sec-fetch-site", "cross-site"), ("origin", OURS)],
            &[
                own,
                ("sec-fetch-site", "same-origin"),
                ("origin", "https://evil.example"),
            ],
            &[own, ("origin", "null")],
            &[own, ("origin", "")],
            &[own, ("origin", "https://mfa.example.org:444")],
            &[own, ("origin", "http://mfa.example.org")],
            &[own, ("origin", "https://mfa.example.org.evil.example")],
            &[own, ("origin", "https://evil.mfa.example.org")],
            &[own, ("origin", OURS), ("origin", OURS)],
        ] {
            let judged = from_own_page(&Method::POST, &headers(bad), OURS);
            assert_eq!(judged.unwrap_err().code(), FORBIDDEN, "{bad:?}");
        }
    }

    #[test]
    fn reading_is_also_for_those_who_typed_the_address() {
        for good in [
            &[][..],
            &[("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "none")],
            &[("origin", OURS)],
        ] {
            for method in [Method::GET, Method::HEAD] {
                let judged = from_own_page(&method, &headers(good), OURS);
                assert!(judged.is_ok(), "{good:?}");
            }
        }
        for bad in [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("origin", "https://evil.example"),
            ("origin", "null"),
        ] {
            let judged = from_own_page(&Method::GET, &headers(&[bad]), OURS);
            assert_eq!(judged.unwrap_err().code(), FORBIDDEN, "{bad:?}");
        }
    }
}
