//! Many readers or one writer, between processes.

// Hands out what a held lock protects, in place.
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
use crate::checked::Checked;
use crate::segment::{OpenMode, Segment};

/// Many readers or one writer: [`std::sync::RwLock`] in shared memory.
///
/// Readers of different processes share no cache line that they write, and do not slow each other
/// down; a writer looks at each process' count, and costs more than a [`Mutex`](super::Mutex)'s
/// owner.
///
/// *Preference*: writers. One that waits keeps new readers out; a thread that reads already may
/// read again all the same. An [upgradable](RwLock::upgradable_read) reader shares with readers,
/// and is the only one that can become the writer with nobody in between.
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
/// Reading: it is subtracted. Writing: the next one, reader or writer, is told
/// [`OwnerDied`](PoisonedBy::OwnerDied) with the guard. Waiting, or with an upgradable guard:
/// nothing.
///
/// # Peers
///
/// As for a [`Mutex`](super::Mutex): guards lend in place, which is sound against peers that keep
/// the protocol. [`get`](RwLock::get) and [`set`](RwLock::set) copy. Bytes that are no value, such
/// as 2 for a `bool`, are [`Refused::Corrupt`], and [`set`](RwLock::set) repairs them.
pub struct RwLock<T: Value + ?Sized> {
    location: LockLocation,
    /// Where things lie, among the words of its location.
    readers: usize,
    mine: usize,
    value_at: usize,
    _value: PhantomData<T>,
}

const TURN: usize = 0;
const MARK: usize = 1;
const DRAINED: usize = 2;
const HIGHEST: usize = 3;
/// On a line of their own.
const READERS: usize = 8 - HEAD;

/// Where the value begins, and words in all.
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

    /// Makes a lock in a segment: a word for each participant that it can have, and some more.
    ///
    /// # Errors
    ///
    /// As [`Mutex::new_in`](super::Mutex::new_in).
    pub fn new_in(segment: &Segment, value: T) -> io::Result<RwLock<T>> {
        Self::make(LockSlot::In(segment), &value)
    }

    create_by_name!(value: T => &value);

    /// A copy of the value. Waits as [`read`](RwLock::read).
    ///
    /// # Errors
    ///
    /// As [`read`](RwLock::read).
    pub fn get(&self) -> LockResult<T, ()> {
        let guard = self.read().map_err(LockError::without_guard)?;
        let copy = T::read(&self.location.words()[self.value_at..], guard.lock.location.len);
        copy.ok_or(LockError::Refused(NO_VALUE))
    }

    /// Replaces the value. Waits as [`write`](RwLock::write). A process that is killed meanwhile
    /// poisons the lock.
    ///
    /// # Errors
    ///
    /// As [`write`](RwLock::write); the value is not set.
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
    /// Makes a lock over as many values, in an anonymous segment of its own.
    ///
    /// # Errors
    ///
    /// As [`RwLock::new`].
    pub fn from_slice(values: &[T]) -> io::Result<RwLock<[T]>> {
        Self::make(LockSlot::Anonymous, values)
    }

    /// As [`from_slice`](RwLock::from_slice), in a segment.
    ///
    /// # Errors
    ///
    /// As [`RwLock::new_in`].
    pub fn from_slice_in(segment: &Segment, values: &[T]) -> io::Result<RwLock<[T]>> {
        Self::make(LockSlot::In(segment), values)
    }

    /// As [`from_slice`](RwLock::from_slice), in a segment of its own that has this name.
    ///
    /// # Errors
    ///
    /// As [`RwLock::create`].
    pub fn create_from_slice(name: &str, values: &[T]) -> io::Result<RwLock<[T]>> {
        Self::make(LockSlot::Named(OpenMode::Create, name), values)
    }

    /// A copy of the values. Waits as [`read`](RwLock::read).
    ///
    /// # Errors
    ///
    /// As [`read`](RwLock::read).
    pub fn to_vec(&self) -> LockResult<Vec<T>, ()> {
        let guard = self.read().map_err(LockError::without_guard)?;
        let copy = <[T]>::read(&self.location.words()[self.value_at..], guard.lock.location.len);
        Ok(copy.ok_or(LockError::Refused(NO_VALUE))?.into_vec())
    }
}

/// Either the guard, or what the call answers instead.
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

    /// What is said of a lock that is held by this guard: a guard is handed out only over bytes
    /// that are a value.
    #[inline(always)]
    fn taken<G>(&self, guard: G) -> Got<G> {
        if !value::is_valid::<T>(&self.location, self.value_at) {
            return Err(NO_VALUE.into());
        }
        match self.raw().cause() {
            None => Ok(guard),
            Some(cause) => Err(Failure::Poisoned(PoisonError::new(guard, cause))),
        }
    }

    /// Locks it to read if no writer has it or waits for it and its value is sound. The guard stays
    /// in registers, because all of this is inlined.
    #[inline(always)]
    fn read_at_once(&self) -> Option<RwLockReadGuard<'_, T>> {
        if self.location.forked() {
            return None;
        }
        let (me, key, raw) = (self.location.me(), self.location.key(), self.raw());
        // A thread that reads already may pass a writer that waits: `read_with` sees to that.
        if !raw.try_read(&self.location, me, false) {
            return None;
        }
        if raw.cause().is_some() || !value::is_valid::<T>(&self.location, self.value_at) {
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

    /// A reader that waits for its own thread's reading to end waits for ever.
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

    /// Locks it to write, poisoned or not, whatever bytes lie there. The guard must not be asked
    /// for the value before they are checked, or written.
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

    /// Waits until no writer has it or waits for it, and locks it to read.
    ///
    /// # Errors
    ///
    /// [`Poisoned`](super::LockError::Poisoned), with the guard, if a thread panicked or a process
    /// died while it wrote. [`Refused`](super::LockError::Refused) if the calling thread writes, in
    /// a forked process, and if the memory is corrupt.
    #[inline(always)]
    pub fn read(&self) -> LockResult<RwLockReadGuard<'_, T>> {
        if let Some(guard) = self.read_at_once() {
            return Ok(guard);
        }
        Ok(self.read_with(Deadline::Never)?)
    }

    /// Locks it to read if no writer has it or waits for it.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](super::TryLockError::WouldBlock) if one does; others as
    /// [`read`](RwLock::read).
    #[inline]
    pub fn try_read(&self) -> TryLockResult<RwLockReadGuard<'_, T>> {
        if let Some(guard) = self.read_at_once() {
            return Ok(guard);
        }
        Ok(self.read_with(Deadline::Now)?)
    }

    /// As [`read`](RwLock::read), but waits no longer than this.
    ///
    /// # Errors
    ///
    /// [`Timeout`](super::LockTimeoutError::Timeout) if the time is over, others as
    /// [`read`](RwLock::read).
    pub fn read_timeout(&self, timeout: Duration) -> LockTimeoutResult<RwLockReadGuard<'_, T>> {
        Ok(self.read_with(Deadline::after(timeout))?)
    }

    /// As [`read`](RwLock::read), but waits no longer than until then.
    ///
    /// # Errors
    ///
    /// As [`read_timeout`](RwLock::read_timeout).
    pub fn read_deadline(&self, deadline: Instant) -> LockTimeoutResult<RwLockReadGuard<'_, T>> {
        Ok(self.read_with(Deadline::At(deadline))?)
    }

    /// Waits until nobody else has it, and locks it to write.
    ///
    /// # Errors
    ///
    /// As [`read`](RwLock::read); [`WouldDeadlock`](Refused::WouldDeadlock) also if the calling
    /// thread reads.
    pub fn write(&self) -> LockResult<RwLockWriteGuard<'_, T>> {
        Ok(self.write_with(Deadline::Never)?)
    }

    /// Locks it to write if nobody else has it.
    ///
    /// # Errors
    ///
    /// As [`try_read`](RwLock::try_read).
    pub fn try_write(&self) -> TryLockResult<RwLockWriteGuard<'_, T>> {
        Ok(self.write_with(Deadline::Now)?)
    }

    /// As [`write`](RwLock::write), but waits no longer than this.
    ///
    /// # Errors
    ///
    /// As [`read_timeout`](RwLock::read_timeout).
    pub fn write_timeout(&self, timeout: Duration) -> LockTimeoutResult<RwLockWriteGuard<'_, T>> {
        Ok(self.write_with(Deadline::after(timeout))?)
    }

    /// As [`write`](RwLock::write), but waits no longer than until then.
    ///
    /// # Errors
    ///
    /// As [`read_timeout`](RwLock::read_timeout).
    pub fn write_deadline(&self, deadline: Instant) -> LockTimeoutResult<RwLockWriteGuard<'_, T>> {
        Ok(self.write_with(Deadline::At(deadline))?)
    }

    /// Locks it to read, as the one reader that can [upgrade](RwLockUpgradableGuard::upgrade).
    ///
    /// Waits while a writer or another such reader has it. A thread that reads already may take it
    /// as well; to upgrade, it must drop its reader's guards first.
    ///
    /// # Errors
    ///
    /// As [`read`](RwLock::read). [`WouldDeadlock`](Refused::WouldDeadlock) also if the calling
    /// thread reads and a writer waits for it to end.
    pub fn upgradable_read(&self) -> LockResult<RwLockUpgradableGuard<'_, T>> {
        Ok(self.upgradable_with(Deadline::Never)?)
    }

    /// As [`upgradable_read`](RwLock::upgradable_read), if that is possible at once.
    ///
    /// # Errors
    ///
    /// As [`try_read`](RwLock::try_read).
    pub fn try_upgradable_read(&self) -> TryLockResult<RwLockUpgradableGuard<'_, T>> {
        Ok(self.upgradable_with(Deadline::Now)?)
    }

    /// Returns whether it is locked at this moment, to read or to write.
    ///
    /// Never blocks. What a dead process had locked is not locked. Another thread may change it
    /// before the answer is returned. A reader that is about to wait for a writer counts for a
    /// moment. False in a forked process.
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

    /// Returns whether it is locked to write at this moment.
    ///
    /// As [`is_locked`](RwLock::is_locked). A writer that still waits for readers does not count.
    #[must_use]
    pub fn is_locked_exclusive(&self) -> bool {
        !self.location.forked() && self.raw().is_locked(&self.location, false)
    }

    /// Whether it is poisoned.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        !self.location.forked() && self.raw().cause().is_some()
    }

    /// Ends the poisoning; in a forked process it does nothing.
    pub fn clear_poison(&self) {
        if !self.location.forked() {
            self.raw().set_cause(None);
        }
    }
}

/// A [`RwLock`] that is locked to read, until this is dropped. It belongs to its thread.
#[must_use = "it unlocks at once if it is not kept"]
pub struct RwLockReadGuard<'a, T: Value + ?Sized> {
    lock: &'a RwLock<T>,
    value: NonNull<T>,
    me: u64,
}

/// A [`RwLock`] that is locked to write, until this is dropped. It belongs to its thread.
#[must_use = "it unlocks at once if it is not kept"]
pub struct RwLockWriteGuard<'a, T: Value + ?Sized> {
    lock: &'a RwLock<T>,
    value: NonNull<T>,
    me: u64,
    panicking: bool,
}

/// A [`RwLock`] that is locked to read, and can become locked to write. It belongs to its thread.
#[must_use = "it unlocks at once if it is not kept"]
pub struct RwLockUpgradableGuard<'a, T: Value + ?Sized> {
    lock: &'a RwLock<T>,
    value: NonNull<T>,
    me: u64,
}

// SAFETY: through a shared guard there is only `&T`. (None is Send: the thread is the owner.)
unsafe impl<T: Value + ?Sized> Sync for RwLockReadGuard<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Value + ?Sized> Sync for RwLockWriteGuard<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Value + ?Sized> Sync for RwLockUpgradableGuard<'_, T> {}

impl<T: Value + ?Sized> RwLockReadGuard<'_, T> {
    /// Unlocks, and says whether that was possible.
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

    /// Becomes a reader, with no writer in between.
    ///
    /// # Errors
    ///
    /// [`Forked`](Refused::Forked), [`TooMany`](Refused::TooMany) readers in this process,
    /// [`NotOwner`](Refused::NotOwner) if somebody has scribbled.
    pub fn downgrade(guard: Self) -> Result<RwLockReadGuard<'a, T>, Refused> {
        let lock = guard.lock;
        lock.location.check()?;
        let guard = ManuallyDrop::new(guard);
        lock.raw().downgrade(&lock.location, guard.me)?;
        thread::returned();
        thread::reads(lock.location.key());
        Ok(RwLockReadGuard { lock, value: guard.value, me: guard.me })
    }

    /// Becomes the upgradable reader, with no writer in between.
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

    /// Unlocks, and says whether that was possible.
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
    /// Waits until no other reader is left, and becomes the writer: nobody writes in between.
    ///
    /// # Errors
    ///
    /// [`WouldDeadlock`](Refused::WouldDeadlock) if the calling thread has a reader's guard as
    /// well; others as [`RwLock::write`]. The upgradable guard is given back then.
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

    /// As [`upgrade`](RwLockUpgradableGuard::upgrade), but waits no longer than this.
    ///
    /// # Errors
    ///
    /// As [`try_upgrade`](RwLockUpgradableGuard::try_upgrade), when the time is over.
    pub fn upgrade_timeout(self, timeout: Duration) -> Result<RwLockWriteGuard<'a, T>, Self> {
        self.upgraded(Deadline::after(timeout)).map_err(|(_, guard)| guard)
    }

    /// The upgradable guard comes back where nothing has changed.
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
                // Nobody wrote since this guard was taken, poisoned or not: its holder knows.
                Ok(RwLockWriteGuard::new(lock, me))
            }
            Err(failed) => Err((failed, self)),
        }
    }

    /// Becomes a reader among others.
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

/// What all three guards do.
macro_rules! guard {
    ($guard:ident) => {
        impl<T: Value + ?Sized> Deref for $guard<'_, T> {
            type Target = T;

            #[inline(always)]
            fn deref(&self) -> &T {
                // SAFETY: the value lies there, mapped as long as its location lives (`parts`,
                // checked by `LockLocation::find`), aligned (`LockKind::align`). Its bytes are a
                // value: any are, or `taken` has checked them before the guard was handed out. The
                // lock is held, so nobody writes meanwhile, as long as peers keep the protocol (at
                // the type), or the holder borrows its guard mutably.
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
        // SAFETY: as in `deref`; it is held to write, and the guard is borrowed mutably.
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
