//! Processes: nothing is known of them.

use std::io;

use super::unsupported;
use crate::OsHandle;

pub(crate) fn can_run(_pid: u32) -> bool {
    false
}

pub(crate) fn pid_namespace() -> Option<u64> {
    None
}

pub(crate) fn pidfd_open(_pid: u32) -> io::Result<OsHandle> {
    unsupported()
}

pub(crate) fn without_signals<T>(work: impl FnOnce() -> T) -> T {
    work()
}

pub(crate) fn cpus() -> usize {
    1
}

pub(crate) fn cpu() -> usize {
    0
}

pub(crate) fn user() -> u32 {
    0
}

pub(crate) fn at_exit(_run: extern "C" fn()) {}
pub(crate) fn kill_this_process() -> ! {
    std::process::abort()
}
pub(crate) fn parent(_pid: u32) -> Option<u32> {
    None
}
pub(crate) fn random() -> io::Result<[u8; 16]> {
    unsupported()
}
