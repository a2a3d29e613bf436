//! Pipes: there are none.

use std::io;

use super::unsupported;
use crate::OsHandle;
use crate::types::descriptor::Borrowed;
use crate::types::socket::{NotReceived, NotSent};

pub(crate) fn pipe() -> io::Result<(OsHandle, OsHandle)> {
    unsupported()
}
pub(crate) fn is_pipe(_fd: Borrowed<'_>, _writes: bool) -> bool {
    false
}
pub(crate) fn write_packet(_fd: Borrowed<'_>, _bytes: &[u8]) -> Result<(), NotSent> {
    Err(NotSent::Gone)
}
pub(crate) fn read_packet(_fd: Borrowed<'_>, _into: &mut [u8]) -> Result<usize, NotReceived> {
    Err(NotReceived::Gone)
}
pub(crate) fn writable(_fd: Borrowed<'_>) -> bool {
    false
}
