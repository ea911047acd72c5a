//! Which language a browser asks for.

use axum::http::HeaderMap;
use axum::http::header::ACCEPT_LANGUAGE;

use super::cookie;
use crate::words::Language;

/// The cookie in which the pages keep the language that somebody chose: its tag. It holds nothing secret, and scripts
/// write it.
pub const LANGUAGE_COOKIE: &str = "mfad_language";

/// The language that somebody chose on a page of ours in this browser.
pub fn chosen_language(headers: &HeaderMap) -> Option<Language> {
    cookie(headers, LANGUAGE_COOKIE)?.parse().ok()
}

/// The first of ours that a browser asks for (RFC 9110 section 12.5.4).
pub(super) fn accepted_language(headers: &HeaderMap) -> Option<Language> {
    let lists = headers.get_all(ACCEPT_LANGUAGE).iter();
    let lists: Vec<_> = lists.filter_map(|list| list.to_str().ok()).collect();
    Language::preferred(&lists.join(","))
}

/// The language that somebody chose, else the first of ours that their browser asks for.
pub fn asked_language(headers: &HeaderMap) -> Option<Language> {
    chosen_language(headers).or_else(|| accepted_language(headers))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use axum::http::header::COOKIE;

    use super::*;

    #[test]
    fn a_choice_goes_before_what_the_browser_asks_for_and_nonsense_is_none() {
        let asked = |cookies: &[&'static str], lists: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for line in cookies {
                headers.append(COOKIE, HeaderValue::from_static(line));
            }
            for list in lists {
                headers.append(ACCEPT_LANGUAGE, HeaderValue::from_static(list));
            }
            asked_language(&headers)
        };
        assert_eq!(
            asked(&["a=b; mfad_language=fr"], &["de"]),
            Some(Language::French)
        );
        assert_eq!(asked(&[], &["pt", "es;q=0.5, nl"]), Some(Language::Dutch));
        for strange in [
            "mfad_language=",
            "mfad_language=xx",
            "mfad_language=fr-CA",
            "mfad_language=fr; mfad_language=nl",
            "xmfad_language=fr",
        ] {
            assert_eq!(asked(&[strange], &["de"]), Some(Language::German));
        }
        assert_eq!(asked(&[], &["pt"]), None);
        assert_eq!(asked(&[], &[]), None);
    }
}
