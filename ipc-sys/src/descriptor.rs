//! Descriptors: identity, another open file of the same object, and the table of a thread.
//!
//! An owned descriptor is an [`OsHandle`]. Each one that this crate opens is closed by `exec`.

use std::io;

use crate::OsHandle;
use crate::os::descriptor as os;
pub use crate::os::descriptor::Number;
pub use crate::types::descriptor::{Borrowed, Identity, borrow};

contract! {
    /// Returns the identity of an open object, which no other object has while it is open.
    /// (`fstat`)
    pub fn identity(fd: Borrowed<'_>) -> io::Result<Identity>;

    /// Opens the object again: a new open file, whose locks conflict with those of the first.
    /// (`open("/proc/self/fd/N")`)
    pub fn reopen(fd: Borrowed<'_>) -> io::Result<OsHandle>;

    /// Opens the object again, to be read only. (`open("/proc/self/fd/N", O_RDONLY)`)
    pub fn reopen_read_only(fd: Borrowed<'_>) -> io::Result<OsHandle>;

    /// Returns whether this thread has called [`own_table`].
    pub fn has_own_table() -> bool;

    /// Returns the number of a descriptor, for [`own_table`].
    pub fn number(fd: &OsHandle) -> Number;
}

/// Gives this thread a table of descriptors of its own, which contains only `keep`.
/// (`close_range(CLOSE_RANGE_UNSHARE)`)
///
/// # Safety
///
/// `keep` is open. From now on this thread uses no descriptor that was opened before, except the
/// one returned.
#[allow(unsafe_code, reason = "the caller promises what the function needs")]
#[inline]
pub unsafe fn own_table(keep: Number) -> io::Result<OsHandle> {
    // SAFETY: the caller promises the same.
    unsafe { os::own_table(keep) }
}
