//! Values whose bytes are not all valid, such as `bool`, and how they may lie in shared memory.
//!
//! A peer can write any byte at any time. So the bytes are first copied into memory of this
//! process, where they do not change, and are then checked. There is never a reference to a value
//! whose bytes were not checked.

// Makes values of bytes that were checked.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;

use bytemuck::{AnyBitPattern, CheckedBitPattern, NoUninit};

/// Data without padding whose bytes can be checked: what a lock can hold.
///
/// Plain data (`bytemuck::NoUninit + AnyBitPattern`), `bool`, `char`, the `NonZero` integers, and
/// any type for which bytemuck's derives give `NoUninit` and `CheckedBitPattern`, such as an enum
/// without fields.
///
/// ```
/// use bytemuck::{CheckedBitPattern, NoUninit};
/// use ipc_shm::lock::Mutex;
///
/// #[derive(Clone, Copy, Debug, PartialEq)]
/// #[repr(u8)]
/// enum Light { Red, Green }
/// # // SAFETY: as bytemuck's derives say it: one byte, of which 0 and 1 are values.
/// # unsafe impl NoUninit for Light {}
/// # // SAFETY: as above.
/// # unsafe impl CheckedBitPattern for Light {
/// #     type Bits = u8;
/// #     fn is_valid_bit_pattern(bits: &u8) -> bool { *bits < 2 }
/// # }
///
/// let light = Mutex::new(Light::Red)?; // With #[derive(NoUninit, CheckedBitPattern)] at Light.
/// *light.lock().unwrap() = Light::Green;
/// assert_eq!(light.get()?, Light::Green);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Checked: NoUninit + CheckedBitPattern {}
impl<T: NoUninit + CheckedBitPattern> Checked for T {}

/// Data that can be copied out of shared memory whatever bytes lie there.
///
/// Plain data (`bytemuck::NoUninit + AnyBitPattern`), of which any bytes are a value, and two types
/// of which a peer that breaks the protocol can write other bytes as well. Those are read as
///
/// | type | valid bytes | other bytes are read as |
/// |---|---|---|
/// | `bool` | 0, 1 | `true` |
/// | `char` | a Unicode scalar value | [`char::REPLACEMENT_CHARACTER`] |
pub trait Stored: NoUninit + CheckedBitPattern<Bits: ReadAs<Self>> {}
impl<T: NoUninit + CheckedBitPattern<Bits: ReadAs<T>>> Stored for T {}

/// Bits that are each read as some `T`. It is in no public path: see [`Stored`].
pub trait ReadAs<T> {
    #[doc(hidden)]
    fn read_as(self) -> T;
}

impl<T: NoUninit + AnyBitPattern> ReadAs<T> for T {
    #[inline(always)]
    fn read_as(self) -> T {
        self
    }
}

impl ReadAs<bool> for u8 {
    #[inline(always)]
    fn read_as(self) -> bool {
        self != 0
    }
}

impl ReadAs<char> for u32 {
    #[inline(always)]
    fn read_as(self) -> char {
        char::from_u32(self).unwrap_or(char::REPLACEMENT_CHARACTER)
    }
}

/// Returns whether some bytes are no `T`. The compiler knows it as a constant.
#[inline(always)]
pub(crate) fn has_invalid_bits<T: Checked>() -> bool {
    // Of plain data, and of nothing else, bytemuck says that the bits are the type itself.
    typeid::of::<T>() != typeid::of::<T::Bits>()
}

/// Room for the bytes of a `T`, all of them initialised: zeros, or what was copied there.
pub(crate) struct Copied<T>(MaybeUninit<T>);

impl<T: Checked> Copied<T> {
    #[inline(always)]
    pub(crate) fn new() -> Copied<T> {
        Copied(MaybeUninit::zeroed())
    }

    /// Returns where the bytes are copied to.
    #[inline(always)]
    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: so many bytes are there, initialised by `new`, and `&mut [u8]` can only write
        // initialised ones.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), size_of::<T>()) }
    }

    #[inline(always)]
    fn bits(&self) -> &T::Bits {
        const {
            assert!(
                size_of::<T>() == size_of::<T::Bits>() && align_of::<T>() == align_of::<T::Bits>()
            )
        };
        // SAFETY: as many bytes, as aligned (above), initialised, in this process' own memory. Any
        // bytes are `Bits` (`AnyBitPattern`).
        unsafe { &*self.0.as_ptr().cast() }
    }

    /// Returns whether the bytes are a value.
    #[inline(always)]
    pub(crate) fn is_valid(&self) -> bool {
        T::is_valid_bit_pattern(self.bits())
    }

    /// Returns the value, if the bytes are one.
    #[inline(always)]
    pub(crate) fn checked(self) -> Option<T> {
        // SAFETY: valid bits are a value (`CheckedBitPattern`), and all are initialised.
        self.is_valid().then(|| unsafe { self.0.assume_init() })
    }
}

impl<T: Stored> Copied<T> {
    /// Returns the value that the bytes are, or are read as.
    #[inline(always)]
    pub(crate) fn value(self) -> T {
        // A copy: `Bits` is `Copy`.
        (*self.bits()).read_as()
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZero;

    use super::*;

    fn copied<T: Checked>(bytes: &[u8]) -> Copied<T> {
        let mut copied = Copied::new();
        copied.bytes().copy_from_slice(bytes);
        copied
    }

    #[test]
    fn bytes_are_a_value_or_are_refused() {
        assert_eq!(
            [0, 1, 2, 0xff].map(|byte| copied::<bool>(&[byte]).checked()),
            [Some(false), Some(true), None, None]
        );
        assert_eq!(copied::<char>(&0xd800u32.to_ne_bytes()).checked(), None);
        assert_eq!(copied::<char>(&u32::from('ß').to_ne_bytes()).checked(), Some('ß'));
        assert_eq!(copied::<NonZero<u16>>(&[0, 0]).checked(), None);
        assert_eq!(copied::<[u8; 3]>(&[7, 8, 9]).checked(), Some([7, 8, 9]));
        assert!(has_invalid_bits::<bool>() && has_invalid_bits::<NonZero<u8>>());
        assert!(
            !has_invalid_bits::<u8>()
                && !has_invalid_bits::<[f64; 4]>()
                && !has_invalid_bits::<()>()
        );
    }

    #[test]
    fn any_bytes_are_read_as_something() {
        assert_eq!(
            [0, 1, 2, 0xff].map(|byte| copied::<bool>(&[byte]).value()),
            [false, true, true, true]
        );
        assert_eq!(copied::<char>(&u32::MAX.to_ne_bytes()).value(), char::REPLACEMENT_CHARACTER);
        assert_eq!(copied::<i16>(&(-2i16).to_ne_bytes()).value(), -2);
    }
}
