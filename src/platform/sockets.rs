//! What a runtime's sockets do not offer through a shared reference.

use std::os::fd::AsFd;

/// Reports the other side that nothing more comes. Where it is gone already, it knows.
pub fn shut_writing(socket: &impl AsFd) {
    let _ = rustix::net::shutdown(socket, rustix::net::Shutdown::Write);
}
