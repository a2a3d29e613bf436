//! The ends of a channel between threads: those of crossbeam-channel, and a count of them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ipc_core::Deadline;
use ipc_core::error::{DisconnectCause, RecvTimeoutError, SendTimeoutError};
use ipc_core::route::{End, Receive, Transmit};

/// Adds the count of ends to a channel of crossbeam.
pub(crate) fn ends<T>(
    (tx, rx): (crossbeam_channel::Sender<T>, crossbeam_channel::Receiver<T>),
) -> (ThreadTx<T>, ThreadRx<T>) {
    let count = Arc::new(Count { senders: AtomicUsize::new(1), receivers: AtomicUsize::new(1) });
    (ThreadTx { tx, count: count.clone() }, ThreadRx { rx, count })
}

/// The number of ends, which crossbeam-channel does not return.
struct Count {
    senders: AtomicUsize,
    receivers: AtomicUsize,
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
    ($End:ident, $inner:ident, $mine:ident, $others:ident) => {
        impl<T> Clone for $End<T> {
            fn clone(&self) -> Self {
                // Relaxed: a number; the channel itself orders everything else.
                self.count.$mine.fetch_add(1, Ordering::Relaxed);
                $End { $inner: self.$inner.clone(), count: self.count.clone() }
            }
        }

        impl<T> Drop for $End<T> {
            fn drop(&mut self) {
                self.count.$mine.fetch_sub(1, Ordering::Relaxed); // Relaxed: as above.
            }
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

end!(ThreadTx, tx, senders, receivers);
end!(ThreadRx, rx, receivers, senders);

impl<T> Transmit<T> for ThreadTx<T> {
    #[inline]
    fn send(&self, message: T, deadline: Deadline) -> Result<(), SendTimeoutError<T>> {
        use crossbeam_channel::{SendTimeoutError as Late, TrySendError as Now};
        match deadline {
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
        }
    }
}

impl<T> Receive<T> for ThreadRx<T> {
    #[inline]
    fn recv(&self, deadline: Deadline) -> Result<T, RecvTimeoutError> {
        use crossbeam_channel::{RecvTimeoutError as Late, TryRecvError as Now};
        match deadline {
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
        }
    }
}

/// Why an end of a channel between threads does not travel.
pub(crate) const STAYS: &str =
    "a channel between threads cannot leave its process; make it with another route";
