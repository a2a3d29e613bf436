//! Waiting for files.

use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;

use crate::types::sleep::File;

/// Returns whether one of the files is ready, or was closed at its other end.
pub(crate) fn poll(files: &[File<'_>], timeout: Duration) -> bool {
    let mut fds: Vec<PollFd<'_>> = files
        .iter()
        .map(|file| {
            let events = if file.writable { PollFlags::OUT } else { PollFlags::IN };
            PollFd::from_borrowed_fd(file.fd, events)
        })
        .collect();
    // A time that is too long for the kernel's type is no limit.
    let timeout = Timespec::try_from(timeout).ok();
    match rustix::event::poll(&mut fds, timeout.as_ref()) {
        Ok(ready) => ready > 0,
        // A signal: the caller looks again. No memory for the call: likewise.
        Err(Errno::INTR) => false,
        Err(_) => true,
    }
}
