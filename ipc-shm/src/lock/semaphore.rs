//! Counted permits.

use std::fmt;
use std::io;
use std::mem::ManuallyDrop;
use std::time::{Duration, Instant};

use ipc_core::Deadline;

use super::handle::{Handle, create_by_name, handle};
use super::location::{HEAD, LockKind, LockLocation};
use super::poison::{LockAttemptError, Refused};
use super::raw::semaphore::{MAX_PARTICIPANTS, MAX_PERMITS, RawSemaphore};
use super::raw::words_for;
use super::word::LockEnv;
use crate::segment::{OpenMode, Segment};
use crate::sync::Ordering::Relaxed;
use crate::throttle::Throttle;
use crate::value::object::ObjectSlot;

/// Counted permits, which are recovered when their holder dies: Python's `Semaphore`.
///
/// [`acquire`](Semaphore::acquire) returns a [`Permit`]. The permit is given back when it is
/// dropped, or when its process dies.
///
/// To signal with a semaphore, use a permit up with [`Permit::forget`], and add one with
/// [`release`](Semaphore::release), from any process. Python's `acquire` and `release` do the same.
///
/// ```
/// use ipc_shm::lock::Semaphore;
///
/// let slots = Semaphore::new(2)?;
/// let one = slots.acquire()?;
/// let two = slots.try_acquire()?;
/// assert!(two.is_some() && slots.try_acquire()?.is_none());
/// drop(one);
/// assert_eq!(slots.available_permits(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Semaphore {
    pub(super) location: LockLocation,
    bound: u32,
    /// When this handle last looked for dead holders, for a `Select`.
    pub(super) looked: Throttle,
}

/// A [`Semaphore`] that never has more permits than initially: Python's `BoundedSemaphore`.
///
/// Releasing more is an error.
#[derive(Clone, Debug)]
pub struct BoundedSemaphore(Semaphore);

/// A permit of a [`Semaphore`]. It is given back when dropped, or when this process dies.
///
/// It belongs to the process, not to the thread. Any thread of the process may drop it.
#[must_use = "it comes back at once if it is not kept"]
pub struct Permit<'a> {
    semaphore: &'a Semaphore,
    me: u64,
}

const GRANT: usize = 0;
const BOUND: usize = 1;
const HELD: usize = 8 - HEAD;

fn kind(name: &'static str) -> LockKind {
    LockKind::plain(name, |_, participants| Some(HELD + 2 * words_for(participants)))
}

/// Makes a semaphore, or a [`BoundedSemaphore`].
fn make<H: Handle>(slot: ObjectSlot<'_>, permits: u32, bound: u32) -> io::Result<H> {
    if permits > MAX_PERMITS {
        let name = H::kind().name;
        let text = format!("{name}: {permits} permits are more than {MAX_PERMITS}");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    H::make_filled(slot, 0, |location| {
        fits(location)?;
        location.words()[BOUND].store(u64::from(bound), Relaxed); // Relaxed: the tag's Release.
        raw(location, bound).initialise(permits);
        Ok(())
    })
}

impl Handle for Semaphore {
    fn kind() -> LockKind {
        kind("Semaphore")
    }

    fn of(location: LockLocation) -> io::Result<Semaphore> {
        fits(&location)?;
        // Read once. Relaxed: the tag's Acquire.
        let bound = location.words()[BOUND].load(Relaxed).min(u64::from(MAX_PERMITS)) as u32;
        Ok(Semaphore { location, bound, looked: Throttle::new() })
    }
}

handle!([] Semaphore);

impl Semaphore {
    /// The maximum number of permits.
    pub const MAX_PERMITS: u32 = MAX_PERMITS;

    /// Makes a semaphore with so many permits, in an anonymous segment of its own.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if `permits` is more than [`MAX_PERMITS`](Semaphore::MAX_PERMITS), others as
    /// [`Segment::anonymous`].
    pub fn new(permits: u32) -> io::Result<Semaphore> {
        Self::make(ObjectSlot::Anonymous, permits)
    }

    /// Makes a semaphore in a segment.
    ///
    /// It takes two words for each participant that the segment can have, and some more.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if `permits` is more than [`MAX_PERMITS`](Semaphore::MAX_PERMITS), or if the
    /// segment is for more than 4095 participants. Others as
    /// [`Mutex::new_in`](super::Mutex::new_in).
    pub fn new_in(segment: &Segment, permits: u32) -> io::Result<Semaphore> {
        Self::make(ObjectSlot::In(segment), permits)
    }

    create_by_name!(permits: u32 => permits);

    fn make(slot: ObjectSlot<'_>, permits: u32) -> io::Result<Semaphore> {
        make(slot, permits, MAX_PERMITS)
    }

    /// Waits for a permit, and acquires it.
    ///
    /// # Errors
    ///
    /// [`Forked`](Refused::Forked) in a forked process, [`Corrupt`](Refused::Corrupt) if the memory
    /// is corrupt.
    pub fn acquire(&self) -> Result<Permit<'_>, Refused> {
        Ok(self
            .acquire_with(Deadline::Never)?
            .expect("a call without a deadline does not time out"))
    }

    /// Acquires a permit if there is one. Returns `None` if not.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Semaphore::acquire).
    pub fn try_acquire(&self) -> Result<Option<Permit<'_>>, Refused> {
        self.acquire_with(Deadline::Now)
    }

    /// Waits for a permit, but no longer than `timeout`. Returns `None` if there was none.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Semaphore::acquire).
    pub fn acquire_timeout(&self, timeout: Duration) -> Result<Option<Permit<'_>>, Refused> {
        self.acquire_with(Deadline::after(timeout))
    }

    /// Waits for a permit, but no longer than until `deadline`. Returns `None` if there was none.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Semaphore::acquire).
    pub fn acquire_deadline(&self, deadline: Instant) -> Result<Option<Permit<'_>>, Refused> {
        self.acquire_with(Deadline::At(deadline))
    }

    pub(super) fn raw(&self) -> RawSemaphore<'_> {
        raw(&self.location, self.bound)
    }

    fn acquire_with(&self, deadline: Deadline) -> Result<Option<Permit<'_>>, Refused> {
        self.location.check()?;
        let me = self.location.me();
        match self.raw().take(&self.location, me, deadline) {
            Ok(()) => Ok(Some(Permit { semaphore: self, me })),
            Err(LockAttemptError::Busy) => Ok(None),
            Err(LockAttemptError::Refused(why)) => Err(why),
        }
    }

    /// Adds `n` permits, and wakes as many waiters.
    ///
    /// # Errors
    ///
    /// [`TooMany`](Refused::TooMany) if the permits, left and held together, would exceed the
    /// bound: nothing has changed then. Others as [`acquire`](Semaphore::acquire).
    pub fn release(&self, n: u32) -> Result<(), Refused> {
        self.location.check()?;
        self.raw().add(&self.location, n)
    }

    /// Returns how many permits are left now: Python's `get_value`.
    ///
    /// The permits of a dead process count again once a waiter has recovered them. Returns 0 in a
    /// forked process.
    #[must_use]
    pub fn available_permits(&self) -> u32 {
        if self.location.forked() { 0 } else { self.raw().permits() }
    }
}

/// Checks that the ids fit into 12 bits.
fn fits(location: &LockLocation) -> io::Result<()> {
    if location.max_participants() > MAX_PARTICIPANTS {
        let text =
            format!("Semaphore: not in a segment for more than {MAX_PARTICIPANTS} participants");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    Ok(())
}

fn raw(location: &LockLocation, bound: u32) -> RawSemaphore<'_> {
    let (words, each) = (location.words(), words_for(location.max_participants()));
    RawSemaphore {
        grant: &words[GRANT],
        held: &words[HELD..HELD + each],
        generations: &words[HELD + each..HELD + 2 * each],
        bound,
    }
}

impl<'a> Permit<'a> {
    /// Returns the permit that `me` has taken.
    pub(super) fn claimed(semaphore: &'a Semaphore, me: u64) -> Permit<'a> {
        Permit { semaphore, me }
    }

    /// Uses the permit up: there is one less, until a [release](Semaphore::release) adds one.
    ///
    /// # Errors
    ///
    /// [`Forked`](Refused::Forked) in a forked process. [`Corrupt`](Refused::Corrupt) or
    /// [`NotOwner`](Refused::NotOwner) if a peer has written garbage.
    pub fn forget(permit: Self) -> Result<(), Refused> {
        ManuallyDrop::new(permit).end(false)
    }

    /// Gives the permit back, and returns whether that was possible.
    ///
    /// # Errors
    ///
    /// As [`forget`](Permit::forget).
    pub fn give_back(permit: Self) -> Result<(), Refused> {
        ManuallyDrop::new(permit).end(true)
    }

    fn end(&self, back: bool) -> Result<(), Refused> {
        let Semaphore { location, .. } = self.semaphore;
        location.check()?;
        self.semaphore.raw().give(location, self.me, back)
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        // A failure leaves the semaphore as it is. `give_back` reports it.
        let _ = self.end(true);
    }
}

impl BoundedSemaphore {
    /// Makes a semaphore with so many permits and never more, in an anonymous segment of its own.
    ///
    /// # Errors
    ///
    /// As [`Semaphore::new`].
    pub fn new(permits: u32) -> io::Result<BoundedSemaphore> {
        Self::make(ObjectSlot::Anonymous, permits)
    }

    /// Makes a semaphore in a segment.
    ///
    /// # Errors
    ///
    /// As [`Semaphore::new_in`].
    pub fn new_in(segment: &Segment, permits: u32) -> io::Result<BoundedSemaphore> {
        Self::make(ObjectSlot::In(segment), permits)
    }

    create_by_name!(permits: u32 => permits);

    /// Opens the semaphore with this name.
    ///
    /// # Errors
    ///
    /// As [`Segment::open`], and `InvalidData` if the object is of another kind.
    pub fn open(name: &str) -> io::Result<BoundedSemaphore> {
        Self::of(LockLocation::open(name, Self::kind())?)
    }

    /// Returns the semaphore that was made in a segment at this [offset](Semaphore::offset).
    ///
    /// # Errors
    ///
    /// As [`Semaphore::at`].
    pub fn at(segment: &Segment, offset: usize) -> io::Result<BoundedSemaphore> {
        Self::of(LockLocation::at(segment, offset, Self::kind())?)
    }

    fn make(slot: ObjectSlot<'_>, permits: u32) -> io::Result<BoundedSemaphore> {
        make(slot, permits, permits)
    }
}

impl Handle for BoundedSemaphore {
    fn kind() -> LockKind {
        kind("BoundedSemaphore")
    }

    fn of(location: LockLocation) -> io::Result<BoundedSemaphore> {
        Semaphore::of(location).map(BoundedSemaphore)
    }
}

handle!(@sent [] BoundedSemaphore);

/// The methods of a semaphore. Only [`release`](Semaphore::release) has another bound.
impl std::ops::Deref for BoundedSemaphore {
    type Target = Semaphore;

    fn deref(&self) -> &Semaphore {
        &self.0
    }
}

impl fmt::Debug for Permit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").finish_non_exhaustive()
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore")
            .field("location", &self.location)
            .field("available_permits", &self.available_permits())
            .field("bound", &self.bound)
            .finish()
    }
}
