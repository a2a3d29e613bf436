//! What a call waits for: attempts that never wait, and readiness.
//!
//! A route offers a [`Ready`] end that can be waited for together with others, and a
//! [`Selectable`] end whose operation can be claimed. The loop that waits is written once
//! ([`select`](crate::__private::select)).
//!
//! These traits appear in the bounds of `Select`. The routes of this workspace implement them. Do
//! not implement them elsewhere: any release may add required methods.

use std::any::Any;
use std::fmt;
use std::task::Waker;
use std::time::{Duration, Instant};

use crate::error::{RecvTimeoutError, SendTimeoutError, Unreadable, Unsendable};
pub use crate::registration::{Outcome, Registration, Source, Ticket};
use crate::route::Borrow;
pub use crate::task_queue::{TaskQueue, Tasks};
use crate::wait::Ended;

/// Something that may become ready. Knows no message type.
///
/// No wake-up is lost because of this contract: everything that makes the end ready after
/// [`register`](Ready::register) and the barrier notifies the registration. So one more check
/// between registering and sleeping sees everything that came before.
pub trait Ready: Pace {
    /// Returns whether an attempt may do something now. That the other side is gone counts too.
    fn is_ready(&self) -> bool;

    /// Registers the caller as a waiter. It checks once more before it sleeps.
    fn register(&self, waker: &Waker) -> Registration<'_>;

    /// Registers a task, which no thread sleeps for. As [`register`](Ready::register). The end may
    /// keep the waker itself, if it is notified in another way: then the source is
    /// [`Source::Waker`].
    fn register_task(&self, waker: &Waker) -> Registration<'_> {
        self.register(waker)
    }

    /// Ends a registration. If it was notified and `outcome` is [`Outcome::Unused`], another waiter
    /// is notified instead.
    fn unregister(&self, ticket: Ticket, outcome: Outcome);

    /// Returns whether the registration was notified, and so is used up.
    fn notified(&self, ticket: Ticket) -> bool;

    /// Checks whether peers are dead, and recovers their state. Returns whether anything changed.
    /// Called when a sleep has ended because its time was over.
    fn recover_dead(&self) -> bool {
        false
    }

    /// Does what [`recover_dead`](Ready::recover_dead) does, at most about once a millisecond.
    fn recover_dead_throttled(&self) -> bool {
        false
    }

    /// Returns whether an attempt is worthwhile after one that has failed, for calls that do not
    /// wait. If a peer is in the middle of an operation, this waits for it, for a short time that
    /// is bounded.
    fn settle(&self) -> bool {
        self.recover_dead_throttled()
    }

    /// Returns whether this waiter is notified of the death of every peer. Then it hardly needs to
    /// check itself. Called while registered.
    fn monitors_deaths(&self) -> bool {
        true
    }

    /// Returns the file whose readiness tells whether an attempt is worthwhile, if an attempt costs
    /// a system call. A waiter then asks the system for all files at once.
    fn file(&self) -> Option<Source<'_>> {
        None
    }

    /// Returns when the end becomes ready by itself.
    fn deadline(&self) -> Option<Instant> {
        None
    }

    /// Returns whether dead peers must be looked for: whether
    /// [`recover_dead`](Ready::recover_dead) ever does anything.
    fn recovers(&self) -> bool {
        false
    }

    /// Returns what wakes the tasks of this process.
    fn tasks(&self) -> &'static dyn Tasks;

    /// Returns the queue in which the tasks of this process wait for this end, if it has one.
    /// Without one, each task is a waiter of its own.
    fn task_queue(&self) -> Option<&TaskQueue> {
        None
    }
}

/// How a waiter behaves before it sleeps. These are heuristics, and no part of the protocol.
pub trait Pace {
    /// Returns how often to try again before sleeping: 0 if the other side cannot run meanwhile.
    fn spins(&self) -> u32 {
        0
    }

    /// Returns whether the other side cannot run while this thread spins, as far as is known.
    fn shares_processor(&self) -> bool {
        false
    }

    /// Pauses between two of these attempts.
    fn pause(&self) {
        std::hint::spin_loop();
    }

    /// Gives the other side a moment to get ahead, if messages stream. Returns whether it did.
    fn let_peer_run_ahead(&self) -> bool {
        false
    }

    /// Records how a wait ended, for the next result of [`spins`](Pace::spins). A wait for several
    /// ends tells all of them.
    fn waited(&self, ended: Ended) {
        let _ = ended;
    }
}

/// What an attempt on a short path has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quick<R> {
    /// It has succeeded.
    Done(R),
    /// The end was not ready.
    NotNow,
    /// The short path does not know: a complete attempt is needed.
    Unknown,
}

impl<R> From<Option<R>> for Quick<R> {
    /// Returns what a complete attempt has found.
    fn from(found: Option<R>) -> Quick<R> {
        found.map_or(Quick::NotNow, Quick::Done)
    }
}

/// An end whose operation can be claimed without waiting, and completed later.
///
/// A claim is completed by [`ClaimSend`] or [`ClaimRecv`], which know the type of the message. The
/// operation then never waits for the other side.
pub trait Selectable: Ready {
    /// Claims the operation if it can be done now. Never waits.
    fn claim(&self) -> Option<Claim>;

    /// Claims the operation if that is possible on a short path.
    ///
    /// An end that has nothing to claim for long must not cost the others much time here.
    #[inline]
    fn claim_now(&self) -> Quick<Claim> {
        self.claim().into()
    }

    /// Undoes a claim: the place becomes free, or the message is received by another call.
    fn give_back(&self, claim: Claim);
}

/// A sending end that can complete a claim.
pub trait ClaimSend<T>: Selectable {
    /// Sends a message into the claimed place.
    ///
    /// # Errors
    ///
    /// As [`Sender::send`](crate::Sender::send). The place is given back.
    fn send_claimed(&self, claim: Claim, message: T) -> Result<(), SendTimeoutError<T>>;

    /// Sends a message if that is possible now, without a claim. Does not wait for a peer that is
    /// in the middle of an operation either.
    ///
    /// # Errors
    ///
    /// As [`Sender::send_timeout`](crate::Sender::send_timeout), with `Timeout` if it is not
    /// possible now.
    fn send_now(&self, message: T) -> Result<(), SendTimeoutError<T>> {
        match self.claim() {
            Some(claim) => self.send_claimed(claim, message),
            None => Err(SendTimeoutError::Timeout(message)),
        }
    }
}

/// A receiving end that can complete a claim.
pub trait ClaimRecv<T>: Selectable {
    /// Receives the claimed message.
    ///
    /// # Errors
    ///
    /// As [`Receiver::recv`](crate::Receiver::recv).
    fn recv_claimed(&self, claim: Claim) -> Result<T, RecvTimeoutError>;
}

/// A receiving end that can complete a claim with a message that is lent in place.
pub trait ClaimBorrow<T: ?Sized>: Selectable + Borrow<T> {
    /// Lends the claimed message.
    ///
    /// # Errors
    ///
    /// As [`Receiver::recv_ref`](crate::Receiver::recv_ref).
    fn recv_ref_claimed(&self, claim: Claim) -> Result<Self::Ref<'_>, RecvTimeoutError>;
}

/// A claimed operation, until it is completed or given back.
#[non_exhaustive]
pub enum Claim {
    /// The other side is gone: completing returns that.
    Disconnected,
    /// No message was claimed, for this reason: completing returns it.
    Unreadable(Box<Unreadable>),
    /// No place was claimed, for this reason: completing returns it.
    Unsendable(Box<Unsendable>),
    /// A place of the end. The meaning of the numbers is the end's own.
    Place(u64, u64),
    /// A message that has left the channel.
    Message(Box<dyn Any + Send>),
    /// The time that a timer delivers.
    Time(Instant),
    /// Nothing was claimed: the end is ready, and completing performs the operation.
    Ready,
}

// It is moved several times on the way to its completion.
const _: () = assert!(size_of::<Claim>() <= 24);

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Claim::Disconnected => "Disconnected",
            Claim::Unreadable(_) => "Unreadable",
            Claim::Unsendable(_) => "Unsendable",
            Claim::Place(..) => "Place",
            Claim::Message(_) => "Message",
            Claim::Time(_) => "Time",
            Claim::Ready => "Ready",
        })
    }
}

/// The longest sleep where the barrier failed, whatever the source says.
pub const UNSOUND_SLICE: Duration = Duration::from_millis(1);
