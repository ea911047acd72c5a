//! The service manager that started us, and what it is told: `sd_notify(3)`'s protocol, a datagram each.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

/// How long a message may wait for a service manager that does not read.
const PATIENCE: Duration = Duration::from_secs(1);

/// Who started us and wants to hear how we are. Without one, nothing is said. Clones speak to the same.
#[derive(Clone, Default)]
pub struct Supervisor(Option<Arc<Ear>>);

struct Ear {
    socket: UnixDatagram,
    address: SocketAddr,
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.0.as_ref().map(|ear| &ear.address);
        f.debug_tuple("Supervisor").field(&address).finish()
    }
}

impl Supervisor {
    /// The one that listens at `address`: a path, or `@` and a name of the abstract namespace.
    ///
    /// # Errors
    /// Where the address is of another kind, or the system has no socket to give.
    pub fn at(address: &OsStr) -> io::Result<Supervisor> {
        let address = match address.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            [b'/', ..] => SocketAddr::from_pathname(address)?,
            _ => {
                let why = "its address is neither a path nor an abstract name";
                return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
            }
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Supervisor(Some(Arc::new(Ear { socket, address }))))
    }

    /// We answer, or do so again after [`Supervisor::reloading`].
    pub fn ready(&self) {
        self.say("READY=1\nSTATUS=Serving\n");
    }

    /// What we were told is being read again; [`Supervisor::ready`] says when that is done. `now` is the
    /// monotonic clock's.
    pub fn reloading(&self, now: Duration) {
        let now = now.as_micros();
        self.say(&format!(
            "RELOADING=1\nMONOTONIC_USEC={now}\nSTATUS=Reading again what may have changed\n"
        ));
    }

    /// The end has begun.
    pub fn stopping(&self) {
        self.say("STOPPING=1\nSTATUS=Finishing the requests under way\n");
    }

    /// We are well: the watchdog is fed.
    pub fn alive(&self) {
        self.say("WATCHDOG=1\n");
    }

    fn say(&self, message: &str) {
        let Some(ear) = &self.0 else { return };
        if let Err(error) = ear.socket.send_to_addr(message.as_bytes(), &ear.address) {
            tracing::warn!(%error, "the service manager does not hear us");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(ear: &UnixDatagram) -> String {
        let mut bytes = [0; 512];
        let length = ear.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }

    #[test]
    fn each_word_is_a_datagram_that_the_service_manager_understands() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let ear = UnixDatagram::bind(&path).unwrap();
        let supervisor = Supervisor::at(path.as_os_str()).unwrap();
        supervisor.ready();
        assert!(heard(&ear).starts_with("READY=1\n"));
        supervisor.alive();
        assert_eq!(heard(&ear), "WATCHDOG=1\n");
        supervisor.reloading(Duration::from_millis(1500));
        assert!(heard(&ear).starts_with("RELOADING=1\nMONOTONIC_USEC=1500000\n"));
        supervisor.stopping();
        assert!(heard(&ear).starts_with("STOPPING=1\n"));
        // It may go away before us.
        drop(ear);
        supervisor.alive();
    }

    #[test]
    fn abstract_names_are_heard_and_other_kinds_refused() {
        let name = format!("mfad-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let ear = UnixDatagram::bind_addr(&address).unwrap();
        let supervisor = Supervisor::at(format!("@{name}").as_ref()).unwrap();
        supervisor.ready();
        assert!(heard(&ear).starts_with("READY=1\n"));
        for other in ["", "notify", "vsock:2:1234"] {
            assert!(Supervisor::at(other.as_ref()).is_err(), "{other}");
        }
    }
}
