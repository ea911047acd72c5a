//! Where settings come from, and how they are told.

use std::path::Path;

use clap::CommandFactory;

use super::*;
use crate::base::ListenAddress;

#[test]
fn the_command_line_is_sound() {
    cli::Cli::command().debug_assert();
}

#[test]
fn each_setting_has_one_name_in_three_spellings_and_a_meaning() {
    let table = settings_table();
    assert_eq!(table.len(), 56);
    for row in &table {
        let name = row.flag.split(' ').next().unwrap().trim_start_matches("--");
        let variable = format!("MFAD_{}", name.replace('-', "_").to_uppercase());
        assert_eq!(row.environment, variable);
        assert!(row.meaning.len() > 10, "{row:?}");
        assert!(row.flag.contains(' '), "{row:?}");
    }
    let listen = table
        .iter()
        .find(|row| row.flag == "--listen ADDR")
        .unwrap();
    assert_eq!(listen.default, "127.0.0.1:8080");
}

#[test]
fn a_flag_beats_a_variable_beats_the_file_beats_the_default() {
    let folder = Folder::new();
    let file = folder.write("mfad.toml", "listen = \"127.0.0.3:3\"\n", 0o644);
    let config = ["--config", file.as_str()];
    let flag: &[&str] = &["--listen", "127.0.0.1:1"];
    let variable: Variables<'_> = &[("MFAD_LISTEN", "127.0.0.2:2")];
    let empty: Variables<'_> = &[("MFAD_LISTEN", "")];
    let in_file = format!("file {file}:1");
    let table: [(Vec<&str>, Variables<'_>, &str, &str); 6] = [
        ([flag, &config].concat(), variable, "127.0.0.1:1", "flag"),
        (
            config.to_vec(),
            variable,
            "127.0.0.2:2",
            "environment MFAD_LISTEN",
        ),
        (config.to_vec(), &[], "127.0.0.3:3", &in_file),
        (config.to_vec(), empty, "127.0.0.3:3", &in_file),
        (vec![], &[], "127.0.0.1:8080", "default"),
        (flag.to_vec(), &[], "127.0.0.1:1", "flag"),
    ];
    for (arguments, variables, value, source) in table {
        let layers = configured(&arguments, variables);
        let line = format!("listen = \"{value}\"   # from: {source}\n");
        assert!(layers.describe().contains(&line), "{}", layers.describe());
        let settings = serve_with(&[ENOUGH, &arguments].concat(), variables).unwrap();
        assert_eq!(settings.listen, value.parse::<ListenAddress>().unwrap());
    }
    let by_variable: &[(&str, &str)] = &[("MFAD_CONFIG", &file)];
    assert!(configured(&[], by_variable).describe().contains(&in_file));
}

#[test]
fn lists_come_from_each_layer() {
    let folder = Folder::new();
    let text = "issuer = \"https://i\"\naudience = [\"a\", \"b\"]\nissuer-may-grant-admin = false\nmax-connections = 7\n";
    let file = folder.write("mfad.toml", text, 0o644);
    let config = ["--config", file.as_str()];
    let audiences = |arguments: &[&str], variables: Variables<'_>| {
        let settings = serve_with(&[&config, arguments].concat(), variables).unwrap();
        assert_eq!(settings.max_connections, 7);
        let issuer = settings.issuer.unwrap();
        assert!(!issuer.may_grant_admin);
        issuer.audiences
    };
    assert_eq!(audiences(&[], &[]), ["a", "b"]);
    assert_eq!(audiences(&[], &[("MFAD_AUDIENCE", "c, d")]), ["c", "d"]);
    let flags = ["--audience", "e", "--audience", "f,g"];
    assert_eq!(audiences(&flags, &[("MFAD_AUDIENCE", "c")]), ["e", "f,g"]);
    let issuer = serve(ENOUGH).unwrap().issuer.unwrap();
    assert_eq!(issuer.audiences, ["http://localhost:8080"]);
}

#[test]
fn a_file_is_read_to_its_end_and_each_mistake_is_told_with_its_line() {
    let folder = Folder::new();
    let file = folder.write(
        "mfad.toml",
        "# mine\nlisten = 8080\n\nlisen = \"a\"\npublic_url = \"b\"\nconfig = \"c\"\n\
         audience = 4\nmax-connections = \"5\"\nissuer-may-grant-admin = \"no\"\n\
         smtp-password = \"canary\"\n[issuer]\nurl = \"e\"\n",
        0o644,
    );
    let problems = problems(&["--config", &file]);
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let told = told.join("\n");
    for expected in [
        ":2: listen must be a text, not an integer",
        ":4: there is no setting \"lisen\"\n  hint: did you mean listen?",
        ":5: there is no setting \"public_url\"\n  hint: did you mean public-url?",
        ":6: there is no setting \"config\"",
        ":7: audience must be a list of texts, not an integer\n  hint: write it as in: audience = [\"...\"]",
        ":8: max-connections must be a number, not a string",
        ":9: issuer-may-grant-admin must be true or false, not a string",
        ":10: there is no setting \"smtp-password\"\n  hint: did you mean smtp-password-file?",
        ":11: issuer must be a text, not a table",
    ] {
        assert!(told.contains(expected), "{expected} is not in\n{told}");
    }
    assert_eq!(problems.len(), 9, "{told}");
    assert!(!told.contains("canary"));

    let broken = folder.write("broken.toml", "listen = \"a\"\nissuer = \n", 0o644);
    let told = serve(&["--config", &broken]).unwrap_err().to_string();
    assert!(told.contains("broken.toml:2: this is not TOML"), "{told}");
    let told = serve(&["--config", "/nowhere.toml"])
        .unwrap_err()
        .to_string();
    assert!(
        told.contains("/nowhere.toml: the file cannot be read"),
        "{told}"
    );
}

#[test]
fn what_systemd_hands_over_is_used_where_nothing_else_is_said() {
    let folder = Folder::new();
    // Credentials are readable by their group in some versions.
    let key = folder.write("master-key", &"k".repeat(32), 0o440);
    folder.write("smtp-password", "canary\n", 0o440);
    folder.write("master-key-passphrase", "a horse that is correct\n", 0o440);
    let credentials = folder.0.path().to_str().unwrap();
    let variables: Variables<'_> = &[
        ("CREDENTIALS_DIRECTORY", credentials),
        ("STATE_DIRECTORY", "/var/lib/mfad:/var/lib/more"),
    ];
    let mail = ["--smtp-url", "smtps://u@a.org", "--mail-from", "m@a.org"];
    let settings = serve_with(&[ENOUGH, &mail].concat(), variables).unwrap();
    assert_eq!(settings.data_dir, Path::new("/var/lib/mfad"));
    assert_eq!(
        settings.master_key.file,
        Some(MasterKeyFile::Credential(key.into()))
    );
    let passphrase = settings.master_key.passphrase.unwrap();
    assert_eq!(passphrase.expose(), b"a horse that is correct");
    let password = settings.smtp.unwrap().password.unwrap();
    assert_eq!(password.expose(), "canary");

    let own = ["--data-dir", "/d", "--master-key-file", "/d/not-there-yet"];
    let settings = serve_with(&[ENOUGH, &own].concat(), variables).unwrap();
    assert_eq!(settings.data_dir, Path::new("/d"));
    assert_eq!(
        settings.master_key.file,
        Some(MasterKeyFile::Own("/d/not-there-yet".into()))
    );
}

#[test]
fn what_config_prints_is_a_file_that_means_the_same() {
    let folder = Folder::new();
    let arguments = [
        ENOUGH,
        &[
            "--service-name",
            "A \"b\" \\ #é",
            "--audience",
            "x",
            "--audience",
            "y",
            "--public-url",
            "https://mfa.example.org",
            "--max-connections",
            "9",
            "--issuer-may-grant-admin",
            "false",
        ],
    ]
    .concat();
    let first = configured(&arguments, &[]).describe();
    assert!(
        first.contains("# rp-id = \"mfa.example.org\"   # from: default, "),
        "{first}"
    );
    assert!(first.contains("# smtp-url is not set\n"), "{first}");
    let file = folder.write("mfad.toml", &first, 0o644);
    let second = configured(&["--config", &file], &[]).describe();
    let values = |text: &str| -> Vec<String> {
        let value = |line: &str| line.split("   # from: ").next().unwrap().to_owned();
        text.lines().map(value).collect()
    };
    assert_eq!(values(&first), values(&second));
}

#[test]
fn help_ends_well_and_mistakes_do_not() {
    for (arguments, exit) in [
        (vec!["--help"], Exit::Ok),
        (vec!["serve", "--help"], Exit::Ok),
        (vec!["--version"], Exit::Ok),
        (vec![], Exit::Usage),
        (vec!["serv"], Exit::Usage),
        (vec!["serve", "--lisen", "x"], Exit::Usage),
        (vec!["serve", "--smtp-password", "x"], Exit::Usage),
        (vec!["serve"], Exit::Config),
    ] {
        let refused = run(&arguments, &[]).err().expect("accepted");
        assert_eq!(refused.report(), exit, "{arguments:?}");
    }
}
