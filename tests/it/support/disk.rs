//! A small disk for one server: a tmpfs in a mount namespace, which ends with the shell that made it.
//!
//! Works for root, and for everybody else where the kernel lets users make namespaces.

use std::io::Write;
use std::net::SocketAddr;
use std::process::{ChildStdin, Command};

use super::process::{PROGRAM, Process, Site};

/// Runs what it reads, and says what each command ends with.
const SHELL: &str = r#"
disk=$1 config=$2 mfad=$3
serve() { "$mfad" serve --config "$config" & server=$!; }
while IFS= read -r command; do
    eval "$command" >&2
    status=$?
    echo "command ended" >&2
    echo "$status"
done
"#;

/// A disk, with the shell that sees it and the server that the shell has started.
pub struct Disk {
    shell: Process,
    commands: ChildStdin,
    asked: usize,
}

impl Disk {
    /// Makes a disk of `size` (`4m`), and has the site's server keep its store there.
    pub async fn mount(site: &mut Site, size: &str) -> Disk {
        let place = site.path("disk");
        std::fs::create_dir(&place).unwrap();
        site.set("data-dir", place.join("data").to_str().unwrap());
        let mut command = Command::new("unshare");
        if !rustix::process::geteuid().is_root() {
            command.arg("--map-root-user");
        }
        command
            .args(["--mount", "--pid", "--fork", "--kill-child", "sh", "-c"])
            .args([SHELL, "sh"])
            .args([&place, &site.config_file()])
            .arg(PROGRAM);
        let (shell, commands) = Process::start_to_talk_to(&mut command);
        let mut disk = Disk {
            shell,
            commands,
            asked: 0,
        };
        disk.run(&format!(
            r#"mount -t tmpfs -o size={size},mode=700 none "$disk""#
        ))
        .await;
        disk
    }

    /// Runs a command, in which `$disk` is the disk and `$server` the server, and gives what it ends with.
    pub async fn try_run(&mut self, command: &str) -> i32 {
        writeln!(self.commands, "{command}").unwrap();
        let number = self.asked;
        self.asked += 1;
        // All that it wrote has been read when the line behind it has.
        let ended = |text: &str| (text.matches("command ended\n").count() > number).then_some(());
        self.shell.says(command, ended).await;
        let answer = self.shell.prints(command, |text| {
            let whole = text.rsplit_once('\n')?.0;
            whole.lines().nth(number)?.parse().ok()
        });
        answer.await
    }

    /// Runs a command that succeeds.
    pub async fn run(&mut self, command: &str) {
        let end = self.try_run(command).await;
        assert_eq!(end, 0, "{command}: {}", self.log());
    }

    /// Fills all that is left.
    pub async fn fill(&mut self) {
        let end = self.try_run(r#"cat /dev/zero >"$disk/filler""#).await;
        assert_eq!(end, 1, "{}", self.log());
    }

    pub async fn serve(&mut self) -> SocketAddr {
        self.run("serve").await;
        self.shell.listening().await
    }

    /// Ends the server as systemd does.
    pub async fn stop(&mut self) {
        self.run(r#"kill -TERM "$server" && wait "$server""#).await;
    }

    /// Waits until server or shell have written that.
    pub async fn says(&self, words: &str) {
        let said = |text: &str| text.contains(words).then_some(());
        self.shell.says(words, said).await;
    }

    /// What server and shell have written so far.
    pub fn log(&self) -> String {
        self.shell.stderr()
    }
}
