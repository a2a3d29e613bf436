//! What this module needs of the operating system.
//!
//! Each system's file exports exactly these names. All descriptors are opened close-on-exec, and a
//! call interrupted by a signal is repeated, or returns early where that is said.
//!
//! | name | promises | system calls on Linux |
//! |---|---|---|
//! | [`stream_pair`] | two connected stream sockets: ours, and the one for the child | `socketpair` |
//! | [`wait`] | sleeps until the process ended, the socket is ready, or the time is over; may return early | `ppoll` |
//! | [`command`] | a command that starts the running executable again | |
//! | [`marker`] | what tells the child's own socket from any other, and the child from other processes | `fstat` |
//! | [`start`] | starts the command, which inherits the socket, and what [`SetUp`] says | `fork`, `pidfd_open`, `close_range`, `execve` |
//! | [`check_executable`] | whether a child may trust its parent: it gets no rights that the parent has not | `stat`, `statvfs`, `getxattr` |
//! | [`Process`] | a child, by a handle that never means another process, whatever happens to its pid | `pidfd_send_signal`, `waitid`, `PIDFD_GET_INFO` |
//! | [`End`] | the end of a child, to be waited for with other things; [`WeakEnd`] keeps it from nothing | the pidfd, `ppoll` |
//! | [`in_executable`] | whether this very code is part of the executable, not of a library | reads `/proc/self/maps` |
//! | [`inherited`] | in a child: the socket that the marker names, close-on-exec from here on | `fstat`, `fcntl` |
//! | [`is_socket`] | whether a descriptor is still a socket | `fstat` |
//! | [`forget`] | removes a variable from the environment, if no other thread can be reading it | |
//! | [`as_before_main`] | does what `main` finds done by the standard library | `sigaction` |
//! | [`name_process`] | in a child: its name, as the system's tools show it | `prctl` |
//! | [`own_process`], [`end_with`] | a handle of this process for its children; ends a child when its parent has ended | `pidfd_open`, `ppoll`, `kill` |
//! | [`parent_id`] | the parent's pid; another one once the parent is dead | `getppid` |
//! | [`on_main_thread`] | whether this thread is the one that runs `main` | `gettid`, `getpid` |
//! | [`constant_ranges`] | where the executable file lies in memory that can be read and never written | reads `/proc/self/maps` |
//! | [`code_ranges`] | where the executable file's code lies in memory | reads `/proc/self/maps` |

use std::fmt;
use std::path::PathBuf;
use std::process::{ChildStderr, ChildStdin, ChildStdout};

use ipc_core::OsHandle;

use super::Resource;

#[cfg_attr(target_os = "linux", path = "linux/spawn/mod.rs")]
#[cfg_attr(not(target_os = "linux"), path = "unsupported/spawn.rs")]
mod os;

pub(crate) use os::{
    End, Process, WeakEnd, as_before_main, check_executable, code_ranges, command, constant_ranges,
    end_with, forget, in_executable, inherited, is_socket, marker, name_process, on_main_thread,
    own_process, parent_id, start, stream_pair, wait,
};

/// What to wait for on a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    Read,
    Write,
}

/// What [`wait`] found; all `false` when the time is over or it returned early.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ready {
    pub(crate) ended: bool,
    pub(crate) socket: bool,
}

/// The signals that a [`Process`] can be sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Signal {
    Kill,
    Terminate,
}

/// What a process was found doing. The default is nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Activity {
    /// It runs, or waits for the processor or a disk.
    pub(crate) busy: bool,
    /// How much of the processor its threads have used, in the system's unit.
    pub(crate) used: u64,
}

impl Activity {
    /// Whether it is at work, or has been since `before`.
    pub(crate) fn shows_work_since(self, before: Self) -> bool {
        self.busy || self.used > before.used
    }
}

/// How a process ended.
#[cfg_attr(
    not(target_os = "linux"),
    allow(dead_code, reason = "only a system that starts processes makes them")
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Exited(i32),
    Killed(i32),
}

/// What [`Process::try_reap`] found.
#[cfg_attr(
    not(target_os = "linux"),
    allow(dead_code, reason = "only a system that starts processes makes them")
)]
#[derive(Debug)]
pub(crate) enum Reap {
    /// The process has not ended, or a debugger takes its end first.
    NotYet,
    Ended(Status),
    /// It is not this process's to reap: another part of the program is about to do so, or this
    /// process is a fork of the parent.
    Elsewhere,
    /// It was reaped elsewhere, and the system does not tell its status any more. The text says
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

/// What a child is to have before it runs the executable.
#[cfg_attr(
    not(target_os = "linux"),
    allow(dead_code, reason = "only a system that starts processes reads them")
)]
#[derive(Debug, Default)]
pub(crate) struct SetUp {
    /// The command says what its standard input is to be; without it there is none.
    pub(crate) stdin: bool,
    /// Where it starts; where its parent is, without it.
    pub(crate) directory: Option<PathBuf>,
    pub(crate) new_group: bool,
    pub(crate) ignore_interrupt: bool,
    pub(crate) nice: i32,
    /// Soft and hard limits; `None` is unlimited.
    pub(crate) limits: Vec<(Resource, Option<u64>, Option<u64>)>,
    pub(crate) groups: Option<Vec<u32>>,
    pub(crate) gid: Option<u32>,
    pub(crate) uid: Option<u32>,
    /// What it inherits under the same number, besides the socket and its standard streams.
    pub(crate) inherited: Vec<OsHandle>,
}

/// A child that [`start`] started.
#[cfg_attr(
    not(target_os = "linux"),
    allow(dead_code, reason = "only a system that starts processes makes them")
)]
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) process: Process,
    pub(crate) streams: Streams,
}

/// The parent's ends of the child's standard streams, where those are pipes.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) stdout: Option<ChildStdout>,
    pub(crate) stderr: Option<ChildStderr>,
}

/// What [`inherited`] found.
#[cfg_attr(
    not(target_os = "linux"),
    allow(dead_code, reason = "only a system that starts processes makes them")
)]
#[derive(Debug)]
pub(crate) enum Inherited {
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
pub(crate) struct CodeRange {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) offset: u64,
}
