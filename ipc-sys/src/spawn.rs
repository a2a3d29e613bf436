//! Starting this executable again as a child, and the child's side of that.
//!
//! Calls that a signal interrupts are repeated, or return early where that is documented.
//!
//! | item | what it promises | on Linux |
//! |---|---|---|
//! | [`Process`] | a child, by a handle that never means another process, whatever happens to its pid | `pidfd_send_signal`, `waitid`, `PIDFD_GET_INFO` |
//! | [`Process::try_reap`] | reaps it if it has ended; never blocks | `waitid` |
//! | [`Process::signal`] | sends a signal; nothing happens if it has ended | `pidfd_send_signal` |
//! | [`Process::activity`] | returns what it is doing, as far as the system reports it | `/proc/PID/stat` |
//! | [`End`], [`WeakEnd`] | the end of a child, to wait for together with other events; a [`WeakEnd`] does not keep the descriptor open | the pidfd, `ppoll` |

use std::io;
use std::process::Command;
use std::time::Duration;

use crate::OsHandle;
use crate::os::spawn as os;
pub use crate::os::spawn::{End, Process, WeakEnd};
pub use crate::types::spawn::{
    Activity, CodeRange, Inherited, Interest, Ready, Reap, Resource, SetUp, Signal, Status, Streams,
};

/// A child that [`start`] started.
#[derive(Debug)]
pub struct Started {
    /// The child.
    pub process: Process,
    /// Its standard streams, where those are pipes.
    pub streams: Streams,
}

contract! {
    /// Makes two connected stream sockets: ours, and the one for the child. (`socketpair`)
    pub fn stream_pair() -> io::Result<(OsHandle, OsHandle)>;

    /// Sleeps until the process ended, the socket is ready, or the time is over. May return early.
    /// (`ppoll`)
    pub fn wait(
        process: Option<&Process>,
        socket: Option<(&OsHandle, Interest)>,
        timeout: Option<Duration>,
    ) -> io::Result<Ready>;

    /// Returns a command that starts the running executable again. (`/proc/self/exe`)
    pub fn command() -> Command;

    /// Returns a marker that distinguishes the child's own socket from any other, and the child
    /// from other processes. (`fstat`)
    pub fn marker(socket: &OsHandle) -> io::Result<String>;
}

/// Starts the command, after what `set_up` says. The child inherits `theirs` under the same number;
/// `ours` is the other end.
///
/// (`fork`, `pidfd_open`, `close_range`, `execve`)
#[inline]
pub fn start(
    command: Command,
    ours: &OsHandle,
    theirs: OsHandle,
    set_up: SetUp,
) -> io::Result<Started> {
    let (process, streams) = os::start(command, ours, theirs, set_up)?;
    Ok(Started { process, streams })
}

contract! {
    /// Fails if a child could not trust its parent: if it would get rights that the parent has not.
    /// (`stat`, `statvfs`, `getxattr`)
    pub fn check_executable() -> io::Result<()>;

    /// Returns whether this code is part of the executable, not of a library; true if that cannot
    /// be found out. (`/proc/self/maps`)
    pub fn in_executable() -> bool;
}

/// In a child: returns the socket that the marker names, close-on-exec from here on. (`fstat`,
/// `fcntl`)
///
/// # Safety
///
/// The marker is what the parent gave this process in its environment, and no earlier call was made
/// with it: no other code owns the descriptor.
#[allow(unsafe_code, reason = "the caller promises what the function needs")]
#[inline]
pub unsafe fn inherited(marker: &str) -> io::Result<Inherited> {
    // SAFETY: the caller promises the same.
    unsafe { os::inherited(marker) }
}

contract! {
    /// Returns whether a descriptor is still a socket. (`fstat`)
    pub fn is_socket(socket: &OsHandle) -> bool;

    /// Removes a variable from the environment, if no other thread can be reading it.
    pub fn forget(variable: &str);

    /// Does what `main` finds done by the standard library. (`sigaction`)
    pub fn as_before_main();

    /// In a child: sets its name, as the system's tools show it. (`prctl`)
    pub fn name_process(name: &str);

    /// Returns a handle of this process, for its children. (`pidfd_open`)
    pub fn own_process() -> io::Result<OsHandle>;

    /// Kills this process when `parent` has ended; where it cannot kill itself, it exits with
    /// `status`. (`ppoll`, `kill`)
    pub fn end_with(parent: OsHandle, status: i32) -> io::Result<()>;

    /// Returns the parent's pid; another one once the parent is dead. (`getppid`)
    pub fn parent_id() -> u32;

    /// Returns whether this thread is the one that runs `main`. (`gettid`, `getpid`)
    pub fn on_main_thread() -> bool;

    /// Returns where the executable file lies in memory that can be read and never written.
    /// (`/proc/self/maps`)
    pub fn constant_ranges() -> io::Result<Vec<CodeRange>>;

    /// Returns where the executable file's code lies in memory. (`/proc/self/maps`)
    pub fn code_ranges() -> io::Result<Vec<CodeRange>>;
}

const _: fn(&Process) -> u32 = Process::id;
const _: fn(&Process) -> End = Process::end;
const _: fn(&Process) -> Activity = Process::activity;
const _: fn(&Process, Signal) -> io::Result<()> = Process::signal;
const _: fn(&Process) -> io::Result<Reap> = Process::try_reap;
const _: fn(&End) -> WeakEnd = End::downgrade;
const _: fn(&WeakEnd) -> bool = WeakEnd::is_pending;
