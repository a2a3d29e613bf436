//! Ends this process when its parent has ended.
//!
//! A thread waits on a pidfd of the parent, which the parent opened itself, so that it cannot mean
//! another process. It is readable once the parent's last thread has ended, by whatever cause. The
//! signal that the system sends at a parent's death (`PR_SET_PDEATHSIG`) does not do: it comes when
//! the *thread* ends that started the child.
//!
//! A stopped process runs no thread that could wait. That is what the signal is good for: as
//! SIGCONT it continues the process when its parent dies, and does nothing to one that runs.
//!
//! This file opts in to `unsafe` for `_exit`.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{PidfdFlags, Signal};

use super::signals::BlockedSignals;
use crate::OsHandle;

pub(crate) fn own_process() -> io::Result<OsHandle> {
    rustix::process::pidfd_open(rustix::process::getpid(), PidfdFlags::empty()).map_err(|error| {
        io::Error::new(io::Error::from(error).kind(), format!("pidfd_open: {error}"))
    })
}

pub(crate) fn end_with(parent: OsHandle, status: i32) -> io::Result<()> {
    // No handler of the user's runs on this thread: it starts with the mask of the one that makes
    // it.
    let _blocked = BlockedSignals::new();
    let (ready, is_ready) = std::sync::mpsc::sync_channel(1);
    std::thread::Builder::new().name("parent-watch".into()).stack_size(64 << 10).spawn(
        move || {
            // For a stopped process, see above. Without it, one ends when it is continued.
            let _ = rustix::process::set_parent_process_death_signal(Some(Signal::CONT));
            let _ = ready.send(());
            while !has_ended(&parent) {}
            let _ = rustix::process::kill_process(rustix::process::getpid(), Signal::KILL);
            // The first process of a PID namespace cannot kill itself.
            // SAFETY: ends the process, and runs nothing of it.
            unsafe { libc::_exit(status) }
        },
    )?;
    // On a busy machine the thread may not have run yet when this process is stopped.
    let _ = is_ready.recv();
    Ok(())
}

/// Waits for the end of `parent`; may return early.
fn has_ended(parent: &OsHandle) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(parent.as_fd(), PollFlags::IN)];
    match poll(&mut fds, None) {
        Ok(_) => !fds[0].revents().is_empty(),
        Err(Errno::INTR) => false,
        Err(_) => {
            // Out of memory, for instance: later.
            std::thread::sleep(Duration::from_millis(100));
            false
        }
    }
}
