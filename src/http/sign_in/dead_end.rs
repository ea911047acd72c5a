//! The page that a person sees whose sign-in did not succeed.

use url::form_urlencoded;

use super::super::face::Face;
use super::super::{assets, html};
use crate::session::LOGIN_PATH;
use crate::words::{self, Language};

const PAGE: &str = r#"<!doctype html>
<html lang="{{language}}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{say sign_in.failed}} · {{service}}</title>
<link rel="stylesheet" href="{{style}}">
{{links}}
</head>
<body class="prompt">
<main class="card">
<p class="brand">{{logo}}</p>
<h1>{{say sign_in.failed}}</h1>
<div id="content">
<p role="alert">{{sentence}}</p>
<p><a class="button" href="{{again}}">{{say session.again}}</a></p>
<p><a href="/">{{say sign_in.settings}}</a></p>
</div>
{{help}}
</main>
</body>
</html>
"#;

/// Says in `language` what `key` says, and leads to a new sign-in that would end at `return_to`.
pub(super) fn page(face: &Face, language: Language, key: &str, return_to: &str) -> String {
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("return", return_to)
        .finish();
    let said = |key: &str| html::escape(words::find(language, key, None));
    html::fill(PAGE, |gap| match gap {
        "language" => Some(language.to_string()),
        "style" => Some(assets::address("app.css")),
        "sentence" => Some(said(key)),
        "again" => Some(html::escape(&format!("{LOGIN_PATH}?{query}"))),
        _ => match gap.strip_prefix("say ") {
            Some(key) => Some(said(key)),
            None => face.markup(gap, language),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::brand::Brand;

    #[test]
    fn it_is_said_in_the_readers_language_and_the_way_on_is_a_query() {
        let face = Face::new("A & B", &Brand::default());
        let page = page(
            &face,
            Language::French,
            "sign_in.cancelled",
            "/a?b=c&d=<x>\"",
        );
        assert!(page.contains(" · A &amp; B</title>"), "{page}");
        assert!(page.contains("<html lang=\"fr\">"), "{page}");
        assert!(
            page.contains("<h1>La connexion n’a pas abouti</h1>"),
            "{page}"
        );
        assert!(
            page.contains("<p role=\"alert\">La connexion a été annulée.</p>"),
            "{page}"
        );
        let link = "href=\"/auth/login?return=%2Fa%3Fb%3Dc%26d%3D%3Cx%3E%22\"";
        assert!(page.contains(link), "{page}");
        assert!(!page.contains("{{"), "{page}");
    }
}
