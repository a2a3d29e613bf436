//! The ends of a channel between threads: those of crossbeam-channel, a count of them, and the
//! waiters of `Select`, which crossbeam-channel offers no place for.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::Waker;

use ipc_core::__private::ready::{
    Claim, ClaimRecv, ClaimSend, Outcome, Pace, Ready, Registration, Selectable, Ticket,
};
use ipc_core::Deadline;
use ipc_core::error::{DisconnectCause, RecvTimeoutError, SendTimeoutError};
use ipc_core::route::{End, Receive, Transmit};
use ipc_wait::{Barrier, Bell};

/// Adds the count of ends to a channel of crossbeam.
pub(crate) fn ends<T>(
    (tx, rx): (crossbeam_channel::Sender<T>, crossbeam_channel::Receiver<T>),
) -> (ThreadTx<T>, ThreadRx<T>) {
    let count = Arc::new(Count {
        senders: AtomicUsize::new(1),
        receivers: AtomicUsize::new(1),
        room: AtomicU64::new(0),
        messages: AtomicU64::new(0),
    });
    (ThreadTx { tx, count: count.clone() }, ThreadRx { rx, count })
}

/// The number of ends, which crossbeam-channel does not return, and the bells on which `Select`
/// waits.
struct Count {
    senders: AtomicUsize,
    receivers: AtomicUsize,
    /// For room to send.
    room: AtomicU64,
    /// For messages.
    messages: AtomicU64,
}

/// The sending end of a channel between threads.
pub struct ThreadTx<T> {
    tx: crossbeam_channel::Sender<T>,
    count: Arc<Count>,
}

/// The receiving end of a channel between threads.
pub struct ThreadRx<T> {
    rx: crossbeam_channel::Receiver<T>,
    count: Arc<Count>,
}

macro_rules! end {
    ($End:ident, $inner:ident, $mine:ident, $others:ident, $wait:ident, $wake:ident, $ready:expr) => {
        impl<T> Clone for $End<T> {
            fn clone(&self) -> Self {
                // Relaxed: a number; the channel itself orders everything else.
                self.count.$mine.fetch_add(1, Ordering::Relaxed);
                $End { $inner: self.$inner.clone(), count: self.count.clone() }
            }
        }

        impl<T> Drop for $End<T> {
            fn drop(&mut self) {
                // Relaxed: as above.
                if self.count.$mine.fetch_sub(1, Ordering::Relaxed) == 1 {
                    Bell::private(&self.count.$wake).ring_all();
                }
            }
        }

        impl<T> Pace for $End<T> {}

        impl<T> Ready for $End<T> {
            fn is_ready(&self) -> bool {
                self.is_disconnected() || !$ready(&self.$inner)
            }

            fn register(&self, _waker: &Waker) -> Registration<'_> {
                let bell = Bell::private(&self.count.$wait);
                let ticket = bell.announce();
                let source = bell.source(&ticket);
                Registration { source, ticket: ticket.into(), barrier: true }
            }

            fn unregister(&self, ticket: Ticket, outcome: Outcome) {
                Bell::private(&self.count.$wait).leave(&ticket.into(), outcome, Barrier::Ours);
            }

            fn notified(&self, ticket: Ticket) -> bool {
                Bell::private(&self.count.$wait).notified(&ticket.into())
            }
        }

        impl<T> Selectable for $End<T> {
            fn claim(&self) -> Option<Claim> {
                self.is_ready().then_some(Claim::Ready)
            }

            fn give_back(&self, _claim: Claim) {}
        }

        impl<T> fmt::Debug for $End<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.$inner.fmt(f)
            }
        }

        impl<T> End for $End<T> {
            fn len(&self) -> usize {
                self.$inner.len()
            }
            fn capacity(&self) -> Option<usize> {
                self.$inner.capacity()
            }
            fn is_empty(&self) -> bool {
                self.$inner.is_empty()
            }
            fn is_full(&self) -> bool {
                self.$inner.is_full()
            }
            fn same_channel(&self, other: &Self) -> bool {
                self.$inner.same_channel(&other.$inner)
            }
            fn is_disconnected(&self) -> bool {
                self.count.$others.load(Ordering::Relaxed) == 0 // Relaxed: as above.
            }
            fn disconnect_cause(&self) -> Option<DisconnectCause> {
                self.is_disconnected().then_some(DisconnectCause::Dropped)
            }
            fn sender_count(&self) -> Option<usize> {
                Some(self.count.senders.load(Ordering::Relaxed)) // Relaxed: as above.
            }
            fn receiver_count(&self) -> Option<usize> {
                Some(self.count.receivers.load(Ordering::Relaxed)) // Relaxed: as above.
            }
        }
    };
}

type Sending<T> = crossbeam_channel::Sender<T>;
type Receiving<T> = crossbeam_channel::Receiver<T>;

end!(ThreadTx, tx, senders, receivers, room, messages, Sending::is_full);
end!(ThreadRx, rx, receivers, senders, messages, room, Receiving::is_empty);

impl<T> Transmit<T> for ThreadTx<T> {
    #[inline]
    fn send(&self, message: T, deadline: Deadline) -> Result<(), SendTimeoutError<T>> {
        use crossbeam_channel::{SendTimeoutError as Late, TrySendError as Now};
        let sent = match deadline {
            Deadline::Now => self.tx.try_send(message).map_err(|error| match error {
                Now::Full(message) => SendTimeoutError::Timeout(message),
                Now::Disconnected(message) => SendTimeoutError::Disconnected(message),
            }),
            Deadline::At(deadline) => {
                self.tx.send_deadline(message, deadline).map_err(|error| match error {
                    Late::Timeout(message) => SendTimeoutError::Timeout(message),
                    Late::Disconnected(message) => SendTimeoutError::Disconnected(message),
                })
            }
            Deadline::Never => {
                self.tx.send(message).map_err(|error| SendTimeoutError::Disconnected(error.0))
            }
        };
        Bell::private(&self.count.messages).ring(1, Barrier::Ours);
        sent
    }
}

impl<T> Receive<T> for ThreadRx<T> {
    #[inline]
    fn recv(&self, deadline: Deadline) -> Result<T, RecvTimeoutError> {
        use crossbeam_channel::{RecvTimeoutError as Late, TryRecvError as Now};
        let received = match deadline {
            Deadline::Now => self.rx.try_recv().map_err(|error| match error {
                Now::Empty => RecvTimeoutError::Timeout,
                Now::Disconnected => RecvTimeoutError::Disconnected,
            }),
            Deadline::At(deadline) => {
                self.rx.recv_deadline(deadline).map_err(|error| match error {
                    Late::Timeout => RecvTimeoutError::Timeout,
                    Late::Disconnected => RecvTimeoutError::Disconnected,
                })
            }
            Deadline::Never => self.rx.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        Bell::private(&self.count.room).ring(1, Barrier::Ours);
        received
    }
}

impl<T> ClaimSend<T> for ThreadTx<T> {
    /// Waits if another sender was faster.
    fn send_claimed(&self, _claim: Claim, message: T) -> Result<(), SendTimeoutError<T>> {
        self.send(message, Deadline::Never)
    }
}

impl<T> ClaimRecv<T> for ThreadRx<T> {
    /// Waits if another receiver was faster.
    fn recv_claimed(&self, _claim: Claim) -> Result<T, RecvTimeoutError> {
        self.recv(Deadline::Never)
    }
}

/// Why an end of a channel between threads does not travel.
pub(crate) const STAYS: &str =
    "a channel between threads cannot leave its process; make it with another route";
