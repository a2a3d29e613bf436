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

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, Shutdown, recvmsg, sendmsg,
};
use rustix::process::{WaitId, WaitIdOptions};

use super::Process;
use super::exec::empty_input;
use super::signals::BlockedSignals;
use super::step::Step;
use crate::OsHandle;
use crate::types::spawn::{SetUp, Streams};

/// In a report: no step failed.
const NONE: u32 = u32::MAX;
/// A report: which step of the list failed, or [`NONE`], and the error's number; both
/// little-endian.
const REPORT: usize = 8;
/// How long a child that was given up may take to end before it is left unreaped.
const ABANDON_TIMEOUT: Duration = Duration::from_secs(2);
/// The status of a child that could not take a step. The parent reads the report instead.
const EXIT_FAILED: i32 = 127;

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
