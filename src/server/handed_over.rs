//! A socket that the service manager opened for us (`sd_listen_fds(3)`): a port below 1024 without a
//! privilege of ours, and no connection that is refused while we start anew.

use std::io;
use std::path::{Path, PathBuf};

use listenfd::ListenFd;
use tokio::net::{TcpListener, UnixListener};

use super::listener::{Listener, UnixSocket};

/// A socket that somebody else has bound, and on which connections may wait already.
#[derive(Debug)]
pub struct HandedOver(Socket);

#[derive(Debug)]
enum Socket {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

impl HandedOver {
    /// Takes what `LISTEN_FDS` and `LISTEN_PID` speak of, and removes these variables: so it must be called
    /// before there is a second thread.
    ///
    /// # Errors
    /// Where there are several sockets, or one that takes no connections.
    pub fn take() -> io::Result<Option<HandedOver>> {
        let mut sockets = ListenFd::from_env();
        let socket = match sockets.len() {
            0 => return Ok(None),
            1 => match sockets.take_tcp_listener(0) {
                Ok(socket) => socket.map(Socket::Tcp),
                Err(_) => sockets.take_unix_listener(0)?.map(Socket::Unix),
            },
            more => {
                let why = format!("there are {more}, and one is served");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
            }
        };
        let Some(socket) = socket else {
            return Ok(None);
        };
        match &socket {
            Socket::Tcp(socket) => socket.set_nonblocking(true),
            Socket::Unix(socket) => socket.set_nonblocking(true),
        }?;
        Ok(Some(HandedOver(socket)))
    }
}

impl Listener {
    /// Listens on a socket that was handed over. The file of a Unix socket stays when we end: whoever made it
    /// goes on to listen. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// Where the runtime cannot watch it.
    pub fn adopt(HandedOver(socket): HandedOver) -> io::Result<Listener> {
        Ok(match socket {
            Socket::Tcp(socket) => Listener::Tcp(TcpListener::from_std(socket)?),
            Socket::Unix(socket) => {
                let path = path(&socket);
                let listener = UnixListener::from_std(socket)?;
                Listener::Unix(UnixSocket::of_others(listener, path))
            }
        })
    }
}

/// Empty where the socket has no place in the file system.
fn path(socket: &std::os::unix::net::UnixListener) -> PathBuf {
    let address = socket.local_addr().ok();
    let path = address.as_ref().and_then(|address| address.as_pathname());
    path.map(Path::to_path_buf).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn anothers_socket_is_listened_on_and_its_file_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.sock");
        let socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        let listener = Listener::adopt(HandedOver(Socket::Unix(socket))).unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(address.to_string(), format!("unix:{}", path.display()));
        drop(listener);
        assert!(path.exists());
    }
}
