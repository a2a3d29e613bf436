//! Leases: there are none.

use std::io;

use super::unsupported;
use crate::types::descriptor::Borrowed;

pub(crate) fn try_lock(_fd: Borrowed<'_>, _byte: u64) -> io::Result<bool> {
    unsupported()
}

pub(crate) fn unlock(_fd: Borrowed<'_>, _byte: u64) -> io::Result<()> {
    unsupported()
}

pub(crate) fn locked(_fd: Borrowed<'_>, _byte: u64) -> io::Result<bool> {
    unsupported()
}
