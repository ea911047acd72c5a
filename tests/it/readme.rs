//! The README's tables, held against the code. Where one differs, the test
//! prints the table as it should be.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use serde_json::Value;

fn check(title: &str, table: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(path).unwrap();
    assert!(
        readme.contains(&format!("\n{table}\n")),
        "the README's table of {title} is not this one:\n\n{table}\n"
    );
}

/// A row of a table. A bar within a cell would end it.
fn row<const N: usize>(table: &mut String, cells: [&str; N]) {
    let cells = cells.map(|cell| cell.replace('|', "\\|"));
    let _ = writeln!(table, "| {} |", cells.join(" | "));
}

fn code(text: &str) -> String {
    match text {
        "" => String::new(),
        text => format!("`{text}`"),
    }
}

#[test]
fn the_table_of_settings_is_that_of_the_code() {
    let mut table = String::new();
    row(&mut table, ["Flag", "Environment", "Default", "Meaning"]);
    row(&mut table, ["---", "---", "---", "---"]);
    for setting in mfad::config::settings_table() {
        row(
            &mut table,
            [
                &code(&setting.flag),
                &code(&setting.environment),
                &code(&setting.default),
                &setting.meaning,
            ],
        );
    }
    check("settings", &table);
}

/// What is served beside the API, and is not for programs that read its document.
const BESIDE: [(&str, &str, &str); 6] = [
    ("/", "GET", "The settings page, for people."),
    (
        "/auth/login",
        "GET",
        "Begins a sign-in to the settings page: sends the browser to the issuer. `return` is the path to come back to, `fresh=1` has the issuer ask anew.",
    ),
    (
        "/auth/callback",
        "GET",
        "Ends it: where the issuer sends the browser back to.",
    ),
    (
        "/auth/session",
        "GET",
        "Tells the settings page who is signed in.",
    ),
    (
        "/auth/logout",
        "POST",
        "Ends the session, and tells where to end that at the issuer.",
    ),
    (
        "/healthz",
        "GET",
        "Whether the process answers: `ok`, whatever else is wrong.",
    ),
];

#[test]
fn the_table_of_endpoints_is_that_of_the_code() {
    let document: Value = serde_json::from_str(&mfad::http::document_json().unwrap()).unwrap();
    let mut rows: BTreeMap<(String, String), String> = BESIDE
        .iter()
        .map(|(path, method, what)| {
            (
                ((*path).to_owned(), (*method).to_owned()),
                (*what).to_owned(),
            )
        })
        .collect();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let what = operation["description"]
                .as_str()
                .unwrap_or_else(|| panic!("{method} {path} has no description"));
            rows.insert((path.clone(), method.to_uppercase()), what.to_owned());
        }
    }
    let mut table = String::new();
    row(&mut table, ["Method", "Path", "What"]);
    row(&mut table, ["---", "---", "---"]);
    for ((path, method), what) in &rows {
        row(&mut table, [method, &code(path), what]);
    }
    check("endpoints", &table);
}

#[test]
fn the_table_of_error_codes_is_that_of_the_code() {
    let mut codes = mfad::http::all_codes();
    codes.sort_by_key(|code| (mfad::wire::status(code.kind).as_u16(), code.name));
    let mut table = String::new();
    row(&mut table, ["Status", "Code", "Meaning"]);
    row(&mut table, ["---", "---", "---"]);
    for one in codes {
        let status = mfad::wire::status(one.kind).as_u16().to_string();
        row(&mut table, [&status, &code(one.name), one.title]);
    }
    check("error codes", &table);
}
