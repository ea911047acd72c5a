//! The page that a person sees whose sign-in did not succeed.

use url::form_urlencoded;

use super::super::assets;
use crate::session::LOGIN_PATH;

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Says why in our own words, and leads to a new sign-in that would end at `return_to`.
pub(super) fn page(title: &str, sentence: &str, return_to: &str) -> String {
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("return", return_to)
        .finish();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n\
         <link rel=\"icon\" href=\"{icon}\">\n<link rel=\"stylesheet\" href=\"{style}\">\n\
         </head>\n<body class=\"prompt\">\n<main class=\"card\">\n<h1>{title}</h1>\n<div id=\"content\">\n\
         <p role=\"alert\">{sentence}</p>\n\
         <p><a class=\"button\" href=\"{LOGIN_PATH}?{query}\">Sign in again</a></p>\n\
         <p><a href=\"/\">To the settings page</a></p>\n</div>\n</main>\n</body>\n</html>\n",
        title = escape(title),
        sentence = escape(sentence),
        query = escape(&query),
        icon = assets::address("icon.svg"),
        style = assets::address("app.css"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_text_and_the_way_on_is_a_query() {
        let page = page("A <b>", "\"it's\" <script>", "/a?b=c&d=<x>\"");
        assert!(page.contains("<h1>A &lt;b&gt;</h1>"), "{page}");
        assert!(
            page.contains("&quot;it&#39;s&quot; &lt;script&gt;"),
            "{page}"
        );
        let link = "href=\"/auth/login?return=%2Fa%3Fb%3Dc%26d%3D%3Cx%3E%22\"";
        assert!(page.contains(link), "{page}");
    }
}
