//! Wake pairs: local sockets.
//!
//! A *wake pair* is two connected ends. A wake-up that one end sends stays until the other drains
//! it.

use std::io;

use crate::OsHandle;
use crate::descriptor::Borrowed;
use crate::os::wake_pair as os;

contract! {
    /// Makes a wake pair, whose calls never block. (`socketpair`)
    pub fn new() -> io::Result<(OsHandle, OsHandle)>;

    /// Sends a wake-up to the other end; false if that end is gone. (`send`)
    pub fn wake(end: Borrowed<'_>) -> bool;

    /// Takes all wake-ups out; false if the other end is gone. (`recv`)
    pub fn drain(end: Borrowed<'_>) -> bool;

    /// Ends the pair for both ends. (`shutdown`)
    pub fn shut_down(end: Borrowed<'_>);

    /// Returns which of the descriptors are readable; if `sleep`, sleeps until one is. (`poll`)
    pub fn readable(fds: &[Borrowed<'_>], sleep: bool) -> io::Result<Vec<bool>>;
}
