//! The manual and the shells' completions, from the same definitions as the help.

use std::io::{self, Write};
use std::path::Path;

use clap::CommandFactory;
pub use clap_complete::Shell;

use super::cli::Cli;
use crate::base::create_anew;

/// The manual page of the whole program, in roff.
///
/// # Errors
/// None that a page in memory can meet.
pub fn manual_page() -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(whole()).render(&mut page)?;
    Ok(page)
}

/// Writes that page and one for each command into `folder`: `mfad.1`, `mfad-serve.1`, `mfad-service-add.1`.
///
/// # Errors
/// Where the folder cannot be written.
pub fn write_manual(folder: &Path) -> io::Result<()> {
    let mut command = whole().disable_help_subcommand(true);
    command.build();
    write_pages(&command, folder)
}

fn write_pages(command: &clap::Command, folder: &Path) -> io::Result<()> {
    for within in command.get_subcommands().filter(|it| !it.is_hide_set()) {
        write_pages(within, folder)?;
    }
    let man = clap_mangen::Man::new(command.clone());
    let mut page = Vec::new();
    man.render(&mut page)?;
    create_anew(&folder.join(man.get_filename()), 0o644)?.write_all(&page)
}

/// What `shell` needs to complete command lines of ours.
pub fn completions(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut whole(), "mfad", &mut script);
    script
}

fn whole() -> clap::Command {
    Cli::command()
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn every_command_has_a_page_that_names_its_flags_and_variables() {
        let folder = tempfile::tempdir().unwrap();
        write_manual(folder.path()).unwrap();
        let page = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(page("mfad.1").as_bytes(), manual_page().unwrap());
        for command in whole().get_subcommands() {
            let page = page(&format!("mfad-{}.1", command.get_name()));
            for arg in command.get_arguments() {
                let Some(long) = arg.get_long() else { continue };
                let long = format!("\\-\\-{}", long.replace('-', "\\-"));
                assert!(page.contains(&long), "{long}: {page}");
            }
        }
        assert!(page("mfad-serve.1").contains("MFAD_PUBLIC_URL"));
        assert!(page("mfad-service-add.1").contains("return\\-url"));
    }

    #[test]
    fn a_page_is_not_written_through_what_is_planted_under_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mfad-serve.1");
        crate::base::file::planted::each(&path, |kind| {
            write_manual(folder.path()).unwrap();
            assert!(
                std::fs::read_to_string(&path)
                    .unwrap()
                    .contains("MFAD_PUBLIC_URL"),
                "{kind}"
            );
            std::fs::remove_file(&path).unwrap();
        });
    }

    #[test]
    fn every_shell_learns_every_command() {
        for shell in Shell::value_variants() {
            let script = String::from_utf8(completions(*shell)).unwrap();
            for command in whole().get_subcommands() {
                assert!(script.contains(command.get_name()), "{shell}");
            }
        }
    }
}
