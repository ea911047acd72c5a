//! What the pages may wear, and what is said of what they may not.

use super::*;
use crate::brand::{Brand, Colour, ImageKind, MOST_BYTES};

const SVG: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\"/>";

/// The one problem with `arguments`: its key, and all that is said.
fn told(arguments: &[&str]) -> (String, String) {
    let problems = problems(&[ENOUGH, arguments].concat());
    let told = Problems(problems.clone()).to_string();
    assert_eq!(problems.len(), 1, "{arguments:?}: {told}");
    let key = problems[0].subject.split(' ').next().unwrap_or_default();
    (key.to_owned(), told)
}

fn brand(arguments: &[&str]) -> Brand {
    serve(&[ENOUGH, arguments].concat()).unwrap().brand
}

#[test]
fn without_any_of_it_the_pages_are_as_they_come() {
    let brand = brand(&[]);
    assert!(brand.logo.is_none() && brand.logo_dark.is_none());
    assert!(brand.light.is_none() && brand.dark.is_none());
    assert_eq!((brand.support, brand.contact), (None, None));
}

#[test]
fn a_whole_brand_is_read() {
    let folder = Folder::new();
    // It is known by what it holds.
    let logo = folder.write("logo.png", SVG, 0o644);
    let dark = folder.write(
        "dark",
        "\u{feff}<?xml version='1.0'?><svg xmlns=\"http://www.w3.org/2000/svg\"/>",
        0o644,
    );
    let brand = brand(&[
        "--logo-file",
        &logo,
        "--logo-dark-file",
        &dark,
        "--accent-color",
        "#6D28D9",
        "--accent-color-dark",
        "#fc0",
        "--support-url",
        "https://help.example.org/mfa?from=mfad",
        "--contact",
        "the help desk (ext. 7)",
    ]);
    assert_eq!(brand.logo.unwrap().kind(), ImageKind::Svg);
    assert_eq!(brand.logo_dark.unwrap().kind(), ImageKind::Svg);
    assert_eq!(brand.light.unwrap().accent.to_string(), "#6d28d9");
    assert_eq!(brand.dark.unwrap().accent.to_string(), "#ffcc00");
    let support = brand.support.unwrap();
    assert_eq!(support, "https://help.example.org/mfa?from=mfad");
    assert_eq!(brand.contact.unwrap(), "the help desk (ext. 7)");
}

#[test]
fn dark_pages_get_a_lighter_accent_where_none_is_set() {
    let both = brand(&["--accent-color", "#6d28d9"]);
    let (light, dark) = (both.light.unwrap().accent, both.dark.unwrap().accent);
    assert!(dark.contrast(Colour::BLACK) > light.contrast(Colour::BLACK));
    let dark = brand(&["--accent-color-dark", "#fc0"]);
    assert!(dark.light.is_none() && dark.dark.is_some());
}

#[test]
fn a_colour_that_cannot_be_read_is_told_with_its_ratio_and_one_that_can() {
    let (key, told) = told(&["--accent-color", "#f97316"]);
    assert_eq!(key, "accent-color");
    for part in [
        "#f97316",
        "2.60 to 1",
        "4.5 to 1",
        "#f6f7f5",
        "a darker one",
    ] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    let near = told.rsplit_once('#').unwrap().1.get(..6).unwrap();
    assert!(
        brand(&["--accent-color", &format!("#{near}")])
            .light
            .is_some()
    );
    let (key, told) = self::told(&["--accent-color-dark", "#6d28d9"]);
    assert_eq!(key, "accent-color-dark");
    assert!(told.contains("a lighter one"), "{told}");
}

#[test]
fn each_refusal_names_its_setting() {
    let folder = Folder::new();
    let logo = folder.write("logo.svg", SVG, 0o644);
    let bare = folder.write("bare.svg", "<svg/>", 0o644);
    let gif = folder.write("logo.gif", "GIF89a\u{1}", 0o644);
    let png = folder.write("logo.png", "no picture", 0o644);
    let huge = format!("{SVG}{}", " ".repeat(MOST_BYTES));
    let huge = folder.write("huge.svg", &huge, 0o644);
    let nowhere = folder.0.path().join("none.svg");
    let nowhere = nowhere.to_str().unwrap();
    let table: [(&str, &str, &str); 26] = [
        ("logo-file", "", "empty"),
        ("logo-file", nowhere, "cannot be read"),
        (
            "logo-file",
            folder.0.path().to_str().unwrap(),
            "cannot be read",
        ),
        ("logo-file", &gif, "none of PNG, SVG, WebP and JPEG"),
        ("logo-file", &png, "none of PNG, SVG, WebP and JPEG"),
        ("logo-file", &bare, "without xmlns"),
        ("logo-file", &huge, "larger than 64 KiB"),
        ("logo-dark-file", &logo, "none for light ones"),
        ("accent-color", "", "no colour"),
        ("accent-color", "purple", "no colour"),
        ("accent-color", "6d28d9", "no colour"),
        ("accent-color", "#6d28d9ff", "no colour"),
        ("accent-color", "#fff", "on light pages"),
        ("accent-color-dark", "#000", "on dark pages"),
        ("support-url", "", "no address"),
        ("support-url", "help.example.org", "no address"),
        ("support-url", "http://help.example.org", "sent to"),
        ("support-url", "javascript:alert(1)", "sent to"),
        ("support-url", "data:text/html,x", "sent to"),
        ("support-url", "https://u:p@help.example.org", "sent to"),
        ("support-url", "mailto:", "sent to"),
        ("support-url", "mailto:@example.org", "sent to"),
        ("contact", "", "visible characters"),
        ("contact", "a\u{202e}b", "visible characters"),
        ("contact", "https://help.example.org", "a link"),
        ("contact", "WWW.example.org", "a link"),
    ];
    for (key, value, said) in table {
        let (named, told) = told(&[&format!("--{key}"), value]);
        assert_eq!(named, key, "{told}");
        assert!(told.contains(said), "{said} is not in {told}");
    }
}

#[test]
fn the_demo_wears_a_brand_too() {
    let demo = |color: &str| run(&["demo", "--accent-color", color], &[]);
    let Ok(Command::Demo(settings)) = demo("#6d28d9") else {
        panic!("no demo");
    };
    assert!(settings.brand.light.is_some());
    assert!(matches!(demo("#f97316"), Err(Refused::Settings(_))));
}
