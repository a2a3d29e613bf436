//! The end of a child as a descriptor: its pidfd, which becomes readable, and stays so.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Weak};

use ipc_core::__private::ready::Source;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;

/// The pidfd, as long as this or the [`Process`](super::Process) is there.
#[derive(Clone, Debug)]
pub struct End(pub(super) Arc<OwnedFd>);

/// The pidfd, as long as others keep it.
#[derive(Debug)]
pub struct WeakEnd(Weak<OwnedFd>);

impl End {
    /// Returns what becomes ready when the child has ended.
    pub fn source(&self) -> Source<'_> {
        Source::File { fd: self.0.as_fd(), writable: false }
    }

    /// Returns the end without keeping the pidfd.
    pub fn downgrade(&self) -> WeakEnd {
        WeakEnd(Arc::downgrade(&self.0))
    }
}

impl AsFd for End {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl WeakEnd {
    /// Returns whether the child has not ended. Without a pidfd it has ended, because it was
    /// reaped.
    pub fn is_pending(&self) -> bool {
        self.0.upgrade().is_some_and(|pidfd| {
            let mut fds = [PollFd::new(&*pidfd, PollFlags::IN)];
            let now = Timespec { tv_sec: 0, tv_nsec: 0 };
            retry_on_intr(|| poll(&mut fds, Some(&now))) == Ok(0)
        })
    }
}
