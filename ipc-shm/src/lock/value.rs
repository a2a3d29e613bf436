//! What a lock can hold.

// A view of the bytes that a held lock protects.
#![allow(unsafe_code)]

use crate::copy;
use crate::pod::Plain;
use crate::sync::AtomicU64;

/// What a lock can hold: plain data (`bytemuck::NoUninit + AnyBitPattern`), or a slice of it.
///
/// Any bytes are a value, so whatever lies in shared memory is one.
pub trait Value: Kept + Send + Sync {}

impl<T: Plain + Send + Sync> Value for T {}
impl<T: Plain + Send + Sync> Value for [T] {}

/// How a value lies in words. For this crate only: it is in no public path.
pub trait Kept {
    /// A copy in this process' own memory.
    type Own;
    #[doc(hidden)]
    type Item: Plain;
    /// Whether it is a slice.
    #[doc(hidden)]
    const MANY: bool;
    #[doc(hidden)]
    fn items(&self) -> &[Self::Item];
    /// A copy of so many items from the beginning of `words`.
    #[doc(hidden)]
    fn read(words: &[AtomicU64], len: usize) -> Self::Own;
    #[doc(hidden)]
    fn own(own: &mut Self::Own) -> &mut Self;
    /// So many items at `at`.
    #[doc(hidden)]
    fn view(at: *mut Self::Item, len: usize) -> *mut Self;
}

impl<T: Plain> Kept for T {
    type Own = T;
    type Item = T;
    const MANY: bool = false;
    fn items(&self) -> &[T] {
        std::slice::from_ref(self)
    }
    #[inline]
    fn read(words: &[AtomicU64], _len: usize) -> T {
        copy::read_value(words)
    }
    fn own(own: &mut T) -> &mut T {
        own
    }
    #[inline]
    fn view(at: *mut T, _len: usize) -> *mut T {
        at
    }
}

impl<T: Plain> Kept for [T] {
    type Own = Box<[T]>;
    type Item = T;
    const MANY: bool = true;
    fn items(&self) -> &[T] {
        self
    }
    fn read(words: &[AtomicU64], len: usize) -> Box<[T]> {
        let mut values = vec![T::zeroed(); len].into_boxed_slice();
        copy::read_bytes(words, bytemuck::cast_slice_mut(&mut values));
        values
    }
    fn own(own: &mut Box<[T]>) -> &mut [T] {
        own
    }
    fn view(at: *mut T, len: usize) -> *mut [T] {
        std::ptr::slice_from_raw_parts_mut(at, len)
    }
}

/// Copies a value to the beginning of `words`.
#[inline]
pub(crate) fn write<T: Kept + ?Sized>(words: &[AtomicU64], value: &T) {
    copy::write_bytes(words, bytemuck::cast_slice(value.items()));
}

/// Words that so many items take; `None` if no memory is so large, or one value is said to be none or several.
pub(crate) fn words<T: Kept + ?Sized>(len: usize) -> Option<usize> {
    if !T::MANY && len != 1 {
        return None;
    }
    Some(size_of::<T::Item>().checked_mul(len)?.div_ceil(8))
}

/// Words at which a value may begin: multiples of these.
pub(crate) const fn align<T: Kept + ?Sized>() -> usize {
    let align = align_of::<T::Item>().div_ceil(8);
    if align == 0 { 1 } else { align }
}
