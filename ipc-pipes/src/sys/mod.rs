//! What this crate asks of an operating system. Above this module there is none.
//!
//! | function | what it promises | on Linux |
//! |---|---|---|
//! | `pair()` | two connected sockets that keep the boundaries of datagrams, and carry handles; closed by exec | `socketpair(SOCK_SEQPACKET)` |
//! | `is_socket(fd)` | whether it is one of those | `getsockopt(SO_DOMAIN, SO_TYPE)` |
//! | `send(fd, bytes, handles, wait)` | one datagram with its handles, whole or not at all; no SIGPIPE; sleeps for room if `wait` | `send`, `sendmsg` |
//! | `receive(fd, into, handles, wait)` | one datagram with its handles, closed by exec; says what was cut off or lost; sleeps for one if `wait` | `recvmsg` |
//! | `pipe()`, `is_pipe(fd, writes)` | a pipe's two ends, that keep the boundaries of packets and never block; whether it is one | `pipe2(O_DIRECT)` |
//! | `write_packet(fd, bytes)`, `read_packet` | one packet, whole or not at all; no SIGPIPE; they never sleep | `pwritev2(RWF_NOSIGNAL)`, `read` |
//! | `store()`, `is_store(fd)` | a file in memory that grows and never shrinks; whether it is one | `memfd_create` |
//! | `put`, `get`, `free` | bytes into it, out of it; their memory given back | `pwrite`, `pread`, `fallocate(PUNCH_HOLE)` |
//! | `writable(fd)` | whether a packet can be written now | `poll` |
//! | `send_part(stream, bytes, handles)` | some bytes of a stream, and all handles with the first; never blocks (`WouldBlock`), no SIGPIPE | `sendmsg` |
//! | `too_many_in_flight(error)` | whether `send_part` refused because too many handles of this user are on their way | `ETOOMANYREFS` |
//! | `receive_part(stream, into, handles)` | some bytes of a stream and any handles that came with them; never blocks; 0 at the end | `recvmsg` |
//! | `ready(fd, interest, deadline)` | sleeps until something can be sent or received, the other end is gone, or the deadline has passed (false) | `ppoll` |
//! | `gone(fd)` | whether the other end is closed | `poll` |
//! | `unread(fd)`, `unsent(fd)` | bytes that wait to be received; bytes of ours, with the kernel's own, that nobody has received | `ioctl(SIOCINQ, SIOCOUTQ)` |
//! | `room(fd)` | what `unsent` may be at most for `send` to send | `getsockopt(SO_SNDBUF)` |
//! | `end_of_sending(fd)` | the other end receives what is there, and then the end | `shutdown(SHUT_WR)` |
//! | `end_of_receiving(fd)` | the other end sends no more | `shutdown(SHUT_RD)` |
//! | `identity(fd)` | what tells an open socket from others | `fstat` |
//! | `counters()`, `Words` | a file in memory with some words, of a size that stays; those words, not in a core dump | `memfd_create`, `fallocate`, `mmap`, `madvise(MADV_DONTDUMP)` |
//! | `seal_to_memfd(bytes)` | a file in memory with these bytes, that no process can ever change | `memfd_create`, `write`, `fcntl(F_ADD_SEALS)` |
//! | `message_memfd()`, `seal(fd)` | a file in memory that `put` fills; from `seal` on it is as one of `seal_to_memfd`, unless the kernel refuses (false) | `memfd_create`; `fcntl(F_ADD_SEALS)` |
//! | `map_sealed(fd, len)` | the bytes of such a file, or why it is none; not in a core dump | `fcntl(F_GET_SEALS)`, `mmap`, `madvise(MADV_DONTDUMP)` |
//! | `borrow` | a handle that is lent | |
//!
//! Interrupted calls are taken up again. Deadlines are points of the monotonic clock.

#[cfg_attr(target_os = "linux", path = "../../../ipc-sys/src/linux/socket.rs")]
#[cfg_attr(not(target_os = "linux"), path = "../../../ipc-sys/src/unsupported/socket.rs")]
mod os;

pub(crate) mod names;

pub(crate) use ipc_sys::fork::ForkCheck;
pub(crate) use os::*;

#[cfg(target_os = "linux")]
#[path = "../../../ipc-sys/src/linux/exit_info.rs"]
pub mod exit_info;

/// The longest packet of a pipe: what POSIX calls PIPE_BUF.
pub(crate) const PACKET: usize = 4096;

/// The number of shared counters of a channel.
pub(crate) const WORDS: usize = 10;

/// What to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    Receive,
    Send,
    /// Nothing but the other end's going.
    End,
}

/// Why a datagram was not sent.
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "nothing is sent there"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotSent {
    /// There is no room now.
    Full,
    /// There are too many handles on their way now; nobody tells when there are less.
    TooManyInFlight,
    /// The other end is closed.
    Gone,
    /// It is larger than the socket's buffer.
    TooLarge,
    OutOfMemory,
}

/// Why no datagram was received.
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "nothing is received there"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotReceived {
    /// There is none now.
    Empty,
    /// There is none, and the other end is closed.
    Gone,
    OutOfMemory,
}

/// A datagram that was received.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReceivedDatagram {
    /// Bytes of it that are in the buffer.
    pub(crate) len: usize,
    /// Whether it was longer than the buffer.
    pub(crate) cut: bool,
    /// Whether handles of it are lost.
    pub(crate) lost: bool,
}

/// Why bytes were not put into a file in memory.
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "nothing is stored there"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotStored {
    OutOfHandles,
    OutOfMemory,
    /// Than a file of this process may be.
    TooLarge(usize),
}
