//! Child processes: pidfds, local sockets and `/proc/self`. Needs Linux 5.4.

mod end;
mod exec;
mod inherit;
mod maps;
mod parent_watch;
mod setup;
mod signals;
mod step;

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::process::{WaitId, WaitIdOptions};

pub use self::end::{End, WeakEnd};
pub(crate) use self::exec::{check_executable, command};
pub(crate) use self::inherit::{as_before_main, forget, in_executable, inherited, is_socket};
pub(crate) use self::maps::{code_ranges, constant_ranges};
pub(crate) use self::parent_watch::{end_with, own_process};
pub(crate) use self::setup::start;
use super::descriptor::above_stdio;
use super::exit_info;
use crate::OsHandle;
use crate::types::spawn::{Activity, Interest, Ready, Reap, Signal, Status};

pub(crate) fn stream_pair() -> io::Result<(OsHandle, OsHandle)> {
    let (ours, theirs) = rustix::net::socketpair(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    Ok((above_stdio(ours)?, above_stdio(theirs)?))
}

pub(crate) fn wait(
    process: Option<&Process>,
    socket: Option<(&OsHandle, Interest)>,
    timeout: Option<Duration>,
) -> io::Result<Ready> {
    let mut fds = Vec::with_capacity(2);
    if let Some(process) = process {
        fds.push(PollFd::new(&process.pidfd, PollFlags::IN));
    }
    if let Some((socket, interest)) = socket {
        let flags = match interest {
            Interest::Read => PollFlags::IN,
            Interest::Write => PollFlags::OUT,
        };
        fds.push(PollFd::new(socket, flags));
    }
    // A time that is too long for the kernel's type is no limit in practice.
    let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
    match poll(&mut fds, timeout.as_ref()) {
        Ok(_) => {}
        Err(Errno::INTR) => return Ok(Ready::default()),
        Err(error) => return Err(error.into()),
    }
    let mut ready = fds.iter().map(|fd| !fd.revents().is_empty());
    Ok(Ready {
        ended: process.is_some() && ready.next() == Some(true),
        socket: socket.is_some() && ready.next() == Some(true),
    })
}

pub(crate) fn marker(socket: &OsHandle) -> io::Result<String> {
    let inode = rustix::fs::fstat(socket)?.st_ino;
    Ok(format!("{} {inode} {}", socket.as_raw_fd(), std::process::id()))
}

/// A child process.
#[derive(Debug)]
pub struct Process {
    pidfd: Arc<OwnedFd>,
    pid: u32,
}

impl Process {
    /// Returns its number.
    pub fn id(&self) -> u32 {
        self.pid
    }

    /// Returns the end of the process, which outlives this value.
    pub fn end(&self) -> End {
        End(Arc::clone(&self.pidfd))
    }

    /// Returns what the process is doing, as far as the system reports it.
    pub fn activity(&self) -> Activity {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        activity(&stat).unwrap_or_default()
    }

    /// Sends a signal. Nothing happens if the process has ended.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let signal = match signal {
            Signal::Kill => rustix::process::Signal::KILL,
            Signal::Terminate => rustix::process::Signal::TERM,
        };
        match rustix::process::pidfd_send_signal(&self.pidfd, signal) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Reaps the process if it has ended. Never blocks. Returns [`Reap::Ended`] only once, unless
    /// another part of the program has reaped it.
    pub fn try_reap(&self) -> io::Result<Reap> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        match retry_on_intr(|| rustix::process::waitid(WaitId::PidFd(self.pidfd.as_fd()), options))
        {
            Ok(None) => Ok(Reap::NotYet),
            Ok(Some(status)) => Ok(Reap::Ended(match status.terminating_signal() {
                Some(signal) => Status::Killed(signal),
                None => Status::Exited(status.exit_status().unwrap_or(-1)),
            })),
            Err(Errno::CHILD) => Ok(match exit_info::exit_status(self.pidfd.as_fd()) {
                Ok(Some(status)) => Reap::Ended(match status.signal() {
                    Some(signal) => Status::Killed(signal),
                    None => Status::Exited(status.code().unwrap_or(-1)),
                }),
                Ok(None) => Reap::Elsewhere,
                Err(_) => Reap::Lost(exit_info::reaped_elsewhere()),
            }),
            Err(error) => Err(error.into()),
        }
    }
}

pub(crate) fn name_process(name: &str) {
    // The kernel keeps 15 bytes: as many characters as fit.
    let fits = |at: &usize| name.is_char_boundary(*at);
    let end = (0..=name.len().min(15)).rev().find(fits).unwrap_or(0);
    let bytes: Vec<u8> = name[..end].bytes().take_while(|byte| *byte != 0).collect();
    if let Ok(name) = CString::new(bytes.clone()) {
        let _ = rustix::thread::set_name(&name);
    }
    if !on_main_thread() {
        // The name of the process is that of its main thread.
        let _ = std::fs::write("/proc/self/comm", bytes);
    }
}

/// Parses a process' `stat`: its state, and its time in user and in system mode.
fn activity(stat: &str) -> Option<Activity> {
    // The name before it may contain anything.
    let (_, rest) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let time = |field: usize| fields.get(field)?.parse::<u64>().ok();
    Some(Activity { busy: matches!(fields[0], "R" | "D"), used: time(11)? + time(12)? })
}

pub(crate) fn parent_id() -> u32 {
    rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get() as u32)
}

pub(crate) fn on_main_thread() -> bool {
    rustix::thread::gettid() == rustix::process::getpid()
}
