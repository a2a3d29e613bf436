//! Files, sockets and pipes as operations of a `Select`, and what is known by a file.

use std::os::fd::BorrowedFd;
use std::task::Waker;
use std::time::Duration;

use ipc_core::__private::ready::{
    Claim, Outcome, Pace, Ready, Registration, Selectable, Source, Tasks, Ticket,
};
use ipc_sys::sleep;
use ipc_sys::tasks::ThisProcess;

/// A file that is to become readable or writable.
#[derive(Clone, Copy)]
pub(super) struct File<'a> {
    pub(super) fd: BorrowedFd<'a>,
    pub(super) writable: bool,
}

impl Pace for File<'_> {}

impl Ready for File<'_> {
    fn is_ready(&self) -> bool {
        sleep::ready(sleep::File { fd: self.fd, writable: self.writable }, Duration::ZERO)
    }

    fn register(&self, _waker: &Waker) -> Registration<'_> {
        let source = Source::File { fd: self.fd, writable: self.writable };
        Registration { source, ticket: Ticket(0), barrier: false }
    }

    fn unregister(&self, _ticket: Ticket, _outcome: Outcome) {}

    fn notified(&self, _ticket: Ticket) -> bool {
        false
    }

    fn tasks(&self) -> &'static dyn Tasks {
        &ThisProcess
    }

    fn file(&self) -> Option<Source<'_>> {
        Some(Source::File { fd: self.fd, writable: self.writable })
    }
}

impl Selectable for File<'_> {
    fn claim(&self) -> Option<Claim> {
        self.is_ready().then_some(Claim::Ready)
    }

    fn give_back(&self, _claim: Claim) {}
}
