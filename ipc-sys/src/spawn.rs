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

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::{ChildStderr, ChildStdin, ChildStdout, Command};
use std::time::Duration;

use crate::OsHandle;
use crate::os::spawn as os;
pub use crate::os::spawn::{End, Process, WeakEnd};

/// The event to wait for on a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// There is something to read.
    Read,
    /// There is room to write.
    Write,
}

/// The result of [`wait`]; all `false` when the time is over or it returned early.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ready {
    /// The process has ended.
    pub ended: bool,
    /// The socket is ready.
    pub socket: bool,
}

/// The signals that a [`Process`] can be sent.
#[derive(Clone, Copy, Debug)]
pub enum Signal {
    /// SIGKILL.
    Kill,
    /// SIGTERM.
    Terminate,
}

/// What a process is doing. The default is nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Activity {
    /// It runs, or waits for the processor or a disk.
    pub busy: bool,
    /// How much of the processor its threads have used, in the system's unit.
    pub used: u64,
}

impl Activity {
    /// Returns whether it is at work, or has been since `before`.
    pub fn shows_work_since(self, before: Self) -> bool {
        self.busy || self.used > before.used
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It exited with this status.
    Exited(i32),
    /// This signal killed it.
    Killed(i32),
}

/// The result of [`Process::try_reap`].
#[derive(Debug)]
pub enum Reap {
    /// The process has not ended, or a debugger is notified of its end first.
    NotYet,
    /// It has ended, and was reaped now.
    Ended(Status),
    /// It cannot be reaped by this process: another part of the program is about to do so, or this
    /// process is a fork of the parent.
    Elsewhere,
    /// It was reaped elsewhere, and the system does not have its status any more. The text says
    /// why.
    Lost(&'static str),
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Status::Exited(code) => write!(f, "exit status {code}"),
            Status::Killed(signal) => write!(f, "killed by signal {signal}"),
        }
    }
}

/// What a limit of a process limits; the documentation of each says the unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Resource {
    /// The size of the address space, in bytes (`RLIMIT_AS`). Channels need address space too.
    AddressSpace,
    /// The size of a core dump, in bytes (`RLIMIT_CORE`). With 0 there is none.
    CoreSize,
    /// Processor time, in seconds (`RLIMIT_CPU`): SIGXCPU at the soft limit, SIGKILL at the hard
    /// one.
    CpuTime,
    /// Private writable memory, in bytes (`RLIMIT_DATA`).
    DataSize,
    /// The size of a file that the child writes, in bytes (`RLIMIT_FSIZE`); shared memory counts
    /// too.
    FileSize,
    /// Memory locked against paging, in bytes (`RLIMIT_MEMLOCK`).
    LockedMemory,
    /// The highest number of a descriptor, plus 1 (`RLIMIT_NOFILE`).
    OpenFiles,
    /// Processes and threads of the child's user, over all of its processes (`RLIMIT_NPROC`).
    Processes,
    /// The stack of the main thread, in bytes (`RLIMIT_STACK`).
    StackSize,
}

/// What a child is to have before it runs the executable.
#[derive(Debug, Default)]
pub struct SetUp {
    /// The command says what its standard input is to be; without it there is none.
    pub stdin: bool,
    /// Where it starts; where its parent is, without it.
    pub directory: Option<PathBuf>,
    /// It starts a process group.
    pub new_group: bool,
    /// It ignores SIGINT.
    pub ignore_interrupt: bool,
    /// What is added to the nice value.
    pub nice: i32,
    /// Soft and hard limits; `None` is unlimited.
    pub limits: Vec<(Resource, Option<u64>, Option<u64>)>,
    /// Its supplementary groups.
    pub groups: Option<Vec<u32>>,
    /// Its group.
    pub gid: Option<u32>,
    /// Its user.
    pub uid: Option<u32>,
    /// What it inherits under the same number, besides the socket and its standard streams.
    pub inherited: Vec<OsHandle>,
}

/// A child that [`start`] started.
#[derive(Debug)]
pub struct Started {
    /// The child.
    pub process: Process,
    /// Its standard streams, where those are pipes.
    pub streams: Streams,
}

/// The parent's ends of the child's standard streams, where those are pipes.
#[derive(Debug, Default)]
pub struct Streams {
    /// Its standard input.
    pub stdin: Option<ChildStdin>,
    /// Its standard output.
    pub stdout: Option<ChildStdout>,
    /// Its standard error.
    pub stderr: Option<ChildStderr>,
}

/// What [`inherited`] found.
#[derive(Debug)]
pub enum Inherited {
    /// Nothing of ours: this process is an ordinary program.
    Nothing,
    /// This process is a child, but must not or cannot become its function, for this reason: to go
    /// on as an ordinary program, which spawns the same child again, would never end.
    Refused(&'static str),
    /// The socket.
    Socket(OsHandle),
}

/// A part of the executable file's code in memory: addresses `start..end`, from `offset` in the
/// file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeRange {
    /// The first address.
    pub start: u64,
    /// The address behind the last one.
    pub end: u64,
    /// Where it begins in the file.
    pub offset: u64,
}

/// Makes two connected stream sockets: ours, and the one for the child. (`socketpair`)
#[inline]
pub fn stream_pair() -> io::Result<(OsHandle, OsHandle)> {
    os::stream_pair()
}

/// Sleeps until the process ended, the socket is ready, or the time is over. May return early.
/// (`ppoll`)
#[inline]
pub fn wait(
    process: Option<&Process>,
    socket: Option<(&OsHandle, Interest)>,
    timeout: Option<Duration>,
) -> io::Result<Ready> {
    os::wait(process, socket, timeout)
}

/// Returns a command that starts the running executable again. (`/proc/self/exe`)
#[inline]
pub fn command() -> Command {
    os::command()
}

/// Returns a marker that distinguishes the child's own socket from any other, and the child from
/// other processes. (`fstat`)
#[inline]
pub fn marker(socket: &OsHandle) -> io::Result<String> {
    os::marker(socket)
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
    os::start(command, ours, theirs, set_up)
}

/// Fails if a child could not trust its parent: if it would get rights that the parent has not.
/// (`stat`, `statvfs`, `getxattr`)
#[inline]
pub fn check_executable() -> io::Result<()> {
    os::check_executable()
}

/// Returns whether this code is part of the executable, not of a library; true if that cannot be
/// found out. (`/proc/self/maps`)
#[inline]
pub fn in_executable() -> bool {
    os::in_executable()
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

/// Returns whether a descriptor is still a socket. (`fstat`)
#[inline]
pub fn is_socket(socket: &OsHandle) -> bool {
    os::is_socket(socket)
}

/// Removes a variable from the environment, if no other thread can be reading it.
#[inline]
pub fn forget(variable: &str) {
    os::forget(variable)
}

/// Does what `main` finds done by the standard library. (`sigaction`)
#[inline]
pub fn as_before_main() {
    os::as_before_main()
}

/// In a child: sets its name, as the system's tools show it. (`prctl`)
#[inline]
pub fn name_process(name: &str) {
    os::name_process(name)
}

/// Returns a handle of this process, for its children. (`pidfd_open`)
#[inline]
pub fn own_process() -> io::Result<OsHandle> {
    os::own_process()
}

/// Kills this process when `parent` has ended; where it cannot kill itself, it exits with `status`.
/// (`ppoll`, `kill`)
#[inline]
pub fn end_with(parent: OsHandle, status: i32) -> io::Result<()> {
    os::end_with(parent, status)
}

/// Returns the parent's pid; another one once the parent is dead. (`getppid`)
#[inline]
pub fn parent_id() -> u32 {
    os::parent_id()
}

/// Returns whether this thread is the one that runs `main`. (`gettid`, `getpid`)
#[inline]
pub fn on_main_thread() -> bool {
    os::on_main_thread()
}

/// Returns where the executable file lies in memory that can be read and never written.
/// (`/proc/self/maps`)
#[inline]
pub fn constant_ranges() -> io::Result<Vec<CodeRange>> {
    os::constant_ranges()
}

/// Returns where the executable file's code lies in memory. (`/proc/self/maps`)
#[inline]
pub fn code_ranges() -> io::Result<Vec<CodeRange>> {
    os::code_ranges()
}

const _: fn(&Process) -> u32 = Process::id;
const _: fn(&Process) -> End = Process::end;
const _: fn(&Process) -> Activity = Process::activity;
const _: fn(&Process, Signal) -> io::Result<()> = Process::signal;
const _: fn(&Process) -> io::Result<Reap> = Process::try_reap;
const _: fn(&End) -> WeakEnd = End::downgrade;
const _: fn(&WeakEnd) -> bool = WeakEnd::is_to_come;
