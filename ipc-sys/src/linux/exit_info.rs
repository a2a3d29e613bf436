//! How a process ended that another part of the program has reaped. Its pidfd returns that since
//! Linux 6.15.
//!
//! The kernel itself reaps children of a process that ignores SIGCHLD. A thread that calls
//! `waitpid(-1)` reaps every child. In both cases `waitid` fails with ECHILD, and the status would
//! be lost.
//!
//! This file opts in to `unsafe` for one `ioctl` that rustix does not have, and to ask for a
//! signal's action.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use rustix::io::{Errno, retry_on_intr};
use rustix::ioctl::{Opcode, opcode};
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions};

/// `PIDFD_GET_INFO`: `_IOWR(0xFF, 11, struct pidfd_info)`, with the first version of that struct.
const PIDFD_GET_INFO: Opcode = opcode::read_write::<PidfdInfo>(0xFF, 11);
/// In `mask`: the exit code is asked for, or was filled in.
const PIDFD_INFO_EXIT: u64 = 1 << 3;

/// The kernel's `struct pidfd_info`, as far as Linux 6.13 had it; its size is part of the request's
/// number.
#[repr(C)]
#[derive(Default)]
struct PidfdInfo {
    mask: u64,
    cgroup: u64,
    pid: u32,
    thread_group: u32,
    parent: u32,
    /// Real, effective, saved and file-system IDs of user and group.
    ids: [u32; 8],
    /// As `waitpid` gives it.
    exit_code: i32,
}

pub(crate) fn exit_status(pidfd: BorrowedFd<'_>) -> io::Result<Option<ExitStatus>> {
    match ask(pidfd) {
        // Reaped between the kernel's look at the exit code and its look at the process: it is
        // known now.
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => ask(pidfd),
        answer => answer,
    }
}

fn ask(pidfd: BorrowedFd<'_>) -> io::Result<Option<ExitStatus>> {
    let mut info = PidfdInfo { mask: PIDFD_INFO_EXIT, ..PidfdInfo::default() };
    // SAFETY: the request's number holds the size of `info`, which bounds what the kernel writes;
    // every bit pattern is a valid `PidfdInfo`. Another kind of descriptor or an older kernel
    // answers an error.
    let done = unsafe { libc::ioctl(pidfd.as_raw_fd(), PIDFD_GET_INFO as _, &raw mut info) };
    if done != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok((info.mask & PIDFD_INFO_EXIT != 0).then(|| ExitStatus::from_raw(info.exit_code)))
}

pub(crate) fn reaped_elsewhere() -> &'static str {
    // SAFETY: a `sigaction` is valid as zeros.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: `action` is valid during the call; nothing is changed.
    let read = unsafe { libc::sigaction(libc::SIGCHLD, std::ptr::null(), &raw mut action) };
    let ignored = action.sa_sigaction == libc::SIG_IGN || action.sa_flags & libc::SA_NOCLDWAIT != 0;
    if read == 0 && ignored {
        "this program ignores SIGCHLD, so the system reaped it, and its status is lost before Linux 6.15; \
         set SIGCHLD to its default action"
    } else {
        "another part of this program reaped it, for example by waitpid(-1), and its status is lost before \
         Linux 6.15; wait only for the children that were started there"
    }
}

/// Wakes up when a child process ends.
#[derive(Debug)]
pub struct Exit(pub(super) OwnedFd);

impl Exit {
    /// Watches a child. Returns `None` if there is no child of that number because it was waited
    /// for.
    pub fn of(pid: u32) -> io::Result<Option<Exit>> {
        let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Ok(None) };
        let exit = match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
            Ok(fd) => Exit(fd),
            Err(Errno::SRCH) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        match exit.has_ended() {
            Ok(_) => Ok(Some(exit)),
            // The number belongs to another process by now.
            Err(error) if error.raw_os_error() == Some(libc::ECHILD) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns whether it has ended, without waiting for it. ECHILD if something else has reaped
    /// it.
    fn has_ended(&self) -> io::Result<bool> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let status =
            retry_on_intr(|| rustix::process::waitid(WaitId::PidFd(self.0.as_fd()), options))?;
        Ok(status.is_some())
    }

    /// Returns whether it has ended, without waiting for it.
    pub fn is_over(&self) -> io::Result<bool> {
        match self.has_ended() {
            Err(error) if error.raw_os_error() == Some(libc::ECHILD) => Ok(true),
            answer => answer,
        }
    }

    /// Returns how it ended, if something else has reaped it and the system still has the status.
    pub fn status_elsewhere(&self) -> Option<ExitStatus> {
        let limit = Instant::now() + Duration::from_secs(5);
        loop {
            match exit_status(self.0.as_fd()) {
                Ok(Some(status)) => return Some(status),
                // It is being reaped at this moment.
                Ok(None) if Instant::now() < limit => std::thread::sleep(Duration::from_millis(1)),
                Ok(None) | Err(_) => return None,
            }
        }
    }
}

pub(crate) fn cause_if_reaped(error: &io::Error) -> Option<&'static str> {
    (error.raw_os_error() == Some(libc::ECHILD)).then(reaped_elsewhere)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_struct_has_the_size_that_the_kernel_knows() {
        assert_eq!(size_of::<PidfdInfo>(), 64);
    }
}
