//! Which values are taken, and what is said of the others.

use super::*;

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let told = serve(&[
        "--listen",
        "x",
        "--public-url",
        "http://a.org",
        "--origin",
        "http://b.org",
        "--rp-id",
        "192.0.2.1",
        "--data-dir",
        "",
        "--verify-scope",
        "",
        "--smtp-url",
        "smtp://c?x",
        "--issuer-may-grant-admin",
        "x",
        "--service-name",
        "",
        "--language",
        "x",
        "--allow-factor",
        "x",
        "--require-mfa",
        "x",
        "--email-factor",
        "x",
        "--grace-days",
        "x",
        "--trusted-device-days",
        "x",
        "--email-resend-after",
        "x",
        "--factor-change-proof",
        "x",
        "--require-recent-auth",
        "x",
        "--max-connections",
        "-",
        "--log",
        "x",
        "--log-format",
        "x",
        "--ca-file",
        "/nowhere",
        "--hs256-secret-file",
        "/nowhere",
    ])
    .unwrap_err();
    let subjects: Vec<&str> = told
        .0
        .iter()
        .filter_map(|p| p.subject.split(' ').next())
        .collect();
    for key in [
        "listen",
        "public-url",
        "origin",
        "rp-id",
        "data-dir",
        "verify-scope",
        "smtp-url",
        "mail-from",
        "issuer-may-grant-admin",
        "service-name",
        "language",
        "max-connections",
        "allow-factor",
        "require-mfa",
        "email-factor",
        "grace-days",
        "trusted-device-days",
        "email-resend-after",
        "factor-change-proof",
        "require-recent-auth",
        "log",
        "log-format",
        "ca-file",
        "hs256-secret-file",
        "issuer",
    ] {
        assert!(subjects.contains(&key), "{key} is not in\n{told}");
    }
}

#[test]
fn each_way_to_a_mail_server_has_its_protection() {
    let folder = Folder::new();
    let password = folder.write("password", "p@ss word\r\n", 0o600);
    let table = [
        (
            "smtps://u@a.org",
            "a.org",
            465,
            SmtpSecurity::Tls,
            Some("u"),
        ),
        (
            "smtps://u%40b.org@a.org:4650",
            "a.org",
            4650,
            SmtpSecurity::Tls,
            Some("u@b.org"),
        ),
        (
            "smtps://a+b@a.org/",
            "a.org",
            465,
            SmtpSecurity::Tls,
            Some("a+b"),
        ),
        ("smtp://a.org", "a.org", 587, SmtpSecurity::StartTls, None),
        (
            "smtp://u@a.org:25?tls=required",
            "a.org",
            25,
            SmtpSecurity::StartTls,
            Some("u"),
        ),
        (
            "smtp://a.org?tls=opportunistic",
            "a.org",
            587,
            SmtpSecurity::Opportunistic,
            None,
        ),
        (
            "smtp://localhost:25?tls=none",
            "localhost",
            25,
            SmtpSecurity::Plain,
            None,
        ),
        (
            "smtp://[::1]:25?tls=none",
            "::1",
            25,
            SmtpSecurity::Plain,
            None,
        ),
        (
            "smtp://u@127.0.0.1?tls=none",
            "127.0.0.1",
            587,
            SmtpSecurity::Plain,
            Some("u"),
        ),
    ];
    for (url, host, port, security, username) in table {
        let mut arguments = [ENOUGH, &["--smtp-url", url, "--mail-from", "M <m@a.org>"]].concat();
        if username.is_some() {
            arguments.extend(["--smtp-password-file", &password]);
        }
        let smtp = serve(&arguments).unwrap().smtp.unwrap();
        assert_eq!((smtp.host.as_str(), smtp.port), (host, port), "{url}");
        assert_eq!(smtp.security, security, "{url}");
        assert_eq!(smtp.username.as_deref(), username, "{url}");
        let read = smtp.password.as_ref().map(|p| p.expose().as_str());
        assert_eq!(read, username.map(|_| "p@ss word"), "{url}");
    }
}

#[test]
fn one_domain_can_hold_the_keys_of_several_origins() {
    let settings = serve(&[
        "--issuer",
        "https://i.org",
        "--public-url",
        "https://MFA.example.org/",
        "--origin",
        "https://login.example.org:8443",
        "--origin",
        "https://mfa.example.org",
        "--rp-id",
        "Example.org",
    ])
    .unwrap();
    assert_eq!(settings.rp_id, "example.org");
    let origins: Vec<&str> = settings.origins.iter().map(|url| url.as_str()).collect();
    assert_eq!(
        origins,
        [
            "https://mfa.example.org/",
            "https://login.example.org:8443/"
        ]
    );
    assert_eq!(serve(ENOUGH).unwrap().rp_id, "localhost");
    let own = ["--public-url", "http://mfa.localhost:8080"];
    assert_eq!(
        serve(&[ENOUGH, &own].concat()).unwrap().rp_id,
        "mfa.localhost"
    );
}

#[test]
fn no_secret_is_shown() {
    const CANARY: &str = "canary-canary-canary-canary-canary";
    let folder = Folder::new();
    let secret = folder.write("secret", CANARY, 0o600);
    let variables: Variables<'_> = &[("CREDENTIALS_DIRECTORY", folder.0.path().to_str().unwrap())];
    folder.write("smtp-password", CANARY, 0o600);
    let arguments = [
        ENOUGH,
        &[
            "--hs256-secret-file",
            &secret,
            "--smtp-url",
            "smtps://u@a.org",
            "--mail-from",
            "m@a.org",
        ],
    ]
    .concat();
    let settings = serve_with(&arguments, variables).unwrap();
    assert!(!format!("{settings:?}").contains("canary"));
    let described = configured(&arguments, variables).describe();
    assert!(!described.contains("canary"), "{described}");
    assert!(described.contains("smtp-password: <set>"), "{described}");

    for url in [
        format!("smtps://u:{CANARY}@a.org"),
        format!("smtps://u:{CANARY}@:x"),
        format!("smtps://u:a/{CANARY}@a.org:999999"),
    ] {
        let arguments = [ENOUGH, &["--smtp-url", &url, "--mail-from", "m@a.org"]].concat();
        let told = serve(&arguments).unwrap_err();
        assert!(!format!("{told} {told:?}").contains("canary"), "{told}");
        let described = configured(&arguments, &[]).describe();
        assert!(!described.contains("canary"), "{described}");
        assert!(described.contains("u:***@"), "{described}");
    }
}

#[test]
fn the_demo_is_for_this_machine_alone() {
    let demo = |arguments: &[&str]| match run(&[&["demo"], arguments].concat(), &[]) {
        Ok(Command::Demo(settings)) => Ok(settings),
        Err(Refused::Settings(problems)) => Err(problems),
        _ => panic!("neither demo nor refusal"),
    };
    assert_eq!(demo(&[]).unwrap().listen.to_string(), "127.0.0.1:8080");
    for listen in ["127.0.0.1:0", "[::1]:0", "localhost:1"] {
        assert_eq!(
            demo(&["--listen", listen]).unwrap().listen.to_string(),
            listen
        );
    }
    for listen in ["0.0.0.0:80", "192.0.2.1:80", "[::]:80", "unix:/m.sock", "x"] {
        let told = demo(&["--listen", listen]).unwrap_err();
        assert!(
            told.to_string().contains("hint: use 127.0.0.1:8080"),
            "{told}"
        );
    }
}

#[test]
fn a_policy_is_said_in_flags_variables_and_files_alike() {
    use crate::policy::{EmailUse, Key, Policy, Source};

    assert_eq!(serve(ENOUGH).unwrap().policy, Policy::default());
    let folder = Folder::new();
    let file = folder.write(
        "mfad.toml",
        "allow-factor = [\"webauthn\", \"totp\"]\nrequire-mfa = [\"scope:staff\", \"tenant:a\"]\n\
         email-factor = \"off\"\ngrace-days = 14\ntrusted-device-days = 0\n",
        0o644,
    );
    let flags = [
        "--allow-factor",
        "webauthn",
        "--allow-factor",
        "totp",
        "--require-mfa",
        "scope:staff",
        "--require-mfa",
        "tenant:a",
        "--email-factor",
        "off",
        "--grace-days",
        "14",
        "--trusted-device-days",
        "0",
    ];
    let variables: Variables<'_> = &[
        ("MFAD_ALLOW_FACTOR", "webauthn, totp"),
        ("MFAD_REQUIRE_MFA", "scope:staff,tenant:a"),
        ("MFAD_EMAIL_FACTOR", "off"),
        ("MFAD_GRACE_DAYS", "14"),
        ("MFAD_TRUSTED_DEVICE_DAYS", "0"),
    ];
    let said = [
        serve(&[ENOUGH, &["--config", &file]].concat()).unwrap(),
        serve(&[ENOUGH, &flags].concat()).unwrap(),
        serve_with(ENOUGH, variables).unwrap(),
    ];
    for settings in said {
        let policy = settings.policy;
        assert_eq!(policy.counting(), ["totp", "webauthn"]);
        assert_eq!(policy.words(Key::RequireMfa), ["scope:staff", "tenant:a"]);
        assert_eq!(policy.email, EmailUse::Off);
        assert_eq!((policy.grace_days, policy.trusted_device_days), (14, 0));
        assert!(
            Key::ALL
                .iter()
                .all(|key| policy.source(*key) == Source::Setting)
        );
    }
    let none = ["--require-mfa", "none", "--allow-factor", "all"];
    let policy = serve_with(&[ENOUGH, &none].concat(), variables)
        .unwrap()
        .policy;
    assert_eq!(policy.words(Key::RequireMfa), [""; 0]);
    assert_eq!(policy.words(Key::AllowFactor).len(), 3);
}

#[test]
fn users_who_have_a_factor_prove_it_unless_that_is_turned_off() {
    use crate::policy::FactorChangeProof::{Off, WhenEnrolled};
    assert_eq!(serve(ENOUGH).unwrap().factor_change_proof, WhenEnrolled);
    for (text, proof) in [("when-enrolled", WhenEnrolled), ("off", Off)] {
        let by_flag = [ENOUGH, &["--factor-change-proof", text]].concat();
        assert_eq!(serve(&by_flag).unwrap().factor_change_proof, proof);
        let variables: Variables<'_> = &[("MFAD_FACTOR_CHANGE_PROOF", text)];
        let by_variable = serve_with(ENOUGH, variables).unwrap();
        assert_eq!(by_variable.factor_change_proof, proof);
        let folder = Folder::new();
        let line = format!("factor-change-proof = \"{text}\"\n");
        let file = folder.write("mfad.toml", &line, 0o644);
        let by_file = serve(&[ENOUGH, &["--config", &file]].concat()).unwrap();
        assert_eq!(by_file.factor_change_proof, proof);
    }
}

#[test]
fn a_recent_sign_in_is_asked_for_where_it_is_said_how_recent() {
    assert_eq!(serve(ENOUGH).unwrap().recent_auth, None);
    for (text, seconds) in [("60s", 60), ("600s", 600), ("10m", 600), ("24h", 86_400)] {
        let by_flag = [ENOUGH, &["--require-recent-auth", text]].concat();
        assert_eq!(serve(&by_flag).unwrap().recent_auth, Some(seconds));
        let variables: Variables<'_> = &[("MFAD_REQUIRE_RECENT_AUTH", text)];
        let by_variable = serve_with(ENOUGH, variables).unwrap();
        assert_eq!(by_variable.recent_auth, Some(seconds));
        let folder = Folder::new();
        let line = format!("require-recent-auth = \"{text}\"\n");
        let file = folder.write("mfad.toml", &line, 0o644);
        let by_file = serve(&[ENOUGH, &["--config", &file]].concat()).unwrap();
        assert_eq!(by_file.recent_auth, Some(seconds));
    }
}

#[test]
fn the_wait_for_another_mailed_code_is_a_minute_unless_it_is_set() {
    assert_eq!(serve(ENOUGH).unwrap().email_resend_after, 60);
    for (text, seconds) in [("5s", 5), ("90s", 90), ("10m", 600)] {
        let by_flag = [ENOUGH, &["--email-resend-after", text]].concat();
        assert_eq!(serve(&by_flag).unwrap().email_resend_after, seconds);
        let variables: Variables<'_> = &[("MFAD_EMAIL_RESEND_AFTER", text)];
        let by_variable = serve_with(ENOUGH, variables).unwrap();
        assert_eq!(by_variable.email_resend_after, seconds);
    }
    let demo = |arguments: &[&str]| run(&[&["demo"], arguments].concat(), &[]);
    let Ok(Command::Demo(settings)) = demo(&["--email-resend-after", "5s"]) else {
        panic!("no demo");
    };
    assert_eq!(settings.email_resend_after, 5);
    assert!(matches!(
        demo(&["--email-resend-after", "1s"]),
        Err(Refused::Settings(_))
    ));
}

#[test]
fn people_come_to_the_settings_page_in_one_of_three_ways() {
    let folder = Folder::new();
    let secret = folder.write("secret", "s3cret\n", 0o600);
    let way = |arguments: &[&str]| serve(&[ENOUGH, arguments].concat()).unwrap().ui_auth;
    assert!(matches!(way(&[]), UiAuth::Pasted));
    assert!(matches!(way(&["--ui-auth", "proxy"]), UiAuth::Proxy));
    let both = ["--ui-auth", "proxy", "--client-id", "mfad"];
    assert!(matches!(way(&both), UiAuth::Proxy));
    for arguments in [
        vec!["--client-id", "mfad"],
        vec!["--client-id", "mfad", "--ui-auth", "oidc"],
        vec!["--client-id", "mfad", "--client-secret-file", &secret],
    ] {
        let UiAuth::Oidc {
            client_id,
            client_secret,
        } = way(&arguments)
        else {
            panic!("{arguments:?}")
        };
        assert_eq!(client_id, "mfad");
        let secret = client_secret.map(|secret| secret.expose().clone());
        let given = arguments.contains(&"--client-secret-file");
        assert_eq!(secret.as_deref(), given.then_some("s3cret"));
    }
}

#[test]
fn accepted_algorithms_are_those_that_are_named_each_once_and_all_where_none_is() {
    use crate::auth::SigningAlgorithm::{EdDsa, Es256};
    let issuer = |arguments: &[&str]| {
        let settings = serve(&[ENOUGH, arguments].concat()).unwrap();
        settings.issuer.unwrap()
    };
    let usual = issuer(&[]);
    assert_eq!(usual.algorithms, crate::auth::SigningAlgorithm::PUBLIC);
    assert_eq!((usual.rsa_min_bits, usual.require_at_jwt), (2048, false));
    let named = issuer(&[
        "--token-algorithm",
        "EdDSA",
        "--token-algorithm",
        "ES256",
        "--token-algorithm",
        "EdDSA",
        "--rsa-min-bits",
        "3072",
        "--require-at-jwt",
        "true",
    ]);
    assert_eq!(named.algorithms, [EdDsa, Es256]);
    assert_eq!((named.rsa_min_bits, named.require_at_jwt), (3072, true));
}
