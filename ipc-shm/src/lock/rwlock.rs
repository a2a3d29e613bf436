//! Many readers or one writer, between processes.

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
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::location::{HEAD, LockKind, LockLocation, LockSlot, create_by_name, open_or_find};
use super::poison::{
    Failure, LockAttemptError, LockError, LockResult, LockTimeoutResult, PoisonError, PoisonedBy,
    Refused, TryLockResult,
};
use super::raw::rwlock::RawRwLock;
use super::raw::{index_of, words_for};
use super::thread;
use super::value::{self, NO_VALUE, Value, ValueLayout};
use super::word::{LockEnv, id, owner};
use crate::segment::{OpenMode, Segment};
use crate::value::checked::Checked;

/// A readers-writer lock between processes: [`std::sync::RwLock`] in shared memory.
///
/// Readers of different processes write to different cache lines, so they do not slow each other
/// down. A writer reads the count of each process, so writing costs more than locking a
/// [`Mutex`](super::Mutex).
///
/// *Preference*: writers. A writer that waits keeps new readers out. A thread that already reads
/// may still read again. An [upgradable](RwLock::upgradable_read) reader shares the lock with
/// readers. Only this reader can become the writer without another writer in between.
///
/// ```
/// use ipc_shm::lock::RwLock;
///
/// let prices = RwLock::new([10u32, 20])?;
/// assert_eq!(prices.read().unwrap()[1], 20);
/// prices.write().unwrap()[1] = 25;
/// let reader = prices.upgradable_read().unwrap();
/// if reader[1] > 20 {
///     reader.upgrade().unwrap()[0] = 12;
/// }
/// assert_eq!(prices.get()?, [12, 25]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # When a process dies
///
/// | the dead process was | the next one to lock |
/// |---|---|
/// | reading | acquires the lock, because the dead reader no longer counts |
/// | writing | gets [`OwnerDied`](PoisonedBy::OwnerDied) with the guard, as reader or as writer |
/// | waiting, or an upgradable reader | acquires the lock |
///
/// # Peers
///
/// As for a [`Mutex`](super::Mutex), guards lend the value in place. This is sound against peers
/// that keep the protocol. [`get`](RwLock::get) and [`set`](RwLock::set) copy. For bytes that are
/// no value, such as 2 for a `bool`, calls return [`Refused::Corrupt`], and [`set`](RwLock::set)
/// repairs them.
pub struct RwLock<T: Value + ?Sized> {
    location: LockLocation,
    /// The number of words that hold the counts of readers.
    readers: usize,
    /// The index of this process' count, among the words of the location.
    mine: usize,
    /// The index of the first word of the value.
    value_at: usize,
    _value: PhantomData<T>,
}

const TURN: usize = 0;
const MARK: usize = 1;
const DRAINED: usize = 2;
const HIGHEST: usize = 3;
/// On a cache line of their own.
const READERS: usize = 8 - HEAD;

/// Returns the index of the first word of the value, and the number of words in all.
fn parts<T: Value + ?Sized>(len: usize, participants: usize) -> Option<(usize, usize)> {
    let readers = words_for(participants);
    let value = (HEAD + READERS + readers).next_multiple_of(value::align::<T>()) - HEAD;
    Some((value, value.checked_add(value::words::<T>(len)?)?))
}

impl<T: Checked + Send + Sync> RwLock<T> {
    /// Makes a lock in an anonymous segment of its own.
    ///
    /// # Errors
    ///
    /// As [`Segment::anonymous`].
    pub fn new(value: T) -> io::Result<RwLock<T>> {
        Self::make(LockSlot::Anonymous, &value)
    }

    /// Makes a lock in a segment.
    ///
    /// It takes one word for each participant that the segment can have, and some more.
    ///
    /// # Errors
    ///
    /// As [`Mutex::new_in`](super::Mutex::new_in).
    pub fn new_in(segment: &Segment, value: T) -> io::Result<RwLock<T>> {
        Self::make(LockSlot::In(segment), &value)
    }

    create_by_name!(value: T => &value);

    /// Returns a copy of the value. Waits as [`read`](RwLock::read).
    ///
    /// # Errors
    ///
    /// As [`read`](RwLock::read), but without a guard: the lock is not held then.
    pub fn get(&self) -> LockResult<T, ()> {
        let guard = self.read().map_err(LockError::without_guard)?;
        let copy = T::read(&self.location.words()[self.value_at..], guard.lock.location.len);
        copy.ok_or(LockError::Refused(NO_VALUE))
    }

    /// Replaces the value. Waits as [`write`](RwLock::write).
    ///
    /// If the process is killed meanwhile, the lock is poisoned.
    ///
    /// # Errors
    ///
    /// As [`write`](RwLock::write). The value is not set then, and the lock is not held.
    pub fn set(&self, value: T) -> LockResult<(), ()> {
        let guard = self.write_any(Deadline::Never)?;
        if let Some(cause) = self.raw().cause() {
            return Err(LockError::Poisoned(PoisonError::new((), cause)));
        }
        value::write(&self.location.words()[self.value_at..], &value);
        drop(guard);
        Ok(())
    }
}

impl<T: Checked + Send + Sync> RwLock<[T]> {
    /// Makes a lock over a slice, in an anonymous segment of its own.
    ///
    /// # Errors
    ///
    /// As [`Segment::anonymous`].
    pub fn from_slice(values: &[T]) -> io::Result<RwLock<[T]>> {
        Self::make(LockSlot::Anonymous, values)
    }

    /// Makes a lock over a slice, in a segment.
    ///
    /// # Errors
    ///
    /// As [`Mutex::new_in`](super::Mutex::new_in).
    pub fn from_slice_in(segment: &Segment, values: &[T]) -> io::Result<RwLock<[T]>> {
        Self::make(LockSlot::In(segment), values)
    }

    /// Makes a lock over a slice, in a segment of its own with this name.
    ///
    /// # Errors
    ///
    /// As [`Segment::create`].
    pub fn create_from_slice(name: &str, values: &[T]) -> io::Result<RwLock<[T]>> {
        Self::make(LockSlot::Named(OpenMode::Create, name), values)
    }

    /// Returns a copy of the values. Waits as [`read`](RwLock::read).
    ///
    /// # Errors
    ///
    /// As [`read`](RwLock::read), but without a guard: the lock is not held then.
    pub fn to_vec(&self) -> LockResult<Vec<T>, ()> {
        let guard = self.read().map_err(LockError::without_guard)?;
        let copy = <[T]>::read(&self.location.words()[self.value_at..], guard.lock.location.len);
        Ok(copy.ok_or(LockError::Refused(NO_VALUE))?.into_vec())
    }
}

/// The guard, or why there is none.
type Got<G> = Result<G, Failure<G>>;

impl<T: Value + ?Sized> RwLock<T> {
    fn kind() -> LockKind {
        LockKind::of::<T::Item>(
            if T::MANY { "RwLock of a slice" } else { "RwLock" },
            value::align::<T>(),
        )
    }

    fn count(len: usize, participants: usize) -> Option<usize> {
        Some(parts::<T>(len, participants)?.1)
    }

    fn at_location(location: LockLocation) -> io::Result<Self> {
        let (value_at, _) =
            parts::<T>(location.len, location.max_participants()).expect("it has been placed");
        let readers = words_for(location.max_participants());
        let mine = READERS + index_of(readers, id(owner(location.me)));
        Ok(RwLock { location, readers, mine, value_at, _value: PhantomData })
    }

    fn make(slot: LockSlot<'_>, value: &T) -> io::Result<Self> {
        let fill = |location: &LockLocation| {
            let (at, _) =
                parts::<T>(location.len, location.max_participants()).expect("it has been placed");
            value::write(&location.words()[at..], value);
            Ok(())
        };
        Self::at_location(LockLocation::make(
            slot,
            Self::kind(),
            value.items().len(),
            Self::count,
            &fill,
        )?)
    }

    open_or_find!();

    #[inline(always)]
    fn raw(&self) -> RawRwLock<'_> {
        let words = self.location.words();
        let readers = &words[READERS..READERS + self.readers];
        RawRwLock {
            turn: &words[TURN],
            mark: &words[MARK],
            drained: &words[DRAINED],
            highest: &words[HIGHEST],
            readers,
            mine: &words[self.mine],
        }
    }

    #[inline(always)]
    fn value(&self) -> NonNull<T> {
        self.location.value(self.value_at)
    }

    /// Returns the guard of a lock that it holds, or why there is none.
    ///
    /// The guard is returned only over bytes that are a value.
    #[inline(always)]
    fn taken<G>(&self, guard: G) -> Got<G> {
        if !self.location.is_valid::<T>(self.value_at) {
            return Err(NO_VALUE.into());
        }
        match self.raw().cause() {
            None => Ok(guard),
            Some(cause) => Err(Failure::Poisoned(PoisonError::new(guard, cause))),
        }
    }

    /// Locks to read if no writer holds the lock or waits for it, and the value is sound.
    ///
    /// The guard stays in registers, because all of this is inlined.
    #[inline(always)]
    fn read_at_once(&self) -> Option<RwLockReadGuard<'_, T>> {
        if self.location.forked() {
            return None;
        }
        let (me, key, raw) = (self.location.me(), self.location.key(), self.raw());
        // A thread that already reads may pass a waiting writer. `read_with` handles that case.
        if !raw.try_read(&self.location, me, false) {
            return None;
        }
        if raw.cause().is_some() || !self.location.is_valid::<T>(self.value_at) {
            // `read_with` locks it again and returns the reason.
            let _ = raw.unlock_read(&self.location, me);
            return None;
        }
        thread::reads(key);
        Some(RwLockReadGuard { lock: self, value: self.value(), me })
    }

    #[cold]
    #[inline(never)]
    fn read_with(&self, deadline: Deadline) -> Got<RwLockReadGuard<'_, T>> {
        self.location.check()?;
        let (me, key) = (self.location.me(), self.location.key());
        self.raw().read(&self.location, me, thread::is_reading(key), deadline)?;
        thread::reads(key);
        self.taken(RwLockReadGuard { lock: self, value: self.value(), me })
    }

    /// Refuses to wait if the calling thread reads, because it would wait for itself for ever.
    fn not_reading<G>(&self, deadline: Deadline) -> Result<(), Failure<G>> {
        self.location.check()?;
        if !thread::is_reading(self.location.key()) {
            return Ok(());
        }
        Err(if deadline == Deadline::Now { Failure::Busy } else { Refused::WouldDeadlock.into() })
    }

    fn write_with(&self, deadline: Deadline) -> Got<RwLockWriteGuard<'_, T>> {
        let guard = self.write_any(deadline)?;
        self.taken(guard)
    }

    /// Locks to write, poisoned or not, whatever bytes the value has.
    ///
    /// The caller must check or write the bytes before it uses the guard to read the value.
    fn write_any<G>(&self, deadline: Deadline) -> Result<RwLockWriteGuard<'_, T>, Failure<G>> {
        self.not_reading(deadline)?;
        let me = self.location.me();
        self.raw().write(&self.location, me, deadline)?;
        thread::took();
        Ok(RwLockWriteGuard::new(self, me))
    }

    fn upgradable_with(&self, deadline: Deadline) -> Got<RwLockUpgradableGuard<'_, T>> {
        self.location.check()?;
        let (me, reading) = (self.location.me(), thread::is_reading(self.location.key()));
        self.raw().upgradable(&self.location, me, reading, deadline)?;
        thread::took();
        self.taken(RwLockUpgradableGuard { lock: self, value: self.value(), me })
    }

    /// Waits until no writer holds the lock or waits for it, and locks it to read.
    ///
    /// # Errors
    ///
    /// - [`Poisoned`](super::LockError::Poisoned), with the guard, if a thread panicked or a
    ///   process died while it wrote.
    /// - [`Refused`](super::LockError::Refused) if the calling thread writes, in a forked process,
    ///   and if the memory is corrupt.
    #[inline(always)]
    pub fn read(&self) -> LockResult<RwLockReadGuard<'_, T>> {
        if let Some(guard) = self.read_at_once() {
            return Ok(guard);
        }
        Ok(self.read_with(Deadline::Never)?)
    }

    /// Locks to read if no writer holds the lock or waits for it.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](super::TryLockError::WouldBlock) if a writer does, others as
    /// [`read`](RwLock::read).
    #[inline]
    pub fn try_read(&self) -> TryLockResult<RwLockReadGuard<'_, T>> {
        if let Some(guard) = self.read_at_once() {
            return Ok(guard);
        }
        Ok(self.read_with(Deadline::Now)?)
    }

    /// Locks to read as [`read`](RwLock::read), but waits no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// [`Timeout`](super::LockTimeoutError::Timeout) if the time has elapsed, others as
    /// [`read`](RwLock::read).
    pub fn read_timeout(&self, timeout: Duration) -> LockTimeoutResult<RwLockReadGuard<'_, T>> {
        Ok(self.read_with(Deadline::after(timeout))?)
    }

    /// Locks to read as [`read`](RwLock::read), but waits no longer than until `deadline`.
    ///
    /// # Errors
    ///
    /// [`Timeout`](super::LockTimeoutError::Timeout) if the deadline has passed, others as
    /// [`read`](RwLock::read).
    pub fn read_deadline(&self, deadline: Instant) -> LockTimeoutResult<RwLockReadGuard<'_, T>> {
        Ok(self.read_with(Deadline::At(deadline))?)
    }

    /// Waits until no other thread holds the lock, and locks it to write.
    ///
    /// # Errors
    ///
    /// - [`Poisoned`](super::LockError::Poisoned), with the guard, if a thread panicked or a
    ///   process died while it wrote.
    /// - [`Refused`](super::LockError::Refused) if the calling thread reads or writes
    ///   ([`WouldDeadlock`](Refused::WouldDeadlock)), in a forked process, and if the memory is
    ///   corrupt.
    pub fn write(&self) -> LockResult<RwLockWriteGuard<'_, T>> {
        Ok(self.write_with(Deadline::Never)?)
    }

    /// Locks to write if no other thread holds the lock.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](super::TryLockError::WouldBlock) if a thread holds the lock, also if this is
    /// the calling thread. Others as [`write`](RwLock::write).
    pub fn try_write(&self) -> TryLockResult<RwLockWriteGuard<'_, T>> {
        Ok(self.write_with(Deadline::Now)?)
    }

    /// Locks to write as [`write`](RwLock::write), but waits no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// [`Timeout`](super::LockTimeoutError::Timeout) if the time has elapsed, others as
    /// [`write`](RwLock::write).
    pub fn write_timeout(&self, timeout: Duration) -> LockTimeoutResult<RwLockWriteGuard<'_, T>> {
        Ok(self.write_with(Deadline::after(timeout))?)
    }

    /// Locks to write as [`write`](RwLock::write), but waits no longer than until `deadline`.
    ///
    /// # Errors
    ///
    /// [`Timeout`](super::LockTimeoutError::Timeout) if the deadline has passed, others as
    /// [`write`](RwLock::write).
    pub fn write_deadline(&self, deadline: Instant) -> LockTimeoutResult<RwLockWriteGuard<'_, T>> {
        Ok(self.write_with(Deadline::At(deadline))?)
    }

    /// Locks to read, as the one reader that can [upgrade](RwLockUpgradableGuard::upgrade).
    ///
    /// Waits while a writer or another upgradable reader holds the lock. A thread that already
    /// reads may call it as well. To upgrade, it must drop its read guards first.
    ///
    /// # Errors
    ///
    /// As [`read`](RwLock::read). [`WouldDeadlock`](Refused::WouldDeadlock) also if the calling
    /// thread reads and a writer waits for this read to end.
    pub fn upgradable_read(&self) -> LockResult<RwLockUpgradableGuard<'_, T>> {
        Ok(self.upgradable_with(Deadline::Never)?)
    }

    /// Locks as [`upgradable_read`](RwLock::upgradable_read) if that is possible at once.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](super::TryLockError::WouldBlock) if a writer or another upgradable reader
    /// holds the lock, others as [`read`](RwLock::read).
    pub fn try_upgradable_read(&self) -> TryLockResult<RwLockUpgradableGuard<'_, T>> {
        Ok(self.upgradable_with(Deadline::Now)?)
    }

    /// Returns whether the lock is held at this moment, to read or to write.
    ///
    /// Never blocks. A lock that only dead processes hold is not held. Another thread may lock or
    /// unlock before this call returns. A reader that is about to wait for a writer counts for a
    /// moment. Returns false in a forked process.
    ///
    /// ```
    /// # use ipc_shm::lock::RwLock;
    /// let lock = RwLock::new(1u8)?;
    /// let guard = lock.read().unwrap();
    /// assert!(lock.is_locked() && !lock.is_locked_exclusive());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_locked(&self) -> bool {
        !self.location.forked() && self.raw().is_locked(&self.location, true)
    }

    /// Returns whether the lock is held to write at this moment.
    ///
    /// As [`is_locked`](RwLock::is_locked). A writer that still waits for readers does not count.
    #[must_use]
    pub fn is_locked_exclusive(&self) -> bool {
        !self.location.forked() && self.raw().is_locked(&self.location, false)
    }

    /// Returns whether the lock is poisoned.
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

/// A [`RwLock`] that is locked to read. Dropping the guard unlocks it. It belongs to its thread.
#[must_use = "it unlocks at once if it is not kept"]
pub struct RwLockReadGuard<'a, T: Value + ?Sized> {
    lock: &'a RwLock<T>,
    value: NonNull<T>,
    me: u64,
}

/// A [`RwLock`] that is locked to write. Dropping the guard unlocks it. It belongs to its thread.
#[must_use = "it unlocks at once if it is not kept"]
pub struct RwLockWriteGuard<'a, T: Value + ?Sized> {
    lock: &'a RwLock<T>,
    value: NonNull<T>,
    me: u64,
    panicking: bool,
}

/// A [`RwLock`] that is locked to read, by the one reader that can become the writer.
///
/// Dropping the guard unlocks it. It belongs to its thread.
#[must_use = "it unlocks at once if it is not kept"]
pub struct RwLockUpgradableGuard<'a, T: Value + ?Sized> {
    lock: &'a RwLock<T>,
    value: NonNull<T>,
    me: u64,
}

// SAFETY: a shared guard gives access to `&T` only. (No guard is Send: the thread is the owner.)
unsafe impl<T: Value + ?Sized> Sync for RwLockReadGuard<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Value + ?Sized> Sync for RwLockWriteGuard<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Value + ?Sized> Sync for RwLockUpgradableGuard<'_, T> {}

impl<T: Value + ?Sized> RwLockReadGuard<'_, T> {
    /// Unlocks, and returns whether that was possible.
    ///
    /// # Errors
    ///
    /// As [`MutexGuard::unlock`](super::MutexGuard::unlock).
    pub fn unlock(guard: Self) -> Result<(), Refused> {
        ManuallyDrop::new(guard).give_back()
    }

    #[inline(always)]
    fn give_back(&self) -> Result<(), Refused> {
        let location = &self.lock.location;
        location.check()?;
        thread::has_read(location.key());
        self.lock.raw().unlock_read(location, self.me)
    }
}

impl<'a, T: Value + ?Sized> RwLockWriteGuard<'a, T> {
    fn new(lock: &'a RwLock<T>, me: u64) -> Self {
        RwLockWriteGuard { lock, value: lock.value(), me, panicking: std::thread::panicking() }
    }

    /// Turns the writer into a reader, with no writer in between.
    ///
    /// # Errors
    ///
    /// - [`Forked`](Refused::Forked) in a forked process.
    /// - [`TooMany`](Refused::TooMany) if this process has too many readers.
    /// - [`NotOwner`](Refused::NotOwner) if a peer has written garbage.
    pub fn downgrade(guard: Self) -> Result<RwLockReadGuard<'a, T>, Refused> {
        let lock = guard.lock;
        lock.location.check()?;
        let guard = ManuallyDrop::new(guard);
        lock.raw().downgrade(&lock.location, guard.me)?;
        thread::returned();
        thread::reads(lock.location.key());
        Ok(RwLockReadGuard { lock, value: guard.value, me: guard.me })
    }

    /// Turns the writer into the upgradable reader, with no writer in between.
    ///
    /// # Errors
    ///
    /// As [`downgrade`](RwLockWriteGuard::downgrade).
    pub fn downgrade_to_upgradable(guard: Self) -> Result<RwLockUpgradableGuard<'a, T>, Refused> {
        let lock = guard.lock;
        lock.location.check()?;
        let guard = ManuallyDrop::new(guard);
        lock.raw().downgrade_to_upgradable(&lock.location, guard.me)?;
        Ok(RwLockUpgradableGuard { lock, value: guard.value, me: guard.me })
    }

    /// Unlocks, and returns whether that was possible.
    ///
    /// # Errors
    ///
    /// As [`MutexGuard::unlock`](super::MutexGuard::unlock).
    pub fn unlock(guard: Self) -> Result<(), Refused> {
        ManuallyDrop::new(guard).give_back()
    }

    fn give_back(&self) -> Result<(), Refused> {
        let lock = self.lock;
        lock.location.check()?;
        if !self.panicking && std::thread::panicking() {
            lock.raw().set_cause(Some(PoisonedBy::Panicked));
        }
        lock.raw().leave(&lock.location, self.me)?;
        thread::returned();
        Ok(())
    }
}

impl<'a, T: Value + ?Sized> RwLockUpgradableGuard<'a, T> {
    /// Waits until no other reader is left, and becomes the writer, with no writer in between.
    ///
    /// # Errors
    ///
    /// [`WouldDeadlock`](Refused::WouldDeadlock) if the calling thread has a read guard as well,
    /// others as [`RwLock::write`]. The upgradable guard is dropped then, which releases the lock.
    pub fn upgrade(self) -> LockResult<RwLockWriteGuard<'a, T>> {
        Ok(self.upgraded(Deadline::Never).map_err(|(failed, _)| failed)?)
    }

    /// Becomes the writer if no other reader is left.
    ///
    /// # Errors
    ///
    /// The upgradable guard, unchanged, if that is not possible at once or is refused.
    pub fn try_upgrade(self) -> Result<RwLockWriteGuard<'a, T>, Self> {
        self.upgraded(Deadline::Now).map_err(|(_, guard)| guard)
    }

    /// Becomes the writer as [`upgrade`](RwLockUpgradableGuard::upgrade), but waits no longer than
    /// `timeout`.
    ///
    /// # Errors
    ///
    /// As [`try_upgrade`](RwLockUpgradableGuard::try_upgrade), if the time has elapsed.
    pub fn upgrade_timeout(self, timeout: Duration) -> Result<RwLockWriteGuard<'a, T>, Self> {
        self.upgraded(Deadline::after(timeout)).map_err(|(_, guard)| guard)
    }

    /// Becomes the writer. On failure, returns the unchanged upgradable guard with the reason.
    #[allow(clippy::type_complexity, reason = "named once, here")]
    fn upgraded(
        self,
        deadline: Deadline,
    ) -> Result<RwLockWriteGuard<'a, T>, (Failure<RwLockWriteGuard<'a, T>>, Self)> {
        let (lock, me) = (self.lock, self.me);
        let result = lock.not_reading(deadline).and_then(|()| {
            lock.raw()
                .upgrade(&lock.location, me, deadline)
                .map_err(|error: LockAttemptError| Failure::from(error))
        });
        match result {
            Ok(()) => {
                std::mem::forget(self);
                // No thread wrote since this guard was taken. The holder knows whether the lock was
                // poisoned then.
                Ok(RwLockWriteGuard::new(lock, me))
            }
            Err(failed) => Err((failed, self)),
        }
    }

    /// Turns the upgradable reader into an ordinary reader.
    ///
    /// # Errors
    ///
    /// As [`RwLockWriteGuard::downgrade`].
    pub fn downgrade(guard: Self) -> Result<RwLockReadGuard<'a, T>, Refused> {
        let lock = guard.lock;
        lock.location.check()?;
        let guard = ManuallyDrop::new(guard);
        lock.raw().downgrade(&lock.location, guard.me)?;
        thread::returned();
        thread::reads(lock.location.key());
        Ok(RwLockReadGuard { lock, value: guard.value, me: guard.me })
    }

    fn give_back(&self) -> Result<(), Refused> {
        self.lock.location.check()?;
        self.lock.raw().leave(&self.lock.location, self.me)?;
        thread::returned();
        Ok(())
    }
}

/// The traits that all three guards implement.
macro_rules! guard {
    ($guard:ident) => {
        impl<T: Value + ?Sized> Deref for $guard<'_, T> {
            type Target = T;

            #[inline(always)]
            fn deref(&self) -> &T {
                // SAFETY: the value lies there. It is mapped as long as its location lives
                // (`parts`, checked by `LockLocation::find`), and aligned (`LockKind::align`). Its
                // bytes are a value: any are, or `taken` or `read_at_once` has checked them before
                // it returned the guard. The lock is held. So no thread writes meanwhile, as long
                // as peers keep the protocol (at the type), or the holder borrows its guard
                // mutably.
                unsafe { self.value.as_ref() }
            }
        }

        impl<T: Value + ?Sized> Drop for $guard<'_, T> {
            #[inline(always)]
            fn drop(&mut self) {
                // A failure leaves the lock as it is.
                let _ = self.give_back();
            }
        }

        impl<T: Value + ?Sized + fmt::Debug> fmt::Debug for $guard<'_, T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                (**self).fmt(f)
            }
        }
    };
}

guard!(RwLockReadGuard);
guard!(RwLockWriteGuard);
guard!(RwLockUpgradableGuard);

impl<T: Value + ?Sized> DerefMut for RwLockWriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`. The lock is held to write, and the guard is borrowed mutably.
        unsafe { self.value.as_mut() }
    }
}

impl<T: Value + ?Sized> Clone for RwLock<T> {
    fn clone(&self) -> Self {
        RwLock { location: self.location.clone(), ..*self }
    }
}

impl<T: Value + ?Sized> Serialize for RwLock<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.location.serialize(serializer)
    }
}

impl<'de, T: Value + ?Sized> Deserialize<'de> for RwLock<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let location = LockLocation::deserialize(deserializer, Self::kind(), Self::count)?;
        Self::at_location(location).map_err(serde::de::Error::custom)
    }
}

impl<T: Value + ?Sized> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RwLock")
            .field("location", &self.location)
            .field("poisoned", &self.is_poisoned())
            .finish()
    }
}
