//! A value that one of all processes makes when it is first used.

use std::fmt;
use std::io;

use super::once_lock::OnceLock;
use super::poison::Refused;
use crate::segment::Segment;
use crate::value::checked::Checked;

/// A value that a function makes on first use: [`std::sync::LazyLock`] in shared memory.
///
/// Of all processes that ask for the value, one runs its function, and the others wait. A function
/// is not sent in messages. A process that shares the value gets the [`OnceLock`]
/// ([`once`](LazyLock::once)), or opens it by its name. It then passes the function again
/// ([`over`](LazyLock::over), [`open`](LazyLock::open)).
///
/// ```
/// use ipc_shm::lock::LazyLock;
///
/// let answer = LazyLock::new(|| 6u32 * 7)?;
/// assert_eq!(LazyLock::get(&answer), None);
/// assert_eq!(*LazyLock::force(&answer)?, 42);
///
/// let theirs = LazyLock::over(answer.once().clone(), || 0);
/// assert_eq!(*LazyLock::force(&theirs)?, 42);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// There is no `Deref`, because [`force`](LazyLock::force) can fail, in a forked process for
/// example.
///
/// # When a process dies
///
/// If the process dies while it runs the function, the next process that asks, or a waiting one,
/// runs its own. The function writes to its own memory. So the value is made once, and the function
/// may run more than once.
pub struct LazyLock<T: Checked + Send + Sync> {
    once: OnceLock<T>,
    make: fn() -> T,
}

impl<T: Checked + Send + Sync> LazyLock<T> {
    /// Makes an object without a value, in an anonymous segment of its own.
    ///
    /// # Errors
    ///
    /// As [`Segment::anonymous`].
    pub fn new(make: fn() -> T) -> io::Result<Self> {
        Ok(Self::over(OnceLock::new()?, make))
    }

    /// Makes an object without a value, in a segment.
    ///
    /// # Errors
    ///
    /// As [`Mutex::new_in`](super::Mutex::new_in).
    pub fn new_in(segment: &Segment, make: fn() -> T) -> io::Result<Self> {
        Ok(Self::over(OnceLock::new_in(segment)?, make))
    }

    /// Makes an object without a value, in a segment of its own with this name.
    ///
    /// # Errors
    ///
    /// As [`Segment::create`].
    pub fn create(name: &str, make: fn() -> T) -> io::Result<Self> {
        Ok(Self::over(OnceLock::create(name)?, make))
    }

    /// Opens the object with this name.
    ///
    /// # Errors
    ///
    /// As [`Segment::open`], and `InvalidData` if the object is of another kind or type.
    pub fn open(name: &str, make: fn() -> T) -> io::Result<Self> {
        Ok(Self::over(OnceLock::open(name)?, make))
    }

    /// Opens the object with this name, or makes it if there is none.
    ///
    /// # Errors
    ///
    /// As [`LazyLock::create`] and [`LazyLock::open`], except for `AlreadyExists` and `NotFound`.
    pub fn open_or_create(name: &str, make: fn() -> T) -> io::Result<Self> {
        Ok(Self::over(OnceLock::open_or_create(name)?, make))
    }

    /// Makes an object over an existing [`OnceLock`]. A value that another process made there is
    /// used.
    pub fn over(once: OnceLock<T>, make: fn() -> T) -> Self {
        LazyLock { once, make }
    }

    /// Returns the object that holds the value. It can be sent to other processes.
    pub fn once(&self) -> &OnceLock<T> {
        &self.once
    }

    /// Returns the value, and makes it first if there is none yet.
    ///
    /// Blocks while another thread or process makes it. If the function panics, there is still no
    /// value, and the next caller runs its function. `std` poisons the object instead.
    ///
    /// # Errors
    ///
    /// - [`WouldDeadlock`](Refused::WouldDeadlock) if the function itself asks for the value.
    /// - [`Forked`](Refused::Forked) in a forked process.
    /// - [`Corrupt`](Refused::Corrupt) if a peer has written bytes there that are no value.
    pub fn force(this: &Self) -> Result<&T, Refused> {
        this.once.get_or_init(this.make)
    }

    /// Returns the value if there is one. Never blocks.
    #[must_use]
    pub fn get(this: &Self) -> Option<&T> {
        this.once.get()
    }
}

impl<T: Checked + Send + Sync> Clone for LazyLock<T> {
    fn clone(&self) -> Self {
        LazyLock { once: self.once.clone(), make: self.make }
    }
}

impl<T: Checked + Send + Sync + fmt::Debug> fmt::Debug for LazyLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LazyLock").field("once", &self.once).finish_non_exhaustive()
    }
}
