//! Who is at the other end of a connection.

use std::net::SocketAddr;

/// The address of the connection's other end, which the listener attaches to
/// each request as an extension. `None` for a Unix socket, whose other end has
/// no address. Behind a proxy this is the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddr(pub Option<SocketAddr>);
