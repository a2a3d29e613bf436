//! A flag that processes wait for.

use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use ipc_core::Deadline;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::location::{LockKind, LockLocation, LockSlot, create_by_name, open_or_find};
use super::poison::Refused;
use super::raw::event::RawEvent;
use crate::segment::{OpenMode, Segment};

/// A flag that processes wait for: Python's `Event`, and raw_sync's.
///
/// A manual one stays set until it is [cleared](Event::clear), and lets everybody through; an
/// [automatic](Event::auto) one lets one through, and is clear again.
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
/// The flag stays as it is. One that an automatic event woke, and that is killed before it has
/// taken it, has not taken it: another one is let through. Who was to set it, and is killed before,
/// has not set it, and nobody is told: a [condition](super::Condvar) wakes those that wait for it
/// then, and a channel disconnects.
#[derive(Clone)]
pub struct Event {
    location: LockLocation,
    auto: bool,
}

const STATE: usize = 0;

impl Event {
    fn kind() -> LockKind {
        LockKind::of::<()>("Event", 1)
    }

    fn count(_len: usize, _participants: usize) -> Option<usize> {
        Some(1)
    }

    /// The length says which kind it is.
    fn at_location(location: LockLocation) -> io::Result<Event> {
        let auto = location.len != 0;
        Ok(Event { location, auto })
    }

    fn make(slot: LockSlot<'_>, auto: bool) -> io::Result<Event> {
        Self::at_location(LockLocation::make(
            slot,
            Self::kind(),
            usize::from(auto),
            Self::count,
            &|_| Ok(()),
        )?)
    }

    /// Makes a manual event that is clear, in an anonymous segment of its own.
    ///
    /// # Errors
    ///
    /// As [`Segment::anonymous`].
    pub fn new() -> io::Result<Event> {
        Self::make(LockSlot::Anonymous, false)
    }

    /// Makes a manual event in a segment.
    ///
    /// # Errors
    ///
    /// As [`Mutex::new_in`](super::Mutex::new_in).
    pub fn new_in(segment: &Segment) -> io::Result<Event> {
        Self::make(LockSlot::In(segment), false)
    }

    /// Makes an automatic event that is clear, in an anonymous segment of its own.
    ///
    /// # Errors
    ///
    /// As [`Segment::anonymous`].
    pub fn auto() -> io::Result<Event> {
        Self::make(LockSlot::Anonymous, true)
    }

    /// Makes an automatic event in a segment.
    ///
    /// # Errors
    ///
    /// As [`Mutex::new_in`](super::Mutex::new_in).
    pub fn auto_in(segment: &Segment) -> io::Result<Event> {
        Self::make(LockSlot::In(segment), true)
    }

    /// As [`auto`](Event::auto), in a segment of its own that has this name.
    ///
    /// # Errors
    ///
    /// As [`create`](Event::create).
    pub fn create_auto(name: &str) -> io::Result<Event> {
        Self::make(LockSlot::Named(OpenMode::Create, name), true)
    }

    create_by_name!(=> false);
    open_or_find!();

    fn raw(&self) -> RawEvent<'_> {
        RawEvent { state: &self.location.words()[STATE], auto: self.auto }
    }

    /// Whether it is set. False in a forked process.
    #[must_use]
    pub fn is_set(&self) -> bool {
        !self.location.forked() && self.raw().is_set()
    }

    /// Sets it, and wakes all that wait; one of them, if it is automatic.
    ///
    /// # Errors
    ///
    /// [`Forked`](Refused::Forked) in a forked process.
    pub fn set(&self) -> Result<(), Refused> {
        self.location.check()?;
        self.raw().set(&self.location);
        Ok(())
    }

    /// Clears it. Who waited when it was set is let through all the same, unless it is automatic.
    ///
    /// # Errors
    ///
    /// As [`set`](Event::set).
    pub fn clear(&self) -> Result<(), Refused> {
        self.location.check()?;
        self.raw().clear();
        Ok(())
    }

    /// Waits until it is set.
    ///
    /// # Errors
    ///
    /// As [`set`](Event::set).
    pub fn wait(&self) -> Result<(), Refused> {
        self.wait_with(Deadline::Never).map(|_| ())
    }

    /// Waits until it is set, but no longer than this: false if it was not.
    ///
    /// # Errors
    ///
    /// As [`set`](Event::set).
    pub fn wait_timeout(&self, timeout: Duration) -> Result<bool, Refused> {
        self.wait_with(Deadline::after(timeout))
    }

    /// Waits until it is set, but no longer than until then: false if it was not.
    ///
    /// # Errors
    ///
    /// As [`set`](Event::set).
    pub fn wait_deadline(&self, deadline: Instant) -> Result<bool, Refused> {
        self.wait_with(Deadline::At(deadline))
    }

    /// Passes if it is set, without waiting.
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

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.location.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let location = LockLocation::deserialize(deserializer, Self::kind(), Self::count)?;
        Event::at_location(location).map_err(serde::de::Error::custom)
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
