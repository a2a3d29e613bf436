//! The values that a lock can hold.

// Makes views of the bytes that a held lock protects.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::ptr::NonNull;

use crate::copy;
use crate::copy::bytes_at;
use crate::lock::poison::Refused;
use crate::sync::AtomicU64;
use crate::value::checked::{Checked, Copied, has_invalid_bits};

/// A value that a lock can hold: data whose bytes can be checked ([`Checked`]), or a slice of it.
///
/// For plain data any bytes are a value. For other types, such as `bool`, the bytes are checked
/// each time that the lock is acquired. In a slice, those of each item are checked.
pub trait Value: ValueLayout + Send + Sync {}

impl<T: Checked + Send + Sync> Value for T {}
impl<T: Checked + Send + Sync> Value for [T] {}

/// The error if the bytes are no value of the type.
pub(crate) const NO_VALUE: Refused = Refused::Corrupt(
    "its bytes are no value of its type; clear the poison, if there is some, and set a value",
);

/// The layout of a value in words. For this crate only: it is in no public path.
pub trait ValueLayout {
    /// The type of a copy in this process' own memory.
    type Own;
    #[doc(hidden)]
    type Item: Checked;
    /// Whether the value is a slice.
    #[doc(hidden)]
    const MANY: bool;
    #[doc(hidden)]
    fn items(&self) -> &[Self::Item];
    /// Copies `len` items from the beginning of `words`.
    ///
    /// Returns `None` if the bytes of an item are no value.
    #[doc(hidden)]
    fn read(words: &[AtomicU64], len: usize) -> Option<Self::Own>;
    #[doc(hidden)]
    fn own(own: &mut Self::Own) -> &mut Self;
    /// Returns a pointer to `len` items at `at`.
    #[doc(hidden)]
    fn view(at: *mut Self::Item, len: usize) -> *mut Self;
}

impl<T: Checked> ValueLayout for T {
    type Own = T;
    type Item = T;
    const MANY: bool = false;
    fn items(&self) -> &[T] {
        std::slice::from_ref(self)
    }
    #[inline]
    fn read(words: &[AtomicU64], _len: usize) -> Option<T> {
        let mut copied = Copied::new();
        copy::read_bytes(words, copied.bytes());
        copied.checked()
    }
    fn own(own: &mut T) -> &mut T {
        own
    }
    #[inline]
    fn view(at: *mut T, _len: usize) -> *mut T {
        at
    }
}

impl<T: Checked> ValueLayout for [T] {
    type Own = Box<[T]>;
    type Item = T;
    const MANY: bool = true;
    fn items(&self) -> &[T] {
        self
    }
    fn read(words: &[AtomicU64], len: usize) -> Option<Box<[T]>> {
        let mut values = vec![MaybeUninit::<T>::zeroed(); len];
        // SAFETY: so many bytes lie there, all of them initialised and without padding
        // (`NoUninit`). Through `&mut [u8]` only initialised bytes can be written.
        let bytes = unsafe {
            std::slice::from_raw_parts_mut(
                values.as_mut_ptr().cast::<u8>(),
                size_of_val(&values[..]),
            )
        };
        copy::read_bytes(words, bytes);
        if has_invalid_bits::<T>() {
            // SAFETY: there are `len` items, in this process' own memory. Any bytes are `Bits`,
            // which has the size and the alignment of `T`.
            let bits =
                unsafe { std::slice::from_raw_parts(values.as_ptr().cast::<T::Bits>(), len) };
            if !bits.iter().all(T::is_valid_bit_pattern) {
                return None;
            }
        }
        let values = Box::into_raw(values.into_boxed_slice());
        // SAFETY: the pointer is from a box of as many items with the same layout. Each item is
        // initialised, and was checked to be a value.
        Some(unsafe { Box::from_raw(values as *mut [T]) })
    }
    fn own(own: &mut Box<[T]>) -> &mut [T] {
        own
    }
    fn view(at: *mut T, len: usize) -> *mut [T] {
        std::ptr::slice_from_raw_parts_mut(at, len)
    }
}

/// Returns whether the first `len` items in `words` are values.
pub(crate) fn are_valid<T: Checked>(words: &[AtomicU64], len: usize) -> bool {
    assert!(len.checked_mul(size_of::<T>()).is_some_and(|bytes| bytes <= size_of_val(words)));
    let first = NonNull::from(words).cast::<T>();
    (0..len).all(|index| {
        let mut copied = Copied::<T>::new();
        // SAFETY: the item lies within `words`, as checked above.
        let item = unsafe { first.add(index) };
        // SAFETY: as above. In this process, references to the words exist only as atomics, and
        // references to the value only in guards. None of them writes during this call, because the
        // caller holds the lock.
        unsafe { bytes_at::read(item.cast(), copied.bytes()) };
        copied.is_valid()
    })
}

/// Copies a value to the beginning of `words`.
#[inline]
pub(crate) fn write<T: ValueLayout + ?Sized>(words: &[AtomicU64], value: &T) {
    copy::write_bytes(words, bytemuck::cast_slice(value.items()));
}

/// Returns the number of words that so many items take.
///
/// `None` if no memory is so large, or if a value that is not a slice has a length other than 1.
pub(crate) fn words<T: ValueLayout + ?Sized>(len: usize) -> Option<usize> {
    if !T::MANY && len != 1 {
        return None;
    }
    Some(size_of::<T::Item>().checked_mul(len)?.div_ceil(8))
}

/// Returns the alignment of a value, in words.
pub(crate) const fn align<T: ValueLayout + ?Sized>() -> usize {
    let align = align_of::<T::Item>().div_ceil(8);
    if align == 0 { 1 } else { align }
}
