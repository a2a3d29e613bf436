//! A value that is written once, by one of all processes.

// Lends a value in place.
#![allow(unsafe_code)]

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::ptr::NonNull;

use super::handle::{Handle, create_by_name, handle};
use super::location::{self, LockKind, LockLocation};
use super::once::{OnceError, STATE, begin, raw};
use super::poison::Refused;
use super::raw::once::End;
use super::value::{self, ValueLayout};
use crate::copy;
use crate::killpoint::kill_point;
use crate::segment::{OpenMode, Segment};
use crate::value::checked::Checked;
use crate::value::object::ObjectSlot;

/// A value that is written once, by one of all processes: [`std::sync::OnceLock`] in shared memory.
///
/// ```
/// use ipc_shm::lock::OnceLock;
///
/// let limit = OnceLock::new()?;
/// assert_eq!(*limit.get_or_init(|| 7u32)?, 7);
/// assert_eq!(limit.set(8)?, Err(8));
/// assert_eq!(limit.get(), Some(&7));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # When a process dies
///
/// If the process dies while it runs the initialiser, the next caller, or a waiting one, runs its
/// own. The initialiser runs in its own memory, so no other process sees a part of the value.
///
/// # Peers
///
/// [`get`](OnceLock::get) lends the value in place. No peer that keeps the protocol writes it any
/// more. [`copied`](OnceLock::copied) works on any bytes. For bytes that are no value, such as 2
/// for a `bool`, a call that returns an `Option` returns `None`, and the others return
/// [`Refused::Corrupt`].
pub struct OnceLock<T: Checked + Send + Sync> {
    location: LockLocation,
    _value: PhantomData<T>,
}

impl<T: Checked + Send + Sync> Handle for OnceLock<T> {
    fn kind() -> LockKind {
        LockKind::over::<T>("OnceLock", |len, _| {
            Self::value_at().checked_add(value::words::<T>(len)?)
        })
    }

    fn of(location: LockLocation) -> io::Result<Self> {
        Ok(OnceLock { location, _value: PhantomData })
    }
}

handle!([T: Checked + Send + Sync] OnceLock<T>);

impl<T: Checked + Send + Sync> OnceLock<T> {
    fn value_at() -> usize {
        location::after::<T>(STATE + 1)
    }

    /// Makes an object without a value, in an anonymous segment of its own.
    ///
    /// # Errors
    ///
    /// As [`Segment::anonymous`].
    pub fn new() -> io::Result<Self> {
        Self::make(ObjectSlot::Anonymous)
    }

    /// Makes an object without a value, in a segment.
    ///
    /// # Errors
    ///
    /// As [`Mutex::new_in`](super::Mutex::new_in).
    pub fn new_in(segment: &Segment) -> io::Result<Self> {
        Self::make(ObjectSlot::In(segment))
    }

    create_by_name!();

    fn make(slot: ObjectSlot<'_>) -> io::Result<Self> {
        Self::make_filled(slot, 1, |_| Ok(()))
    }

    /// Returns the value, if there is one. `None` in a forked process.
    #[must_use]
    pub fn get(&self) -> Option<&T> {
        if self.location.forked() || !raw(&self.location).is_complete() {
            return None;
        }
        if !self.location.is_valid::<T>(Self::value_at()) {
            return None;
        }
        let at: NonNull<T> = self.location.value(Self::value_at());
        // SAFETY: the value lies there. It is mapped as long as `self.location` lives, and aligned
        // (`LockKind::align`). Its bytes are a value: any are, or they were checked above. The
        // value is complete (ONCE-E1), so no peer writes it any more, as long as peers keep the
        // protocol (at the type).
        Some(unsafe { at.as_ref() })
    }

    /// Returns a copy of the value, if there is one.
    #[must_use]
    pub fn copied(&self) -> Option<T> {
        if self.location.forked() || !raw(&self.location).is_complete() {
            return None;
        }
        T::read(&self.location.words()[Self::value_at()..], 1)
    }

    /// Writes the value, or returns it in `Ok(Err(value))` if there already is one.
    ///
    /// Waits while another thread writes the value.
    ///
    /// # Errors
    ///
    /// As [`get_or_init`](OnceLock::get_or_init).
    pub fn set(&self, value: T) -> Result<Result<(), T>, Refused> {
        let mut value = Some(value);
        self.initialise(|| Ok::<T, Infallible>(value.take().expect("called once")))?
            .unwrap_or_else(|e| match e {});
        Ok(value.map_or(Ok(()), Err))
    }

    /// Returns the value. If there is none yet, the result of `f` becomes the value.
    ///
    /// If several processes call this at once, one runs its `f`, and the others wait. If `f`
    /// panics, there is still no value, as with [`std::sync::OnceLock`].
    ///
    /// # Errors
    ///
    /// [`Refused`], if `f` itself asks for this value (`WouldDeadlock`), in a forked process, and
    /// if the memory is corrupt.
    pub fn get_or_init(&self, f: impl FnOnce() -> T) -> Result<&T, Refused> {
        self.initialise(|| Ok::<T, Infallible>(f()))?.unwrap_or_else(|e| match e {});
        self.initialised()
    }

    /// Returns the value as [`get_or_init`](OnceLock::get_or_init), with an `f` that may fail.
    ///
    /// If `f` fails, its error is the inner result, and there is still no value.
    ///
    /// # Errors
    ///
    /// As [`get_or_init`](OnceLock::get_or_init).
    pub fn get_or_try_init<E>(
        &self,
        f: impl FnOnce() -> Result<T, E>,
    ) -> Result<Result<&T, E>, Refused> {
        if let Err(error) = self.initialise(f)? {
            return Ok(Err(error));
        }
        self.initialised().map(Ok)
    }

    /// Returns the value after it was initialised.
    fn initialised(&self) -> Result<&T, Refused> {
        self.get()
            .ok_or(Refused::Corrupt("a value has gone, or its bytes are no value of its type"))
    }

    fn initialise<E>(&self, f: impl FnOnce() -> Result<T, E>) -> Result<Result<(), E>, Refused> {
        let begun = begin(&self.location, true, End::Incomplete).map_err(|error| match error {
            OnceError::Refused(why) => why,
            OnceError::Poisoned => unreachable!("it is forced"),
        })?;
        if let Some((running, _)) = begun {
            let value = match f() {
                Ok(value) => value,
                Err(error) => return Ok(Err(error)),
            };
            kill_point!("once.write");
            copy::write_value(&self.location.words()[Self::value_at()..], &value);
            running.done();
        }
        Ok(Ok(()))
    }

    /// Waits until another thread has written the value.
    ///
    /// # Errors
    ///
    /// [`Refused`] in a forked process, and if the memory is corrupt.
    pub fn wait(&self) -> Result<&T, Refused> {
        self.location.check()?;
        raw(&self.location).wait(&self.location, true)?;
        self.initialised()
    }
}

impl<T: Checked + Send + Sync> Clone for OnceLock<T> {
    fn clone(&self) -> Self {
        OnceLock { location: self.location.clone(), _value: PhantomData }
    }
}

impl<T: Checked + Send + Sync + fmt::Debug> fmt::Debug for OnceLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnceLock")
            .field("location", &self.location)
            .field("value", &self.copied())
            .finish()
    }
}
