//! Local sockets: datagrams and streams that carry handles.
//!
//! No call raises SIGPIPE. Deadlines are points of the monotonic clock.

use std::io::{self, IoSlice};

use ipc_core::Deadline;

use crate::OsHandle;
use crate::descriptor::Borrowed;
use crate::os::socket as os;
pub use crate::types::socket::{Credentials, Interest, NotReceived, NotSent, ReceivedDatagram};

contract! {
    /// Makes two connected sockets that keep the boundaries of datagrams, and carry handles.
    /// (`socketpair(SOCK_SEQPACKET)`)
    pub fn pair() -> io::Result<(OsHandle, OsHandle)>;

    /// Returns whether it is a socket of [`pair`]'s kind. (`getsockopt(SO_DOMAIN, SO_TYPE)`)
    pub fn is_socket(fd: Borrowed<'_>) -> bool;

    /// Sends one datagram with its handles, whole or not at all; sleeps for room if `wait`.
    /// (`send`, `sendmsg`)
    pub fn send(
        socket: Borrowed<'_>,
        bytes: &[u8],
        handles: &[OsHandle],
        wait: bool,
    ) -> Result<(), NotSent>;

    /// Receives one datagram with its handles, and returns what was cut off or lost; sleeps for one
    /// if `wait`. (`recvmsg`)
    pub fn receive(
        socket: Borrowed<'_>,
        into: &mut [u8],
        handles: &mut Vec<OsHandle>,
        wait: bool,
    ) -> Result<ReceivedDatagram, NotReceived>;

    /// Sends some bytes of a stream, and all handles with the first. Never blocks (`WouldBlock`).
    /// (`sendmsg`)
    pub fn send_part(
        socket: &OsHandle,
        bytes: &[IoSlice<'_>],
        handles: &[OsHandle],
    ) -> io::Result<usize>;

    /// Returns whether [`send_part`] refused because too many handles of this user are on their
    /// way. (`ETOOMANYREFS`)
    pub fn too_many_in_flight(error: &io::Error) -> bool;

    /// Receives some bytes of a stream, and any handles that came with them; 0 at the end. Never
    /// blocks. (`recvmsg`)
    pub fn receive_part(
        socket: &OsHandle,
        into: &mut [u8],
        handles: &mut Vec<OsHandle>,
    ) -> io::Result<usize>;

    /// Reads the next bytes of a stream, which stay there, with any handles. Never blocks.
    /// (`recv(MSG_PEEK)`)
    pub fn peek(socket: &OsHandle, into: &mut [u8]) -> io::Result<usize>;

    /// Returns whether the other end is closed. (`poll`)
    pub fn gone(socket: Borrowed<'_>) -> bool;

    /// Sleeps until something can be sent or received, or the other end is gone; false at the
    /// deadline. (`ppoll`)
    pub fn ready(socket: Borrowed<'_>, interest: Interest, deadline: Deadline) -> bool;

    /// Returns how many bytes wait to be received. (`ioctl(SIOCINQ)`)
    pub fn unread(socket: Borrowed<'_>) -> usize;

    /// Returns how many bytes of this end, with the kernel's own, were not received yet.
    /// (`ioctl(SIOCOUTQ)`)
    pub fn unsent(socket: Borrowed<'_>) -> usize;

    /// Returns what [`unsent`] may be at most for [`send`] to send. (`getsockopt(SO_SNDBUF)`)
    pub fn room(socket: Borrowed<'_>) -> usize;

    /// Ends sending: the other end receives what is there, and then the end. (`shutdown(SHUT_WR)`)
    pub fn end_of_sending(socket: Borrowed<'_>);

    /// Ends receiving: the other end sends no more. (`shutdown(SHUT_RD)`)
    pub fn end_of_receiving(socket: Borrowed<'_>);

    /// Accepts the next connection, if there is one. (`accept4`)
    pub fn accept(socket: &OsHandle) -> io::Result<Option<OsHandle>>;

    /// Returns the process that connected or listens, as the kernel recorded it then.
    /// (`SO_PEERCRED`)
    pub fn credentials(socket: Borrowed<'_>) -> io::Result<Credentials>;

    /// Returns a handle for that process, which never means another one. (`SO_PEERPIDFD`)
    pub fn peer_pidfd(socket: Borrowed<'_>) -> io::Result<OsHandle>;
}
