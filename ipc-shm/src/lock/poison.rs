//! Poison, and the other errors of locks.

use std::error::Error;
use std::fmt;

/// Why a lock is poisoned.
// Exhaustive: a thread either unwinds with the lock, or ends with its process. There is no third
// way, and programs tell the two apart by a `match`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoisonedBy {
    /// A thread panicked while it held the lock.
    Panicked,
    /// A process died while it held the lock: it was killed, or it exited without releasing the
    /// lock.
    OwnerDied {
        /// The pid of the dead process, or 0 if it is no longer known.
        pid: u32,
    },
}

impl fmt::Display for PoisonedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PoisonedBy::Panicked => f.write_str("a thread panicked while it held it"),
            PoisonedBy::OwnerDied { pid: 0 } => f.write_str("a process died while it held it"),
            PoisonedBy::OwnerDied { pid } => write!(f, "process {pid} died while it held it"),
        }
    }
}

/// The error of a call that locked a poisoned lock. It holds the guard: [`std::sync::PoisonError`].
///
/// The lock is held. The data may be half changed. Check it, repair it, and end the poisoning with
/// `clear_poison`. If a call returns no guard, such as `get`, the guard in this error is `()`, and
/// the lock is not held.
pub struct PoisonError<G> {
    guard: G,
    cause: PoisonedBy,
}

impl<G> PoisonError<G> {
    pub(crate) fn new(guard: G, cause: PoisonedBy) -> Self {
        PoisonError { guard, cause }
    }

    /// Returns why the lock is poisoned.
    pub fn cause(&self) -> PoisonedBy {
        self.cause
    }

    /// Returns the guard.
    pub fn into_inner(self) -> G {
        self.guard
    }

    /// Returns a reference to the guard.
    pub fn get_ref(&self) -> &G {
        &self.guard
    }

    /// Returns a mutable reference to the guard, to change what the lock protects.
    pub fn get_mut(&mut self) -> &mut G {
        &mut self.guard
    }
}

/// Why the caller cannot use a lock now. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// The calling thread holds the lock itself, and would wait for itself for ever.
    WouldDeadlock,
    /// The calling thread does not hold the lock that it releases.
    NotOwner,
    /// This process was forked from the process that attached to the lock. It may open or receive
    /// the lock itself.
    Forked,
    /// A count has reached its maximum: recursions, readers or permits.
    TooMany,
    /// A peer has written into the lock's memory without keeping the protocol.
    Corrupt(&'static str),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::WouldDeadlock => f.write_str("this thread holds the lock already"),
            Refused::NotOwner => f.write_str("this thread does not hold the lock"),
            Refused::Forked => {
                f.write_str("a forked process has no part in the locks of its parent")
            }
            Refused::TooMany => f.write_str("too many recursions, readers or permits"),
            Refused::Corrupt(what) => write!(f, "the lock's memory is corrupt: {what}"),
        }
    }
}

impl Error for Refused {}

/// The error of `lock`.
// The errors of the calls that lock are exhaustive, as `std`'s `TryLockError` and crossbeam's
// errors are: programs match each variant. New reasons to refuse go into `Refused`, which is
// `#[non_exhaustive]`.
pub enum LockError<G> {
    /// The lock is held, and poisoned.
    Poisoned(PoisonError<G>),
    /// The lock is not held.
    Refused(Refused),
}

/// The error of `try_lock`.
// Exhaustive: see `LockError`.
pub enum TryLockError<G> {
    /// The lock is held, and poisoned.
    Poisoned(PoisonError<G>),
    /// Another thread holds the lock.
    WouldBlock,
    /// The lock is not held.
    Refused(Refused),
}

/// The error of `lock_timeout` and `lock_deadline`.
// Exhaustive: see `LockError`.
pub enum LockTimeoutError<G> {
    /// The lock is held, and poisoned.
    Poisoned(PoisonError<G>),
    /// Another thread held the lock until the deadline.
    Timeout,
    /// The lock is not held.
    Refused(Refused),
}

/// The result of `lock`: a guard, or another value, such as a copy.
pub type LockResult<R, G = R> = Result<R, LockError<G>>;
/// The result of `try_lock`.
pub type TryLockResult<G> = Result<G, TryLockError<G>>;
/// The result of `lock_timeout` and `lock_deadline`.
pub type LockTimeoutResult<G> = Result<G, LockTimeoutError<G>>;

/// The error of any of these calls, before it is converted to the error of one.
pub(crate) enum Failure<G> {
    Poisoned(PoisonError<G>),
    /// The lock is held by another thread, now or until the deadline.
    Busy,
    Refused(Refused),
}

impl<G> Failure<G> {
    pub(crate) fn map<H>(self, f: impl FnOnce(G) -> H) -> Failure<H> {
        match self {
            Failure::Poisoned(PoisonError { guard, cause }) => {
                Failure::Poisoned(PoisonError { guard: f(guard), cause })
            }
            Failure::Busy => Failure::Busy,
            Failure::Refused(why) => Failure::Refused(why),
        }
    }
}

impl<G> From<LockAttemptError> for Failure<G> {
    fn from(error: LockAttemptError) -> Self {
        match error {
            LockAttemptError::Busy => Failure::Busy,
            LockAttemptError::Refused(why) => Failure::Refused(why),
        }
    }
}

impl<G> From<Refused> for Failure<G> {
    fn from(why: Refused) -> Self {
        Failure::Refused(why)
    }
}

/// What the public errors have in common.
///
/// The macro takes the error, and how it says that the lock is busy: the variant and its text, or
/// neither for a call that has no deadline.
macro_rules! lock_error {
    ($Error:ident $(, $Busy:ident = $text:literal)?) => {
        impl<G> From<Failure<G>> for $Error<G> {
            #[allow(unreachable_code, reason = "only one of the errors has no variant for it")]
            fn from(failure: Failure<G>) -> Self {
                match failure {
                    Failure::Poisoned(poisoned) => $Error::Poisoned(poisoned),
                    Failure::Busy => {
                        $(return $Error::$Busy;)?
                        unreachable!("a call without a deadline does not time out")
                    }
                    Failure::Refused(why) => $Error::Refused(why),
                }
            }
        }

        impl<G> $Error<G> {
            /// Returns why the lock is poisoned, if it is.
            pub fn cause(&self) -> Option<PoisonedBy> {
                match self {
                    $Error::Poisoned(poisoned) => Some(poisoned.cause()),
                    _ => None,
                }
            }
        }

        impl<G> fmt::Debug for $Error<G> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $Error::Poisoned(poisoned) => {
                        f.debug_tuple("Poisoned").field(&poisoned.cause).finish()
                    }
                    $($Error::$Busy => f.write_str(stringify!($Busy)),)?
                    $Error::Refused(why) => f.debug_tuple("Refused").field(why).finish(),
                }
            }
        }

        impl<G> fmt::Display for $Error<G> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $Error::Poisoned(poisoned) => poisoned.fmt(f),
                    $($Error::$Busy => f.write_str($text),)?
                    $Error::Refused(why) => why.fmt(f),
                }
            }
        }

        impl<G> Error for $Error<G> {}
    };
}

lock_error!(LockError);
lock_error!(TryLockError, WouldBlock = "the lock is held");
lock_error!(LockTimeoutError, Timeout = "the lock was held until the deadline");

impl<G> LockError<G> {
    /// Drops the guard, and returns the error without it.
    pub(crate) fn without_guard(self) -> LockError<()> {
        match self {
            LockError::Poisoned(poisoned) => {
                LockError::Poisoned(PoisonError::new((), poisoned.cause))
            }
            LockError::Refused(why) => LockError::Refused(why),
        }
    }

    /// Returns the guard, if the lock is held in spite of the error.
    pub fn into_guard(self) -> Result<G, Refused> {
        match self {
            LockError::Poisoned(poisoned) => Ok(poisoned.into_inner()),
            LockError::Refused(why) => Err(why),
        }
    }
}

impl<G> TryLockError<G> {
    /// Returns whether the lock is held.
    pub fn is_would_block(&self) -> bool {
        matches!(self, TryLockError::WouldBlock)
    }
}

impl<G> LockTimeoutError<G> {
    /// Returns whether the time has elapsed.
    pub fn is_timeout(&self) -> bool {
        matches!(self, LockTimeoutError::Timeout)
    }
}

impl<G> fmt::Debug for PoisonError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoisonError").field("cause", &self.cause).finish_non_exhaustive()
    }
}
impl<G> fmt::Display for PoisonError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "poisoned lock: {}", self.cause)
    }
}
impl<G> Error for PoisonError<G> {}

/// The error of a call that returns no guard: the time has elapsed, or the call was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LockAttemptError {
    Busy,
    Refused(Refused),
}

impl From<Refused> for LockAttemptError {
    fn from(why: Refused) -> Self {
        LockAttemptError::Refused(why)
    }
}

/// The mark `{ pid, kind }` beside the lock word. It is 0 while the lock is not poisoned.
pub(crate) mod mark {
    use super::PoisonedBy;

    const PANICKED: u64 = 1;
    const OWNER_DIED: u64 = 2;

    pub(crate) const fn of(cause: PoisonedBy) -> u64 {
        match cause {
            PoisonedBy::Panicked => PANICKED,
            PoisonedBy::OwnerDied { pid } => (pid as u64) << 32 | OWNER_DIED,
        }
    }

    /// Returns the cause of the poison, or `None` without poison, whatever a peer wrote there.
    pub(crate) const fn cause(mark: u64) -> Option<PoisonedBy> {
        match mark {
            0 => None,
            PANICKED => Some(PoisonedBy::Panicked),
            _ => Some(PoisonedBy::OwnerDied { pid: (mark >> 32) as u32 }),
        }
    }
}
