//! The page that a person sees whose sign-in did not succeed.

use url::form_urlencoded;

use super::super::assets;
use super::super::face::Face;
use super::super::html::{self, escape};
use crate::session::LOGIN_PATH;
use crate::words::Language;

const PAGE: &str = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{title}} · {{service}}</title>
<link rel="stylesheet" href="{{style}}">
{{links}}
</head>
<body class="prompt">
<main class="card">
<p class="brand">{{logo}}</p>
<h1>{{title}}</h1>
<div id="content">
<p role="alert">{{sentence}}</p>
<p><a class="button" href="{{again}}">Sign in again</a></p>
<p><a href="/">To the settings page</a></p>
</div>
{{help}}
</main>
</body>
</html>
"#;

/// Says why in our own words, and leads to a new sign-in that would end at `return_to`.
pub(super) fn page(face: &Face, title: &str, sentence: &str, return_to: &str) -> String {
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("return", return_to)
        .finish();
    html::fill(PAGE, |gap| match gap {
        "title" => Some(escape(title)),
        "sentence" => Some(escape(sentence)),
        "again" => Some(escape(&format!("{LOGIN_PATH}?{query}"))),
        "style" => Some(assets::address("app.css")),
        _ => face.markup(gap, Language::English),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::brand::Brand;

    #[test]
    fn what_is_said_is_text_and_the_way_on_is_a_query() {
        let face = Face::new("{{title}}&", &Brand::default());
        let page = page(&face, "A <b>", "\"it's\" <script>", "/a?b=c&d=<x>\"");
        assert!(
            page.contains("<title>A &lt;b&gt; · {{title}}&amp;</title>"),
            "{page}"
        );
        assert!(page.contains("<h1>A &lt;b&gt;</h1>"), "{page}");
        assert!(
            page.contains("&quot;it&#39;s&quot; &lt;script&gt;"),
            "{page}"
        );
        let link = "href=\"/auth/login?return=%2Fa%3Fb%3Dc%26d%3D%3Cx%3E%22\"";
        assert!(page.contains(link), "{page}");
    }
}
