//! Registrations of waiters: what they sleep on, and how they end.

use std::sync::atomic::AtomicU64;

/// What a waiter sleeps on until an operation may succeed.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Source<'a> {
    /// The low half of a word that changes: sleep while it is `seen`.
    Word {
        /// The word.
        word: &'a AtomicU64,
        /// The value of the low half when the waiter registered.
        seen: u32,
        /// Whether the word lies in memory that processes share.
        shared: bool,
    },
    /// A file, socket or pipe that becomes readable, or writable.
    #[cfg(unix)]
    File {
        /// The descriptor.
        fd: std::os::fd::BorrowedFd<'a>,
        /// Whether the waiter waits for room to write, not for something to read.
        writable: bool,
    },
    /// The end keeps the waker that it was given, and wakes it.
    Waker,
    /// Nothing but time: see [`Ready::deadline`](crate::ready::Ready::deadline).
    Time,
}

/// A registration as a waiter.
///
/// It stays valid until [`Ready::unregister`](crate::ready::Ready::unregister).
#[derive(Debug)]
pub struct Registration<'a> {
    /// What to sleep on.
    pub source: Source<'a>,
    /// What [`Ready::unregister`](crate::ready::Ready::unregister) needs.
    pub ticket: Ticket,
    /// Whether the waiter must issue a barrier in every process before it checks again. One barrier
    /// covers any number of registrations.
    pub barrier: bool,
}

/// The number of a registration. Its meaning is the end's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(pub u64);

/// What became of a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The waiter has used what it was notified of, or found nothing there.
    Used,
    /// The waiter did not look at this end after it was notified. The notification goes to another
    /// waiter.
    Unused,
}
