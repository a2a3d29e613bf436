//! Descriptors, and the table of them.

// `close_range` is in no safe crate; a descriptor by its number.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

use super::limits::no_descriptor;
use crate::types::descriptor::Identity;

pub(crate) fn reopen(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    retry_on_intr(|| rustix::fs::open(path.as_str(), flags, Mode::empty())).map_err(no_descriptor)
}

pub(crate) fn identity(fd: BorrowedFd<'_>) -> io::Result<Identity> {
    let stat = rustix::fs::fstat(fd)?;
    Ok((stat.st_dev, stat.st_ino))
}

thread_local! {
    static OWN_TABLE: Cell<bool> = const { Cell::new(false) };
}

pub(crate) fn has_own_table() -> bool {
    OWN_TABLE.get()
}

/// The number of a descriptor, for [`own_table`](crate::descriptor::own_table).
#[derive(Clone, Copy, Debug)]
pub struct Number(RawFd);

pub(crate) fn number(fd: &OwnedFd) -> Number {
    Number(fd.as_raw_fd())
}

/// A copy of the table up to `keep` is made, and emptied, without the rest ever being in it.
///
/// # Safety
///
/// As [`own_table`](crate::descriptor::own_table).
pub(crate) unsafe fn own_table(keep: Number) -> io::Result<OwnedFd> {
    const UNSHARE: libc::c_uint = 1 << 1;
    let number = keep.0.unsigned_abs();
    let close = |from: libc::c_uint, to: libc::c_uint, flags: libc::c_uint| {
        // SAFETY: closes descriptors in a table that is this thread's own, by the first call's
        // flag, which fails otherwise; the caller uses nothing in it but `keep`.
        match unsafe { libc::syscall(libc::SYS_close_range, from, to, flags) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    close(number + 1, libc::c_uint::MAX, UNSHARE)?;
    OWN_TABLE.set(true);
    if number > 0 {
        close(0, number - 1, 0)?;
    }
    // SAFETY: open in this thread's table, in which nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(keep.0) })
}

pub(crate) fn reopen_read_only(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    Ok(retry_on_intr(|| {
        rustix::fs::open(path.as_str(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
    })?)
}

/// A program may have closed its standard streams; a socket in their place would be written to, or
/// inherited by accident. Async-signal-safe.
pub(super) fn above_stdio(fd: OwnedFd) -> Result<OwnedFd, Errno> {
    if fd.as_raw_fd() > 2 {
        return Ok(fd);
    }
    rustix::io::fcntl_dupfd_cloexec(&fd, 3)
}
