//! Mutual exclusion between processes.

// Lends the value that a held lock protects, in place.
#![allow(unsafe_code)]

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::time::{Duration, Instant};

use ipc_core::Deadline;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::location::{HEAD, LockKind, LockLocation, LockSlot, create_by_name, open_or_find};
use super::poison::{
    Failure, LockResult, LockTimeoutResult, PoisonError, PoisonedBy, Refused, TryLockResult,
};
use super::raw::mutex::{RawMutex, UPDATING};
use super::thread;
use super::value::{self, NO_VALUE, Value};
use super::word::{CONTENDED, FLAGS, LockEnv};
use crate::killpoint::kill_point;
use crate::segment::{OpenMode, Segment};
use crate::sync::AtomicU64;
use crate::sync::Ordering::{Relaxed, Release};
use crate::value::checked::Checked;

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
/// | is killed inside [`update`](Mutex::update) | gets the old value, not poisoned |
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
    location: LockLocation,
    /// The index of the first word of each copy of the value.
    copies: [usize; 2],
    _value: PhantomData<T>,
}

/// The lock's own words: the two of the raw lock, the index of the current copy, and the copies.
const STATE: usize = 0;
const MARK: usize = 1;
const TURN: usize = 2;
const COPIES: usize = 3;

/// Returns the index of the first word of each copy, and the number of words in all.
fn copies<T: Value + ?Sized>(len: usize) -> Option<([usize; 2], usize)> {
    let align = value::align::<T>();
    let words = value::words::<T>(len)?;
    let first = (HEAD + COPIES).next_multiple_of(align) - HEAD;
    let second = (HEAD + first).checked_add(words)?.checked_next_multiple_of(align)? - HEAD;
    Some(([first, second], second.checked_add(words)?))
}

/// Makes, opens and finds mutexes, over one value or a slice.
impl<T: Value + ?Sized> Mutex<T> {
    fn kind() -> LockKind {
        LockKind::of::<T::Item>(
            if T::MANY { "Mutex of a slice" } else { "Mutex" },
            value::align::<T>(),
        )
    }

    fn count(len: usize, _participants: usize) -> Option<usize> {
        Some(copies::<T>(len)?.1)
    }

    fn at_location(location: LockLocation) -> io::Result<Self> {
        let (copies, _) = copies::<T>(location.len).expect("it has been placed");
        Ok(Mutex { location, copies, _value: PhantomData })
    }

    fn make(slot: LockSlot<'_>, value: &T) -> io::Result<Self> {
        let fill = |location: &LockLocation| {
            let ([first, _], _) = copies::<T>(location.len).expect("it has been placed");
            value::write(&location.words()[first..], value);
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
}

impl<T: Checked + Send + Sync> Mutex<T> {
    /// Makes a mutex in an anonymous segment of its own.
    ///
    /// To put many into one segment, use [`new_in`](Mutex::new_in).
    ///
    /// # Errors
    ///
    /// As [`Segment::anonymous`].
    pub fn new(value: T) -> io::Result<Mutex<T>> {
        Self::make(LockSlot::Anonymous, &value)
    }

    /// Makes a mutex in a segment, next to the objects there.
    ///
    /// It takes 64 bytes or more, for as long as there is room.
    ///
    /// # Errors
    ///
    /// `StorageFull` if the segment has no room, `Unsupported` if another program made the segment.
    pub fn new_in(segment: &Segment, value: T) -> io::Result<Mutex<T>> {
        Self::make(LockSlot::In(segment), &value)
    }

    create_by_name!(value: T => &value);

    /// Returns a copy of the value. Waits as [`lock`](Mutex::lock).
    ///
    /// # Errors
    ///
    /// As [`lock`](Mutex::lock), but without a guard: the lock is not held then.
    pub fn get(&self) -> LockResult<T, ()> {
        self.copied()
    }

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

impl<T: Checked + Send + Sync> Mutex<[T]> {
    /// Makes a mutex over a slice, in an anonymous segment of its own.
    ///
    /// # Errors
    ///
    /// As [`Segment::anonymous`].
    pub fn from_slice(values: &[T]) -> io::Result<Mutex<[T]>> {
        Self::make(LockSlot::Anonymous, values)
    }

    /// Makes a mutex over a slice, in a segment.
    ///
    /// # Errors
    ///
    /// As [`Mutex::new_in`].
    pub fn from_slice_in(segment: &Segment, values: &[T]) -> io::Result<Mutex<[T]>> {
        Self::make(LockSlot::In(segment), values)
    }

    /// Makes a mutex over a slice, in a segment of its own with this name.
    ///
    /// # Errors
    ///
    /// As [`Segment::create`].
    pub fn create_from_slice(name: &str, values: &[T]) -> io::Result<Mutex<[T]>> {
        Self::make(LockSlot::Named(OpenMode::Create, name), values)
    }

    /// Returns a copy of the values. Waits as [`lock`](Mutex::lock).
    ///
    /// # Errors
    ///
    /// As [`lock`](Mutex::lock), but without a guard: the lock is not held then.
    pub fn to_vec(&self) -> LockResult<Vec<T>, ()> {
        self.copied().map(Vec::from)
    }
}

impl<T: Value + ?Sized> Mutex<T> {
    #[inline(always)]
    fn raw(&self) -> RawMutex<'_> {
        let words = self.location.words();
        RawMutex { state: &words[STATE], mark: &words[MARK] }
    }

    #[inline(always)]
    fn turn(&self) -> &AtomicU64 {
        &self.location.words()[TURN]
    }

    /// Returns the first word of the current copy, and of the other copy. For the holder.
    #[inline(always)]
    fn places(&self) -> (usize, usize) {
        // The index is one of the two, whatever a peer wrote there. Relaxed: the lock orders it.
        let turn = (self.turn().load(Relaxed) & 1) as usize;
        (self.copies[turn], self.copies[turn ^ 1])
    }

    /// Returns whether the bytes of the current copy are a value. For the holder.
    #[inline(always)]
    fn is_valid(&self) -> bool {
        let (at, _) = self.places();
        self.location.is_valid::<T>(at)
    }

    /// Waits until the mutex is free, and locks it.
    ///
    /// Blocks: spins for a moment, then sleeps. Detects the death of the holder within 50 ms.
    ///
    /// # Errors
    ///
    /// - [`Poisoned`](super::LockError::Poisoned), with the guard, if a thread panicked or a
    ///   process died while it held the lock. This lasts until
    ///   [`clear_poison`](Mutex::clear_poison).
    /// - [`Refused`](super::LockError::Refused), without the lock, if the calling thread already
    ///   holds it, in a forked process, and if the memory is corrupt.
    #[inline]
    pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        if let Some(guard) = self.fast() {
            return Ok(guard);
        }
        Ok(self.acquire(Deadline::Never)?)
    }

    /// Locks the mutex if it is free, or if its holder is dead.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](super::TryLockError::WouldBlock) if a live thread holds the lock, also if
    /// this is the calling thread. Others as [`lock`](Mutex::lock).
    #[inline]
    pub fn try_lock(&self) -> TryLockResult<MutexGuard<'_, T>> {
        if let Some(guard) = self.fast() {
            return Ok(guard);
        }
        Ok(self.acquire(Deadline::Now)?)
    }

    /// Locks the mutex as [`lock`](Mutex::lock), but waits no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// [`Timeout`](super::LockTimeoutError::Timeout) if the time has elapsed, others as
    /// [`lock`](Mutex::lock).
    pub fn lock_timeout(&self, timeout: Duration) -> LockTimeoutResult<MutexGuard<'_, T>> {
        Ok(self.acquire(Deadline::after(timeout))?)
    }

    /// Locks the mutex as [`lock`](Mutex::lock), but waits no longer than until `deadline`.
    ///
    /// # Errors
    ///
    /// [`Timeout`](super::LockTimeoutError::Timeout) if the deadline has passed, others as
    /// [`lock`](Mutex::lock).
    pub fn lock_deadline(&self, deadline: Instant) -> LockTimeoutResult<MutexGuard<'_, T>> {
        Ok(self.acquire(Deadline::At(deadline))?)
    }

    /// Acquires the lock if it is free, sound and not poisoned. The fast path uses registers only.
    #[inline(always)]
    fn fast(&self) -> Option<MutexGuard<'_, T>> {
        if self.location.forked() {
            return None;
        }
        let me = self.location.me();
        if !self.raw().try_now(me) {
            return None;
        }
        if self.raw().cause().is_some() || !self.is_valid() {
            // The slow path acquires it again, and returns the reason.
            let _ = self.raw().unlock(&self.location, me);
            return None;
        }
        Some(MutexGuard::new(self, me))
    }

    #[cold]
    #[inline(never)]
    fn acquire(&self, deadline: Deadline) -> Result<MutexGuard<'_, T>, Failure<MutexGuard<'_, T>>> {
        let me = self.take(0, deadline)?;
        self.taken(me)
    }

    /// Returns the guard of a lock that `me` holds, or why there is none.
    #[cold]
    fn taken(&self, me: u64) -> Result<MutexGuard<'_, T>, Failure<MutexGuard<'_, T>>> {
        if !self.is_valid() {
            // This fails only if a peer breaks the protocol. Then there is nothing to release.
            let _ = self.raw().unlock(&self.location, me);
            return Err(NO_VALUE.into());
        }
        let guard = MutexGuard::new(self, me);
        match self.raw().cause() {
            None => Ok(guard),
            Some(cause) => Err(Failure::Poisoned(PoisonError::new(guard, cause))),
        }
    }

    /// Acquires the raw lock.
    #[inline(always)]
    fn take<G>(&self, mode: u64, deadline: Deadline) -> Result<u64, Failure<G>> {
        self.location.check()?;
        let me = self.location.me() | mode;
        if !self.raw().try_now(me) {
            self.raw().lock(&self.location, me, deadline)?;
        }
        Ok(me)
    }

    /// Changes the value as a transaction: `change` edits a copy, and one flip makes it the value.
    ///
    /// If the process is killed inside, the old value stays, never a mixture, and the mutex is not
    /// poisoned. The same holds if `change` panics. The call costs two copies of the value. Waits
    /// as [`lock`](Mutex::lock).
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
        let me = self.take(UPDATING, Deadline::Never)?;
        let updating = Updating { mutex: self, me };
        match self.raw().cause() {
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
        let turn = self.turn().load(Relaxed); // Relaxed: the lock orders it.
        // Release: a process that sees the flip of a dead process sees the copy that was written
        // before.
        self.turn().store(!turn & 1, Release);
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

    /// Returns whether the mutex is poisoned.
    ///
    /// Another thread may poison it or end the poisoning before this call returns.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        !self.location.forked() && self.raw().cause().is_some()
    }

    /// Ends the poisoning, because the value is whole again. Call it while holding the guard.
    ///
    /// Does nothing in a forked process.
    pub fn clear_poison(&self) {
        if !self.location.forked() {
            self.raw().set_cause(None);
        }
    }

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
        thread::returned();
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

/// A locked [`Mutex`]. Dropping the guard unlocks it. The guard belongs to its thread.
///
/// The value that it lends does not change as long as peers keep the protocol: see [`Mutex`].
#[must_use = "it unlocks at once if it is not kept"]
pub struct MutexGuard<'a, T: Value + ?Sized> {
    mutex: &'a Mutex<T>,
    /// The holder, with [`PANICKING`] if the thread was panicking when it locked.
    me: u64,
    /// Not Send.
    _thread: PhantomData<*const ()>,
}

/// A flag of the guard that no lock word has.
const PANICKING: u64 = 4;
const _: () = assert!(PANICKING & FLAGS != 0 && PANICKING & (CONTENDED | UPDATING) == 0);

// SAFETY: a shared guard gives access to `&T` only. (The guard is not Send: the thread is the
// owner.)
unsafe impl<T: Value + ?Sized> Sync for MutexGuard<'_, T> {}

impl<'a, T: Value + ?Sized> MutexGuard<'a, T> {
    /// Makes the guard of a lock that `me` holds, over bytes that are a value
    /// ([`Mutex::is_valid`]).
    #[inline(always)]
    fn new(mutex: &'a Mutex<T>, me: u64) -> Self {
        thread::took();
        let panicking = if std::thread::panicking() { PANICKING } else { 0 };
        MutexGuard { mutex, me: me | panicking, _thread: PhantomData }
    }

    #[inline(always)]
    fn value(&self) -> NonNull<T> {
        self.mutex.location.value(self.mutex.places().0)
    }

    /// Returns the mutex.
    pub fn mutex(guard: &Self) -> &'a Mutex<T> {
        guard.mutex
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
        let mut guard = std::mem::ManuallyDrop::new(guard);
        guard.give_back()
    }

    #[inline(always)]
    fn give_back(&mut self) -> Result<(), Refused> {
        let mutex = self.mutex;
        mutex.location.check()?;
        if std::thread::panicking() && self.me & PANICKING == 0 {
            mutex.raw().set_cause(Some(PoisonedBy::Panicked));
        }
        mutex.raw().unlock(&mutex.location, self.me & !PANICKING)?;
        thread::returned();
        Ok(())
    }
}

impl<T: Value + ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: the current copy of the value lies there. It is mapped as long as its location
        // lives (`places`, `copies`, checked by `LockLocation::find`), and aligned
        // (`LockKind::align`). Its bytes are a value: any are, or they were checked (`is_valid`),
        // also those that a dead holder left half written. This thread holds the lock, so no thread
        // writes meanwhile, as long as peers keep the protocol (at the type).
        unsafe { self.value().as_ref() }
    }
}

impl<T: Value + ?Sized> DerefMut for MutexGuard<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`. The guard is borrowed mutably, so no other code in this process
        // reads the value.
        unsafe { self.value().as_mut() }
    }
}

impl<T: Value + ?Sized> Drop for MutexGuard<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        // A failure leaves the lock as it is. `unlock` reports it.
        let _ = self.give_back();
    }
}

impl<T: Value + ?Sized> Clone for Mutex<T> {
    fn clone(&self) -> Self {
        Mutex { location: self.location.clone(), ..*self }
    }
}

impl<T: Value + ?Sized> Serialize for Mutex<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.location.serialize(serializer)
    }
}

impl<'de, T: Value + ?Sized> Deserialize<'de> for Mutex<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let location = LockLocation::deserialize(deserializer, Self::kind(), Self::count)?;
        Self::at_location(location).map_err(serde::de::Error::custom)
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

impl<T: Value + ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
