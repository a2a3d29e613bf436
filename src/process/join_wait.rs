//! How a task waits for a child.

use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use ipc_core::__private::ready::{Outcome, Pace, Ready, Registration, Source, Tasks, Ticket};
use ipc_core::__private::task::Wait;
use ipc_sys::spawn::End;
use ipc_sys::tasks::ThisProcess;

/// The child has ended, but the system does not give its status yet: a debugger gets it first.
const STATUS: Duration = Duration::from_millis(1);

/// A child that can make no memory file for a large result cannot end before the socket was read.
/// Hardly any child does so, and the socket of the others is hardly ever looked at.
const SOCKET: (Duration, Duration) = (Duration::from_millis(4), Duration::from_millis(512));

/// What an attempt to join a child has found, which was not its end.
pub(super) struct Progress {
    /// The process has ended, and cannot be reaped yet.
    pub(super) ended: bool,
    /// A part of its result was read.
    pub(super) read: bool,
}

/// How a task waits for a child.
pub(super) struct JoinWait {
    wait: Wait,
    /// How long until the socket is read again.
    slice: Duration,
}

impl JoinWait {
    pub(super) fn new() -> JoinWait {
        JoinWait { wait: Wait::new(), slice: SOCKET.0 }
    }

    /// Calls `attempt`, and registers the task if it returns nothing. `progress` is what the last
    /// attempt has found.
    pub(super) fn poll<R>(
        &mut self,
        end: &End,
        progress: &Progress,
        context: &Context<'_>,
        attempt: impl FnMut() -> Option<R>,
    ) -> Poll<R> {
        self.slice = if progress.read { SOCKET.0 } else { (self.slice * 2).min(SOCKET.1) };
        let again = if progress.ended { STATUS } else { self.slice };
        let again = Instant::now().checked_add(again);
        self.wait.poll(&Ending { end, ended: progress.ended, again }, context, attempt)
    }

    pub(super) fn leave(&mut self, end: &End) {
        self.wait.leave(&Ending { end, ended: false, again: None }, Outcome::Unused);
    }
}

/// The end of a child, for which a task waits.
struct Ending<'a> {
    end: &'a End,
    ended: bool,
    again: Option<Instant>,
}

impl Pace for Ending<'_> {}

impl Ready for Ending<'_> {
    fn is_ready(&self) -> bool {
        self.ended
    }

    fn register(&self, _waker: &Waker) -> Registration<'_> {
        // A child that has ended stays ready.
        let source = if self.ended { Source::Time } else { self.end.source() };
        Registration { source, ticket: Ticket(0), barrier: false }
    }

    fn unregister(&self, _ticket: Ticket, _outcome: Outcome) {}

    fn notified(&self, _ticket: Ticket) -> bool {
        false
    }

    fn deadline(&self) -> Option<Instant> {
        self.again
    }

    fn tasks(&self) -> &'static dyn Tasks {
        &ThisProcess
    }
}
