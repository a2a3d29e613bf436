//! What calls about children take and return.

use std::fmt;
use std::path::PathBuf;
use std::process::{ChildStderr, ChildStdin, ChildStdout};

use crate::OsHandle;

/// The event to wait for on a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// There is something to read.
    Read,
    /// There is room to write.
    Write,
}

/// The result of [`wait`](crate::spawn::wait); all `false` when the time is over or it returned
/// early.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ready {
    /// The process has ended.
    pub ended: bool,
    /// The socket is ready.
    pub socket: bool,
}

/// The signals that a [`Process`](crate::spawn::Process) can be sent.
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

/// The result of [`Process::try_reap`](crate::spawn::Process::try_reap).
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

/// What [`inherited`](crate::spawn::inherited) found.
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
