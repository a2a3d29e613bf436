//! A point where processes wait for each other.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use ipc_core::Deadline;

use super::handle::{Handle, create_by_name, handle};
use super::location::{HEAD, LockKind, LockLocation};
use super::poison::Refused;
use super::raw::barrier::{MAX_PARTIES, RawBarrier, WaitOutcome};
use super::raw::words_for;
use super::word::LockEnv;
use crate::segment::{OpenMode, Segment};
use crate::sync::Ordering::Relaxed;
use crate::value::object::ObjectSlot;

/// A point where a number of parties wait for each other, again and again: [`std::sync::Barrier`]
/// in shared memory, and Python's `Barrier`.
///
/// Parties are threads, of one process or of many. A process with a handle is expected to arrive.
/// If it dies with a handle, the barrier breaks for all waiters, so they do not wait for ever. A
/// process that has dropped its handles is not expected.
///
/// ```
/// use ipc_shm::lock::Barrier;
///
/// let barrier = Barrier::new(2)?;
/// let theirs = barrier.clone();
/// let thread = std::thread::spawn(move || theirs.wait().unwrap().is_leader());
/// let leader = barrier.wait()?.is_leader();
/// assert!(leader ^ thread.join().unwrap());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Barrier {
    location: LockLocation,
    parties: u32,
}

/// The result of a wait that passed: as [`std::sync::BarrierWaitResult`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BarrierWaitResult(bool);

impl BarrierWaitResult {
    /// Returns whether the caller is the leader: the party of the round that arrived last.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.0
    }
}

/// Why a wait at a barrier ended before all parties arrived.
// Exhaustive: see `LockError`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BarrierError {
    /// The barrier is broken, until the [reset](Barrier::reset).
    ///
    /// A party died, or another party reached its deadline, or a call of [`abort`](Barrier::abort)
    /// broke it.
    Broken,
    /// The caller reached its deadline, which broke the barrier.
    Timeout,
    /// The call was refused, and did not wait.
    Refused(Refused),
}

impl fmt::Display for BarrierError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BarrierError::Broken => f.write_str("waiting at a broken barrier"),
            BarrierError::Timeout => {
                f.write_str("not all parties came to the barrier until the deadline")
            }
            BarrierError::Refused(why) => why.fmt(f),
        }
    }
}

impl Error for BarrierError {}

impl From<Refused> for BarrierError {
    fn from(why: Refused) -> Self {
        BarrierError::Refused(why)
    }
}

const STATE: usize = 0;
const PARTIES: usize = 1;
/// The default timeout of `wait`, in nanoseconds. 0 means no timeout.
const TIMEOUT: usize = 2;
const HANDLES: usize = 8 - HEAD;

impl Handle for Barrier {
    fn kind() -> LockKind {
        LockKind::plain("Barrier", |_, participants| Some(HANDLES + words_for(participants)))
    }

    /// Adds the handle to the count of this process.
    fn of(location: LockLocation) -> io::Result<Barrier> {
        // Read once. Relaxed: the tag's Acquire.
        let parties = location.words()[PARTIES].load(Relaxed).min(u64::from(MAX_PARTIES)) as u32;
        let barrier = Barrier { location, parties };
        barrier.raw().join(&barrier.location, barrier.location.me).map_err(io::Error::other)?;
        Ok(barrier)
    }
}

handle!([] Barrier);

impl Barrier {
    /// Makes a barrier for so many parties, in an anonymous segment of its own.
    ///
    /// A barrier for no party or for one party never makes a caller wait.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for 2^20 parties or more, others as [`Segment::anonymous`].
    pub fn new(parties: usize) -> io::Result<Barrier> {
        Self::make(ObjectSlot::Anonymous, parties)
    }

    /// Makes a barrier in a segment.
    ///
    /// It takes one word for each participant that the segment can have, and some more.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for 2^20 parties or more, others as [`Mutex::new_in`](super::Mutex::new_in).
    pub fn new_in(segment: &Segment, parties: usize) -> io::Result<Barrier> {
        Self::make(ObjectSlot::In(segment), parties)
    }

    create_by_name!(parties: usize => parties);

    fn make(slot: ObjectSlot<'_>, parties: usize) -> io::Result<Barrier> {
        let parties = u32::try_from(parties)
            .ok()
            .filter(|parties| *parties <= MAX_PARTIES)
            .ok_or_else(|| {
                let text = format!("Barrier: {parties} parties are more than {MAX_PARTIES}");
                io::Error::new(io::ErrorKind::InvalidInput, text)
            })?;
        Self::make_filled(slot, 0, |location| {
            // Relaxed: the tag's Release.
            location.words()[PARTIES].store(u64::from(parties), Relaxed);
            Ok(())
        })
    }

    fn raw(&self) -> RawBarrier<'_> {
        let words = self.location.words();
        let handles = &words[HANDLES..HANDLES + words_for(self.location.max_participants())];
        RawBarrier { state: &words[STATE], handles, parties: self.parties }
    }

    /// Waits until all parties have arrived. One of them is the leader.
    ///
    /// Blocks no longer than the default timeout, if one was set
    /// ([`set_default_timeout`](Barrier::set_default_timeout)).
    ///
    /// # Errors
    ///
    /// - [`Broken`](BarrierError::Broken) at once if the barrier is broken, or within 50 ms of a
    ///   party's death.
    /// - [`Timeout`](BarrierError::Timeout) after the default timeout, which breaks the barrier.
    /// - [`Refused`](BarrierError::Refused) in a forked process.
    pub fn wait(&self) -> Result<BarrierWaitResult, BarrierError> {
        self.location.check()?;
        self.wait_with(self.default_deadline())
    }

    /// Waits as [`wait`](Barrier::wait). The last party runs its `action` before the others pass.
    ///
    /// Python calls this a barrier's action. A function is not sent to other processes, so each
    /// party passes its own where it waits, and one of them runs. The effects of the action are
    /// visible to all parties when they pass.
    ///
    /// # Errors
    ///
    /// As [`wait`](Barrier::wait). If the action panics, or its process dies meanwhile, the barrier
    /// breaks. The deadlines of the other parties apply while the action runs. At such a deadline
    /// the barrier breaks, and the action still runs to its end.
    ///
    /// ```
    /// # use ipc_shm::lock::Barrier;
    /// let barrier = Barrier::new(1)?;
    /// let mut rounds = 0;
    /// barrier.wait_then(|| rounds += 1)?;
    /// assert_eq!(rounds, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_then(&self, action: impl FnOnce()) -> Result<BarrierWaitResult, BarrierError> {
        self.location.check()?;
        Self::result(self.raw().wait_then(&self.location, self.default_deadline(), Some(action)))
    }

    /// Sets the default timeout of [`wait`](Barrier::wait), for all processes.
    ///
    /// `None` means no timeout, which is the initial setting. The timeout applies to waits that
    /// begin later. A timeout of zero counts as one nanosecond. The longest timeout is 584 years.
    ///
    /// # Errors
    ///
    /// [`Forked`](Refused::Forked) in a forked process.
    pub fn set_default_timeout(&self, timeout: Option<Duration>) -> Result<(), Refused> {
        self.location.check()?;
        let nanos = timeout
            .map_or(0, |timeout| u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX).max(1));
        // Relaxed: a number that publishes nothing else.
        self.location.words()[TIMEOUT].store(nanos, Relaxed);
        Ok(())
    }

    fn default_deadline(&self) -> Deadline {
        match self.location.words()[TIMEOUT].load(Relaxed) {
            0 => Deadline::Never,
            nanos => Deadline::after(Duration::from_nanos(nanos)), // Relaxed: as where it is set.
        }
    }

    /// Waits as [`wait`](Barrier::wait), but no longer than `timeout`.
    ///
    /// As in Python, a timeout breaks the barrier for all parties, because the round can no longer
    /// end.
    ///
    /// # Errors
    ///
    /// [`Timeout`](BarrierError::Timeout) if the time has elapsed, others as
    /// [`wait`](Barrier::wait).
    pub fn wait_timeout(&self, timeout: Duration) -> Result<BarrierWaitResult, BarrierError> {
        self.wait_with(Deadline::after(timeout))
    }

    /// Waits as [`wait_timeout`](Barrier::wait_timeout), but until `deadline`.
    ///
    /// # Errors
    ///
    /// [`Timeout`](BarrierError::Timeout) if the deadline has passed, others as
    /// [`wait`](Barrier::wait).
    pub fn wait_deadline(&self, deadline: Instant) -> Result<BarrierWaitResult, BarrierError> {
        self.wait_with(Deadline::At(deadline))
    }

    fn wait_with(&self, deadline: Deadline) -> Result<BarrierWaitResult, BarrierError> {
        self.location.check()?;
        Self::result(self.raw().wait(&self.location, deadline))
    }

    fn result(outcome: WaitOutcome) -> Result<BarrierWaitResult, BarrierError> {
        match outcome {
            WaitOutcome::Leader => Ok(BarrierWaitResult(true)),
            WaitOutcome::Follower => Ok(BarrierWaitResult(false)),
            WaitOutcome::Broken => Err(BarrierError::Broken),
            WaitOutcome::TimedOut => Err(BarrierError::Timeout),
        }
    }

    /// Breaks the barrier until the reset, for all parties that wait or arrive later.
    ///
    /// # Errors
    ///
    /// [`Forked`](Refused::Forked) in a forked process.
    pub fn abort(&self) -> Result<(), Refused> {
        self.location.check()?;
        self.raw().break_up(&self.location, None);
        Ok(())
    }

    /// Resets the barrier. Waiters get [`Broken`](BarrierError::Broken), and dead parties are
    /// forgotten.
    ///
    /// # Errors
    ///
    /// As [`abort`](Barrier::abort).
    pub fn reset(&self) -> Result<(), Refused> {
        self.location.check()?;
        self.raw().reset(&self.location);
        Ok(())
    }

    /// Returns whether the barrier is broken. False in a forked process.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        !self.location.forked() && self.raw().is_broken()
    }

    /// Returns how many parties must arrive to pass.
    #[must_use]
    pub fn parties(&self) -> usize {
        self.parties as usize
    }

    /// Returns how many parties wait now: Python's `n_waiting`. 0 in a forked process.
    #[must_use]
    pub fn waiting(&self) -> usize {
        if self.location.forked() { 0 } else { self.raw().waiting() as usize }
    }
}

impl Clone for Barrier {
    /// Clones the handle, and counts the clone as a handle of this process.
    ///
    /// # Panics
    ///
    /// Panics if this process has 2^32 handles.
    fn clone(&self) -> Self {
        if self.location.forked() {
            // A forked process is no party. Its handles return `Forked`.
            return Barrier { location: self.location.clone(), parties: self.parties };
        }
        Self::of(self.location.clone()).expect("fewer handles than 2^32")
    }
}

impl Drop for Barrier {
    fn drop(&mut self) {
        if !self.location.forked() {
            self.raw().leave(self.location.me);
        }
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier")
            .field("location", &self.location)
            .field("parties", &self.parties)
            .field("waiting", &self.waiting())
            .field("broken", &self.is_broken())
            .finish()
    }
}
