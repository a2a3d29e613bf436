//! Arrays that processes share.

// Copies from and to addresses in a segment, and lends slices to callers that promise to be alone.
#![allow(unsafe_code)]

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::ops::{Bound, RangeBounds};
use std::ptr::NonNull;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::copy::bytes_at;
use crate::layout::Fingerprint;
use crate::segment::{OpenMode, Segment};
use crate::value::checked::{Copied, Stored, has_invalid_bits};
use crate::value::object::{Object, ObjectSlot, Placed, Shape, refuse};
use crate::value::shared::Shared;
use crate::value::word::Word;

/// A handle to an array in shared memory, or to a part of one.
///
/// The elements are values ([`Stored`]). Handles are cloned and sent freely.
///
/// It is what Python calls `multiprocessing.Array(…, lock=False)`, or a numpy array over a
/// `SharedMemory`. Parts go to different processes, each of which then works on its own part:
///
/// ```
/// use ipc_shm::SharedSlice;
///
/// let numbers = SharedSlice::<f64>::new(1000)?;
/// for part in numbers.chunks(250) {
///     part.fill(part.len() as f64); // As another process would, to which `part` was sent.
/// }
/// assert_eq!(numbers.get(999), Some(250.0));
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// | access | what it costs | if other processes write meanwhile |
/// |---|---|---|
/// | [`get`](SharedSlice::get), [`set`](SharedSlice::set) | a copy of an element | a number ([`Word`]) is never torn, others may be |
/// | [`read`](SharedSlice::read), [`write`](SharedSlice::write), [`fill`](SharedSlice::fill), [`to_vec`](SharedSlice::to_vec) | a copy of many | any mixture |
/// | [`element`](SharedSlice::element) | an atomic number | as std's atomics |
/// | [`as_slice`](SharedSlice::as_slice), [`as_mut_slice`](SharedSlice::as_mut_slice) | nothing: in place | undefined behaviour: you promise that they do not |
///
/// Two processes may have overlapping parts.
///
/// # Promises
///
/// As [`Shared`]: any bytes are elements, a process that is killed leaves what it had written, and
/// in a forked process every access to an inherited `SharedSlice` panics.
pub struct SharedSlice<T> {
    object: Object,
    first: Placed<T>,
    len: usize,
    _elements: PhantomData<T>,
}

// SAFETY: a handle to memory that other processes write anyway. Every access is atomic, a copy, or
// covered by the caller's promise.
unsafe impl<T: Stored + Send> Send for SharedSlice<T> {}
// SAFETY: as above.
unsafe impl<T: Stored + Send> Sync for SharedSlice<T> {}

impl<T: Stored> SharedSlice<T> {
    fn fingerprint() -> u64 {
        Fingerprint::of::<T>("slice")
    }

    fn shape(len: usize) -> io::Result<Shape> {
        const { assert!(size_of::<T>() > 0, "elements of no size") };
        let bytes = len.checked_mul(size_of::<T>()).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("shared slice: {len} elements are too many"),
            )
        })?;
        let fingerprint = Self::fingerprint();
        Ok(Shape { bytes, align: align_of::<T>(), fingerprint, any_size: false })
    }

    fn of(object: Object, len: usize) -> io::Result<SharedSlice<T>> {
        let first = object.pointer(Self::shape(len)?)?.cast();
        Ok(SharedSlice { object, first, len, _elements: PhantomData })
    }

    fn make(slot: ObjectSlot<'_>, len: usize) -> io::Result<Object> {
        Object::make(slot, Self::shape(len)?, |_| Ok(()))
    }

    /// Returns all of the array that the segment of an object holds.
    fn whole(object: Object) -> io::Result<SharedSlice<T>> {
        let len = object.segment.size() / size_of::<T>();
        Self::of(object, len)
    }

    /// Creates an array of `len` elements, all zero, in an unnamed segment of its own.
    ///
    /// # Errors
    ///
    /// As [`Segment::anonymous`].
    pub fn new(len: usize) -> io::Result<SharedSlice<T>> {
        Self::of(Self::make(ObjectSlot::Anonymous, len)?, len)
    }

    /// Creates an array of these elements, in an unnamed segment of its own.
    ///
    /// # Errors
    ///
    /// As [`Segment::anonymous`].
    pub fn from_slice(elements: &[T]) -> io::Result<SharedSlice<T>> {
        let shared = Self::new(elements.len())?;
        shared.write(0, elements);
        Ok(shared)
    }

    /// Creates an array of `len` elements, all zero, in a segment together with others.
    ///
    /// # Errors
    ///
    /// `StorageFull` if there is no room left in it; `Unsupported` if another program made it: then
    /// choose the place yourself, with [`at`](SharedSlice::at).
    pub fn new_in(segment: &Segment, len: usize) -> io::Result<SharedSlice<T>> {
        let shared = Self::of(Self::make(ObjectSlot::In(segment), len)?, len)?;
        // A process may have written there by an offset of its own.
        shared.fill(Copied::new().value());
        Ok(shared)
    }

    /// Returns the `len` elements at an offset, in bytes, of a segment.
    ///
    /// The program lays that segment out itself.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if they are not all in the segment, or not aligned.
    pub fn at(segment: &Segment, offset: usize, len: usize) -> io::Result<SharedSlice<T>> {
        Self::of(Object::at(segment, offset), len)
    }

    /// Creates an array of `len` elements, all zero, under a name.
    ///
    /// The last process that has it removes the name.
    ///
    /// # Errors
    ///
    /// As [`Segment::create`].
    pub fn create(name: &str, len: usize) -> io::Result<SharedSlice<T>> {
        Self::of(Self::make(ObjectSlot::Named(OpenMode::Create, name), len)?, len)
    }

    /// Opens all of an array by its name.
    ///
    /// # Errors
    ///
    /// As [`Segment::open`]; `InvalidData` if its elements are of another type.
    pub fn open(name: &str) -> io::Result<SharedSlice<T>> {
        Self::whole(Object::open(name, Self::shape(0)?)?)
    }

    /// Opens the array of this name, or creates one of `len` elements if there is none.
    ///
    /// An array that is opened must have at least `len` elements.
    ///
    /// # Errors
    ///
    /// As [`create`](SharedSlice::create) and [`open`](SharedSlice::open).
    pub fn open_or_create(name: &str, len: usize) -> io::Result<SharedSlice<T>> {
        Self::whole(Self::make(ObjectSlot::Named(OpenMode::OpenOrCreate, name), len)?)
    }

    /// Returns the number of elements.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns whether there are no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns a copy of an element, or `None` if there is no such element.
    #[must_use]
    #[inline]
    pub fn get(&self, index: usize) -> Option<T> {
        if index >= self.len {
            return None;
        }
        let mut copied = Copied::new();
        // SAFETY: so many elements lie there (`of`), as long as `self` lives, and it is one of
        // them.
        let from = unsafe { self.first.get().add(index) };
        // SAFETY: as above. A caller that makes references to it (`as_slice`) vouches for what
        // other processes do.
        unsafe { bytes_at::read(from.cast(), copied.bytes()) };
        Some(copied.value())
    }

    /// Copies a value into an element.
    ///
    /// # Panics
    ///
    /// If there is no such element.
    #[inline]
    #[track_caller]
    pub fn set(&self, index: usize, value: T) {
        self.write(index, std::slice::from_ref(&value));
    }

    /// Returns where `len` elements from `index` on lie.
    #[inline]
    #[track_caller]
    fn place(&self, index: usize, len: usize) -> NonNull<u8> {
        let most = self.len;
        assert!(
            index.checked_add(len).is_some_and(|end| end <= most),
            "{len} elements from {index} on are out of range for a shared slice of length {most}"
        );
        // SAFETY: so many elements lie there (`of`), as long as `self` lives, and the pointer is at
        // most behind the last.
        unsafe { self.first.get().add(index) }.cast()
    }

    /// Copies the elements from `index` on to `to`.
    ///
    /// # Panics
    ///
    /// If there are not that many elements.
    #[inline]
    #[track_caller]
    pub fn read(&self, index: usize, to: &mut [T]) {
        let from = self.place(index, to.len());
        if has_invalid_bits::<T>() {
            let elements = (index..).map_while(|index| self.get(index));
            return to.iter_mut().zip(elements).for_each(|(to, element)| *to = element);
        }
        // SAFETY: this process alone has them. Any bytes are a `T`, and it has no padding
        // (`NoUninit`).
        let bytes =
            unsafe { std::slice::from_raw_parts_mut(to.as_mut_ptr().cast(), size_of_val(to)) };
        // SAFETY: so many lie there, checked by `place`; otherwise as `get`.
        unsafe { bytes_at::read(from, bytes) };
    }

    /// Copies `elements` into the array, from `index` on.
    ///
    /// # Panics
    ///
    /// If they do not fit.
    #[inline]
    #[track_caller]
    pub fn write(&self, index: usize, elements: &[T]) {
        let to = self.place(index, elements.len());
        // SAFETY: so many lie there, checked by `place`; otherwise as `get`.
        unsafe { bytes_at::write(to, bytemuck::cast_slice(elements)) };
    }

    /// Copies one value into all elements.
    pub fn fill(&self, value: T) {
        const AT_ONCE: usize = 64;
        let values = [value; AT_ONCE];
        for index in (0..self.len).step_by(AT_ONCE) {
            self.write(index, &values[..AT_ONCE.min(self.len - index)]);
        }
    }

    /// Returns a copy of all elements.
    #[must_use]
    pub fn to_vec(&self) -> Vec<T> {
        let mut elements = vec![Copied::new().value(); self.len];
        self.read(0, &mut elements);
        elements
    }

    /// Splits the array at `mid`, and returns the parts before and from `mid` on.
    ///
    /// # Panics
    ///
    /// If `mid` is larger than the length.
    #[must_use]
    #[track_caller]
    pub fn split_at(&self, mid: usize) -> (SharedSlice<T>, SharedSlice<T>) {
        (self.slice(..mid), self.slice(mid..))
    }

    /// Returns consecutive parts of `size` elements. The last one may be shorter.
    ///
    /// # Panics
    ///
    /// If `size` is 0.
    #[track_caller]
    pub fn chunks(
        &self,
        size: usize,
    ) -> impl ExactSizeIterator<Item = SharedSlice<T>> + use<'_, T> {
        assert!(size > 0, "chunks of no elements");
        (0..self.len.div_ceil(size))
            .map(move |n| self.slice(n * size..((n + 1) * size).min(self.len)))
    }

    /// Returns a part of the array.
    ///
    /// # Panics
    ///
    /// If the part is not all in the array.
    #[must_use]
    #[track_caller]
    pub fn slice(&self, range: impl RangeBounds<usize>) -> SharedSlice<T> {
        let start = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(start) => start.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(end) => end.saturating_add(1),
            Bound::Excluded(end) => *end,
            Bound::Unbounded => self.len,
        };
        let most = self.len;
        assert!(
            start <= end && end <= most,
            "{start}..{end} is out of range for a shared slice of length {most}"
        );
        let offset = self.object.offset + start * size_of::<T>();
        SharedSlice {
            object: Object::at(&self.object.segment, offset),
            first: self.first.at(self.place(start, end - start).cast()),
            len: end - start,
            _elements: PhantomData,
        }
    }

    /// Returns a handle to one element, or `None` if there is no such element.
    ///
    /// For numbers, it has all operations of an atomic.
    #[must_use]
    pub fn element(&self, index: usize) -> Option<Shared<T>>
    where
        T: Word,
    {
        if index >= self.len {
            return None;
        }
        Shared::at(&self.object.segment, self.object.offset + index * size_of::<T>()).ok()
    }

    /// Returns where the first element lies. Valid as long as a handle of the array lives.
    ///
    /// Other processes may write there at any time.
    #[must_use]
    pub fn as_ptr(&self) -> *mut T {
        self.first.as_ptr()
    }

    /// Returns the elements in place, to be read.
    ///
    /// [`read`](SharedSlice::read) and [`to_vec`](SharedSlice::to_vec) copy instead, and need no
    /// promise.
    ///
    /// # Safety
    ///
    /// While the slice lives, no process writes these elements: not this process, and no other.
    /// This process was not forked since, without exec, from the one that attached. The bytes of
    /// each element are a value: of plain data any are, of a `bool` only 0 and 1.
    #[must_use]
    pub unsafe fn as_slice(&self) -> &[T] {
        // SAFETY: so many elements lie there (`of`), aligned. The caller promises that they are
        // elements, and that no process writes them.
        unsafe { std::slice::from_raw_parts(self.first.as_ptr(), self.len) }
    }

    /// Returns the elements in place, to be written.
    ///
    /// [`write`](SharedSlice::write) copies instead, and needs no promise.
    ///
    /// # Safety
    ///
    /// While the slice lives, nothing else reads or writes these elements: not this process by
    /// other handles, and no other process. This process was not forked since, without exec, from
    /// the one that attached. The bytes of each element are a value.
    #[must_use]
    #[allow(clippy::mut_from_ref)] // A handle, as a pointer is: the caller promises.
    pub unsafe fn as_mut_slice(&self) -> &mut [T] {
        // SAFETY: as `as_slice`. The caller promises that nothing else reads or writes them.
        unsafe { std::slice::from_raw_parts_mut(self.first.as_ptr(), self.len) }
    }

    /// Returns the segment that the array lies in.
    #[must_use]
    pub fn segment(&self) -> &Segment {
        &self.object.segment
    }
}

impl<T> Clone for SharedSlice<T> {
    fn clone(&self) -> Self {
        SharedSlice {
            object: self.object.clone(),
            first: self.first,
            len: self.len,
            _elements: PhantomData,
        }
    }
}

impl<T> fmt::Debug for SharedSlice<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedSlice").field("in", &self.object).field("len", &self.len).finish()
    }
}

impl<T: Stored> Serialize for SharedSlice<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.object.serialize_with(Self::fingerprint(), self.len as u64, serializer)
    }
}

impl<'de, T: Stored> Deserialize<'de> for SharedSlice<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (object, len) = Object::deserialize_with::<D, u64>(Self::fingerprint(), deserializer)?;
        Self::of(object, usize::try_from(len).unwrap_or(usize::MAX)).map_err(refuse)
    }
}
