//! One connected socket that carries datagrams with handles. It knows how long to wait, and nothing
//! about the contents of a datagram.
//!
//! # If a peer dies
//!
//! The kernel takes a datagram as a whole, so it is in the socket or it is not. A datagram in the
//! socket outlives its sender. A datagram that a receiver has taken out is lost with that receiver.
//! The socket of a side is closed when the last process that holds it has dropped it or died. The
//! other side then receives what is there, and the end.

use std::time::Duration;

use ipc_core::__private::SendFailure;
use ipc_core::__private::handle::{self, NotCarried, OsHandle};
use ipc_core::error::SizeLimit;
use ipc_core::{Deadline, RecvTimeoutError, Unreadable, Unsendable};
use ipc_sys as sys;
use ipc_sys::Borrowed;
use ipc_sys::socket::{Interest, NotReceived, NotSent, ReceivedDatagram};

use crate::killpoint::kill_point;
use crate::poll_backoff::PollBackoff;
use crate::types::Types;

/// One end of a connection.
pub(crate) struct Socket {
    fd: OsHandle,
    fork: sys::fork::ForkCheck,
    backoff: PollBackoff,
    /// Of a connection.
    pub(crate) types: Option<Types>,
}

impl Socket {
    pub(crate) fn new(fd: OsHandle) -> Socket {
        Socket { fd, fork: sys::fork::ForkCheck::new(), backoff: PollBackoff::new(), types: None }
    }

    pub(crate) fn connection(fd: OsHandle, types: Types) -> Socket {
        Socket { types: Some(types), ..Socket::new(fd) }
    }

    pub(crate) fn fd(&self) -> Borrowed<'_> {
        sys::borrow(&self.fd)
    }

    /// Gives a copy of it to the message that is being encoded.
    pub(crate) fn attach_copy(&self) -> Result<u32, NotCarried> {
        handle::attach_copy(&self.fd)
    }

    /// Whether this process was forked from the one that the socket belongs to.
    #[inline]
    pub(crate) fn forked(&self) -> bool {
        self.fork.forked()
    }

    /// Sends one datagram with its handles, whole or not at all.
    pub(crate) fn send(
        &self,
        bytes: &[u8],
        handles: &[OsHandle],
        deadline: Deadline,
    ) -> Result<(), SendFailure> {
        if self.forked() {
            return Err(SendFailure::Unsendable(Unsendable::Forked));
        }
        kill_point!("socket.send");
        // A call without a deadline waits inside the system call.
        let sent = match sys::socket::send(self.fd(), bytes, handles, deadline == Deadline::Never) {
            Ok(()) => Ok(()),
            Err(refused) => self.send_slow(bytes, handles, deadline, refused),
        };
        kill_point!("socket.sent");
        sent
    }

    #[cold]
    fn send_slow(
        &self,
        bytes: &[u8],
        handles: &[OsHandle],
        deadline: Deadline,
        mut refused: NotSent,
    ) -> Result<(), SendFailure> {
        /// Between attempts, when the kernel does not say that one is worth while.
        const SLICE: Duration = Duration::from_millis(5);
        loop {
            let (interest, until) = match refused {
                NotSent::Full => (Interest::Send, Some(deadline)),
                NotSent::TooManyInFlight => {
                    (Interest::End, deadline.left(SLICE).map(Deadline::after))
                }
                NotSent::Gone => return Err(SendFailure::Disconnected),
                NotSent::TooLarge => {
                    let (size, limit) = (bytes.len(), sys::socket::room(self.fd()));
                    let set_by = SizeLimit::SocketBuffer;
                    return Err(SendFailure::Unsendable(Unsendable::TooLarge {
                        size,
                        limit,
                        set_by,
                    }));
                }
                NotSent::OutOfMemory => {
                    return Err(SendFailure::Unsendable(Unsendable::OutOfMemory));
                }
            };
            let over = match until {
                Some(Deadline::Now) | None => return Err(SendFailure::Timeout),
                Some(until) => {
                    !sys::socket::ready(self.fd(), interest, until)
                        && deadline.left(SLICE).is_none()
                }
            };
            refused = match sys::socket::send(self.fd(), bytes, handles, false) {
                Ok(()) => return Ok(()),
                Err(NotSent::Full | NotSent::TooManyInFlight) if over => {
                    return Err(SendFailure::Timeout);
                }
                Err(refused) => refused,
            };
        }
    }

    /// Receives one datagram with its handles.
    pub(crate) fn recv(
        &self,
        into: &mut [u8],
        handles: &mut Vec<OsHandle>,
        deadline: Deadline,
    ) -> Result<ReceivedDatagram, RecvTimeoutError> {
        if self.forked() {
            return Err(RecvTimeoutError::Unreadable(Unreadable::Forked));
        }
        kill_point!("socket.recv");
        let mut attempt = |wait| match sys::socket::receive(self.fd(), into, handles, wait) {
            Ok(arrived) => Some(Ok(arrived)),
            Err(NotReceived::Gone) => Some(Err(RecvTimeoutError::Disconnected)),
            Err(NotReceived::OutOfMemory) => {
                Some(Err(RecvTimeoutError::Unreadable(Unreadable::OutOfMemory)))
            }
            Err(NotReceived::Empty) => None,
        };
        let mut done = attempt(false);
        if done.is_none() && deadline != Deadline::Now {
            done = self.backoff.poll(|| attempt(false));
        }
        if done.is_none() && deadline == Deadline::Never {
            // A call without a deadline waits inside the system call.
            done = attempt(true);
        }
        let mut over = deadline == Deadline::Now;
        let done = loop {
            match done {
                Some(done) => break done,
                None if over => break Err(RecvTimeoutError::Timeout),
                None => over = !sys::socket::ready(self.fd(), Interest::Receive, deadline),
            }
            done = attempt(false);
        };
        kill_point!("socket.received");
        done
    }
}
