//! This process and others: their identity, their life and end, and processors.
//!
//! | item | what it promises | on Linux |
//! |---|---|---|
//! | [`Exit::of`] | wakes up when a child ends; none if there is no child of that number | `pidfd_open` |
//! | [`Exit::is_over`] | returns whether it has ended, without waiting for it | `waitid(WNOWAIT)` |
//! | [`Exit::status_elsewhere`] | returns how it ended, if something else has reaped it | `PIDFD_GET_INFO` |

use std::io;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::OsHandle;
use crate::descriptor::Borrowed;
pub use crate::os::exit_info::Exit;
use crate::os::{exit_info, process as os};

contract! {
    /// Returns the user that this process acts for. (`geteuid`)
    pub fn user() -> u32;

    /// Returns the identity of the namespace of this process' number.
    ///
    /// Returns `None` if it cannot be found out. (`stat("/proc/self/ns/pid")`)
    pub fn pid_namespace() -> Option<u64>;

    /// Opens a process: the descriptor is readable when it is dead and its mappings are gone.
    /// (`pidfd_open`)
    pub fn pidfd_open(pid: u32) -> io::Result<OsHandle>;

    /// Returns whether a thread of the process, other than this one, runs or is ready to run.
    ///
    /// Returns false if that cannot be found out. (`/proc/PID/task/*/stat`)
    pub fn can_run(pid: u32) -> bool;

    /// Returns how many processors are online. (`sysconf`)
    pub fn cpus() -> usize;

    /// Returns the processor that this thread runs on, for a moment at least. (`getcpu`)
    pub fn cpu() -> usize;
}

/// Runs a function when the program ends in order, however often this is called. (`atexit`)
///
/// `asked` records that it was called. It may run twice in a child that was forked meanwhile.
#[inline]
pub fn at_exit(asked: &AtomicBool, run: extern "C" fn()) {
    // Relaxed: the flag guards no other memory. A forked child inherits both what is to be run and
    // the flag.
    if !asked.load(Ordering::Relaxed) {
        // Before the flag is set: in a child that is forked in between, the function runs twice,
        // and not never.
        os::at_exit(run);
        asked.store(true, Ordering::Relaxed);
    }
}

contract! {
    /// Kills this process, as `kill -9` does. (`kill`)
    pub fn kill_this_process() -> !;

    /// Returns the parent of a process. (`/proc/PID/stat`)
    pub fn parent(pid: u32) -> Option<u32>;

    /// Returns 16 bytes that no other process can guess. (`getrandom`)
    pub fn random() -> io::Result<[u8; 16]>;
}

/// Returns how the process ended, if it has been reaped.
///
/// An error if the kernel does not know: it is older than Linux 6.15. (`PIDFD_GET_INFO`)
#[inline]
pub fn exit_status(pidfd: Borrowed<'_>) -> io::Result<Option<ExitStatus>> {
    exit_info::exit_status(pidfd)
}

/// Returns why the status of a child that was reaped elsewhere is lost, and what to do about it.
/// (`sigaction`)
#[inline]
pub fn reaped_elsewhere() -> &'static str {
    exit_info::reaped_elsewhere()
}

/// Returns [`reaped_elsewhere`] if waiting for a child failed because something else reaped it.
#[inline]
pub fn cause_if_reaped(error: &io::Error) -> Option<&'static str> {
    exit_info::cause_if_reaped(error)
}

/// Runs `work` while no signal handler runs in this thread, nor ever in a thread that it starts.
///
/// `work` must not unwind. (`pthread_sigmask`)
#[inline]
pub fn without_signals<T>(work: impl FnOnce() -> T) -> T {
    os::without_signals(work)
}

const _: fn(u32) -> io::Result<Option<Exit>> = Exit::of;
const _: fn(&Exit) -> io::Result<bool> = Exit::is_over;
const _: fn(&Exit) -> Option<ExitStatus> = Exit::status_elsewhere;
