//! The configuration file that comes with the package.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use mfad::config::settings_table;

fn file() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/mfad.toml");
    std::fs::read_to_string(path).unwrap()
}

/// The keys that a line sets, or would set without its comment sign.
fn keys(text: &str) -> BTreeSet<String> {
    let lines = text.lines().filter_map(|line| line.split_once(" = "));
    lines
        .map(|(key, _)| key.trim_start_matches('#').to_owned())
        .filter(|key| !key.contains(' '))
        .collect()
}

#[test]
fn the_packaged_file_names_every_setting_and_no_other() {
    let settings = settings_table().into_iter().map(|row| {
        let flag = row.flag.split(' ').next().unwrap();
        flag.trim_start_matches("--").to_owned()
    });
    // The file does not name itself.
    let settings: BTreeSet<String> = settings.filter(|name| name != "config").collect();
    assert_eq!(keys(&file()), settings);
}

#[test]
fn the_packaged_file_is_in_effect_as_it_stands_and_with_every_line_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let load = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_mfad"))
            .args(["config", "--config"])
            .arg(&path)
            .env_clear()
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{said}");
        String::from_utf8(output.stdout).unwrap()
    };
    let plain = load("plain.toml", &file());
    // A new installation asks for a recent sign-in.
    assert!(plain.contains("require-recent-auth = \"10m\""), "{plain}");
    let with_all: String = file()
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if !rest.starts_with(' ') => format!("{rest}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let all = load("all.toml", &with_all);
    assert_eq!(
        all.lines().filter(|line| !line.starts_with('#')).count(),
        settings_table().len() - 1,
        "{all}"
    );
}
