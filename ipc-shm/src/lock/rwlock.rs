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

use super::guard::{HeldLock, Protects, RawLock, attempts, lending_guard, poisoning};
use super::handle::{Handle, create_by_name, handle, over_values};
use super::location::{self, HEAD, LockKind, LockLocation};
use super::poison::{
    Failure, LockAttemptError, LockError, LockResult, LockTimeoutResult, PoisonError, PoisonedBy,
    Refused, TryLockResult,
};
use super::raw::rwlock::RawRwLock;
use super::raw::{index_of, words_for};
use super::thread;
use super::value::{self, NO_VALUE, Value};
use super::word::{LockEnv, id, owner};
use crate::segment::{OpenMode, Segment};
use crate::value::checked::Checked;
use crate::value::object::ObjectSlot;

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
    pub(super) location: LockLocation,
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
    let value = location::after::<T>(READERS + words_for(participants));
    Some((value, value.checked_add(value::words::<T>(len)?)?))
}

/// Returns the index of the first word of the value.
fn value_at<T: Value + ?Sized>(location: &LockLocation) -> usize {
    parts::<T>(location.len, location.max_participants()).expect("it has been placed").0
}

impl<T: Value + ?Sized> Handle for RwLock<T> {
    fn kind() -> LockKind {
        let name = if T::MANY { "RwLock of a slice" } else { "RwLock" };
        LockKind::over::<T>(name, |len, participants| Some(parts::<T>(len, participants)?.1))
    }

    fn of(location: LockLocation) -> io::Result<Self> {
        let value_at = value_at::<T>(&location);
        let readers = words_for(location.max_participants());
        let mine = READERS + index_of(readers, id(owner(location.me)));
        Ok(RwLock { location, readers, mine, value_at, _value: PhantomData })
    }
}

handle!([T: Value + ?Sized] RwLock<T>);
over_values!(
    RwLock,
    "lock",
    "read",
    "It takes one word for each participant that the segment can have, and some more."
);

impl<T: Value + ?Sized> RwLock<T> {
    fn make(slot: ObjectSlot<'_>, value: &T) -> io::Result<Self> {
        Self::make_filled(slot, value.items().len(), |location| {
            value::write(&location.words()[value_at::<T>(location)..], value);
            Ok(())
        })
    }

    fn copied(&self) -> LockResult<T::Own, ()> {
        let guard = self.read().map_err(LockError::without_guard)?;
        let copy = T::read(&self.location.words()[self.value_at..], self.location.len);
        drop(guard);
        copy.ok_or(LockError::Refused(NO_VALUE))
    }
}

impl<T: Checked + Send + Sync> RwLock<T> {
    /// Replaces the value. Waits as [`write`](RwLock::write).
    ///
    /// If the process is killed meanwhile, the lock is poisoned.
    ///
    /// # Errors
    ///
    /// As [`write`](RwLock::write). The value is not set then, and the lock is not held.
    pub fn set(&self, value: T) -> LockResult<(), ()> {
        let guard = RwLockWriteGuard::from(HeldLock::unchecked(self, Deadline::Never)?);
        if let Some(cause) = self.cause() {
            return Err(LockError::Poisoned(PoisonError::new((), cause)));
        }
        value::write(&self.location.words()[self.value_at..], &value);
        drop(guard);
        Ok(())
    }
}

/// The modes in which a thread holds a readers-writer lock.
pub(crate) enum Read {}
pub(crate) enum Write {}
pub(crate) enum Upgradable {}

impl<T: Value + ?Sized> Protects for RwLock<T> {
    type Value = T;

    #[inline(always)]
    fn location(&self) -> &LockLocation {
        &self.location
    }

    #[inline(always)]
    fn value(&self) -> NonNull<T> {
        self.location.value(self.value_at)
    }

    #[inline(always)]
    fn is_valid(&self) -> bool {
        self.location.is_valid::<T>(self.value_at)
    }

    #[inline(always)]
    fn cause(&self) -> Option<PoisonedBy> {
        self.raw().cause()
    }

    fn set_cause(&self, cause: Option<PoisonedBy>) {
        self.raw().set_cause(cause);
    }
}

impl<T: Value + ?Sized> RawLock<Read> for RwLock<T> {
    const POISONS: bool = false;

    #[inline(always)]
    fn acquire_now(&self, me: u64) -> bool {
        // A thread that already reads may pass a waiting writer. `acquire` handles that case.
        let acquired = self.raw().try_read(&self.location, me, false);
        if acquired {
            thread::record_read(self.location.key());
        }
        acquired
    }

    fn acquire(&self, me: u64, deadline: Deadline) -> Result<(), LockAttemptError> {
        let key = self.location.key();
        self.raw().read(&self.location, me, thread::is_reading(key), deadline)?;
        thread::record_read(key);
        Ok(())
    }

    #[inline(always)]
    fn release(&self, me: u64) -> Result<(), Refused> {
        thread::forget_read(self.location.key());
        self.raw().unlock_read(&self.location, me)
    }
}

impl<T: Value + ?Sized> RawLock<Write> for RwLock<T> {
    const FAST: bool = false;

    fn acquire(&self, me: u64, deadline: Deadline) -> Result<(), LockAttemptError> {
        self.not_reading(deadline)?;
        self.raw().write(&self.location, me, deadline)?;
        thread::count_acquired();
        Ok(())
    }

    fn release(&self, me: u64) -> Result<(), Refused> {
        self.leave(me)
    }
}

impl<T: Value + ?Sized> RawLock<Upgradable> for RwLock<T> {
    const FAST: bool = false;
    const POISONS: bool = false;

    fn acquire(&self, me: u64, deadline: Deadline) -> Result<(), LockAttemptError> {
        let reading = thread::is_reading(self.location.key());
        self.raw().upgradable(&self.location, me, reading, deadline)?;
        thread::count_acquired();
        Ok(())
    }

    fn release(&self, me: u64) -> Result<(), Refused> {
        self.leave(me)
    }
}

impl<T: Value + ?Sized> RwLock<T> {
    #[inline(always)]
    pub(super) fn raw(&self) -> RawRwLock<'_> {
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

    /// Refuses to wait if the calling thread reads, because it would wait for itself for ever.
    pub(super) fn not_reading(&self, deadline: Deadline) -> Result<(), LockAttemptError> {
        match thread::is_reading(self.location.key()) {
            false => Ok(()),
            true if deadline == Deadline::Now => Err(LockAttemptError::Busy),
            true => Err(Refused::WouldDeadlock.into()),
        }
    }

    /// Releases the lock of the writer, or of the upgradable reader.
    fn leave(&self, me: u64) -> Result<(), Refused> {
        self.raw().leave(&self.location, me)?;
        thread::count_released();
        Ok(())
    }

    /// Turns the writer, or the upgradable reader, into an ordinary reader.
    fn downgrade(&self, me: u64) -> Result<RwLockReadGuard<'_, T>, Refused> {
        self.location.check()?;
        self.raw().downgrade(&self.location, me)?;
        thread::count_released();
        thread::record_read(self.location.key());
        Ok(HeldLock::new(self, me).into())
    }

    attempts! {
        Read => RwLockReadGuard<'_, T>;
        /// Waits until no writer holds the lock or waits for it, and locks it to read.
        ///
        /// # Errors
        ///
        /// - [`Poisoned`](super::LockError::Poisoned), with the guard, if a thread panicked or a
        ///   process died while it wrote.
        /// - [`Refused`](super::LockError::Refused) if the calling thread writes, in a forked
        ///   process, and if the memory is corrupt.
        #[inline(always)]
        read;
        /// Locks to read if no writer holds the lock or waits for it.
        ///
        /// # Errors
        ///
        /// [`WouldBlock`](super::TryLockError::WouldBlock) if a writer does, others as
        /// [`read`](RwLock::read).
        #[inline]
        try_read;
        read_timeout, read_deadline
    }

    attempts! {
        Write => RwLockWriteGuard<'_, T>;
        /// Waits until no other thread holds the lock, and locks it to write.
        ///
        /// # Errors
        ///
        /// - [`Poisoned`](super::LockError::Poisoned), with the guard, if a thread panicked or a
        ///   process died while it wrote.
        /// - [`Refused`](super::LockError::Refused) if the calling thread reads or writes
        ///   ([`WouldDeadlock`](Refused::WouldDeadlock)), in a forked process, and if the memory is
        ///   corrupt.
        write;
        /// Locks to write if no other thread holds the lock.
        ///
        /// # Errors
        ///
        /// [`WouldBlock`](super::TryLockError::WouldBlock) if a thread holds the lock, also if this
        /// is the calling thread. Others as [`write`](RwLock::write).
        try_write;
        write_timeout, write_deadline
    }

    attempts! {
        Upgradable => RwLockUpgradableGuard<'_, T>;
        /// Locks to read, as the one reader that can [upgrade](RwLockUpgradableGuard::upgrade).
        ///
        /// Waits while a writer or another upgradable reader holds the lock. A thread that already
        /// reads may call it as well. To upgrade, it must drop its read guards first.
        ///
        /// # Errors
        ///
        /// As [`read`](RwLock::read). [`WouldDeadlock`](Refused::WouldDeadlock) also if the calling
        /// thread reads and a writer waits for this read to end.
        upgradable_read;
        /// Locks as [`upgradable_read`](RwLock::upgradable_read) if that is possible at once.
        ///
        /// # Errors
        ///
        /// [`WouldBlock`](super::TryLockError::WouldBlock) if a writer or another upgradable reader
        /// holds the lock, others as [`read`](RwLock::read).
        try_upgradable_read
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

    poisoning!();
}

lending_guard! {
    /// A [`RwLock`] that is locked to read.
    ///
    /// Dropping the guard unlocks it. It belongs to its thread.
    RwLockReadGuard, RwLock, Read
}

lending_guard! {
    mut
    /// A [`RwLock`] that is locked to write.
    ///
    /// Dropping the guard unlocks it. It belongs to its thread.
    RwLockWriteGuard, RwLock, Write
}

lending_guard! {
    /// A [`RwLock`] that is locked to read, by the one reader that can become the writer.
    ///
    /// Dropping the guard unlocks it. It belongs to its thread.
    RwLockUpgradableGuard, RwLock, Upgradable
}

impl<T: Value + ?Sized> RwLockReadGuard<'_, T> {
    /// Unlocks, and returns whether that was possible.
    ///
    /// # Errors
    ///
    /// As [`MutexGuard::unlock`](super::MutexGuard::unlock).
    pub fn unlock(guard: Self) -> Result<(), Refused> {
        ManuallyDrop::new(guard).held.release()
    }
}

impl<'a, T: Value + ?Sized> RwLockWriteGuard<'a, T> {
    /// Turns the writer into a reader, with no writer in between.
    ///
    /// # Errors
    ///
    /// - [`Forked`](Refused::Forked) in a forked process.
    /// - [`TooMany`](Refused::TooMany) if this process has too many readers.
    /// - [`NotOwner`](Refused::NotOwner) if a peer has written garbage.
    pub fn downgrade(guard: Self) -> Result<RwLockReadGuard<'a, T>, Refused> {
        let held = ManuallyDrop::new(guard).held;
        held.lock.downgrade(held.me())
    }

    /// Turns the writer into the upgradable reader, with no writer in between.
    ///
    /// # Errors
    ///
    /// As [`downgrade`](RwLockWriteGuard::downgrade).
    pub fn downgrade_to_upgradable(guard: Self) -> Result<RwLockUpgradableGuard<'a, T>, Refused> {
        let held = ManuallyDrop::new(guard).held;
        let (lock, me) = (held.lock, held.me());
        lock.location.check()?;
        lock.raw().downgrade_to_upgradable(&lock.location, me)?;
        Ok(HeldLock::new(lock, me).into())
    }

    /// Unlocks, and returns whether that was possible.
    ///
    /// # Errors
    ///
    /// As [`MutexGuard::unlock`](super::MutexGuard::unlock).
    pub fn unlock(guard: Self) -> Result<(), Refused> {
        ManuallyDrop::new(guard).held.release()
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
        let (lock, me) = (self.held.lock, self.held.me());
        let upgrade = || {
            lock.location.check()?;
            lock.not_reading(deadline)?;
            lock.raw().upgrade(&lock.location, me, deadline)
        };
        match upgrade() {
            Ok(()) => {
                std::mem::forget(self);
                // No thread wrote since this guard was taken. The holder knows whether the lock was
                // poisoned then.
                Ok(HeldLock::new(lock, me).into())
            }
            Err(error) => Err((error.into(), self)),
        }
    }

    /// Turns the upgradable reader into an ordinary reader.
    ///
    /// # Errors
    ///
    /// As [`RwLockWriteGuard::downgrade`].
    pub fn downgrade(guard: Self) -> Result<RwLockReadGuard<'a, T>, Refused> {
        let held = ManuallyDrop::new(guard).held;
        held.lock.downgrade(held.me())
    }
}

impl<T: Value + ?Sized> Clone for RwLock<T> {
    fn clone(&self) -> Self {
        RwLock { location: self.location.clone(), ..*self }
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
