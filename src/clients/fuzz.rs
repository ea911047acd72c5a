//! What login services show, and where they want people brought back to.

use proptest::prelude::*;
use proptest::sample::select;
use url::Url;

use super::*;
use crate::base::fuzz::Target;
use crate::base::is_this_machine;

/// A service key has one spelling.
#[test]
fn fuzz_service_keys() {
    let generated = "mfad_(sk|td)_[a-z2-7]{51,53}".prop_map(String::into_bytes);
    let target = Target::new("service_keys").words(&["mfad_sk_", "A", "1", "=", "\u{131}", "_"]);
    target.check(generated, |input| {
        let shown = String::from_utf8_lossy(input);
        let Some(key) = ServiceKey::read(&shown) else {
            return false;
        };
        assert_eq!(*key.into_secret().expose(), shown);
        let body = shown.strip_prefix(KEY_PREFIX).unwrap();
        assert!(body.len() == 52 && body == body.to_ascii_lowercase());
        for other in [
            shown.to_uppercase(),
            format!("{shown}="),
            format!(" {shown}"),
            body.to_owned(),
        ] {
            assert!(ServiceKey::read(&other).is_none(), "{other}");
        }
        true
    });
}

/// Where people may be brought back to is the same place for whoever reads the address.
#[test]
fn fuzz_return_urls() {
    let start = select(
        &[
            "https://",
            "http://",
            "HTTPS://",
            "https:",
            "https:///",
            "javascript:",
            "https://u@",
        ][..],
    );
    let host = select(
        &[
            "a.example",
            "A.Example",
            "a.example:8443",
            "a.example:443",
            "a.example:",
            "a.example:08443",
            "localhost",
            "127.0.0.1:3000",
            "127.1",
            "0x7f000001",
            "[::1]",
            "[0:0::1]",
            "ex%61mple.org",
            "xn--bcher-kva.example",
            "a.example.",
            "",
        ][..],
    );
    let rest = select(
        &[
            "", "/", "/back", "/a/../b", "/a?b=c", "?x", "/%2e%2e/", "/a#b", "/a;b", "//b", "/\\b",
        ][..],
    );
    let generated = (start, host, rest)
        .prop_map(|(start, host, rest)| format!("{start}{host}{rest}").into_bytes());
    let target = Target::new("return_urls").words(&[
        "@",
        ":",
        "//",
        "\\",
        "#",
        "%2e",
        "[",
        "]",
        "\t",
        "evil.example",
    ]);
    target.check(generated, |input| {
        let text = String::from_utf8_lossy(input).into_owned();
        let service = Service {
            id: "portal".to_owned(),
            sends: Sends::Subject,
            tenants: Vec::new(),
            return_urls: vec![text.clone()],
            client_id: None,
            issuer: None,
            unknown: None,
        };
        if let Err(failure) = service.check() {
            assert_eq!(failure.code(), BAD_SERVICE);
            return false;
        }
        let url = Url::parse(&text).unwrap();
        let host = url.host_str().unwrap();
        assert!(url.scheme() == "https" || (url.scheme() == "http" && is_this_machine(host)));
        assert!(url.username().is_empty() && url.password().is_none() && url.fragment().is_none());
        // As a reader takes it apart that knows nothing of other ways to write a host.
        let (_, rest) = text.split_once("://").unwrap();
        let authority = rest.split(['/', '?']).next().unwrap();
        let named = match authority.rsplit_once(':') {
            Some((named, port)) if !port.ends_with(']') => {
                assert_eq!(port.parse().ok(), url.port_or_known_default(), "{text}");
                named
            }
            _ => authority,
        };
        assert_eq!(named.to_ascii_lowercase(), host, "{text}");
        assert!(service.returns_to(&text) && !service.returns_to(&format!("{text}x")));
        true
    });
}
