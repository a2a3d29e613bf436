//! Mutual exclusion between processes.

// Hands out what a held lock protects, in place.
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
use crate::checked::Checked;
use crate::killpoint::kill_point;
use crate::segment::{OpenMode, Segment};
use crate::sync::AtomicU64;
use crate::sync::Ordering::{Relaxed, Release};

/// Mutual exclusion between processes, for data of fixed size or a slice of it:
/// [`std::sync::Mutex`] in shared memory.
///
/// The value lies in the segment, twice: one copy is the value, the other is where
/// [`update`](Mutex::update) writes the next one. A handle is cloned, sent to other processes, or
/// opened there.
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
/// With the guard in its hands: the next one to lock is told [`OwnerDied`](PoisonedBy::OwnerDied)
/// with the guard ([`PoisonError`]), within 50 ms if it waits, most within some. Inside `update`:
/// the old value stays, and nobody is told. Stopped (SIGSTOP), it is alive: nothing is taken from
/// it.
///
/// # Peers
///
/// The guard lends the value where it lies. That it stands still while the lock is held is the
/// promise of peers that keep the protocol, as everything that goes through this crate does. One
/// that writes there all the same breaks the rules of Rust's references for us: among processes
/// that do not trust each other use [`get`](Mutex::get), [`set`](Mutex::set) and
/// [`update`](Mutex::update), which copy, and work on any bytes.
///
/// Of a type such as `bool` not all bytes are a value ([`Checked`]). They are checked whenever the
/// mutex is locked. If they are no value, each call answers [`Refused::Corrupt`], unlocked, and
/// [`set`](Mutex::set) repairs it, after [`clear_poison`](Mutex::clear_poison) if it is poisoned as
/// well.
pub struct Mutex<T: Value + ?Sized> {
    location: LockLocation,
    /// The first word of each copy of the value.
    copies: [usize; 2],
    _value: PhantomData<T>,
}

/// The lock's own words: the raw lock's two, which copy is the value, and the copies.
const STATE: usize = 0;
const MARK: usize = 1;
const TURN: usize = 2;
const COPIES: usize = 3;

/// Where the copies are: the first word of each, and words in all.
fn copies<T: Value + ?Sized>(len: usize) -> Option<([usize; 2], usize)> {
    let align = value::align::<T>();
    let words = value::words::<T>(len)?;
    let first = (HEAD + COPIES).next_multiple_of(align) - HEAD;
    let second = (HEAD + first).checked_add(words)?.checked_next_multiple_of(align)? - HEAD;
    Some(([first, second], second.checked_add(words)?))
}

/// Finds mutexes, of one value or of many.
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
    /// Makes a mutex in an anonymous segment of its own. Many fit into one:
    /// [`new_in`](Mutex::new_in).
    ///
    /// # Errors
    ///
    /// As [`Segment::anonymous`].
    pub fn new(value: T) -> io::Result<Mutex<T>> {
        Self::make(LockSlot::Anonymous, &value)
    }

    /// Makes a mutex in a segment, next to what is there: 64 bytes and more, as long as there is
    /// room.
    ///
    /// # Errors
    ///
    /// `StorageFull` if there is none, `Unsupported` of a segment of another program.
    pub fn new_in(segment: &Segment, value: T) -> io::Result<Mutex<T>> {
        Self::make(LockSlot::In(segment), &value)
    }

    create_by_name!(value: T => &value);

    /// A copy of the value. Waits as [`lock`](Mutex::lock).
    ///
    /// # Errors
    ///
    /// As [`lock`](Mutex::lock); the lock is not held then.
    pub fn get(&self) -> LockResult<T, ()> {
        self.copied()
    }

    /// Replaces the value, by one flip: nobody ever sees half of it. Waits as
    /// [`lock`](Mutex::lock).
    ///
    /// # Errors
    ///
    /// As [`lock`](Mutex::lock); the value is not set, the lock not held.
    pub fn set(&self, value: T) -> LockResult<(), ()> {
        let updating = self.updating()?;
        self.flip(&value);
        drop(updating);
        Ok(())
    }
}

impl<T: Checked + Send + Sync> Mutex<[T]> {
    /// Makes a mutex over as many values, in an anonymous segment of its own.
    ///
    /// # Errors
    ///
    /// As [`Mutex::new`].
    pub fn from_slice(values: &[T]) -> io::Result<Mutex<[T]>> {
        Self::make(LockSlot::Anonymous, values)
    }

    /// As [`from_slice`](Mutex::from_slice), in a segment.
    ///
    /// # Errors
    ///
    /// As [`Mutex::new_in`].
    pub fn from_slice_in(segment: &Segment, values: &[T]) -> io::Result<Mutex<[T]>> {
        Self::make(LockSlot::In(segment), values)
    }

    /// As [`from_slice`](Mutex::from_slice), in a segment of its own that has this name.
    ///
    /// # Errors
    ///
    /// As [`Mutex::create`].
    pub fn create_from_slice(name: &str, values: &[T]) -> io::Result<Mutex<[T]>> {
        Self::make(LockSlot::Named(OpenMode::Create, name), values)
    }

    /// A copy of the values. Waits as [`lock`](Mutex::lock).
    ///
    /// # Errors
    ///
    /// As [`lock`](Mutex::lock); the lock is not held then.
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

    /// The first word of the copy that is the value, and of the other. For the holder.
    #[inline(always)]
    fn places(&self) -> (usize, usize) {
        // Whatever a peer wrote there, it is one of the two. Relaxed: the lock orders it.
        let turn = (self.turn().load(Relaxed) & 1) as usize;
        (self.copies[turn], self.copies[turn ^ 1])
    }

    /// Whether what lies there is a value. For the holder.
    #[inline(always)]
    fn is_valid(&self) -> bool {
        let (at, _) = self.places();
        value::is_valid::<T>(&self.location, at)
    }

    /// Waits until it is free, and locks it.
    ///
    /// Blocks: spins for a moment, then sleeps. A holder that dies is noticed within 50 ms.
    ///
    /// # Errors
    ///
    /// [`Poisoned`](super::LockError::Poisoned), with the guard, if a thread panicked or a process
    /// died while it held the lock, until [`clear_poison`](Mutex::clear_poison).
    /// [`Refused`](super::LockError::Refused), unlocked, if the calling thread holds it already, in
    /// a forked process, and if the memory is corrupt.
    #[inline]
    pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        if let Some(guard) = self.fast() {
            return Ok(guard);
        }
        Ok(self.acquire(Deadline::Never)?)
    }

    /// Locks it if it is free, or its holder is dead.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](super::TryLockError::WouldBlock) if somebody holds it, be it the calling
    /// thread; others as [`lock`](Mutex::lock).
    #[inline]
    pub fn try_lock(&self) -> TryLockResult<MutexGuard<'_, T>> {
        if let Some(guard) = self.fast() {
            return Ok(guard);
        }
        Ok(self.acquire(Deadline::Now)?)
    }

    /// As [`lock`](Mutex::lock), but waits no longer than this.
    ///
    /// # Errors
    ///
    /// [`Timeout`](super::LockTimeoutError::Timeout) if the time is over, others as
    /// [`lock`](Mutex::lock).
    pub fn lock_timeout(&self, timeout: Duration) -> LockTimeoutResult<MutexGuard<'_, T>> {
        Ok(self.acquire(Deadline::after(timeout))?)
    }

    /// As [`lock`](Mutex::lock), but waits no longer than until then.
    ///
    /// # Errors
    ///
    /// As [`lock_timeout`](Mutex::lock_timeout).
    pub fn lock_deadline(&self, deadline: Instant) -> LockTimeoutResult<MutexGuard<'_, T>> {
        Ok(self.acquire(Deadline::At(deadline))?)
    }

    /// Takes it if it is free and sound: nothing but registers on the short way.
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
            // Taken again on the long way, which tells why.
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

    /// What is said of a lock that `me` holds.
    #[cold]
    fn taken(&self, me: u64) -> Result<MutexGuard<'_, T>, Failure<MutexGuard<'_, T>>> {
        if !self.is_valid() {
            // It cannot fail, unless somebody scribbles: then there is nothing to give back.
            let _ = self.raw().unlock(&self.location, me);
            return Err(NO_VALUE.into());
        }
        let guard = MutexGuard::new(self, me);
        match self.raw().cause() {
            None => Ok(guard),
            Some(cause) => Err(Failure::Poisoned(PoisonError::new(guard, cause))),
        }
    }

    /// Takes the raw lock.
    #[inline(always)]
    fn take<G>(&self, mode: u64, deadline: Deadline) -> Result<u64, Failure<G>> {
        self.location.check()?;
        let me = self.location.me() | mode;
        if !self.raw().try_now(me) {
            self.raw().lock(&self.location, me, deadline)?;
        }
        Ok(me)
    }

    /// Changes the value as a transaction: `change` works on a copy, and one flip makes that the
    /// value.
    ///
    /// A process that is killed inside leaves the old value, never a mixture, and poisons nothing;
    /// so does one that panics. Costs two copies of the value. Waits as [`lock`](Mutex::lock).
    ///
    /// # Errors
    ///
    /// As [`lock`](Mutex::lock): poisoned by one who held a guard. Nothing is changed then, and the
    /// lock is not held: whoever wants to repair the value locks.
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

    /// Locks to update.
    fn updating(&self) -> LockResult<Updating<'_, T>, ()> {
        let me = self.take(UPDATING, Deadline::Never)?;
        let updating = Updating { mutex: self, me };
        match self.raw().cause() {
            None => Ok(updating),
            Some(cause) => Err(Failure::Poisoned(PoisonError::new((), cause)).into()),
        }
    }

    /// Makes a copy of this the value, by one flip. It is locked to update.
    fn flip(&self, value: &T) {
        let (_, next) = self.places();
        kill_point!("update.write");
        value::write(&self.location.words()[next..], value);
        kill_point!("update.flip");
        let turn = self.turn().load(Relaxed); // Relaxed: the lock orders it.
        // Release: whoever sees the flip of a dead process sees the copy that it made before.
        self.turn().store(!turn & 1, Release);
        kill_point!("update.flipped");
    }

    fn copied(&self) -> LockResult<T::Own, ()> {
        // It changes nothing, so its death would not either.
        let _updating = self.updating()?;
        let (value, _) = self.places();
        let copy = T::read(&self.location.words()[value..], self.location.len);
        Ok(copy.ok_or(Failure::Refused(NO_VALUE))?)
    }

    /// Returns whether it is locked at this moment, be it by the calling thread.
    ///
    /// Never blocks. What a dead process had locked is not locked: [`try_lock`](Self::try_lock)
    /// takes it. Another thread may change it before the answer is returned. False in a forked
    /// process.
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

    /// Whether it is poisoned. Others may make the answer old before it is told.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        !self.location.forked() && self.raw().cause().is_some()
    }

    /// Ends the poisoning: what the mutex protects is whole again. Call it while holding the guard.
    ///
    /// In a forked process it does nothing.
    pub fn clear_poison(&self) {
        if !self.location.forked() {
            self.raw().set_cause(None);
        }
    }

    /// How many values it protects: 1, unless it is a slice.
    #[must_use]
    pub fn len(&self) -> usize {
        self.location.len
    }

    /// Whether it protects an empty slice.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.location.len == 0
    }

    /// Unlocks what the calling thread holds without having the guard, as after
    /// [`std::mem::forget`].
    ///
    /// # Errors
    ///
    /// [`NotOwner`](Refused::NotOwner) if the calling thread does not hold it; nothing has changed.
    /// [`Forked`](Refused::Forked) in a forked process.
    ///
    /// # Safety
    ///
    /// No guard of this lock in this thread is used any more.
    pub unsafe fn force_unlock(&self) -> Result<(), Refused> {
        self.location.check()?;
        self.raw().unlock(&self.location, self.location.me())?;
        thread::returned();
        Ok(())
    }
}

/// A lock that is held to update: unlocked when dropped, and nothing else.
struct Updating<'a, T: Value + ?Sized> {
    mutex: &'a Mutex<T>,
    me: u64,
}

impl<T: Value + ?Sized> Drop for Updating<'_, T> {
    fn drop(&mut self) {
        if !self.mutex.location.forked() {
            // It fails if somebody has scribbled: then there is nothing to give back.
            let _ = self.mutex.raw().unlock(&self.mutex.location, self.me);
        }
    }
}

/// A locked [`Mutex`]: unlocks when dropped. It belongs to its thread.
///
/// What it lends stands still as long as peers keep the protocol: see [`Mutex`].
#[must_use = "it unlocks at once if it is not kept"]
pub struct MutexGuard<'a, T: Value + ?Sized> {
    mutex: &'a Mutex<T>,
    /// The holder; with [`PANICKING`], if the thread was when it locked.
    me: u64,
    /// Not Send.
    _thread: PhantomData<*const ()>,
}

/// A flag that no lock word has.
const PANICKING: u64 = 4;
const _: () = assert!(PANICKING & FLAGS != 0 && PANICKING & (CONTENDED | UPDATING) == 0);

// SAFETY: through a shared guard there is only `&T`. (It is not Send: the thread is the owner.)
unsafe impl<T: Value + ?Sized> Sync for MutexGuard<'_, T> {}

impl<'a, T: Value + ?Sized> MutexGuard<'a, T> {
    /// The guard of what `me` holds, where a value lies ([`Mutex::is_valid`]).
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

    /// The mutex.
    pub fn mutex(guard: &Self) -> &'a Mutex<T> {
        guard.mutex
    }

    /// Unlocks, and says whether that was possible: dropping does the same and cannot say.
    ///
    /// # Errors
    ///
    /// [`Forked`](Refused::Forked) in a forked process, and [`NotOwner`](Refused::NotOwner) if the
    /// lock was given back behind the guard's back ([`force_unlock`](Mutex::force_unlock)) or
    /// somebody has scribbled. Nothing has changed.
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
        // SAFETY: the copy that is the value lies there, mapped as long as its location lives
        // (`places`, `copies`, checked by `LockLocation::find`), aligned (`LockKind::align`). Its
        // bytes are a value: any are, or they were checked (`is_valid`). The lock is held, by this
        // thread: nobody writes meanwhile, as long as peers keep the protocol (at the type). What a
        // dead holder left half written was checked as well.
        unsafe { self.value().as_ref() }
    }
}

impl<T: Value + ?Sized> DerefMut for MutexGuard<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`; the guard is borrowed mutably, so nobody else in this process
        // looks.
        unsafe { self.value().as_mut() }
    }
}

impl<T: Value + ?Sized> Drop for MutexGuard<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        // A failure leaves the lock as it is: `unlock` tells of it.
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
