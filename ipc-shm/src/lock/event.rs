//! A flag that processes wait for.

use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use ipc_core::Deadline;

use super::handle::{Handle, create_by_name, handle};
use super::location::{LockKind, LockLocation};
use super::poison::Refused;
use super::raw::event::RawEvent;
use crate::segment::{OpenMode, Segment};
use crate::value::object::ObjectSlot;

/// A flag that processes wait for: Python's `Event`, and that of raw_sync.
///
/// A manual event stays set until it is [cleared](Event::clear), and every waiter returns. An
/// [automatic](Event::auto) event lets one waiter return, and is clear again.
///
/// ```
/// use ipc_shm::lock::Event;
///
/// let ready = Event::new()?;
/// let theirs = ready.clone();
/// let thread = std::thread::spawn(move || theirs.set().unwrap());
/// ready.wait()?;
/// assert!(ready.is_set());
/// # thread.join().unwrap();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # When a process dies
///
/// The flag keeps its state.
///
/// | the dead process | the others |
/// |---|---|
/// | was woken for an automatic event, and had not taken it | another waiter takes it |
/// | had not yet set the event | wait on, because the death is not reported to them |
///
/// To learn of the death of a process that was to set the event, use a [condition](super::Condvar)
/// or a channel instead. A condition wakes its waiters then, and a channel disconnects.
#[derive(Clone)]
pub struct Event {
    pub(super) location: LockLocation,
    pub(super) auto: bool,
}

const STATE: usize = 0;

impl Handle for Event {
    fn kind() -> LockKind {
        LockKind::plain("Event", |_, _| Some(1))
    }

    /// Reads the kind of the event from the length.
    fn of(location: LockLocation) -> io::Result<Event> {
        let auto = location.len != 0;
        Ok(Event { location, auto })
    }
}

handle!([] Event);

impl Event {
    fn make(slot: ObjectSlot<'_>, auto: bool) -> io::Result<Event> {
        Self::make_filled(slot, usize::from(auto), |_| Ok(()))
    }

    /// Makes a manual event, initially clear, in an anonymous segment of its own.
    ///
    /// # Errors
    ///
    /// As [`Segment::anonymous`].
    pub fn new() -> io::Result<Event> {
        Self::make(ObjectSlot::Anonymous, false)
    }

    /// Makes a manual event, initially clear, in a segment.
    ///
    /// # Errors
    ///
    /// As [`Mutex::new_in`](super::Mutex::new_in).
    pub fn new_in(segment: &Segment) -> io::Result<Event> {
        Self::make(ObjectSlot::In(segment), false)
    }

    /// Makes an automatic event, initially clear, in an anonymous segment of its own.
    ///
    /// # Errors
    ///
    /// As [`Segment::anonymous`].
    pub fn auto() -> io::Result<Event> {
        Self::make(ObjectSlot::Anonymous, true)
    }

    /// Makes an automatic event, initially clear, in a segment.
    ///
    /// # Errors
    ///
    /// As [`Mutex::new_in`](super::Mutex::new_in).
    pub fn auto_in(segment: &Segment) -> io::Result<Event> {
        Self::make(ObjectSlot::In(segment), true)
    }

    /// Makes an automatic event in a segment of its own with this name.
    ///
    /// # Errors
    ///
    /// As [`Segment::create`].
    pub fn create_auto(name: &str) -> io::Result<Event> {
        Self::make(ObjectSlot::Named(OpenMode::Create, name), true)
    }

    create_by_name!(=> false);

    pub(super) fn raw(&self) -> RawEvent<'_> {
        RawEvent { state: &self.location.words()[STATE], auto: self.auto }
    }

    /// Returns whether the event is set. False in a forked process.
    #[must_use]
    pub fn is_set(&self) -> bool {
        !self.location.forked() && self.raw().is_set()
    }

    /// Sets the event, and wakes all waiters, or one waiter if the event is automatic.
    ///
    /// # Errors
    ///
    /// [`Forked`](Refused::Forked) in a forked process.
    pub fn set(&self) -> Result<(), Refused> {
        self.location.check()?;
        self.raw().set(&self.location);
        Ok(())
    }

    /// Clears the event. A thread that waited when a manual event was set returns all the same.
    ///
    /// # Errors
    ///
    /// As [`set`](Event::set).
    pub fn clear(&self) -> Result<(), Refused> {
        self.location.check()?;
        self.raw().clear();
        Ok(())
    }

    /// Waits until the event is set. Takes it if it is automatic.
    ///
    /// # Errors
    ///
    /// As [`set`](Event::set).
    pub fn wait(&self) -> Result<(), Refused> {
        self.wait_with(Deadline::Never).map(|_| ())
    }

    /// Waits as [`wait`](Event::wait), but no longer than `timeout`. Returns whether the event was
    /// set.
    ///
    /// # Errors
    ///
    /// As [`set`](Event::set).
    pub fn wait_timeout(&self, timeout: Duration) -> Result<bool, Refused> {
        self.wait_with(Deadline::after(timeout))
    }

    /// Waits as [`wait`](Event::wait), but no longer than until `deadline`.
    ///
    /// Returns whether the event was set.
    ///
    /// # Errors
    ///
    /// As [`set`](Event::set).
    pub fn wait_deadline(&self, deadline: Instant) -> Result<bool, Refused> {
        self.wait_with(Deadline::At(deadline))
    }

    /// Returns whether the event is set, without waiting. Takes it if it is automatic.
    ///
    /// # Errors
    ///
    /// As [`set`](Event::set).
    pub fn try_wait(&self) -> Result<bool, Refused> {
        self.wait_with(Deadline::Now)
    }

    fn wait_with(&self, deadline: Deadline) -> Result<bool, Refused> {
        self.location.check()?;
        Ok(self.raw().wait(&self.location, deadline))
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("location", &self.location)
            .field("auto", &self.auto)
            .field("set", &self.is_set())
            .finish()
    }
}
