//! Mutual exclusion with a mutex that its holder may lock again.

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

use ipc_core::Deadline;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::location::{HEAD, LockKind, LockLocation, LockSlot, create_by_name, open_or_find};
use super::poison::{
    Failure, LockResult, LockTimeoutResult, PoisonError, PoisonedBy, Refused, TryLockResult,
};
use super::raw::mutex::RawMutex;
use super::thread;
use super::value;
use super::word::LockEnv;
use crate::copy;
use crate::killpoint::kill_point;
use crate::segment::{OpenMode, Segment};
use crate::sync::AtomicU64;
use crate::sync::Ordering::Relaxed;
use crate::value::checked::{Copied, Stored};

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

impl<T: Stored + Send + Sync> ReentrantMutex<T> {
    fn kind() -> LockKind {
        LockKind::of::<T>("ReentrantMutex", value::align::<T>())
    }

    fn value_at() -> usize {
        (HEAD + REST).next_multiple_of(value::align::<T>()) - HEAD
    }

    fn count(len: usize, _participants: usize) -> Option<usize> {
        Self::value_at().checked_add(value::words::<T>(len)?)
    }

    fn at_location(location: LockLocation) -> io::Result<Self> {
        Ok(ReentrantMutex { location, _value: PhantomData })
    }

    fn make(slot: LockSlot<'_>, value: &T) -> io::Result<Self> {
        let fill = |location: &LockLocation| {
            copy::write_value(&location.words()[Self::value_at()..], value);
            Ok(())
        };
        Self::at_location(LockLocation::make(slot, Self::kind(), 1, Self::count, &fill)?)
    }

    /// Makes a mutex in an anonymous segment of its own.
    ///
    /// # Errors
    ///
    /// As [`Segment::anonymous`].
    pub fn new(value: T) -> io::Result<Self> {
        Self::make(LockSlot::Anonymous, &value)
    }

    /// Makes a mutex in a segment.
    ///
    /// # Errors
    ///
    /// As [`Mutex::new_in`](super::Mutex::new_in).
    pub fn new_in(segment: &Segment, value: T) -> io::Result<Self> {
        Self::make(LockSlot::In(segment), &value)
    }

    create_by_name!(value: T => &value);
    open_or_find!();

    fn raw(&self) -> RawMutex<'_> {
        let words = self.location.words();
        RawMutex { state: &words[STATE], mark: &words[MARK] }
    }

    fn depth(&self) -> &AtomicU64 {
        &self.location.words()[DEPTH]
    }

    /// Waits until no other thread holds the mutex, and locks it once more.
    ///
    /// # Errors
    ///
    /// - [`Poisoned`](super::LockError::Poisoned), with the guard, if a thread panicked or a
    ///   process died while it held the lock.
    /// - [`Refused`](super::LockError::Refused), without a guard, after 2^32 guards
    ///   ([`TooMany`](Refused::TooMany)), in a forked process, and if the memory is corrupt.
    pub fn lock(&self) -> LockResult<ReentrantMutexGuard<'_, T>> {
        Ok(self.acquire(Deadline::Never)?)
    }

    /// Locks the mutex if no other thread holds it.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](super::TryLockError::WouldBlock) if another thread holds the mutex, others as
    /// [`lock`](ReentrantMutex::lock).
    pub fn try_lock(&self) -> TryLockResult<ReentrantMutexGuard<'_, T>> {
        Ok(self.acquire(Deadline::Now)?)
    }

    /// Locks the mutex as [`lock`](ReentrantMutex::lock), but waits no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// [`Timeout`](super::LockTimeoutError::Timeout) if the time has elapsed, others as
    /// [`lock`](ReentrantMutex::lock).
    pub fn lock_timeout(&self, timeout: Duration) -> LockTimeoutResult<ReentrantMutexGuard<'_, T>> {
        Ok(self.acquire(Deadline::after(timeout))?)
    }

    /// Locks the mutex as [`lock`](ReentrantMutex::lock), but waits no longer than until
    /// `deadline`.
    ///
    /// # Errors
    ///
    /// [`Timeout`](super::LockTimeoutError::Timeout) if the deadline has passed, others as
    /// [`lock`](ReentrantMutex::lock).
    pub fn lock_deadline(
        &self,
        deadline: Instant,
    ) -> LockTimeoutResult<ReentrantMutexGuard<'_, T>> {
        Ok(self.acquire(Deadline::At(deadline))?)
    }

    fn acquire(
        &self,
        deadline: Deadline,
    ) -> Result<ReentrantMutexGuard<'_, T>, Failure<ReentrantMutexGuard<'_, T>>> {
        self.location.check()?;
        let (raw, me) = (self.raw(), self.location.me());
        if super::word::names_a_thread(me) && raw.is_held_by(me) {
            let depth = self.depth().load(Relaxed); // Relaxed: only its holder writes it.
            if depth >= u64::from(u32::MAX) {
                return Err(Refused::TooMany.into());
            }
            kill_point!("reentrant.again");
            self.depth().store(depth + 1, Relaxed);
        } else {
            if !raw.try_now(me) {
                raw.lock(&self.location, me, deadline)?;
            }
            kill_point!("reentrant.first");
            // Relaxed: only the holder writes it. The value that a dead holder left is overwritten.
            self.depth().store(1, Relaxed);
        }
        thread::took();
        let guard = ReentrantMutexGuard {
            mutex: self,
            me,
            panicking: std::thread::panicking(),
            _thread: PhantomData,
        };
        match raw.cause() {
            None => Ok(guard),
            Some(cause) => Err(Failure::Poisoned(PoisonError::new(guard, cause))),
        }
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
        let me = self.location.me();
        !self.location.forked() && super::word::names_a_thread(me) && self.raw().is_held_by(me)
    }

    /// Returns whether the mutex is poisoned.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        !self.location.forked() && self.raw().cause().is_some()
    }

    /// Ends the poisoning. Does nothing in a forked process.
    pub fn clear_poison(&self) {
        if !self.location.forked() {
            self.raw().set_cause(None);
        }
    }
}

/// A locked [`ReentrantMutex`]. Dropping the guard unlocks it once. It belongs to its thread.
#[must_use = "it unlocks at once if it is not kept"]
pub struct ReentrantMutexGuard<'a, T: Stored + Send + Sync = ()> {
    mutex: &'a ReentrantMutex<T>,
    me: u64,
    panicking: bool,
    /// Not Send: the thread is the owner.
    _thread: PhantomData<*const ()>,
}

impl<T: Stored + Send + Sync> ReentrantMutexGuard<'_, T> {
    /// Returns a copy of the value.
    #[must_use]
    pub fn get(&self) -> T {
        let mut copied = Copied::new();
        copy::read_bytes(
            &self.mutex.location.words()[ReentrantMutex::<T>::value_at()..],
            copied.bytes(),
        );
        copied.value()
    }

    /// Replaces the value. If the process is killed meanwhile, the mutex is poisoned.
    pub fn set(&self, value: T) {
        kill_point!("reentrant.set");
        copy::write_value(&self.mutex.location.words()[ReentrantMutex::<T>::value_at()..], &value);
    }

    /// Unlocks once, and returns whether that was possible.
    ///
    /// # Errors
    ///
    /// As [`MutexGuard::unlock`](super::MutexGuard::unlock).
    pub fn unlock(guard: Self) -> Result<(), Refused> {
        std::mem::ManuallyDrop::new(guard).give_back()
    }

    fn give_back(&self) -> Result<(), Refused> {
        let mutex = self.mutex;
        mutex.location.check()?;
        let raw = mutex.raw();
        if !raw.is_held_by(self.me) {
            return Err(Refused::NotOwner);
        }
        if !self.panicking && std::thread::panicking() {
            raw.set_cause(Some(PoisonedBy::Panicked));
        }
        let depth = mutex.depth().load(Relaxed); // Relaxed: only its holder writes it.
        if depth > 1 {
            kill_point!("reentrant.less");
            mutex.depth().store(depth - 1, Relaxed);
        } else {
            raw.unlock(&mutex.location, self.me)?;
        }
        thread::returned();
        Ok(())
    }
}

impl<T: Stored + Send + Sync> Drop for ReentrantMutexGuard<'_, T> {
    fn drop(&mut self) {
        // A failure leaves the lock as it is. `unlock` reports it.
        let _ = self.give_back();
    }
}

impl<T: Stored + Send + Sync> Clone for ReentrantMutex<T> {
    fn clone(&self) -> Self {
        ReentrantMutex { location: self.location.clone(), _value: PhantomData }
    }
}

impl<T: Stored + Send + Sync> Serialize for ReentrantMutex<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.location.serialize(serializer)
    }
}

impl<'de, T: Stored + Send + Sync> Deserialize<'de> for ReentrantMutex<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let location = LockLocation::deserialize(deserializer, Self::kind(), Self::count)?;
        Ok(ReentrantMutex { location, _value: PhantomData })
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
