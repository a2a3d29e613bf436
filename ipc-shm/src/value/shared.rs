//! Values that processes share.

// Atomics and copies over an address in a segment.
#![allow(unsafe_code)]

use crate::sync::Ordering;
use std::fmt;
use std::io;
use std::marker::PhantomData;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::copy::bytes_at;
use crate::layout::Fingerprint;
use crate::segment::{OpenMode, Segment};
use crate::value::checked::{Copied, Stored};
use crate::value::object::{Object, ObjectSlot, Placed, Shape, refuse};
use crate::value::word::{Integer, Word};

/// A handle to one value in shared memory. Handles are cloned and sent freely.
///
/// The value is plain data, a `bool` or a `char` ([`Stored`]).
///
/// It is what Python calls `multiprocessing.Value(…, lock=False)`. Between threads it is an
/// `Arc<AtomicU64>`.
///
/// ```
/// use std::sync::atomic::Ordering::Relaxed;
///
/// let hits = ipc_shm::Shared::new(0u64)?;
/// hits.fetch_add(1, Relaxed); // From any process that has a handle.
/// assert_eq!(hits.load(Relaxed), 1);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// | type | operations | torn? |
/// |---|---|---|
/// | integers and floats of 1 to 8 bytes, `bool` ([`Word`]) | `load`, `store`, `swap`, `compare_exchange`, as std's atomics; integers also `fetch_…` | never |
/// | any of them | [`get`](Shared::get), [`set`](Shared::set): copies | if it is read while another writes, unless it is a word |
///
/// For a larger value with one writer, use [`SeqLock`](crate::SeqLock), which is never torn. For
/// one with several writers, use a mutex.
///
/// # Promises
///
/// Any bytes are a value. So a peer that breaks the protocol can write any value there, and do
/// nothing worse. A process that is killed leaves what it had written. In a process that was
/// forked, without exec, every access to an inherited `Shared` panics, because that process has no
/// mapping of it. It may open or receive the same value itself.
pub struct Shared<T> {
    object: Object,
    at: Placed<T>,
    _value: PhantomData<T>,
}

// SAFETY: a handle to memory that other processes write anyway. Every access is atomic or a copy.
unsafe impl<T: Stored + Send> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Stored + Send> Sync for Shared<T> {}

impl<T: Stored> Shared<T> {
    fn shape() -> Shape {
        Shape {
            bytes: size_of::<T>(),
            align: align_of::<T>(),
            fingerprint: Fingerprint::of::<T>("shared"),
            any_size: false,
        }
    }

    fn of(object: Object) -> io::Result<Shared<T>> {
        let at = object.pointer(Self::shape())?.cast();
        Ok(Shared { object, at, _value: PhantomData })
    }

    /// Creates a shared value, in a segment of its own without a name.
    ///
    /// # Errors
    ///
    /// As [`Segment::anonymous`].
    pub fn new(value: T) -> io::Result<Shared<T>> {
        Self::make(ObjectSlot::Anonymous, value)
    }

    /// Creates a shared value in a segment, together with others.
    ///
    /// A segment of its own would take at least a page.
    ///
    /// # Errors
    ///
    /// `StorageFull` if there is no room left in it; `Unsupported` if another program made it: then
    /// choose the place yourself, with [`at`](Shared::at).
    pub fn new_in(segment: &Segment, value: T) -> io::Result<Shared<T>> {
        Self::make(ObjectSlot::In(segment), value)
    }

    /// Returns the value at an offset of a segment that you lay out yourself.
    ///
    /// Any bytes that lie there are a value.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if it is not all in the segment, or not aligned.
    pub fn at(segment: &Segment, offset: usize) -> io::Result<Shared<T>> {
        Self::of(Object::at(segment, offset))
    }

    /// Creates a shared value under a name. The last process that has it removes the name.
    ///
    /// # Errors
    ///
    /// As [`Segment::create`].
    pub fn create(name: &str, value: T) -> io::Result<Shared<T>> {
        Self::make(ObjectSlot::Named(OpenMode::Create, name), value)
    }

    /// Opens a value by its name.
    ///
    /// # Errors
    ///
    /// As [`Segment::open`]; `InvalidData` if it is of another type.
    pub fn open(name: &str) -> io::Result<Shared<T>> {
        Self::of(Object::open(name, Self::shape())?)
    }

    /// Opens the value of this name, or creates it as `value` if there is none.
    ///
    /// # Errors
    ///
    /// As [`create`](Shared::create) and [`open`](Shared::open).
    pub fn open_or_create(name: &str, value: T) -> io::Result<Shared<T>> {
        Self::make(ObjectSlot::Named(OpenMode::OpenOrCreate, name), value)
    }

    fn make(slot: ObjectSlot<'_>, value: T) -> io::Result<Shared<T>> {
        let fill = |object: &Object| {
            Self::of(object.clone())?.set(value);
            Ok(())
        };
        Self::of(Object::make(slot, Self::shape(), fill)?)
    }

    /// Returns a copy of the value.
    ///
    /// If the value is larger than a word, and another process writes it meanwhile, the copy is a
    /// mixture.
    #[must_use]
    #[inline]
    pub fn get(&self) -> T {
        let mut copied = Copied::new();
        // SAFETY: a `T` lies there (`of`), as long as `self` lives. Only a caller of `as_ptr` makes
        // references to it, and vouches for it.
        unsafe { bytes_at::read(self.at.get().cast(), copied.bytes()) };
        copied.value()
    }

    /// Copies `value` into shared memory.
    ///
    /// If it is larger than a word, a process that reads it meanwhile gets a mixture.
    #[inline]
    pub fn set(&self, value: T) {
        // SAFETY: as `get`, and the mapping is writable.
        unsafe { bytes_at::write(self.at.get().cast(), bytemuck::bytes_of(&value)) };
    }

    /// Returns where the value lies. Valid as long as a handle of it lives.
    ///
    /// Other processes may write there at any time.
    #[must_use]
    pub fn as_ptr(&self) -> *mut T {
        self.at.as_ptr()
    }

    /// Returns the segment that the value lies in.
    #[must_use]
    pub fn segment(&self) -> &Segment {
        &self.object.segment
    }
}

macro_rules! forward {
    ($($(#[$doc:meta])* $name:ident($($arg:ident: $Arg:ty),*) -> $Out:ty;)*) => {$(
        $(#[$doc])*
        #[inline]
        pub fn $name(&self $(, $arg: $Arg)*) -> $Out {
            T::$name(self.word() $(, $arg)*)
        }
    )*};
}

impl<T: Word> Shared<T> {
    #[inline]
    fn word(&self) -> &T::Atomic {
        // SAFETY: a `T` lies there (`of`), aligned, as long as `self` lives. Its atomic has the
        // same size and alignment, and is valid whatever a peer writes.
        unsafe { self.at.get().cast::<T::Atomic>().as_ref() }
    }

    forward! {
        /// Loads the value, as std's atomics do.
        ///
        /// # Panics
        ///
        /// If `order` is `Release` or `AcqRel`.
        load(order: Ordering) -> T;
        /// Stores a value.
        ///
        /// # Panics
        ///
        /// If `order` is `Acquire` or `AcqRel`.
        store(value: T, order: Ordering) -> ();
        /// Stores a value, and returns the previous one.
        swap(value: T, order: Ordering) -> T;
    }

    /// Stores `new` if the value is `current`, bit by bit.
    ///
    /// Returns the previous value: `Ok` if `new` was stored.
    ///
    /// # Errors
    ///
    /// The present value, if it is not `current`.
    ///
    /// # Panics
    ///
    /// If `failure` is `Release` or `AcqRel`.
    #[inline]
    pub fn compare_exchange(
        &self,
        current: T,
        new: T,
        success: Ordering,
        failure: Ordering,
    ) -> Result<T, T> {
        T::compare_exchange(self.word(), current, new, success, failure)
    }

    /// Replaces the value by the result of `f`, and returns the previous value.
    ///
    /// `f` may be called again if other processes change the value at the same time.
    ///
    /// # Errors
    ///
    /// The present value, if `f` returned `None`.
    ///
    /// # Panics
    ///
    /// As [`compare_exchange`](Shared::compare_exchange).
    pub fn fetch_update(
        &self,
        success: Ordering,
        failure: Ordering,
        mut f: impl FnMut(T) -> Option<T>,
    ) -> Result<T, T> {
        let mut value = self.load(failure);
        while let Some(new) = f(value) {
            match self.compare_exchange(value, new, success, failure) {
                Ok(before) => return Ok(before),
                Err(now) => value = now,
            }
        }
        Err(value)
    }
}

impl<T: Integer> Shared<T> {
    forward! {
        /// Adds, wrapping around, and returns the previous value.
        fetch_add(value: T, order: Ordering) -> T;
        /// Subtracts, wrapping around, and returns the previous value.
        fetch_sub(value: T, order: Ordering) -> T;
        /// Stores the bitwise and, and returns the previous value.
        fetch_and(value: T, order: Ordering) -> T;
        /// Stores the bitwise or, and returns the previous value.
        fetch_or(value: T, order: Ordering) -> T;
        /// Stores the bitwise exclusive or, and returns the previous value.
        fetch_xor(value: T, order: Ordering) -> T;
        /// Stores the larger of both, and returns the previous value.
        fetch_max(value: T, order: Ordering) -> T;
        /// Stores the smaller of both, and returns the previous value.
        fetch_min(value: T, order: Ordering) -> T;
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Shared { object: self.object.clone(), at: self.at, _value: PhantomData }
    }
}

impl<T> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("in", &self.object).finish_non_exhaustive()
    }
}

impl<T: Stored> Serialize for Shared<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.object.serialize_with(Self::shape().fingerprint, (), serializer)
    }
}

impl<'de, T: Stored> Deserialize<'de> for Shared<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (object, ()) = Object::deserialize_with(Self::shape().fingerprint, deserializer)?;
        Self::of(object).map_err(refuse)
    }
}
