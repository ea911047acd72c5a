//! Values that are not taken, and what is said of them.

use super::*;

/// Checks that one thing is wrong with these arguments: the setting `key`, and that it says what to do.
fn assert_names(key: &str, arguments: &[&str]) {
    let problems = problems(&[ENOUGH, arguments].concat());
    let told = Problems(problems.clone()).to_string();
    assert_eq!(problems.len(), 1, "{arguments:?}: {told}");
    let subject = problems[0].subject.split(' ').next();
    assert_eq!(subject, Some(key), "{arguments:?}: {told}");
    assert!(problems[0].hint.len() > 8, "{told}");
}

/// Checks it of settings, each with a value.
fn assert_refused(table: &[(&str, &str)]) {
    for (key, value) in table {
        assert_names(key, &[&format!("--{key}"), value]);
    }
}

#[test]
fn nothing_starts_without_an_issuer_whose_tokens_can_be_believed() {
    let none = &problems(&[])[0];
    assert_eq!(none.subject, "issuer");
    assert!(none.hint.contains("mfad demo"), "{none}");
    for issuer in [
        "http://login.example.org",
        "login",
        "",
        "https://u:p@login.example.org",
    ] {
        assert_eq!(
            problems(&["--issuer", issuer])[0].subject,
            "issuer (from flag)"
        );
    }
}

#[test]
fn an_address_that_browsers_cannot_use_is_refused_by_its_name() {
    assert_refused(&[
        ("listen", "8080"),
        ("public-url", "http://mfa.example.org"),
        ("public-url", "https://192.0.2.1"),
        ("public-url", "http://127.0.0.1:8080"),
        ("public-url", "https://[::1]"),
        ("public-url", "https://a.org/mfa"),
        ("public-url", "https://a.org/?q"),
        ("public-url", "https://u@a.org"),
        ("public-url", "ftp://a.org"),
        ("public-url", "a.org"),
        ("origin", "http://localhost/x"),
        ("origin", "null"),
        ("rp-id", "example.org"),
    ]);
    assert_names("rp-id", &["--origin", "https://other.org"]);
    for (url, rp_id) in [
        ("https://a.org", "org"),
        ("https://a.org", "192.0.2.1"),
        ("https://a.org", "https://a.org"),
        ("https://aa.org", "a.org"),
    ] {
        assert_names("rp-id", &["--public-url", url, "--rp-id", rp_id]);
    }
}

#[test]
fn a_file_that_is_missing_or_open_to_others_or_holds_something_else_is_refused_by_its_setting() {
    let folder = Folder::new();
    let open = folder.write("open", &"k".repeat(40), 0o640);
    let short = folder.write("short", "too short\n", 0o600);
    let empty = folder.write("empty", "\n", 0o600);
    let text = folder.write("text", "no certificate", 0o644);
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let broken = folder.write("broken", broken, 0o644);
    assert_refused(&[
        ("data-dir", ""),
        ("master-key-file", &open),
        ("jwks-file", "/nowhere"),
        ("hs256-secret-file", &open),
        ("hs256-secret-file", &short),
        ("hs256-secret-file", &empty),
        ("hs256-secret-file", "/nowhere"),
        ("client-secret-file", &short),
        ("smtp-password-file", &short),
        ("ca-file", "/nowhere"),
        ("ca-file", &text),
        ("ca-file", &broken),
    ]);
    for file in [&open, &empty] {
        let arguments = ["--client-id", "mfad", "--client-secret-file", file];
        assert_names("client-secret-file", &arguments);
    }
}

#[test]
fn what_contradicts_itself_about_the_issuer_and_its_clients_is_refused_by_its_name() {
    let folder = Folder::new();
    let jwks = folder.write("jwks", "{}", 0o644);
    assert_refused(&[
        ("jwks-url", "http://a.org/jwks"),
        ("audience", ""),
        ("client-id", ""),
        ("ui-auth", "oidc"),
        ("ui-auth", "token"),
        ("verify-scope", "a b"),
        ("verify-client", ""),
        ("admin-scope", "mfa:verify"),
        ("issuer-may-grant-admin", "yes"),
    ]);
    let url = ["--jwks-url", "https://a.org"];
    assert_names("jwks-url", &[["--jwks-file", &jwks], url].concat());
    let client = ["--client-id", "mfad"];
    for (key, more) in [
        ("client-id", ["--jwks-file", &jwks]),
        ("client-id", url),
        ("ui-auth", ["--ui-auth", "PROXY"]),
    ] {
        assert_names(key, &[client, more].concat());
    }
    let alone = problems(&["--jwks-file", &jwks]);
    assert!(alone.iter().any(|p| p.subject.starts_with("jwks-file")));
}

#[test]
fn a_file_that_others_can_write_decides_nothing() {
    let folder = Folder::new();
    for mode in [0o666, 0o664, 0o646] {
        let jwks = folder.write("jwks", "{}", mode);
        assert_refused(&[("jwks-file", &jwks)]);
        let told = &problems(&[ENOUGH, &["--jwks-file", &jwks]].concat())[0];
        assert!(told.hint.contains("chmod go-w"), "{told}");
    }
    for mode in [0o644, 0o640, 0o440, 0o444, 0o600] {
        let jwks = folder.write("jwks", "{}", mode);
        serve(&[ENOUGH, &["--jwks-file", &jwks]].concat()).unwrap();
    }
    for (mode, taken) in [
        (0o644, true),
        (0o640, true),
        (0o664, true),
        (0o646, false),
        (0o666, false),
    ] {
        let config = folder.write("mfad.toml", "service-name = \"Ours\"", mode);
        let read = serve(&[ENOUGH, &["--config", &config]].concat());
        assert_eq!(read.is_ok(), taken, "{mode:o}");
    }
}

#[test]
fn an_algorithm_or_a_key_size_that_is_not_accepted_is_refused_with_those_that_are() {
    for name in [
        "none",
        "NONE",
        "HS256",
        "hs256",
        "rs256",
        "RS1",
        "RS384",
        "RS512",
        "PS512",
        "ES512",
        "ES256K",
        "EDDSA",
        "RS256,ES256",
        "",
        " RS256",
    ] {
        assert_names("token-algorithm", &["--token-algorithm", name]);
        let told = &problems(&[ENOUGH, &["--token-algorithm", name]].concat())[0];
        assert!(
            told.hint.contains("RS256, PS256, ES256, ES384, EdDSA"),
            "{told}"
        );
    }
    let folder = Folder::new();
    for empty in [
        "token-algorithm = []",
        "token-algorithm = [\"ES256\", \"none\"]",
    ] {
        let file = folder.write("mfad.toml", empty, 0o600);
        assert_names("token-algorithm", &["--config", &file]);
    }
    let secret = folder.write("secret", &"k".repeat(40), 0o600);
    let arguments = ["--hs256-secret-file", &secret, "--token-algorithm", "ES256"];
    assert_names("token-algorithm", &arguments);
    for bits in ["1024", "2047", "8193", "0", "many", ""] {
        assert_refused(&[("rsa-min-bits", bits)]);
    }
    for value in ["yes", "", "1"] {
        assert_refused(&[
            ("require-at-jwt", value),
            ("hsts-include-subdomains", value),
        ]);
    }
    for days in ["731", "", "1.5"] {
        assert_refused(&[("hsts-days", days)]);
    }
}

#[test]
fn a_mail_server_that_cannot_be_reached_as_it_is_described_is_refused_by_its_setting() {
    let folder = Folder::new();
    let short = folder.write("short", "too short\n", 0o600);
    assert_names("mail-from", &["--mail-from", "m@a.org"]);
    assert_names("mail-from", &["--smtp-url", "smtp://a.org"]);
    for from in ["M <m>", "m@a.org\r\nBcc: x@y.org"] {
        let arguments = ["--smtp-url", "smtp://a.org", "--mail-from", from];
        assert_names("mail-from", &arguments);
    }
    let smtp = |url| ["--mail-from", "m@a.org", "--smtp-url", url];
    for url in [
        "smtps://a.org?tls=required",
        "smtp://a.org?tls=none",
        "smtp://a.org?tls=maybe",
        "smtp://a.org?tls=required&tls=none",
        "smtp://a.org?verify=no",
        "smtp://a.org/path",
        "smtp:a.org",
        "https://a.org",
        "a.org:25",
    ] {
        assert_names("smtp-url", &smtp(url));
    }
    assert_names("smtp-password-file", &smtp("smtps://u@a.org"));
    let password: &[&str] = &["--smtp-password-file", &short];
    assert_names("smtp-url", &[password, &smtp("smtps://a.org")].concat());
}

#[test]
fn a_policy_that_names_something_unknown_or_lets_nobody_in_is_refused_by_its_setting() {
    assert_refused(&[
        ("allow-factor", "sms"),
        ("allow-factor", "email"),
        ("require-mfa", "everybody"),
        ("require-mfa", "tenant:"),
        ("email-factor", "maybe"),
        ("grace-days", "366"),
        ("trusted-device-days", "1.5"),
        ("factor-change-proof", "on"),
        ("factor-change-proof", ""),
        ("require-recent-auth", "10"),
        ("require-recent-auth", "59s"),
        ("require-recent-auth", "0m"),
        ("require-recent-auth", "25h"),
        ("require-recent-auth", ""),
        ("email-resend-after", "60"),
        ("email-resend-after", "4s"),
        ("email-resend-after", "11m"),
        ("email-resend-after", ""),
    ]);
    for [flag, one, more, other] in [
        ["--allow-factor", "totp", "--allow-factor", "all"],
        ["--allow-factor", "email", "--email-factor", "recovery"],
        ["--require-mfa", "none", "--require-mfa", "all"],
    ] {
        assert_names(&flag[2..], &[flag, one, more, other]);
    }
}

#[test]
fn a_language_a_name_a_limit_or_a_log_that_does_not_exist_is_refused_by_its_setting() {
    assert_refused(&[
        ("language", ""),
        ("language", "nl-BE"),
        ("service-name", ""),
        ("service-name", "a:b"),
        ("service-name", "a\u{202e}b"),
        ("max-connections", "0"),
        ("max-connections", "many"),
        ("log", "lettre=trace"),
        ("log-format", "xml"),
    ]);
}
