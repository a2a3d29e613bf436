//! Pipes that keep the boundaries of packets and never block.

use std::io;

use crate::OsHandle;
use crate::descriptor::Borrowed;
use crate::os::pipe as os;
use crate::socket::{NotReceived, NotSent};
pub use crate::types::pipe::PACKET;

/// Makes a pipe: the end to read from, and the end to write to. (`pipe2(O_DIRECT)`)
#[inline]
pub fn pipe() -> io::Result<(OsHandle, OsHandle)> {
    os::pipe()
}

/// Returns whether it is an end of such a pipe, the one to write to if `writes`. (`fstat`,
/// `fcntl(F_GETFL)`)
#[inline]
pub fn is_pipe(fd: Borrowed<'_>, writes: bool) -> bool {
    os::is_pipe(fd, writes)
}

/// Writes one packet, whole or not at all. No SIGPIPE. (`pwritev2(RWF_NOSIGNAL)`)
#[inline]
pub fn write_packet(pipe: Borrowed<'_>, bytes: &[u8]) -> Result<(), NotSent> {
    os::write_packet(pipe, bytes)
}

/// Reads one packet. (`read`)
#[inline]
pub fn read_packet(pipe: Borrowed<'_>, into: &mut [u8]) -> Result<usize, NotReceived> {
    os::read_packet(pipe, into)
}

/// Returns whether a packet can be written now. (`poll`)
#[inline]
pub fn writable(fd: Borrowed<'_>) -> bool {
    os::writable(fd)
}
