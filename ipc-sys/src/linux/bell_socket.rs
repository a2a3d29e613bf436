//! Bell sockets: datagram sockets with abstract names.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::io::{Errno, retry_on_intr};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType};

use super::descriptor::above_stdio;
use crate::types::bell_socket::Sent;

/// Comes before the random bytes of a name, so that no bytes name the socket of another program.
const PREFIX: &[u8; 17] = b"multiprocess-bell";

fn address(name: &[u8; 16]) -> rustix::io::Result<SocketAddrUnix> {
    let mut whole = [0; 33];
    whole[..17].copy_from_slice(PREFIX);
    whole[17..].copy_from_slice(name);
    SocketAddrUnix::new_abstract_name(&whole)
}

/// Makes a socket without a name, to send from.
pub(crate) fn socket() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
    Ok(above_stdio(socket)?)
}

pub(crate) fn new(name: &[u8; 16]) -> io::Result<OwnedFd> {
    let socket = socket()?;
    rustix::net::bind(&socket, &address(name)?)?;
    Ok(socket)
}

/// Returns how many datagrams a queue holds before the next one is refused, or 0.
pub(crate) fn room() -> usize {
    // A queue is full when it holds more than this. Where the number cannot be read, each datagram
    // may be the last that fitted.
    let text = std::fs::read_to_string("/proc/sys/net/unix/max_dgram_qlen");
    text.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

pub(crate) fn namespace() -> Option<u64> {
    Some(rustix::fs::stat("/proc/thread-self/ns/net").ok()?.st_ino)
}

pub(crate) fn send(from: BorrowedFd<'_>, name: &[u8; 16], tag: u64) -> Sent {
    let Ok(to) = address(name) else { return Sent::Failed };
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    match retry_on_intr(|| rustix::net::sendto(from, &tag.to_ne_bytes(), flags, &to)) {
        Ok(_) => Sent::Delivered,
        Err(Errno::AGAIN) => Sent::Pending,
        // No socket, one that receives no more, or one of another type.
        Err(Errno::CONNREFUSED | Errno::PIPE | Errno::PROTOTYPE) => Sent::Refused,
        Err(_) => Sent::Failed,
    }
}

/// Receives the next datagram, and returns its tag, if it has one. Returns `None` if there is none.
pub(crate) fn receive(socket: BorrowedFd<'_>) -> Option<Option<u64>> {
    let mut bytes = [0; 8];
    let flags = RecvFlags::DONTWAIT | RecvFlags::TRUNC;
    let (_, len) = retry_on_intr(|| rustix::net::recv(socket, bytes.as_mut_slice(), flags)).ok()?;
    Some((len == bytes.len()).then(|| u64::from_ne_bytes(bytes)))
}
