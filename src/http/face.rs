//! The pages' own face: the service's name, logo, colours and help, written into their markup once, and the parts
//! that it asks for. These stand under a hash of all of them, as the pages' other parts do.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use aws_lc_rs::digest;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::html::escape;
use super::{assets, edge};
use crate::brand::{Brand, Image, Palette};
use crate::words::{self, Language};

/// A logo is a picture and nothing else, even where its address is opened by itself: an SVG runs no script,
/// loads nothing, and has no origin.
const PICTURE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; sandbox";
const COLOURS: &str = "colours.css";
const CSS: &str = "text/css; charset=utf-8";

/// A part that the brand brings.
struct Part {
    kind: &'static str,
    bytes: Bytes,
}

/// The name, logo, colours and help of the pages, ready to be written into them.
pub(super) struct Face {
    version: String,
    parts: BTreeMap<String, Part>,
    /// As text of HTML.
    service: String,
    links: String,
    logo: String,
    /// As an attribute's value.
    support: Option<String>,
}

impl Face {
    /// The face of `service` as `brand` has it.
    pub(super) fn new(service: &str, brand: &Brand) -> Face {
        let mut parts = BTreeMap::new();
        let css = colours(brand);
        if !css.is_empty() {
            let bytes = Bytes::from(css);
            parts.insert(COLOURS.to_owned(), Part { kind: CSS, bytes });
        }
        let mut take = |name: &str, image: &Image| {
            let name = format!("{name}.{}", image.kind().ending());
            let bytes = Bytes::copy_from_slice(image.bytes());
            let kind = image.kind().media_type();
            parts.insert(name.clone(), Part { kind, bytes });
            name
        };
        let logo = brand.logo.as_ref().map(|image| take("logo", image));
        let dark = brand.logo_dark.as_ref();
        let dark = dark.map(|image| take("logo-dark", image));
        let version = version(&parts);
        let address = |name: &str| format!("/brand/{version}/{name}");
        let service = escape(service);
        let icon = match &logo {
            Some(name) => address(name),
            None => assets::address("icon.svg"),
        };
        let mut links = format!("<link rel=\"icon\" href=\"{icon}\">");
        if parts.contains_key(COLOURS) {
            let address = address(COLOURS);
            let _ = write!(links, "\n<link rel=\"stylesheet\" href=\"{address}\">");
        }
        let dark = dark.map(|name| {
            let address = address(&name);
            format!("<source media=\"(prefers-color-scheme: dark)\" srcset=\"{address}\">")
        });
        let logo = match logo {
            Some(name) => format!(
                "<picture>{}<img class=\"logo\" src=\"{}\" alt=\"{service}\"></picture>",
                dark.unwrap_or_default(),
                address(&name)
            ),
            None => format!(
                "<span class=\"mark\" aria-hidden=\"true\"></span><bdi class=\"service\">{service}</bdi>"
            ),
        };
        Face {
            support: brand.support.as_deref().map(escape),
            version,
            parts,
            service,
            links,
            logo,
        }
    }

    /// The markup of a page's gap of that name, in `language`: `{{service}}`, the name; `{{links}}`, which stand
    /// below the styles in the head; `{{logo}}`; and `{{help}}`, at the foot. `None` for other names.
    pub(super) fn markup(&self, gap: &str, language: Language) -> Option<String> {
        match gap {
            "service" => Some(self.service.clone()),
            "links" => Some(self.links.clone()),
            "logo" => Some(self.logo.clone()),
            "help" => Some(self.help(language)),
            _ => None,
        }
    }

    /// A link to those who help, at a page's foot; nothing where there are none.
    fn help(&self, language: Language) -> String {
        let Some(address) = &self.support else {
            return String::new();
        };
        let word = escape(words::find(language, "support.help", None));
        let elsewhere = escape(words::find(language, "support.new_window", None));
        // Help is read beside what one needs it for. A mail program opens beside it anyway.
        let (window, elsewhere) = match address.starts_with("https:") {
            true => (
                " target=\"_blank\" rel=\"noopener noreferrer\"",
                format!("<span class=\"unseen\"> ({elsewhere})</span>"),
            ),
            false => ("", String::new()),
        };
        format!(
            "<p class=\"foot\"><a id=\"help\" href=\"{address}\"{window}>{word}{elsewhere}</a></p>"
        )
    }
}

/// The parts of the face.
pub(super) fn routes(face: Arc<Face>) -> Router {
    Router::new()
        .route("/brand/{version}/{name}", get(part))
        .with_state(face)
}

async fn part(
    State(face): State<Arc<Face>>,
    Path((version, name)): Path<(String, String)>,
) -> Response {
    let Some(part) = face.parts.get(&name).filter(|_| version == face.version) else {
        return edge::not_found().await;
    };
    let headers = [
        (CONTENT_TYPE, part.kind),
        (CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    let mut response = (headers, part.bytes.clone()).into_response();
    if part.kind != CSS {
        let policy = HeaderValue::from_static(PICTURE_POLICY);
        let headers = response.headers_mut();
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// Changes whenever any part does.
fn version(parts: &BTreeMap<String, Part>) -> String {
    let mut hash = digest::Context::new(&digest::SHA256);
    for (name, part) in parts {
        hash.update(name.as_bytes());
        hash.update(&(part.bytes.len() as u64).to_be_bytes());
        hash.update(&part.bytes);
    }
    data_encoding::HEXLOWER.encode(hash.finish().as_ref().get(..8).unwrap_or_default())
}

/// The properties that `app.css` draws with, where the brand has others.
fn colours(brand: &Brand) -> String {
    let properties = |palette: &Palette| {
        let Palette {
            accent,
            strong,
            on_accent,
            soft,
        } = palette;
        format!(
            ":root {{ --accent: {accent}; --accent-strong: {strong}; --on-accent: {on_accent}; --soft: {soft}; }}\n"
        )
    };
    let light = brand.light.as_ref().map(properties);
    let dark = brand.dark.as_ref().map(|palette| {
        let properties = properties(palette);
        format!("@media (prefers-color-scheme: dark) {{\n{properties}}}\n")
    });
    [light, dark].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::super::html;
    use super::*;
    use crate::brand::Scheme;

    const PAGE: &str = "<title>{{service}}</title>{{links}}{{logo}}{{help}}{{other}}";

    fn filled(service: &str, brand: &Brand) -> String {
        let face = Face::new(service, brand);
        html::fill(PAGE, |gap| face.markup(gap, Language::English))
    }

    fn logo() -> Option<Image> {
        let svg = b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>";
        Some(Image::new(svg.to_vec()).unwrap())
    }

    #[test]
    fn what_the_brand_says_is_text_and_is_not_read_again() {
        let page = filled("{{help}}<b>\"&'", &Brand::default());
        let name = "{{help}}&lt;b&gt;&quot;&amp;&#39;";
        assert_eq!(page.matches(name).count(), 2, "{page}");
        assert!(
            !page.contains("<b>") && page.ends_with("{{other}}"),
            "{page}"
        );
        let brand = Brand {
            logo: logo(),
            support: Some("https://help.example.org/?a=1&b=\"><b>".to_owned()),
            ..Brand::default()
        };
        let page = filled("A \" onload=\"", &brand);
        assert!(page.contains("alt=\"A &quot; onload=&quot;\""), "{page}");
        assert!(page.contains("?a=1&amp;b=&quot;&gt;&lt;b&gt;\""), "{page}");
    }

    #[test]
    fn without_a_brand_the_pages_are_as_they_come() {
        let page = filled("Example", &Brand::default());
        assert!(page.contains("class=\"mark\"") && page.contains("/icon.svg"));
        for more in ["stylesheet", "<img", "help", "/brand/"] {
            assert!(!page.contains(more), "{page}");
        }
    }

    #[test]
    fn only_what_changed_has_another_address() {
        let palette = |colour: &str| Palette::near(Scheme::Light, colour.parse().unwrap());
        let version = |logo: Option<Image>, light, support: Option<&str>| {
            let support = support.map(str::to_owned);
            let brand = Brand {
                logo,
                light,
                support,
                ..Brand::default()
            };
            Face::new("Example", &brand).version
        };
        let (purple, blue) = (palette("#6d28d9"), palette("#1d4ed8"));
        let versions = [
            version(None, Some(purple), None),
            version(None, Some(blue), None),
            version(logo(), Some(purple), None),
            version(logo(), None, None),
        ];
        let different: std::collections::BTreeSet<_> = versions.iter().collect();
        assert_eq!(different.len(), versions.len(), "{versions:?}");
        assert_eq!(version(logo(), None, Some("mailto:a@b.org")), versions[3]);
    }

    #[test]
    fn help_by_web_opens_beside_the_page_and_help_by_mail_does_by_itself() {
        let help = |support: &str| {
            let support = Some(support.to_owned());
            let brand = Brand {
                support,
                ..Brand::default()
            };
            filled("Example", &brand)
        };
        let web = help("https://help.example.org/");
        assert!(web.contains("rel=\"noopener noreferrer\">Help<"), "{web}");
        assert!(!help("mailto:a@b.org").contains("target="));
    }
}
