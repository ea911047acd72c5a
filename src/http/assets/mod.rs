//! The pages and their parts, compiled in. Parts stand under a hash of all of
//! them, so that they can be kept for ever; the pages themselves are never kept.
//! Pages and words are made at the start, once for each language.

mod served;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use aws_lc_rs::digest;
use axum::Router;
use axum::extract::Path;
use axum::http::HeaderMap;
use axum::http::header::{CACHE_CONTROL, CONTENT_LANGUAGE, HeaderValue, VARY};
use axum::response::Response;
use axum::routing::get;
use rust_embed::Embed;

use super::face::Face;
use super::{edge, html};
use crate::wire::asked_language;
use crate::words::{self, Language, Page};
use served::Served;

const HTML: &str = "text/html; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

#[derive(Embed)]
#[folder = "assets/ui"]
struct Ui;

/// The words of each page in each language, as modules: path and content.
static WORDS: LazyLock<Vec<(String, String)>> = LazyLock::new(|| {
    let file = |page: Page, language: Language| {
        let path = format!("js/words/{}/{language}.js", page.name());
        (path, words::module(page, language))
    };
    let pages = Page::ALL.into_iter();
    pages
        .flat_map(|page| Language::ALL.map(|language| file(page, language)))
        .collect()
});

/// Changes whenever any part does.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hash = digest::Context::new(&digest::SHA256);
    for name in Ui::iter() {
        hash.update(name.as_bytes());
        hash.update(&Ui::get(&name).map(|file| file.data).unwrap_or_default());
    }
    for (path, content) in WORDS.iter() {
        hash.update(path.as_bytes());
        hash.update(content.as_bytes());
    }
    data_encoding::HEXLOWER.encode(hash.finish().as_ref().get(..8).unwrap_or_default())
});

/// All parts by their paths below the hash.
static PARTS: LazyLock<BTreeMap<String, Served>> = LazyLock::new(|| {
    let files = Ui::iter().filter_map(|name| {
        let kind = match name.rsplit_once('.').map(|(_, ending)| ending)? {
            "js" => JS,
            "css" => "text/css; charset=utf-8",
            "svg" => "image/svg+xml",
            // Pages are served where they belong, and nothing else is meant for browsers.
            _ => return None,
        };
        let file = Ui::get(&name)?.data.into_owned();
        Some((name.into_owned(), Served::new(kind, file)))
    });
    let words = WORDS.iter().map(|(path, content)| {
        let content = content.clone().into_bytes();
        (path.clone(), Served::new(JS, content))
    });
    files.chain(words).collect()
});

/// The page of that file, in `language`. A shell may hold `{{assets}}`, `{{language}}`, `{{languages}}`,
/// `{{say KEY}}`, and what `face` gives.
fn page(file: &str, face: &Face, language: Language) -> Option<Served> {
    let shell = Ui::get(file)?.data;
    let shell = std::str::from_utf8(&shell).ok()?;
    let page = html::fill(shell, |name| match name {
        "assets" => Some(format!("/assets/{}", *VERSION)),
        "language" => Some(language.to_string()),
        "languages" => Some(choices(language)),
        _ => match name.strip_prefix("say ") {
            Some(key) => Some(html::escape(words::find(language, key, None))),
            None => face.markup(name, language),
        },
    });
    Some(Served::new(HTML, page.into_bytes()))
}

/// All languages to choose from, each in its own words.
fn choices(current: Language) -> String {
    let choice = |language: Language| {
        let current = match language == current {
            true => " aria-current=\"true\"",
            false => "",
        };
        let name = html::escape(language.own_name());
        format!(
            "<li><button type=\"button\" class=\"plain\" lang=\"{language}\"{current}>{name}</button></li>"
        )
    };
    Language::ALL.into_iter().map(choice).collect()
}

/// The pages with `face` on them, and their parts; `usual` is the language of whoever asks for none of ours.
pub(super) fn routes(usual: Language, face: &Face) -> Router {
    let page = |file: &str| {
        let pages: BTreeMap<_, _> = Language::ALL
            .into_iter()
            .filter_map(|language| Some((language, page(file, face, language)?)))
            .collect();
        let pages = Arc::new(pages);
        get(async move |asked: HeaderMap| {
            let language = asked_language(&asked).unwrap_or(usual);
            match pages.get(&language) {
                Some(page) => in_language(page.answer(&asked), language),
                None => edge::not_found().await,
            }
        })
    };
    Router::new()
        .route("/", page("settings.html"))
        .route("/prompt", page("prompt.html"))
        .route("/prompt/", page("prompt.html"))
        .route("/assets/{version}/{*name}", get(part))
}

/// Says on a page that it was made in `language`, and what decided that.
pub(super) fn in_language(mut page: Response, language: Language) -> Response {
    const BY: HeaderValue = HeaderValue::from_static("accept-encoding, accept-language, cookie");
    let headers = page.headers_mut();
    headers.insert(VARY, BY);
    headers.insert(CONTENT_LANGUAGE, HeaderValue::from_static(language.tag()));
    page
}

/// Where a part stands, for pages that are made here.
pub(super) fn address(name: &str) -> String {
    format!("/assets/{}/{name}", *VERSION)
}

async fn part(Path((version, name)): Path<(String, String)>, asked: HeaderMap) -> Response {
    match PARTS.get(&name) {
        Some(file) if version == *VERSION => {
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

    #[test]
    fn pages_name_parts_that_are_served_and_hold_nothing_inline() {
        let base = format!("/assets/{}/", *VERSION);
        let face = Face::new("Example", &Brand::default());
        for of in Page::ALL {
            let file = &format!("{}.html", of.name());
            for language in Language::ALL {
                let page = page(file, &face, language).unwrap();
                let html = std::str::from_utf8(&page.plain).unwrap();
                let quoted = html.split('"');
                let parts: Vec<_> = quoted.filter_map(|text| text.strip_prefix(&base)).collect();
                let words = format!("js/words/{}/{language}.js", of.name());
                assert!(parts.contains(&words.as_str()), "{file} in {language}");
                for part in parts {
                    assert!(PARTS.contains_key(part), "{file} asks for {part}");
                }
                let root = format!("<html lang=\"{language}\" data-page=\"{}\">", of.name());
                assert!(html.contains(&root), "{file} in {language}");
                for word in ["{{", "<style", " style=", " onclick=", "http:", "https:"] {
                    assert!(!html.contains(word), "{file} in {language} holds {word}");
                }
            }
        }
    }
}
