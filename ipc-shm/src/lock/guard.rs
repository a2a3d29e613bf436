//! What all guards have in common: how a lock is acquired, poisoned and released.
//!
//! A lock implements [`Protects`] once, and [`RawLock`] for each mode in which a thread can hold
//! it. [`HeldLock`] is a lock that a thread holds in one mode. Each public guard contains one.

use std::marker::PhantomData;
use std::ptr::NonNull;

use ipc_core::Deadline;

use super::location::LockLocation;
use super::poison::{Failure, LockAttemptError, PoisonError, PoisonedBy, Refused};
use super::raw::mutex::UPDATING;
use super::value::NO_VALUE;
use super::word::{CONTENDED, FLAGS, LockEnv};

/// A lock that protects a value, and that can be poisoned.
pub(crate) trait Protects {
    /// The value that guards lend.
    type Value: ?Sized;

    fn location(&self) -> &LockLocation;

    /// Returns where the value lies. For the holder.
    fn value(&self) -> NonNull<Self::Value>;

    /// Returns whether the bytes there are a value. For the holder.
    fn is_valid(&self) -> bool;

    /// Returns why the lock is poisoned, if it is. Exact for the holder.
    fn cause(&self) -> Option<PoisonedBy>;

    /// Poisons the lock, or ends the poisoning.
    fn set_cause(&self, cause: Option<PoisonedBy>);
}

/// The protocol by which a thread holds a lock in one mode, such as to read.
///
/// `me` is the thread as a holder, with the flags of its mode. Each call also counts the lock among
/// those that the thread holds ([`thread`](super::thread)).
pub(crate) trait RawLock<Mode>: Protects {
    /// Whether [`acquire_now`](RawLock::acquire_now) may succeed.
    const FAST: bool = true;
    /// Whether a panic of the holder poisons the lock.
    const POISONS: bool = true;

    /// Acquires the lock if nothing is in the way. Never waits.
    #[inline(always)]
    fn acquire_now(&self, _me: u64) -> bool {
        false
    }

    /// Acquires the lock, poisoned or not, whatever bytes the value has.
    fn acquire(&self, me: u64, deadline: Deadline) -> Result<(), LockAttemptError>;

    /// Releases the lock. Fails if `me` does not hold it.
    fn release(&self, me: u64) -> Result<(), Refused>;

    /// Poisons the lock, because its holder panics.
    fn poison(&self, _me: u64) {
        self.set_cause(Some(PoisonedBy::Panicked));
    }
}

/// A lock that the calling thread holds.
///
/// Dropping this value does nothing. The guard that contains it releases the lock.
///
/// It has two words, so that a call returns it in registers. With three, locking took twice as
/// long.
pub(crate) struct HeldLock<'a, L: Protects, Mode> {
    pub(crate) lock: &'a L,
    /// The holder, with [`PANICKING`] if the thread was panicking when it locked.
    me: u64,
    /// Not Send, as a pointer: the thread is the owner.
    mode: PhantomData<*const Mode>,
}

impl<L: Protects, Mode> Clone for HeldLock<'_, L, Mode> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<L: Protects, Mode> Copy for HeldLock<'_, L, Mode> {}

/// A flag of a holder that no lock word has.
const PANICKING: u64 = 4;
const _: () = assert!(PANICKING & FLAGS != 0 && PANICKING & (CONTENDED | UPDATING) == 0);

impl<'a, L: RawLock<Mode>, Mode> HeldLock<'a, L, Mode> {
    /// Returns the lock that `me` has acquired in this mode.
    #[inline(always)]
    pub(crate) fn new(lock: &'a L, me: u64) -> Self {
        let panicking = if L::POISONS && std::thread::panicking() { PANICKING } else { 0 };
        HeldLock { lock, me: me | panicking, mode: PhantomData }
    }

    /// Acquires the lock if nothing is in the way, and it is sound and not poisoned.
    ///
    /// The result stays in registers, because all of this is inlined.
    #[inline(always)]
    pub(crate) fn now(lock: &'a L) -> Option<Self> {
        if !L::FAST || lock.location().forked() {
            return None;
        }
        let me = lock.location().me();
        if !lock.acquire_now(me) {
            return None;
        }
        if lock.cause().is_some() || !lock.is_valid() {
            // `wait` acquires it again, and returns the reason.
            let _ = lock.release(me);
            return None;
        }
        Some(HeldLock::new(lock, me))
    }

    /// Acquires the lock by the deadline, poisoned or not, whatever bytes the value has.
    ///
    /// The caller must check or write the bytes before it lends the value.
    #[inline(always)]
    pub(crate) fn unchecked<G>(lock: &'a L, deadline: Deadline) -> Result<Self, Failure<G>> {
        lock.location().check()?;
        let me = lock.location().me();
        lock.acquire(me, deadline)?;
        Ok(HeldLock::new(lock, me))
    }

    /// Acquires the lock by the deadline, and returns its guard, or why there is none.
    ///
    /// The guard is returned only over bytes that are a value.
    #[inline(always)]
    pub(crate) fn wait<G: From<Self>>(lock: &'a L, deadline: Deadline) -> Result<G, Failure<G>> {
        if L::FAST { Self::wait_slow(lock, deadline) } else { Self::wait_checked(lock, deadline) }
    }

    #[cold]
    #[inline(never)]
    fn wait_slow<G: From<Self>>(lock: &'a L, deadline: Deadline) -> Result<G, Failure<G>> {
        Self::wait_checked(lock, deadline)
    }

    #[inline]
    fn wait_checked<G: From<Self>>(lock: &'a L, deadline: Deadline) -> Result<G, Failure<G>> {
        Self::unchecked(lock, deadline)?.checked()
    }

    /// Returns the guard of the lock, or why there is none.
    #[inline]
    pub(crate) fn checked<G: From<Self>>(self) -> Result<G, Failure<G>> {
        if !self.lock.is_valid() {
            // This fails only if a peer breaks the protocol. Then there is nothing to release.
            let _ = self.release();
            return Err(NO_VALUE.into());
        }
        match self.lock.cause() {
            None => Ok(self.into()),
            Some(cause) => Err(Failure::Poisoned(PoisonError::new(self.into(), cause))),
        }
    }

    /// Returns the holder.
    #[inline(always)]
    pub(crate) fn me(&self) -> u64 {
        self.me & !PANICKING
    }

    /// Releases the lock, and poisons it if this thread has begun to panic.
    #[inline(always)]
    pub(crate) fn release(&self) -> Result<(), Refused> {
        self.lock.location().check()?;
        if L::POISONS && std::thread::panicking() && self.me & PANICKING == 0 {
            self.lock.poison(self.me());
        }
        self.lock.release(self.me())
    }
}

/// The calls that acquire a lock in one mode: waiting, not waiting, and with a time limit.
macro_rules! attempts {
    ($Mode:ty => $Guard:ty;
     $(#[$about:meta])* $lock:ident; $(#[$about_try:meta])* $try_lock:ident
     $(; $timeout:ident, $deadline:ident)?) => {
        $(#[$about])*
        pub fn $lock(&self) -> LockResult<$Guard> {
            if let Some(held) = HeldLock::<_, $Mode>::now(self) {
                return Ok(held.into());
            }
            Ok(HeldLock::<_, $Mode>::wait(self, Deadline::Never)?)
        }

        $(#[$about_try])*
        pub fn $try_lock(&self) -> TryLockResult<$Guard> {
            if let Some(held) = HeldLock::<_, $Mode>::now(self) {
                return Ok(held.into());
            }
            Ok(HeldLock::<_, $Mode>::wait(self, Deadline::Now)?)
        }

        $(
            #[doc = concat!("Locks as [`", stringify!($lock), "`](Self::", stringify!($lock),
                "), but waits no longer than `timeout`.")]
            ///
            /// # Errors
            ///
            #[doc = concat!("[`Timeout`](super::LockTimeoutError::Timeout) if the time has elapsed, \
                others as [`", stringify!($lock), "`](Self::", stringify!($lock), ").")]
            pub fn $timeout(&self, timeout: Duration) -> LockTimeoutResult<$Guard> {
                Ok(HeldLock::<_, $Mode>::wait(self, Deadline::after(timeout))?)
            }

            #[doc = concat!("Locks as [`", stringify!($lock), "`](Self::", stringify!($lock),
                "), but waits no longer than until `deadline`.")]
            ///
            /// # Errors
            ///
            #[doc = concat!("[`Timeout`](super::LockTimeoutError::Timeout) if the deadline has passed, \
                others as [`", stringify!($lock), "`](Self::", stringify!($lock), ").")]
            pub fn $deadline(&self, deadline: Instant) -> LockTimeoutResult<$Guard> {
                Ok(HeldLock::<_, $Mode>::wait(self, Deadline::At(deadline))?)
            }
        )?
    };
}

/// The calls about the poison of a lock.
macro_rules! poisoning {
    () => {
        /// Returns whether the lock is poisoned.
        ///
        /// Another thread may poison it or end the poisoning before this call returns. Returns
        /// false in a forked process.
        #[must_use]
        pub fn is_poisoned(&self) -> bool {
            !self.location.forked() && self.cause().is_some()
        }

        /// Ends the poisoning, because the value is whole again. Call it while holding the guard.
        ///
        /// Does nothing in a forked process.
        pub fn clear_poison(&self) {
            if !self.location.forked() {
                self.set_cause(None);
            }
        }
    };
}

/// A guard that lends a value in place, and its traits.
macro_rules! lending_guard {
    // The guard of a holder that has the value for itself.
    (mut $(#[$about:meta])* $Guard:ident, $Lock:ident, $Mode:ty) => {
        lending_guard!($(#[$about])* $Guard, $Lock, $Mode);

        impl<T: Value + ?Sized> DerefMut for $Guard<'_, T> {
            #[inline(always)]
            fn deref_mut(&mut self) -> &mut T {
                // SAFETY: as in `deref`. No other thread holds the lock. The guard is borrowed
                // mutably, so no other code of this thread reads the value.
                unsafe { self.held.lock.value().as_mut() }
            }
        }
    };
    ($(#[$about:meta])* $Guard:ident, $Lock:ident, $Mode:ty) => {
        $(#[$about])*
        #[must_use = "it unlocks at once if it is not kept"]
        pub struct $Guard<'a, T: Value + ?Sized> {
            held: HeldLock<'a, $Lock<T>, $Mode>,
        }

        // SAFETY: a shared guard gives access to `&T` only. (The guard is not Send: the thread is
        // the owner.)
        unsafe impl<T: Value + ?Sized> Sync for $Guard<'_, T> {}

        impl<'a, T: Value + ?Sized> From<HeldLock<'a, $Lock<T>, $Mode>> for $Guard<'a, T> {
            #[inline(always)]
            fn from(held: HeldLock<'a, $Lock<T>, $Mode>) -> Self {
                $Guard { held }
            }
        }

        impl<T: Value + ?Sized> Deref for $Guard<'_, T> {
            type Target = T;

            #[inline(always)]
            fn deref(&self) -> &T {
                // SAFETY: the value lies there. It is mapped as long as its location lives
                // (`LockLocation::value`), and aligned (`LockKind::align`). Its bytes are a value:
                // any are, or they were checked before the guard was returned
                // (`Protects::is_valid`), also those that a dead holder left half written. The lock
                // is held. So no thread writes meanwhile, as long as peers keep the protocol (at
                // the type), or the holder borrows its guard mutably.
                unsafe { self.held.lock.value().as_ref() }
            }
        }

        impl<T: Value + ?Sized> Drop for $Guard<'_, T> {
            #[inline(always)]
            fn drop(&mut self) {
                // A failure leaves the lock as it is. `unlock` reports it.
                let _ = self.held.release();
            }
        }

        impl<T: Value + ?Sized + fmt::Debug> fmt::Debug for $Guard<'_, T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                (**self).fmt(f)
            }
        }
    };
}
pub(crate) use {attempts, lending_guard, poisoning};
