//! What a child does between `fork` and `exec`: one list of steps, made before the fork.
//!
//! ```text
//! parent: blocks all signals, forks
//! child:  opens a pidfd of itself │ takes each step of the list │ marks each descriptor
//!         close-on-exec but what it inherits │ reports over the socket: the step that failed, or
//!         none; with the pidfd │ exec, or _exit
//! parent: restores its signals, reads the report
//! ```
//!
//! The pidfd comes from the child, so it cannot mean another process. If the parent called
//! `pidfd_open` after the fork, another part of the program could reap the child in between, and
//! its number could be given out again. For the same reason nothing here kills by number.
//!
//! Signals are blocked from before the fork until the child has no handler of the parent any more.
//! So no handler of the parent runs in the child, where it would write to pipes that both share,
//! for instance.
//!
//! # If the child is killed
//!
//! Before its report: the socket is empty, and [`start`] fails. Later the pidfd says so.
//!
//! This file opts in to `unsafe`: what runs after a fork must be async-signal-safe.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::CommandExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use rustix::io::{Errno, FdFlags, retry_on_intr};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, Shutdown, recvmsg, sendmsg,
};
use rustix::process::{Gid, PidfdFlags, Rlimit, Uid, WaitId, WaitIdOptions};

use super::super::descriptor::above_stdio;
use super::Process;
use super::exec::{close_on_exec, empty_input};
use crate::OsHandle;
use crate::types::spawn::{Resource, SetUp, Streams};

/// In a report: no step failed.
const NONE: u32 = u32::MAX;
/// A report: which step of the list failed, or [`NONE`], and the error's number; both
/// little-endian.
const REPORT: usize = 8;
/// How long a child that was given up may take to end before it is left unreaped.
const ABANDON_TIMEOUT: Duration = Duration::from_secs(2);
/// The status of a child that could not take a step. The parent reads the report instead.
const EXIT_FAILED: i32 = 127;

/// One step of a child on its way to `exec`. [`take`](Self::take) makes async-signal-safe calls
/// only.
#[derive(Debug)]
enum Step {
    /// Opens the pidfd. Before any limit on descriptors is set.
    OpenPidfd,
    DefaultSignals,
    NewGroup,
    IgnoreInterrupt,
    Nice(i32),
    Limit(Resource, Rlimit),
    Groups(Vec<Gid>),
    Gid(Gid),
    Uid(Uid),
    /// As the user that the child runs as: the directory must be open to it.
    Directory(CString),
    /// Besides the socket and the standard streams.
    InheritOnly(Vec<OwnedFd>),
    UnblockSignals,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::OpenPidfd => write!(f, "pidfd_open"),
            Step::DefaultSignals => write!(f, "setting signals to their defaults"),
            Step::NewGroup => write!(f, "making a process group"),
            Step::IgnoreInterrupt => write!(f, "ignoring SIGINT"),
            Step::Nice(increment) => write!(f, "adding {increment} to the nice value"),
            Step::Limit(resource, Rlimit { current, maximum }) => {
                let text =
                    |limit: &Option<u64>| limit.map_or("unlimited".to_owned(), |n| n.to_string());
                let (soft, hard) = (text(current), text(maximum));
                write!(f, "setting the limit of {resource:?} to {soft} (soft) and {hard} (hard)")
            }
            Step::Groups(groups) if groups.is_empty() => {
                write!(f, "giving up supplementary groups")
            }
            Step::Groups(_) => write!(f, "setting supplementary groups"),
            Step::Gid(gid) => write!(f, "setting the group ID {}", gid.as_raw()),
            Step::Uid(uid) => write!(f, "setting the user ID {}", uid.as_raw()),
            Step::Directory(path) => write!(f, "changing to the directory {path:?}"),
            Step::InheritOnly(_) => {
                write!(
                    f,
                    "marking descriptors as close-on-exec (Linux 5.11 or later, or /proc, is needed)"
                )
            }
            Step::UnblockSignals => write!(f, "unblocking signals"),
        }
    }
}

impl Step {
    /// The list for `set_up`. Steps that need rights come before those that give them up.
    fn list(set_up: SetUp) -> io::Result<Vec<Step>> {
        let mut steps = vec![Step::OpenPidfd];
        steps.push(Step::DefaultSignals);
        if set_up.new_group {
            steps.push(Step::NewGroup);
        }
        if set_up.ignore_interrupt {
            steps.push(Step::IgnoreInterrupt);
        }
        if set_up.nice != 0 {
            steps.push(Step::Nice(set_up.nice));
        }
        for (resource, current, maximum) in set_up.limits {
            steps.push(Step::Limit(resource, Rlimit { current, maximum }));
        }
        // A child that gives up the superuser's rights gives up its groups, as with `std::process`.
        let give_up = (set_up.uid.is_some() && rustix::process::geteuid().is_root()).then(Vec::new);
        if let Some(groups) = set_up.groups.or(give_up) {
            let groups = groups.into_iter().map(|group| Ok(Gid::from_raw(valid(group)?)));
            steps.push(Step::Groups(groups.collect::<io::Result<_>>()?));
        }
        if let Some(gid) = set_up.gid {
            steps.push(Step::Gid(Gid::from_raw(valid(gid)?)));
        }
        if let Some(uid) = set_up.uid {
            steps.push(Step::Uid(Uid::from_raw(valid(uid)?)));
        }
        if let Some(path) = set_up.directory {
            let path = CString::new(path.into_os_string().into_vec()).map_err(|_| {
                io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "the directory's path contains a zero byte",
                )
            })?;
            steps.push(Step::Directory(path));
        }
        steps.push(Step::InheritOnly(set_up.inherited));
        steps.push(Step::UnblockSignals);
        Ok(steps)
    }

    /// In the child. Async-signal-safe: no allocation, no lock, no panic.
    fn take(&self, socket: BorrowedFd<'_>, pidfd: &mut Option<OwnedFd>) -> Result<(), Errno> {
        match self {
            Step::OpenPidfd => {
                let own = rustix::process::getpid();
                *pidfd = Some(above_stdio(rustix::process::pidfd_open(own, PidfdFlags::empty())?)?);
            }
            Step::DefaultSignals => default_signals(),
            Step::NewGroup => rustix::process::setpgid(None, None)?,
            Step::IgnoreInterrupt => ignore(libc::SIGINT),
            Step::Nice(increment) => {
                rustix::process::nice(*increment)?;
            }
            Step::Limit(resource, limit) => {
                rustix::process::setrlimit(of_system(*resource), *limit)?
            }
            // Of this thread, but there is no other one in a process that has just been forked.
            Step::Groups(groups) => rustix::thread::set_thread_groups(groups)?,
            Step::Gid(gid) => rustix::thread::set_thread_res_gid(*gid, *gid, *gid)?,
            Step::Uid(uid) => rustix::thread::set_thread_res_uid(*uid, *uid, *uid)?,
            Step::Directory(path) => rustix::process::chdir(path.as_c_str())?,
            Step::InheritOnly(inherited) => {
                close_on_exec()?;
                for fd in inherited {
                    rustix::io::fcntl_setfd(fd, FdFlags::empty())?;
                }
                rustix::io::fcntl_setfd(socket, FdFlags::empty())?;
            }
            Step::UnblockSignals => set_mask(&signals(false)),
        }
        Ok(())
    }
}

/// A user's or group's number; the highest one means none to the system.
fn valid(id: u32) -> io::Result<u32> {
    let text = "4294967295 is not the number of a user or group";
    (id != u32::MAX).then_some(id).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, text))
}

fn of_system(resource: Resource) -> rustix::process::Resource {
    use rustix::process::Resource as Of;
    match resource {
        Resource::AddressSpace => Of::As,
        Resource::CoreSize => Of::Core,
        Resource::CpuTime => Of::Cpu,
        Resource::DataSize => Of::Data,
        Resource::FileSize => Of::Fsize,
        Resource::LockedMemory => Of::Memlock,
        Resource::OpenFiles => Of::Nofile,
        Resource::Processes => Of::Nproc,
        Resource::StackSize => Of::Stack,
    }
}

/// Starts `command` after the steps of `set_up`; it inherits `theirs` under the same number.
///
/// `ours` is the other end of that socket, for the report. Signals are blocked on this thread
/// meanwhile.
pub(crate) fn start(
    mut command: Command,
    ours: &OsHandle,
    theirs: OsHandle,
    set_up: SetUp,
) -> io::Result<(Process, Streams)> {
    let keep_stdin = set_up.stdin;
    let steps = Step::list(set_up)?;
    // A child whose pidfd has no room here could not be killed: better no child.
    let room = rustix::io::fcntl_dupfd_cloexec(ours, 3)?;
    if !keep_stdin {
        command.stdin(empty_input()?);
    }
    let spawned = {
        let steps = std::sync::Arc::new(steps);
        let for_child = std::sync::Arc::clone(&steps);
        let prepare = move || {
            become_executable(&for_child, theirs.as_fd());
            Ok(())
        };
        // SAFETY: the closure runs in the child of a process with other threads. It makes system
        // calls and async-signal-safe calls of libc only (`Step::take`), and reads memory that was
        // allocated before the fork. It drops nothing but descriptors.
        unsafe { command.pre_exec(prepare) };
        let blocked = BlockedSignals::new();
        // std panics if another part of the program reaps a child whose `exec` fails.
        let spawned = catch_unwind(AssertUnwindSafe(|| command.spawn()));
        drop(blocked);
        // Closes the child's end of the socket here.
        drop(command);
        spawned.map(|child| (child, steps))
    };
    let Ok((child, steps)) = spawned else {
        let text = "exec failed, and another part of this program reaped the child and its error";
        return Err(io::Error::other(text));
    };
    let mut child = child?;
    drop(room);
    let report = match receive(ours) {
        Ok(report) => report,
        Err(error) => {
            abandon(ours, child);
            return Err(io::Error::new(
                error.kind(),
                format!("receiving the child's pidfd: {error}"),
            ));
        }
    };
    let failed = report.failed(&steps);
    let Some(pidfd) = report.pidfd else {
        let arrived = report.bytes.is_some();
        abandon(ours, child);
        return Err(match failed {
            Some(error) if error.kind() == io::ErrorKind::Unsupported => {
                io::Error::new(error.kind(), format!("{error}; Linux 5.4 or later is needed"))
            }
            Some(error) => error,
            None if arrived => {
                let text = "there is no room for the child's pidfd: too many descriptors are open";
                io::Error::other(text)
            }
            None => {
                let text = "the child was killed before it ran this executable";
                io::Error::new(io::ErrorKind::BrokenPipe, text)
            }
        });
    };
    if let Some(error) = failed {
        // It ends by itself. If another part of the program reaps it first, that is as good.
        let _ = rustix::process::waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED);
        return Err(error);
    }
    let process = Process { pidfd: pidfd.into(), pid: child.id() };
    let streams = Streams {
        stdin: child.stdin.take(),
        stdout: child.stdout.take(),
        stderr: child.stderr.take(),
    };
    Ok((process, streams))
}

/// Gives up a child without a pidfd. Either it has ended, or it ends when it reads its socket in
/// `init`. It is not killed by its number, which may be that of another process by now.
fn abandon(ours: &OsHandle, mut child: Child) {
    let _ = rustix::net::shutdown(ours, Shutdown::Both);
    let limit = Instant::now() + ABANDON_TIMEOUT;
    while matches!(child.try_wait(), Ok(None)) && Instant::now() < limit {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// In the child: takes the steps and reports. Ends the process if one fails.
fn become_executable(steps: &[Step], socket: BorrowedFd<'_>) {
    let mut pidfd = None;
    let mut report = [0; REPORT];
    report[..4].copy_from_slice(&NONE.to_le_bytes());
    let mut failed = false;
    for (index, step) in steps.iter().enumerate() {
        if let Err(error) = step.take(socket, &mut pidfd) {
            report[..4].copy_from_slice(&(index as u32).to_le_bytes());
            report[4..].copy_from_slice(&error.raw_os_error().to_le_bytes());
            failed = true;
            break;
        }
    }
    let sent = match &pidfd {
        Some(pidfd) => send(socket, &report, &[pidfd.as_fd()]),
        None => send(socket, &report, &[]),
    };
    if failed || sent.is_err() {
        // SAFETY: `_exit` ends the process without running anything of the parent's.
        unsafe { libc::_exit(EXIT_FAILED) }
    }
}

/// Async-signal-safe.
fn send(
    socket: BorrowedFd<'_>,
    report: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> Result<(), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(Errno::NOBUFS);
    }
    sendmsg(
        socket,
        &[IoSlice::new(report)],
        &mut control,
        SendFlags::NOSIGNAL | SendFlags::DONTWAIT,
    )?;
    Ok(())
}

/// What came from the child before it ran the executable.
struct Report {
    bytes: Option<[u8; REPORT]>,
    pidfd: Option<OwnedFd>,
}

impl Report {
    /// The error of the step that failed.
    fn failed(&self, steps: &[Step]) -> Option<io::Error> {
        let [index, number] = self.words()?;
        if index == NONE {
            return None;
        }
        let error = io::Error::from_raw_os_error(number as i32);
        let step =
            steps.get(index as usize).map_or_else(|| "a step".to_owned(), ToString::to_string);
        Some(io::Error::new(error.kind(), format!("{step}: {error}")))
    }

    fn words(&self) -> Option<[u32; 2]> {
        let [a, b, c, d, e, f, g, h] = self.bytes?;
        Some([u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])])
    }
}

/// Takes the report off the socket: it is there once `exec` has succeeded. Never blocks.
fn receive(ours: &OsHandle) -> io::Result<Report> {
    let mut bytes = [0; REPORT];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let received =
        retry_on_intr(|| recvmsg(ours, &mut [IoSliceMut::new(&mut bytes)], &mut control, flags));
    let count = match received {
        Ok(received) => received.bytes,
        Err(Errno::AGAIN | Errno::CONNRESET) => 0,
        Err(error) => return Err(error.into()),
    };
    let mut pidfd = None;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(mut rights) = message {
            pidfd = rights.next();
        }
    }
    Ok(Report { bytes: (count == REPORT).then_some(bytes), pidfd })
}

/// All signals, or none.
fn signals(all: bool) -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    let fill = if all { libc::sigfillset } else { libc::sigemptyset };
    // SAFETY: both functions only write the set that they are given.
    unsafe { fill(set.as_mut_ptr()) };
    // SAFETY: filled above.
    unsafe { set.assume_init() }
}

/// Async-signal-safe. It cannot fail with a valid set.
fn set_mask(set: &libc::sigset_t) {
    // SAFETY: `set` is valid during the call; no old mask is asked for.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, set, std::ptr::null_mut()) };
}

/// All signals are blocked on this thread, until it is dropped.
pub(super) struct BlockedSignals {
    before: libc::sigset_t,
}

impl BlockedSignals {
    pub(super) fn new() -> Self {
        let mut before = signals(false);
        // SAFETY: both sets are valid during the call.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &signals(true), &raw mut before) };
        BlockedSignals { before }
    }
}

impl Drop for BlockedSignals {
    fn drop(&mut self) {
        set_mask(&self.before);
    }
}

/// Async-signal-safe.
fn ignore(signal: libc::c_int) {
    // SAFETY: ignoring a signal installs no code.
    unsafe { libc::signal(signal, libc::SIG_IGN) };
}

/// Sets every signal that has a handler to its default, and SIGCHLD in any case. Async-signal-safe.
///
/// Other signals that the parent ignores stay ignored, as over any `exec`: `nohup` and shells rely
/// on it.
fn default_signals() {
    for signal in 1..=libc::SIGRTMAX() {
        // SAFETY: a `sigaction` is valid as zeros: the default action, no flags.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        // SAFETY: `action` is valid during the call; the action is only read.
        let read = unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut action) };
        // Those that the C library keeps for itself answer an error.
        if read != 0 || (action.sa_sigaction == libc::SIG_IGN && signal != libc::SIGCHLD) {
            continue;
        }
        if action.sa_sigaction == libc::SIG_DFL && action.sa_flags == 0 {
            continue;
        }
        // SAFETY: as above.
        let default: libc::sigaction = unsafe { std::mem::zeroed() };
        // SAFETY: `default` is valid during the call, and is no handler.
        unsafe { libc::sigaction(signal, &raw const default, std::ptr::null_mut()) };
    }
}
