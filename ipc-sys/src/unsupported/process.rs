//! Processes: nothing is known of them.

use std::io;

use crate::OsHandle;

unsupported! {
    fn can_run(u32) -> bool = false;
    fn pid_namespace() -> Option<u64> = None;
    fn pidfd_open(u32) -> io::Result<OsHandle>;
    fn cpus() -> usize = 1;
    fn cpu() -> usize = 0;
    fn user() -> u32 = 0;
    fn parent(u32) -> Option<u32> = None;
    fn random() -> io::Result<[u8; 16]>;
}

pub(crate) fn without_signals<T>(work: impl FnOnce() -> T) -> T {
    work()
}

pub(crate) fn at_exit(_run: extern "C" fn()) {}
pub(crate) fn kill_this_process() -> ! {
    std::process::abort()
}
