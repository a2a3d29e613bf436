//! Wake pairs: there are none.

use std::io;

use super::unsupported;
use crate::OsHandle;
use crate::types::descriptor::Borrowed;

pub(crate) fn new() -> io::Result<(OsHandle, OsHandle)> {
    unsupported()
}

pub(crate) fn wake(_end: Borrowed<'_>) -> bool {
    false
}

pub(crate) fn drain(_end: Borrowed<'_>) -> bool {
    false
}

pub(crate) fn shut_down(_end: Borrowed<'_>) {}
pub(crate) fn readable(_fds: &[Borrowed<'_>], _sleep: bool) -> io::Result<Vec<bool>> {
    unsupported()
}
