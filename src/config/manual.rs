//! The manual and the shells' completions, from the same definitions as the help.

use std::io;
use std::path::Path;

use clap::CommandFactory;
pub use clap_complete::Shell;

use super::cli::Cli;

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
    clap_mangen::generate_to(whole(), folder)
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
    fn every_shell_learns_every_command() {
        for shell in Shell::value_variants() {
            let script = String::from_utf8(completions(*shell)).unwrap();
            for command in whole().get_subcommands() {
                assert!(script.contains(command.get_name()), "{shell}");
            }
        }
    }
}
