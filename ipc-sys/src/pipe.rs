//! Pipes that keep the boundaries of packets and never block.

use std::io;

use crate::OsHandle;
use crate::descriptor::Borrowed;
use crate::os::pipe as os;
use crate::socket::{NotReceived, NotSent};
pub use crate::types::pipe::PACKET;

contract! {
    /// Makes a pipe: the end to read from, and the end to write to. (`pipe2(O_DIRECT)`)
    pub fn pipe() -> io::Result<(OsHandle, OsHandle)>;

    /// Returns whether it is an end of such a pipe, the one to write to if `writes`. (`fstat`,
    /// `fcntl(F_GETFL)`)
    pub fn is_pipe(fd: Borrowed<'_>, writes: bool) -> bool;

    /// Writes one packet, whole or not at all. No SIGPIPE. (`pwritev2(RWF_NOSIGNAL)`)
    pub fn write_packet(pipe: Borrowed<'_>, bytes: &[u8]) -> Result<(), NotSent>;

    /// Reads one packet. (`read`)
    pub fn read_packet(pipe: Borrowed<'_>, into: &mut [u8]) -> Result<usize, NotReceived>;

    /// Returns whether a packet can be written now. (`poll`)
    pub fn writable(fd: Borrowed<'_>) -> bool;
}
