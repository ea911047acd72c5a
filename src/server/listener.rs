//! The socket that connections arrive on.

use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use tokio::net::{TcpListener, UnixListener};

use crate::base::ListenAddress;

/// Owner and group may connect, nobody else: a proxy joins the group.
const SOCKET_MODE: Mode = Mode::from_raw_mode(0o660);
/// How many connections the kernel keeps for us while we take none.
const BACKLOG: i32 = 1024;

/// A bound socket.
#[derive(Debug)]
pub enum Listener {
    /// A TCP port.
    Tcp(TcpListener),
    /// A Unix socket.
    Unix(UnixSocket),
}

/// A Unix socket that takes its file away when it closes, where we have made it.
#[derive(Debug)]
pub struct UnixSocket {
    pub(super) listener: UnixListener,
    path: PathBuf,
    file: Option<(u64, u64)>,
}

impl Listener {
    /// Starts to listen. The file of a Unix socket gets mode 0660 whatever the
    /// umask; one that a dead server left is replaced. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// In words that name the address, with the kind of the cause.
    pub async fn bind(address: &ListenAddress) -> io::Result<Listener> {
        let bound = match address {
            ListenAddress::Tcp { host, port } => TcpListener::bind((host.as_str(), *port))
                .await
                .map(Listener::Tcp),
            ListenAddress::Unix(path) => UnixSocket::bind(path).map(Listener::Unix),
        };
        bound.map_err(|error| {
            let why = match error.kind() {
                io::ErrorKind::AddrInUse => "another program listens there already".to_owned(),
                io::ErrorKind::PermissionDenied => "this user may not".to_owned(),
                io::ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
                _ => error.to_string(),
            };
            io::Error::new(error.kind(), format!("cannot listen on {address}: {why}"))
        })
    }

    /// Where this listens in fact: with the port that the system chose where 0 was asked for.
    ///
    /// # Errors
    /// Where the system does not say.
    pub fn local_addr(&self) -> io::Result<ListenAddress> {
        match self {
            Listener::Tcp(listener) => {
                let address = listener.local_addr()?;
                Ok(ListenAddress::Tcp {
                    host: address.ip().to_string(),
                    port: address.port(),
                })
            }
            Listener::Unix(socket) => Ok(ListenAddress::Unix(socket.path.clone())),
        }
    }
}

impl UnixSocket {
    /// One whose file is not ours to take away.
    pub(super) fn of_others(listener: UnixListener, path: PathBuf) -> UnixSocket {
        UnixSocket {
            listener,
            path,
            file: None,
        }
    }

    fn bind(path: &Path) -> io::Result<UnixSocket> {
        remove_stale(path)?;
        let socket = rustix::net::socket_with(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
            None,
        )?;
        rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
        // Nobody can connect before `listen`, so nobody meets the mode that the umask left.
        rustix::fs::chmod(path, SOCKET_MODE)?;
        rustix::net::listen(&socket, BACKLOG)?;
        Ok(UnixSocket {
            listener: UnixListener::from_std(socket.into())?,
            path: path.to_owned(),
            file: identity(path),
        })
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        // Another server may have put its own there since.
        if self.file.is_some() && identity(&self.path) == self.file {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let file = std::fs::symlink_metadata(path).ok()?;
    Some((file.dev(), file.ino()))
}

/// Takes away a socket that no process listens on.
fn remove_stale(path: &Path) -> io::Result<()> {
    let file = match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    if !file.file_type().is_socket() {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "there is a file of that name that is not a socket, and it is not ours to remove",
        ));
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[tokio::test]
    async fn a_socket_is_for_owner_and_group_and_goes_with_its_server() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.sock");
        let address = ListenAddress::Unix(path.clone());
        let listener = Listener::bind(&address).await.unwrap();
        assert_eq!(listener.local_addr().unwrap(), address);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o660);

        let second = Listener::bind(&address).await.unwrap_err();
        assert_eq!(second.kind(), io::ErrorKind::AddrInUse);
        assert!(second.to_string().contains("another program"), "{second}");

        drop(listener);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_dead_servers_socket_is_replaced_and_a_file_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        Listener::bind(&ListenAddress::Unix(path)).await.unwrap();

        let file = dir.path().join("precious");
        std::fs::write(&file, "data").unwrap();
        let error = Listener::bind(&ListenAddress::Unix(file.clone())).await;
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&file).unwrap(), b"data");
    }

    #[tokio::test]
    async fn a_taken_port_is_said_in_words() {
        let any: ListenAddress = "127.0.0.1:0".parse().unwrap();
        let first = Listener::bind(&any).await.unwrap();
        let taken = first.local_addr().unwrap();
        let error = Listener::bind(&taken).await.unwrap_err();
        assert!(error.to_string().contains(&taken.to_string()), "{error}");
        assert!(error.to_string().contains("another program"), "{error}");
    }
}
