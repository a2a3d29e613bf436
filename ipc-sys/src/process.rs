//! This process and others: who they are, whether they live, and processors.

use std::io;

use crate::OsHandle;
use crate::os::process as os;

/// Returns the user that this process acts for. (`geteuid`)
#[inline]
pub fn user() -> u32 {
    os::user()
}

/// Returns what tells the namespace of this process' number from others.
///
/// `None` if that cannot be told. (`stat("/proc/self/ns/pid")`)
#[inline]
pub fn pid_namespace() -> Option<u64> {
    os::pid_namespace()
}

/// Opens a process: the descriptor is readable when it is dead and its mappings are gone.
/// (`pidfd_open`)
#[inline]
pub fn pidfd_open(pid: u32) -> io::Result<OsHandle> {
    os::pidfd_open(pid)
}

/// Returns whether a thread of the process, other than this one, runs or is ready to.
///
/// False if that cannot be told. (`/proc/PID/task/*/stat`)
#[inline]
pub fn can_run(pid: u32) -> bool {
    os::can_run(pid)
}

/// Returns how many processors are online. (`sysconf`)
#[inline]
pub fn cpus() -> usize {
    os::cpus()
}

/// Returns the processor that this thread runs on, for a moment at least. (`getcpu`)
#[inline]
pub fn cpu() -> usize {
    os::cpu()
}

/// Runs a function when the program ends in order. (`atexit`)
#[inline]
pub fn at_exit(run: extern "C" fn()) {
    os::at_exit(run)
}

/// Kills this process, as `kill -9` does. (`kill`)
#[inline]
pub fn kill_this_process() -> ! {
    os::kill_this_process()
}

/// Runs `work` while no signal handler runs in this thread, nor ever in a thread that it starts.
///
/// `work` must not unwind. (`pthread_sigmask`)
#[inline]
pub fn without_signals<T>(work: impl FnOnce() -> T) -> T {
    os::without_signals(work)
}
