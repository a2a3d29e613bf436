//! Wake pairs: local sockets.
//!
//! A *wake pair* is two connected ends. A wake-up that one end sends stays until the other drains
//! it.

use std::io;

use crate::OsHandle;
use crate::descriptor::Borrowed;
use crate::os::wake_pair as os;

/// Makes a wake pair, whose calls never block. (`socketpair`)
#[inline]
pub fn new() -> io::Result<(OsHandle, OsHandle)> {
    os::new()
}

/// Sends a wake-up to the other end; false if that end is gone. (`send`)
#[inline]
pub fn wake(end: Borrowed<'_>) -> bool {
    os::wake(end)
}

/// Takes all wake-ups out; false if the other end is gone. (`recv`)
#[inline]
pub fn drain(end: Borrowed<'_>) -> bool {
    os::drain(end)
}

/// Ends the pair for both ends. (`shutdown`)
#[inline]
pub fn shut_down(end: Borrowed<'_>) {
    os::shut_down(end)
}

/// Returns which of the descriptors are readable; if `sleep`, sleeps until one is. (`poll`)
#[inline]
pub fn readable(fds: &[Borrowed<'_>], sleep: bool) -> io::Result<Vec<bool>> {
    os::readable(fds, sleep)
}
