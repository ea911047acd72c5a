//! What stands around the server: who can connect, its certificate, its disks.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Access, access, statvfs};

use super::{failed, warning};
use crate::base::{ListenAddress, Timestamp};
use crate::config::{Exit, Settings};
use crate::server;

/// Seconds before a certificate's end from which on it is said: 14 days.
const ENDS_SOON: u64 = 14 * 86_400;
/// Bytes on the disk of the store with which nothing can be done.
const NO_ROOM: u64 = 4 << 20;
/// Bytes on the disk of the store that are few.
const LITTLE_ROOM: u64 = 256 << 20;

/// Who can connect to what. None of it keeps the server from working, so it is said and no more.
pub(super) fn connections(settings: &Settings) {
    let listen = &settings.listen;
    if !listen.is_local() && settings.tls.is_none() {
        warning(
            "listen",
            format!(
                "whoever can connect to {listen} speaks plain HTTP, so tokens and codes pass in the clear"
            ),
            "listen on 127.0.0.1 or on a Unix socket behind a proxy that speaks TLS, or set --tls-cert-file and --tls-key-file",
        );
    }
    if !settings.trusted_proxies.is_empty() && is_everywhere(listen) {
        warning(
            "trusted-proxy",
            format!("proxies are believed, and {listen} can be reached around them"),
            "listen where the proxies alone can connect: on 127.0.0.1, on a Unix socket, or on an address of their network",
        );
    }
    if settings.trusted_proxies.iter().any(|it| it.is_everybody()) {
        warning(
            "trusted-proxy",
            "everybody is believed on where a request comes from, so the addresses in the history mean nothing",
            "name the addresses of the proxies alone",
        );
    }
    if let Some(watched) = settings.metrics_listen.as_ref().filter(|it| !it.is_local()) {
        warning(
            "metrics-listen",
            format!(
                "whoever can connect to {watched} reads what is counted, without TLS and without a password"
            ),
            "use 127.0.0.1:9464 or a Unix socket, or let a firewall admit Prometheus alone",
        );
    }
    if settings.public_url.scheme() == "http" {
        println!(
            "note: public-url is {}, so browsers on this machine alone can use it",
            settings.public_url
        );
    }
}

fn is_everywhere(listen: &ListenAddress) -> bool {
    match listen {
        ListenAddress::Tcp { host, .. } => host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_unspecified()),
        ListenAddress::Unix(_) => false,
    }
}

/// Whether the certificate is good at `now`, where there is one. That it is for the public URL and fits its key is
/// part of the settings.
pub(super) fn certificate(settings: &Settings, now: Timestamp) -> Exit {
    const WHAT: &str = "the TLS certificate";
    const RENEW: &str = "renew it; mfad reads the files again by itself when they change";
    let Some(files) = &settings.tls else {
        return Exit::Ok;
    };
    let (from, until) = match server::validity(&files.certificate) {
        Ok(validity) => validity,
        Err(error) => return failed(Exit::Config, WHAT, error, "replace the file"),
    };
    if now < from {
        let hint =
            "check the clock of this machine; if it is right, use the certificate from before";
        return failed(
            Exit::Config,
            WHAT,
            format!("it is not good before {from}"),
            hint,
        );
    }
    if until < now {
        return failed(
            Exit::Config,
            WHAT,
            format!("it has expired, at {until}"),
            RENEW,
        );
    }
    if now.until(until) < ENDS_SOON {
        warning(WHAT, format!("it expires soon, at {until}"), RENEW);
    } else {
        println!("ok: {WHAT}, good until {until}");
    }
    Exit::Ok
}

/// Whether there is room for the store to grow.
pub(super) fn room(data_dir: &Path) -> Exit {
    const WHAT: &str = "the disk of --data-dir";
    const HINT: &str = "make room, or move the data to a larger disk";
    // What is not made yet will be made on the disk of the nearest folder that is.
    let Some(there) = data_dir.ancestors().find(|folder| folder.exists()) else {
        return Exit::Ok;
    };
    let disk = match statvfs(there) {
        Ok(disk) => disk,
        Err(error) => {
            let hint = "check that the path can be read";
            return failed(
                Exit::Io,
                WHAT,
                format!("{}: {error}", there.display()),
                hint,
            );
        }
    };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let words = || format!("{} MiB are free", free >> 20);
    if free < NO_ROOM {
        return failed(Exit::Io, WHAT, words() + ": changes would be refused", HINT);
    }
    if free < LITTLE_ROOM {
        warning(WHAT, words(), HINT);
    }
    Exit::Ok
}

/// Whether copies can be written where they are asked for, and would outlive the store.
pub(super) fn copies(settings: &Settings) -> Exit {
    const WHAT: &str = "backup-dir";
    let Some(plan) = &settings.copies else {
        return Exit::Ok;
    };
    let folder = &plan.folder;
    let wrong = |cause: String, hint| failed(Exit::Io, WHAT, cause, hint);
    let metadata = match fs::metadata(folder) {
        Ok(metadata) if metadata.is_dir() => metadata,
        Ok(_) => {
            let hint = "name a folder, in which copies are made under names of their own";
            return wrong(format!("{} is no folder", folder.display()), hint);
        }
        Err(error) => {
            let hint = "make the folder, owned by the server's user; mfad makes none, since it could be on the wrong disk";
            return wrong(format!("{}: {error}", folder.display()), hint);
        }
    };
    if let Err(error) = access(folder, Access::WRITE_OK | Access::EXEC_OK) {
        let hint =
            "let the server's user write there; under systemd name it in ReadWritePaths= too";
        return wrong(
            format!("{} cannot be written: {error}", folder.display()),
            hint,
        );
    }
    let store = fs::metadata(&settings.data_dir);
    if store.is_ok_and(|store| store.dev() == metadata.dev()) {
        warning(
            WHAT,
            format!(
                "{} is on the disk of the store, so one that breaks takes both",
                folder.display()
            ),
            "name a folder on another disk, or fetch the copies to another machine",
        );
    } else {
        println!("ok: backup-dir {}", folder.display());
    }
    Exit::Ok
}
