//! What a lock can hold.

// A view of the bytes that a held lock protects.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::ptr::NonNull;

use crate::bytes_at;
use crate::checked::{Checked, Copied, has_invalid_bits};
use crate::copy;
use crate::lock::location::LockLocation;
use crate::lock::poison::Refused;
use crate::sync::AtomicU64;

/// What a lock can hold: data whose bytes can be checked ([`Checked`]), or a slice of it.
///
/// Of plain data any bytes are a value. Of other types, such as `bool`, the bytes are checked each
/// time that the lock is taken, in a slice those of each item.
pub trait Value: ValueLayout + Send + Sync {}

impl<T: Checked + Send + Sync> Value for T {}
impl<T: Checked + Send + Sync> Value for [T] {}

/// What lies there is no value of the type.
pub(crate) const NO_VALUE: Refused = Refused::Corrupt(
    "its bytes are no value of its type; clear the poison, if there is some, and set a value",
);

/// How a value lies in words. For this crate only: it is in no public path.
pub trait ValueLayout {
    /// A copy in this process' own memory.
    type Own;
    #[doc(hidden)]
    type Item: Checked;
    /// Whether it is a slice.
    #[doc(hidden)]
    const MANY: bool;
    #[doc(hidden)]
    fn items(&self) -> &[Self::Item];
    /// A copy of so many items from the beginning of `words`; `None` if the bytes of one are no
    /// value.
    #[doc(hidden)]
    fn read(words: &[AtomicU64], len: usize) -> Option<Self::Own>;
    #[doc(hidden)]
    fn own(own: &mut Self::Own) -> &mut Self;
    /// So many items at `at`.
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
        // SAFETY: so many bytes lie there, all initialised, without padding (`NoUninit`); `&mut
        // [u8]` can only write initialised ones.
        let bytes = unsafe {
            std::slice::from_raw_parts_mut(
                values.as_mut_ptr().cast::<u8>(),
                size_of_val(&values[..]),
            )
        };
        copy::read_bytes(words, bytes);
        if has_invalid_bits::<T>() {
            // SAFETY: as many items as there are, in our own memory; any bytes are `Bits`, as large
            // and as aligned as `T`.
            let bits =
                unsafe { std::slice::from_raw_parts(values.as_ptr().cast::<T::Bits>(), len) };
            if !bits.iter().all(T::is_valid_bit_pattern) {
                return None;
            }
        }
        let values = Box::into_raw(values.into_boxed_slice());
        // SAFETY: from a box of as many items of the same layout; each is initialised, and checked
        // to be a value.
        Some(unsafe { Box::from_raw(values as *mut [T]) })
    }
    fn own(own: &mut Box<[T]>) -> &mut [T] {
        own
    }
    fn view(at: *mut T, len: usize) -> *mut [T] {
        std::ptr::slice_from_raw_parts_mut(at, len)
    }
}

/// Whether the items that begin at one of the lock's own words are values. Of plain data, they are.
#[inline(always)]
pub(crate) fn is_valid<T: ValueLayout + ?Sized>(location: &LockLocation, at: usize) -> bool {
    !has_invalid_bits::<T::Item>() || are_valid::<T::Item>(&location.words()[at..], location.len)
}

fn are_valid<T: Checked>(words: &[AtomicU64], len: usize) -> bool {
    assert!(len.checked_mul(size_of::<T>()).is_some_and(|bytes| bytes <= size_of_val(words)));
    let first = NonNull::from(words).cast::<T>();
    (0..len).all(|index| {
        let mut copied = Copied::<T>::new();
        // SAFETY: the item lies within `words`, checked above.
        let item = unsafe { first.add(index) };
        // SAFETY: as above; in this process there are references to the words only as atomics, and
        // to the value only by guards, none of which writes while this is called: the caller has
        // the lock.
        unsafe { bytes_at::read(item.cast(), copied.bytes()) };
        copied.is_valid()
    })
}

/// Copies a value to the beginning of `words`.
#[inline]
pub(crate) fn write<T: ValueLayout + ?Sized>(words: &[AtomicU64], value: &T) {
    copy::write_bytes(words, bytemuck::cast_slice(value.items()));
}

/// Words that so many items take; `None` if no memory is so large, or one value is said to be none
/// or several.
pub(crate) fn words<T: ValueLayout + ?Sized>(len: usize) -> Option<usize> {
    if !T::MANY && len != 1 {
        return None;
    }
    Some(size_of::<T::Item>().checked_mul(len)?.div_ceil(8))
}

/// Words at which a value may begin: multiples of these.
pub(crate) const fn align<T: ValueLayout + ?Sized>() -> usize {
    let align = align_of::<T::Item>().div_ceil(8);
    if align == 0 { 1 } else { align }
}
