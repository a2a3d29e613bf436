//! Pipes: there are none.

use std::io;

use crate::OsHandle;
use crate::types::descriptor::Borrowed;
use crate::types::socket::{NotReceived, NotSent};

unsupported! {
    fn pipe() -> io::Result<(OsHandle, OsHandle)>;
    fn is_pipe(Borrowed<'_>, bool) -> bool = false;
    fn write_packet(Borrowed<'_>, &[u8]) -> Result<(), NotSent> = Err(NotSent::Gone);
    fn read_packet(Borrowed<'_>, &mut [u8]) -> Result<usize, NotReceived> = Err(NotReceived::Gone);
    fn writable(Borrowed<'_>) -> bool = false;
}
