//! Borrowed descriptors, and the identity of files.

use crate::OsHandle;

/// A borrowed descriptor.
#[cfg(unix)]
pub type Borrowed<'a> = std::os::fd::BorrowedFd<'a>;
/// A borrowed handle.
#[cfg(windows)]
pub type Borrowed<'a> = std::os::windows::io::BorrowedHandle<'a>;
/// A borrowed handle: there are none.
#[cfg(not(any(unix, windows)))]
pub type Borrowed<'a> = &'a OsHandle;

/// Device and inode.
pub type Identity = (u64, u64);

/// Borrows a handle.
#[cfg(unix)]
#[inline]
pub fn borrow(handle: &OsHandle) -> Borrowed<'_> {
    std::os::fd::AsFd::as_fd(handle)
}
/// Borrows a handle.
#[cfg(windows)]
#[inline]
pub fn borrow(handle: &OsHandle) -> Borrowed<'_> {
    std::os::windows::io::AsHandle::as_handle(handle)
}
/// Borrows a handle.
#[cfg(not(any(unix, windows)))]
#[inline]
pub fn borrow(handle: &OsHandle) -> Borrowed<'_> {
    handle
}
