//! Initialisation that runs once, in one of all processes.

use std::error::Error;
use std::fmt;
use std::io;

use ipc_core::Deadline;

use super::handle::{Handle, create_by_name, handle};
use super::location::{LockKind, LockLocation};
use super::poison::{LockAttemptError, Refused};
use super::raw::once::{Begin, End, RawOnce};
use super::word::LockEnv;
use crate::killpoint::kill_point;
use crate::segment::{OpenMode, Segment};
use crate::value::object::ObjectSlot;

/// An initialisation that runs once, in one of all processes: [`std::sync::Once`] in shared memory.
///
/// ```
/// use ipc_shm::lock::Once;
///
/// let once = Once::new()?;
/// once.call_once(|| println!("only once"))?;
/// assert!(once.is_completed());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # When a process dies
///
/// If the process dies while it runs the initialiser, the next caller, or a waiting one, runs its
/// own.
#[derive(Clone)]
pub struct Once {
    location: LockLocation,
}

/// Why an initialisation did not run or has not completed.
// Exhaustive: see `LockError`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnceError {
    /// The previous initialiser panicked. [`Once::call_once_force`] tries again.
    Poisoned,
    /// The call was refused.
    ///
    /// [`WouldDeadlock`](Refused::WouldDeadlock) if the initialiser itself asks for the value that
    /// it initialises.
    Refused(Refused),
}

impl fmt::Display for OnceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OnceError::Poisoned => f.write_str("the initialiser panicked"),
            OnceError::Refused(why) => why.fmt(f),
        }
    }
}

impl Error for OnceError {}

impl From<Refused> for OnceError {
    fn from(why: Refused) -> Self {
        OnceError::Refused(why)
    }
}

/// The argument of the initialiser of [`Once::call_once_force`]: as [`std::sync::OnceState`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnceState {
    poisoned: bool,
}

impl OnceState {
    /// Returns whether the previous initialiser panicked.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.poisoned
    }
}

/// A running initialiser. Dropping it, also on unwinding, ends the run for the waiters.
pub(super) struct Running<'a> {
    location: &'a LockLocation,
    me: u64,
    /// How the run ends if the initialiser does not return a value.
    otherwise: End,
}

impl Running<'_> {
    pub(super) fn done(self) {
        let done = std::mem::ManuallyDrop::new(self);
        done.end(End::Complete);
    }

    fn end(&self, how: End) {
        if !self.location.forked() {
            // This fails only if a peer breaks the protocol. Then no thread waits for this run.
            let _ = raw(self.location).end(self.location, self.me, how);
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.end(self.otherwise);
    }
}

pub(super) const STATE: usize = 0;

pub(super) fn raw(location: &LockLocation) -> RawOnce<'_> {
    RawOnce { state: &location.words()[STATE] }
}

/// Begins the initialisation, or returns that it has completed.
pub(super) fn begin(
    location: &LockLocation,
    force: bool,
    otherwise: End,
) -> Result<Option<(Running<'_>, bool)>, OnceError> {
    location.check()?;
    if raw(location).is_complete() {
        return Ok(None);
    }
    let me = location.me();
    match raw(location).begin(location, me, force, Deadline::Never) {
        Ok(Begin::Complete) => Ok(None),
        Ok(Begin::Ours { poisoned }) => Ok(Some((Running { location, me, otherwise }, poisoned))),
        Ok(Begin::Poisoned) => Err(OnceError::Poisoned),
        Err(LockAttemptError::Refused(why)) => Err(why.into()),
        Err(LockAttemptError::Busy) => unreachable!("a call without a deadline does not time out"),
    }
}

impl Handle for Once {
    fn kind() -> LockKind {
        LockKind::plain("Once", |_, _| Some(1))
    }

    fn of(location: LockLocation) -> io::Result<Self> {
        Ok(Once { location })
    }
}

handle!([] Once);

impl Once {
    /// Makes an initialisation in an anonymous segment of its own.
    ///
    /// # Errors
    ///
    /// As [`Segment::anonymous`].
    pub fn new() -> io::Result<Once> {
        Self::make(ObjectSlot::Anonymous)
    }

    /// Makes an initialisation in a segment.
    ///
    /// # Errors
    ///
    /// As [`Mutex::new_in`](super::Mutex::new_in).
    pub fn new_in(segment: &Segment) -> io::Result<Once> {
        Self::make(ObjectSlot::In(segment))
    }

    create_by_name!();

    fn make(slot: ObjectSlot<'_>) -> io::Result<Once> {
        Self::make_filled(slot, 0, |_| Ok(()))
    }

    /// Runs `f` if no initialiser has completed yet. Waits while another thread runs one.
    ///
    /// When this call returns, the caller sees what the initialiser did.
    ///
    /// # Errors
    ///
    /// - [`Poisoned`](OnceError::Poisoned) if an initialiser panicked. [`std::sync::Once`] panics
    ///   instead.
    /// - [`Refused`](OnceError::Refused) if `f` calls this itself (`WouldDeadlock`), in a forked
    ///   process, and if the memory is corrupt.
    pub fn call_once(&self, f: impl FnOnce()) -> Result<(), OnceError> {
        if let Some((running, _)) = begin(&self.location, false, End::Poisoned)? {
            kill_point!("once.run");
            f();
            running.done();
        }
        Ok(())
    }

    /// Runs `f` as [`call_once`](Once::call_once), even if a previous initialiser panicked.
    ///
    /// # Errors
    ///
    /// [`Refused`](OnceError::Refused) as [`call_once`](Once::call_once).
    pub fn call_once_force(&self, f: impl FnOnce(&OnceState)) -> Result<(), OnceError> {
        if let Some((running, poisoned)) = begin(&self.location, true, End::Poisoned)? {
            f(&OnceState { poisoned });
            running.done();
        }
        Ok(())
    }

    /// Returns whether the initialisation has completed. False in a forked process.
    #[must_use]
    pub fn is_completed(&self) -> bool {
        !self.location.forked() && raw(&self.location).is_complete()
    }

    /// Waits until an initialiser has completed.
    ///
    /// # Errors
    ///
    /// [`Poisoned`](OnceError::Poisoned) if the initialiser panicked.
    /// [`Refused`](OnceError::Refused) in a forked process.
    pub fn wait(&self) -> Result<(), OnceError> {
        self.location.check()?;
        raw(&self.location)
            .wait(&self.location, false)
            .map_err(OnceError::from)
            .and_then(|sound| if sound { Ok(()) } else { Err(OnceError::Poisoned) })
    }

    /// Waits until an initialiser has completed, even if others panic before.
    ///
    /// Blocks until an initialiser returns, as [`std::sync::Once::wait_force`]. If one dies or
    /// panics, waits for the next one.
    ///
    /// # Errors
    ///
    /// [`Refused`](OnceError::Refused) in a forked process.
    ///
    /// ```
    /// # use ipc_shm::lock::Once;
    /// let once = Once::new()?;
    /// once.call_once(|| ())?;
    /// once.wait_force()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_force(&self) -> Result<(), OnceError> {
        self.location.check()?;
        raw(&self.location).wait(&self.location, true)?;
        Ok(())
    }
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Once")
            .field("location", &self.location)
            .field("completed", &self.is_completed())
            .finish()
    }
}
