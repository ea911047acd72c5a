//! The pages under somebody's own name, logo and colours.

use mfad::brand::{Brand, Image, Palette, Scheme};

use crate::support::{Client, Options, Reply, Server};

/// A logo that would do harm if it could.
const LOGO: &str =
    "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 9 9\"><script>alert(1)</script></svg>";
const NAME: &str = "<b>\"A&B\"'s";
const NAME_AS_TEXT: &str = "&lt;b&gt;&quot;A&amp;B&quot;&#39;s";

fn image(bytes: &[u8]) -> Option<Image> {
    Some(Image::new(bytes.to_vec()).unwrap())
}

fn purple() -> Brand {
    let accent = "#6d28d9".parse().unwrap();
    Brand {
        logo: image(LOGO.as_bytes()),
        logo_dark: image(b"RIFF\x10\0\0\0WEBPVP8 "),
        light: Some(Palette::new(Scheme::Light, accent).unwrap()),
        dark: Some(Palette::near(Scheme::Dark, accent)),
        support: Some("https://help.example.org/?a=1&b=2".to_owned()),
        contact: Some("security@example.org".to_owned()),
    }
}

async fn serve(service_name: &str, brand: Brand) -> Server {
    Server::start_with(Options {
        service_name: Some(service_name.to_owned()),
        brand,
        ..Options::default()
    })
    .await
}

/// The address on the page that ends so.
#[track_caller]
fn address<'p>(page: &'p Reply, ending: &str) -> &'p str {
    let mut quoted = page.text.split('"');
    quoted
        .find(|text| text.starts_with("/brand/") && text.ends_with(ending))
        .unwrap_or_else(|| panic!("nothing ends in {ending} on {}", page.text))
}

async fn part(nobody: &Client, page: &Reply, ending: &str) -> Reply {
    let reply = nobody.get(address(page, ending)).await;
    assert_eq!(reply.status, 200, "{ending}");
    let kept = "public, max-age=31536000, immutable";
    assert_eq!(reply.header("cache-control"), kept, "{ending}");
    assert_eq!(reply.header("x-content-type-options"), "nosniff");
    reply
}

#[tokio::test]
async fn the_parts_of_a_brand_are_served_for_ever_and_do_nothing() {
    let server = serve("Example", purple()).await;
    let nobody = server.stranger();
    let page = nobody.get("/").await;
    let css = part(&nobody, &page, "/colours.css").await;
    assert_eq!(css.header("content-type"), "text/css; charset=utf-8");
    assert!(
        css.text.starts_with(":root { --accent: #6d28d9;"),
        "{}",
        css.text
    );
    assert!(
        css.text.contains("prefers-color-scheme: dark"),
        "{}",
        css.text
    );
    let policy = css.header("content-security-policy");
    assert!(policy.contains("script-src 'self'"), "{policy}");
    for (name, kind) in [
        ("/logo.svg", "image/svg+xml"),
        ("/logo-dark.webp", "image/webp"),
    ] {
        let logo = part(&nobody, &page, name).await;
        assert_eq!(logo.header("content-type"), kind);
        assert_eq!(
            logo.header("content-security-policy"),
            "default-src 'none'; style-src 'unsafe-inline'; sandbox"
        );
    }
    let address = address(&page, "/logo.svg");
    for other in [
        address.replace("/brand/", "/brand/0"),
        address.replace("logo.svg", "logo.png"),
        address.replace("logo.svg", "..%2flogo.svg"),
        "/brand".to_owned(),
        "/brand/".to_owned(),
        "/brand/0/logo.svg".to_owned(),
    ] {
        nobody.get(&other).await.refused(404, "not_found");
    }
}

#[tokio::test]
async fn another_brand_has_other_addresses() {
    let of = async |brand: Brand| {
        let server = serve("Example", brand).await;
        let page = server.stranger().get("/prompt/").await;
        address(&page, "/logo.svg").to_owned()
    };
    let usual = of(purple()).await;
    let blue = Palette::new(Scheme::Light, "#1d4ed8".parse().unwrap());
    let recoloured = Brand {
        light: Some(blue.unwrap()),
        ..purple()
    };
    assert_ne!(of(recoloured).await, usual);
    assert_eq!(of(purple()).await, usual);
}

#[tokio::test]
async fn a_name_is_text_on_every_page() {
    let plain = serve(NAME, Brand::default()).await;
    let with_logo = serve(NAME, purple()).await;
    for path in ["/", "/prompt", "/prompt/"] {
        let page = plain.stranger().get(path).await;
        assert!(
            page.text.contains(&format!("· {NAME_AS_TEXT}</title>")),
            "{}",
            page.text
        );
        assert!(
            page.text.contains(&format!(">{NAME_AS_TEXT}</bdi>")),
            "{}",
            page.text
        );
        assert!(!page.text.contains("<b>") && !page.text.contains("/brand/"));
        let page = with_logo.stranger().get(path).await;
        assert!(
            page.text.contains(&format!("alt=\"{NAME_AS_TEXT}\"")),
            "{}",
            page.text
        );
        let help = "href=\"https://help.example.org/?a=1&amp;b=2\"";
        assert!(page.text.contains(help), "{}", page.text);
        assert!(
            !page.text.contains("<b>") && !page.text.contains("{{"),
            "{}",
            page.text
        );
    }
}

#[tokio::test]
async fn mails_name_whom_to_tell_and_hold_no_link_to_help() {
    let server = serve("Example", purple()).await;
    server
        .alice()
        .post("/api/v1/me/mfa/email/enable")
        .await
        .ok();
    let code = server.smtp.next_mail().await;
    let confirm = "/api/v1/me/mfa/email/confirm";
    server
        .alice()
        .code(confirm, &code.code().unwrap())
        .await
        .ok();
    let notice = server.smtp.next_mail().await;
    for mail in [code, notice] {
        for part in [mail.text(), mail.html()] {
            assert!(part.contains("tell security@example.org"), "{part}");
            assert!(!part.contains("help.example.org"), "{part}");
        }
    }
}
