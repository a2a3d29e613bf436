//! Mutual exclusion with a mutex that its holder may lock again.

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::time::{Duration, Instant};

use ipc_core::Deadline;

use super::guard::{HeldLock, Protects, RawLock, attempts, poisoning};
use super::handle::{Handle, create_by_name, handle};
use super::location::{self, LockKind, LockLocation};
use super::poison::{
    LockAttemptError, LockResult, LockTimeoutResult, PoisonedBy, Refused, TryLockResult,
};
use super::raw::mutex::RawMutex;
use super::thread;
use super::value;
use super::word::{LockEnv, names_a_thread};
use crate::copy;
use crate::killpoint::kill_point;
use crate::segment::{OpenMode, Segment};
use crate::sync::AtomicU64;
use crate::sync::Ordering::Relaxed;
use crate::value::checked::{Copied, Stored};
use crate::value::object::ObjectSlot;

/// A mutex that its holder may lock again: Python's `RLock`, `std`'s `ReentrantLock`.
///
/// The mutex is free again when every guard was dropped. Because one thread may have several guards
/// at once, no guard lends the value. Guards copy it out ([`get`](ReentrantMutexGuard::get)) and in
/// ([`set`](ReentrantMutexGuard::set)).
///
/// ```
/// use ipc_shm::lock::ReentrantMutex;
///
/// let depth = ReentrantMutex::new(0u32)?;
/// let outer = depth.lock().unwrap();
/// let inner = depth.lock().unwrap();
/// inner.set(inner.get() + 1);
/// assert_eq!(outer.get(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A guard that a thread has forgotten ([`std::mem::forget`]) keeps the mutex locked as long as the
/// process lives. No other thread is ever mistaken for the holder.
///
/// # When a process dies
///
/// As for a [`Mutex`](super::Mutex).
pub struct ReentrantMutex<T: Stored + Send + Sync = ()> {
    location: LockLocation,
    _value: PhantomData<T>,
}

const STATE: usize = 0;
const MARK: usize = 1;
/// The number of guards of the holder. Only the holder writes it.
const DEPTH: usize = 2;
const REST: usize = 3;

impl<T: Stored + Send + Sync> Handle for ReentrantMutex<T> {
    fn kind() -> LockKind {
        LockKind::over::<T>("ReentrantMutex", |len, _| {
            Self::value_at().checked_add(value::words::<T>(len)?)
        })
    }

    fn of(location: LockLocation) -> io::Result<Self> {
        Ok(ReentrantMutex { location, _value: PhantomData })
    }
}

handle!([T: Stored + Send + Sync] ReentrantMutex<T>);

impl<T: Stored + Send + Sync> ReentrantMutex<T> {
    fn value_at() -> usize {
        location::after::<T>(REST)
    }

    fn make(slot: ObjectSlot<'_>, value: &T) -> io::Result<Self> {
        Self::make_filled(slot, 1, |location| {
            copy::write_value(&location.words()[Self::value_at()..], value);
            Ok(())
        })
    }

    /// Makes a mutex in an anonymous segment of its own.
    ///
    /// # Errors
    ///
    /// As [`Segment::anonymous`].
    pub fn new(value: T) -> io::Result<Self> {
        Self::make(ObjectSlot::Anonymous, &value)
    }

    /// Makes a mutex in a segment.
    ///
    /// # Errors
    ///
    /// As [`Mutex::new_in`](super::Mutex::new_in).
    pub fn new_in(segment: &Segment, value: T) -> io::Result<Self> {
        Self::make(ObjectSlot::In(segment), &value)
    }

    create_by_name!(value: T => &value);

    fn raw(&self) -> RawMutex<'_> {
        let words = self.location.words();
        RawMutex { state: &words[STATE], mark: &words[MARK] }
    }

    fn depth(&self) -> &AtomicU64 {
        &self.location.words()[DEPTH]
    }

    fn is_held_by(&self, me: u64) -> bool {
        names_a_thread(me) && self.raw().is_held_by(me)
    }

    attempts! {
        Reentrant => ReentrantMutexGuard<'_, T>;
        /// Waits until no other thread holds the mutex, and locks it once more.
        ///
        /// # Errors
        ///
        /// - [`Poisoned`](super::LockError::Poisoned), with the guard, if a thread panicked or a
        ///   process died while it held the lock.
        /// - [`Refused`](super::LockError::Refused), without a guard, after 2^32 guards
        ///   ([`TooMany`](Refused::TooMany)), in a forked process, and if the memory is corrupt.
        lock;
        /// Locks the mutex if no other thread holds it.
        ///
        /// # Errors
        ///
        /// [`WouldBlock`](super::TryLockError::WouldBlock) if another thread holds the mutex,
        /// others as [`lock`](ReentrantMutex::lock).
        try_lock;
        lock_timeout, lock_deadline
    }

    /// Returns whether the mutex is locked at this moment, also by the calling thread.
    ///
    /// Never blocks. A mutex whose holder is dead is not locked: [`try_lock`](Self::try_lock)
    /// acquires it. Another thread may lock or unlock before this call returns. Returns false in a
    /// forked process.
    ///
    /// ```
    /// # use ipc_shm::lock::ReentrantMutex;
    /// let mutex = ReentrantMutex::new(1u8)?;
    /// let guard = mutex.lock().unwrap();
    /// assert!(mutex.is_locked());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_locked(&self) -> bool {
        !self.location.forked() && self.raw().is_locked(&self.location)
    }

    /// Returns whether the calling thread holds the mutex.
    #[must_use]
    pub fn is_owned_by_current_thread(&self) -> bool {
        !self.location.forked() && self.is_held_by(self.location.me())
    }

    poisoning!();
}

impl<T: Stored + Send + Sync> Protects for ReentrantMutex<T> {
    /// A guard lends nothing.
    type Value = ();

    #[inline(always)]
    fn location(&self) -> &LockLocation {
        &self.location
    }

    fn value(&self) -> NonNull<()> {
        NonNull::dangling()
    }

    fn is_valid(&self) -> bool {
        true
    }

    fn cause(&self) -> Option<PoisonedBy> {
        self.raw().cause()
    }

    fn set_cause(&self, cause: Option<PoisonedBy>) {
        self.raw().set_cause(cause);
    }
}

/// The mode in which a thread holds a mutex that it may lock again.
pub(crate) enum Reentrant {}

impl<T: Stored + Send + Sync> RawLock<Reentrant> for ReentrantMutex<T> {
    const FAST: bool = false;

    fn acquire(&self, me: u64, deadline: Deadline) -> Result<(), LockAttemptError> {
        if self.is_held_by(me) {
            let depth = self.depth().load(Relaxed); // Relaxed: only its holder writes it.
            if depth >= u64::from(u32::MAX) {
                return Err(Refused::TooMany.into());
            }
            kill_point!("reentrant.again");
            self.depth().store(depth + 1, Relaxed);
        } else {
            let raw = self.raw();
            if !raw.try_now(me) {
                raw.lock(&self.location, me, deadline)?;
            }
            kill_point!("reentrant.first");
            // Relaxed: only the holder writes it. The value that a dead holder left is overwritten.
            self.depth().store(1, Relaxed);
        }
        thread::count_acquired();
        Ok(())
    }

    fn release(&self, me: u64) -> Result<(), Refused> {
        if !self.raw().is_held_by(me) {
            return Err(Refused::NotOwner);
        }
        let depth = self.depth().load(Relaxed); // Relaxed: only its holder writes it.
        if depth > 1 {
            kill_point!("reentrant.less");
            self.depth().store(depth - 1, Relaxed);
        } else {
            self.raw().unlock(&self.location, me)?;
        }
        thread::count_released();
        Ok(())
    }

    fn poison(&self, me: u64) {
        if self.raw().is_held_by(me) {
            self.set_cause(Some(PoisonedBy::Panicked));
        }
    }
}

/// A locked [`ReentrantMutex`]. Dropping the guard unlocks it once. It belongs to its thread.
#[must_use = "it unlocks at once if it is not kept"]
pub struct ReentrantMutexGuard<'a, T: Stored + Send + Sync = ()> {
    held: HeldLock<'a, ReentrantMutex<T>, Reentrant>,
}

impl<'a, T: Stored + Send + Sync> From<HeldLock<'a, ReentrantMutex<T>, Reentrant>>
    for ReentrantMutexGuard<'a, T>
{
    fn from(held: HeldLock<'a, ReentrantMutex<T>, Reentrant>) -> Self {
        ReentrantMutexGuard { held }
    }
}

impl<T: Stored + Send + Sync> ReentrantMutexGuard<'_, T> {
    /// Returns a copy of the value.
    #[must_use]
    pub fn get(&self) -> T {
        let mut copied = Copied::new();
        copy::read_bytes(self.words(), copied.bytes());
        copied.value()
    }

    /// Replaces the value. If the process is killed meanwhile, the mutex is poisoned.
    pub fn set(&self, value: T) {
        kill_point!("reentrant.set");
        copy::write_value(self.words(), &value);
    }

    fn words(&self) -> &[AtomicU64] {
        &self.held.lock.location.words()[ReentrantMutex::<T>::value_at()..]
    }

    /// Unlocks once, and returns whether that was possible.
    ///
    /// # Errors
    ///
    /// As [`MutexGuard::unlock`](super::MutexGuard::unlock).
    pub fn unlock(guard: Self) -> Result<(), Refused> {
        ManuallyDrop::new(guard).held.release()
    }
}

impl<T: Stored + Send + Sync> Drop for ReentrantMutexGuard<'_, T> {
    fn drop(&mut self) {
        // A failure leaves the lock as it is. `unlock` reports it.
        let _ = self.held.release();
    }
}

impl<T: Stored + Send + Sync> Clone for ReentrantMutex<T> {
    fn clone(&self) -> Self {
        ReentrantMutex { location: self.location.clone(), _value: PhantomData }
    }
}

impl<T: Stored + Send + Sync> fmt::Debug for ReentrantMutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReentrantMutex")
            .field("location", &self.location)
            .field("poisoned", &self.is_poisoned())
            .finish()
    }
}

impl<T: Stored + Send + Sync> fmt::Debug for ReentrantMutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReentrantMutexGuard").finish_non_exhaustive()
    }
}
