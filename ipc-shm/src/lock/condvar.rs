//! Waiting until data that a mutex protects has changed.

use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use ipc_core::Deadline;

use super::handle::{Handle, create_by_name, handle};
use super::location::{HEAD, LockKind, LockLocation};
use super::mutex::{Mutex, MutexGuard};
use super::poison::{Failure, LockError, LockResult, PoisonError, Refused};
use super::raw::condvar::{PLACES, RawCondvar};
use super::value::Value;
use super::word::LockEnv;
use crate::segment::{OpenMode, Segment};
use crate::value::object::ObjectSlot;

/// A condition: a thread waits until data that a [`Mutex`] protects has changed.
///
/// It is [`std::sync::Condvar`] in shared memory, and Python's `Condition`. It works with any
/// mutexes. The thread that has waited longest is notified first, and no other thread wakes up
/// then.
///
/// As with `std`, a thread may wake up spuriously: when a process dies, or when more than 64
/// threads wait at once. So wait in a loop, or with [`wait_while`](Condvar::wait_while).
///
/// ```
/// use ipc_shm::lock::{Condvar, Mutex};
///
/// let (ready, changed) = (Mutex::new(0u8)?, Condvar::new()?);
/// let theirs = (ready.clone(), changed.clone());
/// let thread = std::thread::spawn(move || {
///     *theirs.0.lock().unwrap() = 1;
///     theirs.1.notify_one().unwrap();
/// });
/// let guard = changed.wait_while(ready.lock().unwrap(), |ready| *ready == 0).unwrap();
/// assert_eq!(*guard, 1);
/// # drop(guard);
/// # thread.join().unwrap();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # When a process dies
///
/// Every waiter in the other processes wakes up within 50 ms, and must check its condition again.
/// The dead process may have changed the data and not have notified. Or it may have been notified
/// and not have acted on that. So no thread waits for ever because a process was killed. (With more
/// than 64 waiters it takes 50 ms for each 64.) If the dead process held the mutex, the next holder
/// gets the error that [`Mutex`] describes. A process counts as dead if it ends in any way without
/// dropping its handles of the condition.
#[derive(Clone)]
pub struct Condvar {
    location: LockLocation,
}

/// Whether a wait ended because of its deadline: as [`std::sync::WaitTimeoutResult`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// Returns whether the time elapsed before a notification.
    #[must_use]
    pub fn timed_out(&self) -> bool {
        self.0
    }
}

const USED: usize = 0;
const TICKETS: usize = 1;
const OVERFLOW_WAITERS: usize = 2;
const PLACE: usize = 8 - HEAD;
const SINCE: usize = PLACE + PLACES;

impl Handle for Condvar {
    fn kind() -> LockKind {
        LockKind::plain("Condvar", |_, _| Some(SINCE + PLACES))
    }

    fn of(location: LockLocation) -> io::Result<Condvar> {
        Ok(Condvar { location })
    }
}

handle!([] Condvar);

impl Condvar {
    fn make(slot: ObjectSlot<'_>) -> io::Result<Condvar> {
        Self::make_filled(slot, 0, |_| Ok(()))
    }

    /// Makes a condition in an anonymous segment of its own.
    ///
    /// # Errors
    ///
    /// As [`Segment::anonymous`].
    pub fn new() -> io::Result<Condvar> {
        Self::make(ObjectSlot::Anonymous)
    }

    /// Makes a condition in a segment. It takes about 1 KiB.
    ///
    /// # Errors
    ///
    /// As [`Mutex::new_in`].
    pub fn new_in(segment: &Segment) -> io::Result<Condvar> {
        Self::make(ObjectSlot::In(segment))
    }

    create_by_name!();

    fn raw(&self) -> RawCondvar<'_> {
        let words = self.location.words();
        RawCondvar {
            used: &words[USED],
            tickets: &words[TICKETS],
            overflow_waiters: &words[OVERFLOW_WAITERS],
            places: &words[PLACE..SINCE],
            since: &words[SINCE..SINCE + PLACES],
        }
    }

    /// Unlocks the mutex, waits until notified, and locks the mutex again.
    ///
    /// No notification in between is missed.
    ///
    /// # Errors
    ///
    /// As [`Mutex::lock`], for the lock at the end. If that is refused, the guard is gone, and the
    /// mutex is not locked.
    pub fn wait<'a, T: Value + ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
    ) -> LockResult<MutexGuard<'a, T>> {
        match self.wait_with(guard, Deadline::Never) {
            Ok((guard, _)) => Ok(guard),
            Err(failed) => Err(failed.map(|(guard, _)| guard).into()),
        }
    }

    /// Waits as long as `condition` returns true.
    ///
    /// # Errors
    ///
    /// As [`Mutex::lock`], for the lock at the end.
    pub fn wait_while<'a, T: Value + ?Sized>(
        &self,
        mut guard: MutexGuard<'a, T>,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> LockResult<MutexGuard<'a, T>> {
        while condition(&mut guard) {
            guard = self.wait(guard)?;
        }
        Ok(guard)
    }

    /// Waits as [`wait`](Condvar::wait), but no longer than `timeout`.
    ///
    /// The lock at the end has no deadline.
    ///
    /// # Errors
    ///
    /// As [`Mutex::lock`], for the lock at the end.
    pub fn wait_timeout<'a, T: Value + ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        timeout: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        Ok(self.wait_with(guard, Deadline::after(timeout))?)
    }

    /// Waits as [`wait_timeout`](Condvar::wait_timeout), but until `deadline`.
    ///
    /// # Errors
    ///
    /// As [`Mutex::lock`], for the lock at the end.
    pub fn wait_deadline<'a, T: Value + ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        deadline: Instant,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        Ok(self.wait_with(guard, Deadline::At(deadline))?)
    }

    /// Waits as [`wait_while`](Condvar::wait_while), but no longer than `timeout`.
    ///
    /// The result says that the wait timed out only if `condition` is still true.
    ///
    /// # Errors
    ///
    /// As [`Mutex::lock`], for the lock at the end.
    pub fn wait_timeout_while<'a, T: Value + ?Sized>(
        &self,
        mut guard: MutexGuard<'a, T>,
        timeout: Duration,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        let deadline = Deadline::after(timeout);
        loop {
            if !condition(&mut guard) {
                return Ok((guard, WaitTimeoutResult(false)));
            }
            if deadline.left(Duration::MAX).is_none() {
                return Ok((guard, WaitTimeoutResult(true)));
            }
            guard = self.wait_with(guard, deadline)?.0;
        }
    }

    #[allow(clippy::type_complexity, reason = "named once, here")]
    fn wait_with<'a, T: Value + ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        deadline: Deadline,
    ) -> Result<
        (MutexGuard<'a, T>, WaitTimeoutResult),
        Failure<(MutexGuard<'a, T>, WaitTimeoutResult)>,
    > {
        self.location.check()?;
        let raw = self.raw();
        let waiter = raw.register(&self.location, self.location.me());
        let mutex = MutexGuard::mutex(&guard);
        let unlocked = MutexGuard::unlock(guard);
        let notified = match unlocked {
            Ok(()) => raw.wait(&self.location, waiter, deadline)?,
            Err(why) => {
                raw.give_up(&self.location, waiter);
                return Err(why.into());
            }
        };
        let outcome = WaitTimeoutResult(!notified);
        let locked = Mutex::lock(mutex);
        match &locked {
            _ if !notified => {}
            Err(LockError::Refused(_)) => raw.give_up(&self.location, waiter),
            _ => raw.unregister(waiter),
        }
        match locked {
            Ok(guard) => Ok((guard, outcome)),
            Err(LockError::Poisoned(poisoned)) => {
                let cause = poisoned.cause();
                Err(Failure::Poisoned(PoisonError::new((poisoned.into_inner(), outcome), cause)))
            }
            Err(LockError::Refused(why)) => Err(why.into()),
        }
    }

    /// Notifies the thread that has waited longest. Returns whether there was one.
    ///
    /// Never blocks. Skips a waiter whose process is dead. When more than 64 threads wait at once,
    /// the later ones count only while they sleep.
    ///
    /// # Errors
    ///
    /// [`Forked`](Refused::Forked) in a forked process.
    pub fn notify_one(&self) -> Result<bool, Refused> {
        self.location.check()?;
        Ok(self.raw().notify_one(&self.location))
    }

    /// Notifies all waiting threads, and returns how many it notified.
    ///
    /// Never blocks. A waiter whose process was killed counts until its place is found to be free.
    /// When more than 64 threads wait at once, the later ones count only while they sleep.
    ///
    /// # Errors
    ///
    /// As [`notify_one`](Condvar::notify_one).
    pub fn notify_all(&self) -> Result<usize, Refused> {
        self.location.check()?;
        Ok(self.raw().notify_all(&self.location))
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condvar").field("location", &self.location).finish()
    }
}
