//! Mutual exclusion between processes.

// Lends the value that a held lock protects, in place.
#![allow(unsafe_code)]

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::time::{Duration, Instant};

use ipc_core::Deadline;

use super::guard::{HeldLock, Protects, RawLock, attempts, lending_guard, poisoning};
use super::handle::{Handle, create_by_name, handle, over_values};
use super::location::{self, HEAD, LockKind, LockLocation};
use super::poison::{
    Failure, LockAttemptError, LockResult, LockTimeoutResult, PoisonError, PoisonedBy, Refused,
    TryLockResult,
};
use super::raw::mutex::{RawMutex, UPDATING};
use super::thread;
use super::value::{self, NO_VALUE, Value};
use super::word::LockEnv;
use crate::killpoint::kill_point;
use crate::segment::{OpenMode, Segment};
use crate::sync::AtomicU64;
use crate::sync::Ordering::{Relaxed, Release};
use crate::value::checked::Checked;
use crate::value::object::ObjectSlot;

/// A mutex between processes, for data of fixed size or a slice: [`std::sync::Mutex`] in shared
/// memory.
///
/// The segment holds two copies of the value. One copy is the current value;
/// [`update`](Mutex::update) writes the next value into the other. A program can clone a handle,
/// send it to another process, or open the mutex there.
///
/// ```
/// use ipc_shm::lock::Mutex;
///
/// let account = Mutex::new([100i64, 0])?;
/// account.lock().unwrap()[0] += 1;
/// account.update(|[one, other]| {
///     *one -= 50;
///     *other += 50;
/// })?;
/// assert_eq!(account.get()?, [51, 50]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # When a process dies
///
/// | the process | the next one to lock |
/// |---|---|
/// | is killed while it holds a guard | gets [`OwnerDied`](PoisonedBy::OwnerDied) with the guard ([`PoisonError`]). A waiter gets it within 50 ms, most waiters within a few ms |
/// | is killed inside [`update`](Mutex::update) | gets the old value or the new one, not poisoned |
/// | is stopped (SIGSTOP) | waits: a stopped process is alive, and no other process takes its locks |
///
/// # Peers
///
/// The guard lends the value in place, in shared memory. The value does not change while the lock
/// is held, as long as every peer keeps the protocol. Everything that goes through this crate does.
/// A peer that writes there without the lock breaks the rules of Rust's references for this
/// process. Among processes that do not trust each other use [`get`](Mutex::get),
/// [`set`](Mutex::set) and [`update`](Mutex::update). These copy, and work on any bytes.
///
/// For a type such as `bool`, not all bytes are a value ([`Checked`]). The bytes are checked
/// whenever the mutex is locked. If they are no value, each call returns [`Refused::Corrupt`]
/// without the lock, and [`set`](Mutex::set) repairs them. If the mutex is poisoned as well, call
/// [`clear_poison`](Mutex::clear_poison) first.
pub struct Mutex<T: Value + ?Sized> {
    pub(super) location: LockLocation,
    /// The index of the first word of each copy of the value.
    copies: [usize; 2],
    _value: PhantomData<T>,
}

/// The lock's own words: the two of the raw lock, the index of the current copy, and the copies.
const STATE: usize = 0;
const MARK: usize = 1;
const CURRENT: usize = 2;
const COPIES: usize = 3;

/// Returns the index of the first word of each copy, and the number of words in all.
fn copies<T: Value + ?Sized>(len: usize) -> Option<([usize; 2], usize)> {
    let (words, first) = (value::words::<T>(len)?, location::after::<T>(COPIES));
    let end = (HEAD + first).checked_add(words)?;
    let second = end.checked_next_multiple_of(value::align::<T>())? - HEAD;
    Some(([first, second], second.checked_add(words)?))
}

impl<T: Value + ?Sized> Handle for Mutex<T> {
    fn kind() -> LockKind {
        let name = if T::MANY { "Mutex of a slice" } else { "Mutex" };
        LockKind::over::<T>(name, |len, _| Some(copies::<T>(len)?.1))
    }

    fn of(location: LockLocation) -> io::Result<Self> {
        let (copies, _) = copies::<T>(location.len).expect("it has been placed");
        Ok(Mutex { location, copies, _value: PhantomData })
    }
}

handle!([T: Value + ?Sized] Mutex<T>);
over_values!(Mutex, "mutex", "lock", "It takes 64 bytes or more, for as long as there is room.");

impl<T: Value + ?Sized> Mutex<T> {
    fn make(slot: ObjectSlot<'_>, value: &T) -> io::Result<Self> {
        Self::make_filled(slot, value.items().len(), |location| {
            let ([first, _], _) = copies::<T>(location.len).expect("it has been placed");
            value::write(&location.words()[first..], value);
            Ok(())
        })
    }
}

impl<T: Checked + Send + Sync> Mutex<T> {
    /// Replaces the value by one flip, so no thread ever sees half of it.
    ///
    /// Waits as [`lock`](Mutex::lock).
    ///
    /// # Errors
    ///
    /// As [`lock`](Mutex::lock). The value is not set then, and the lock is not held.
    pub fn set(&self, value: T) -> LockResult<(), ()> {
        let updating = self.updating()?;
        self.flip(&value);
        drop(updating);
        Ok(())
    }
}

/// The one mode in which a thread holds a mutex with a guard.
pub(crate) enum Exclusive {}

impl<T: Value + ?Sized> Protects for Mutex<T> {
    type Value = T;

    #[inline(always)]
    fn location(&self) -> &LockLocation {
        &self.location
    }

    #[inline(always)]
    fn value(&self) -> NonNull<T> {
        self.location.value(self.places().0)
    }

    #[inline(always)]
    fn is_valid(&self) -> bool {
        self.location.is_valid::<T>(self.places().0)
    }

    #[inline(always)]
    fn cause(&self) -> Option<PoisonedBy> {
        self.raw().cause()
    }

    fn set_cause(&self, cause: Option<PoisonedBy>) {
        self.raw().set_cause(cause);
    }
}

impl<T: Value + ?Sized> RawLock<Exclusive> for Mutex<T> {
    #[inline(always)]
    fn acquire_now(&self, me: u64) -> bool {
        let acquired = self.raw().try_now(me);
        if acquired {
            thread::count_acquired();
        }
        acquired
    }

    #[inline(always)]
    fn acquire(&self, me: u64, deadline: Deadline) -> Result<(), LockAttemptError> {
        if !self.raw().try_now(me) {
            self.raw().lock(&self.location, me, deadline)?;
        }
        thread::count_acquired();
        Ok(())
    }

    #[inline(always)]
    fn release(&self, me: u64) -> Result<(), Refused> {
        self.raw().unlock(&self.location, me)?;
        thread::count_released();
        Ok(())
    }
}

impl<T: Value + ?Sized> Mutex<T> {
    #[inline(always)]
    pub(super) fn raw(&self) -> RawMutex<'_> {
        let words = self.location.words();
        RawMutex { state: &words[STATE], mark: &words[MARK] }
    }

    #[inline(always)]
    fn current(&self) -> &AtomicU64 {
        &self.location.words()[CURRENT]
    }

    /// Returns the first word of the current copy, and of the other copy. For the holder.
    #[inline(always)]
    fn places(&self) -> (usize, usize) {
        // The index is one of the two, whatever a peer wrote there. Relaxed: the lock orders it.
        let current = (self.current().load(Relaxed) & 1) as usize;
        (self.copies[current], self.copies[current ^ 1])
    }

    attempts! {
        Exclusive => MutexGuard<'_, T>;
        /// Waits until the mutex is free, and locks it.
        ///
        /// Blocks: spins for a moment, then sleeps. Detects the death of the holder within 50 ms.
        ///
        /// # Errors
        ///
        /// - [`Poisoned`](super::LockError::Poisoned), with the guard, if a thread panicked or a
        ///   process died while it held the lock. This lasts until
        ///   [`clear_poison`](Mutex::clear_poison).
        /// - [`Refused`](super::LockError::Refused), without the lock, if the calling thread
        ///   already holds it, in a forked process, and if the memory is corrupt.
        #[inline]
        lock;
        /// Locks the mutex if it is free, or if its holder is dead.
        ///
        /// # Errors
        ///
        /// [`WouldBlock`](super::TryLockError::WouldBlock) if a live thread holds the lock, also if
        /// this is the calling thread. Others as [`lock`](Mutex::lock).
        #[inline]
        try_lock;
        lock_timeout, lock_deadline
    }

    /// Changes the value as a transaction: `change` edits a copy, and one flip makes it the value.
    ///
    /// If the process is killed before the flip, the old value stays. If it is killed after the
    /// flip, the new value is there. It is never a mixture, and the mutex is not poisoned. If
    /// `change` panics, the old value stays, and the mutex is not poisoned either.
    ///
    /// The call costs two copies of the value. Waits as [`lock`](Mutex::lock).
    ///
    /// # Errors
    ///
    /// As [`lock`](Mutex::lock), where a thread or process that held a guard is the cause of the
    /// poison. The value is not changed then, and the lock is not held. To repair the value, call
    /// [`lock`](Mutex::lock).
    pub fn update<R>(&self, change: impl FnOnce(&mut T) -> R) -> LockResult<R, ()> {
        let updating = self.updating()?;
        let (value, _) = self.places();
        let copy = T::read(&self.location.words()[value..], self.location.len);
        let mut copy = copy.ok_or(Failure::Refused(NO_VALUE))?;
        let done = change(T::own(&mut copy));
        self.flip(T::own(&mut copy));
        drop(updating);
        Ok(done)
    }

    /// Acquires the lock to update the value.
    fn updating(&self) -> LockResult<Updating<'_, T>, ()> {
        self.location.check().map_err(Failure::from)?;
        let me = self.location.me() | UPDATING;
        if !self.raw().try_now(me) {
            self.raw().lock(&self.location, me, Deadline::Never).map_err(Failure::from)?;
        }
        let updating = Updating { mutex: self, me };
        match self.cause() {
            None => Ok(updating),
            Some(cause) => Err(Failure::Poisoned(PoisonError::new((), cause)).into()),
        }
    }

    /// Writes the value to the other copy, and makes that the current one by one flip.
    ///
    /// The caller holds the lock to update.
    fn flip(&self, value: &T) {
        let (_, next) = self.places();
        kill_point!("update.write");
        value::write(&self.location.words()[next..], value);
        kill_point!("update.flip");
        let current = self.current().load(Relaxed); // Relaxed: the lock orders it.
        // Release: a process that sees the flip of a dead process sees the copy that was written
        // before.
        self.current().store(!current & 1, Release);
        kill_point!("update.flipped");
    }

    fn copied(&self) -> LockResult<T::Own, ()> {
        // This thread changes nothing, so its death would not poison the mutex.
        let _updating = self.updating()?;
        let (value, _) = self.places();
        let copy = T::read(&self.location.words()[value..], self.location.len);
        Ok(copy.ok_or(Failure::Refused(NO_VALUE))?)
    }

    /// Returns whether the mutex is locked at this moment, also by the calling thread.
    ///
    /// Never blocks. A mutex whose holder is dead is not locked: [`try_lock`](Self::try_lock)
    /// acquires it. Another thread may lock or unlock before this call returns. Returns false in a
    /// forked process.
    ///
    /// ```
    /// # use ipc_shm::lock::Mutex;
    /// let mutex = Mutex::new(1u8)?;
    /// let guard = mutex.lock().unwrap();
    /// assert!(mutex.is_locked());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_locked(&self) -> bool {
        !self.location.forked() && self.raw().is_locked(&self.location)
    }

    poisoning!();

    /// Returns how many values the mutex protects: 1, unless it is over a slice.
    #[must_use]
    pub fn len(&self) -> usize {
        self.location.len
    }

    /// Returns whether the mutex protects an empty slice.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.location.len == 0
    }

    /// Unlocks a mutex that the calling thread holds without a guard.
    ///
    /// A thread has no guard after [`std::mem::forget`], for example.
    ///
    /// # Errors
    ///
    /// [`NotOwner`](Refused::NotOwner) if the calling thread does not hold the lock: nothing has
    /// changed then. [`Forked`](Refused::Forked) in a forked process.
    ///
    /// # Safety
    ///
    /// This thread does not use a guard of this lock any more.
    pub unsafe fn force_unlock(&self) -> Result<(), Refused> {
        self.location.check()?;
        self.raw().unlock(&self.location, self.location.me())?;
        thread::count_released();
        Ok(())
    }
}

/// Holds the lock to update. Dropping it releases the lock, and does nothing else.
struct Updating<'a, T: Value + ?Sized> {
    mutex: &'a Mutex<T>,
    me: u64,
}

impl<T: Value + ?Sized> Drop for Updating<'_, T> {
    fn drop(&mut self) {
        if !self.mutex.location.forked() {
            // This fails only if a peer breaks the protocol. Then there is nothing to release.
            let _ = self.mutex.raw().unlock(&self.mutex.location, self.me);
        }
    }
}

lending_guard! {
    mut
    /// A locked [`Mutex`]. Dropping the guard unlocks it. The guard belongs to its thread.
    ///
    /// The value that it lends does not change as long as peers keep the protocol: see [`Mutex`].
    MutexGuard, Mutex, Exclusive
}

impl<'a, T: Value + ?Sized> MutexGuard<'a, T> {
    /// Returns the mutex.
    pub fn mutex(guard: &Self) -> &'a Mutex<T> {
        guard.held.lock
    }

    /// Unlocks the mutex, and returns whether that was possible. Dropping the guard cannot report
    /// it.
    ///
    /// # Errors
    ///
    /// Nothing has changed if this call fails.
    ///
    /// - [`Forked`](Refused::Forked) in a forked process.
    /// - [`NotOwner`](Refused::NotOwner) if [`force_unlock`](Mutex::force_unlock) has released the
    ///   lock already, or if a peer has written garbage.
    pub fn unlock(guard: Self) -> Result<(), Refused> {
        ManuallyDrop::new(guard).held.release()
    }
}

impl<T: Value + ?Sized> Clone for Mutex<T> {
    fn clone(&self) -> Self {
        Mutex { location: self.location.clone(), ..*self }
    }
}

impl<T: Value + ?Sized> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mutex")
            .field("location", &self.location)
            .field("poisoned", &self.is_poisoned())
            .finish()
    }
}
