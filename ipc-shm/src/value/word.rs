//! Numbers and truth values that the processor loads, stores and changes in one step.

use crate::sync::unmodelled::{
    AtomicI8, AtomicI16, AtomicI32, AtomicI64, AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering,
};

use crate::value::checked::{ReadAs, Stored};

mod sealed {
    pub trait Sealed {}
}

/// A number or `bool` of 1, 2, 4 or 8 bytes.
///
/// It is implemented for `u8` to `u64`, `i8` to `i64`, `f32`, `f64` and `bool`. It is not
/// implemented for `usize`, whose size is not the same in every program.
pub trait Word: Stored + sealed::Sealed {
    #[doc(hidden)]
    type Atomic;
    #[doc(hidden)]
    fn load(word: &Self::Atomic, order: Ordering) -> Self;
    #[doc(hidden)]
    fn store(word: &Self::Atomic, value: Self, order: Ordering);
    #[doc(hidden)]
    fn swap(word: &Self::Atomic, value: Self, order: Ordering) -> Self;
    #[doc(hidden)]
    fn compare_exchange(
        word: &Self::Atomic,
        current: Self,
        new: Self,
        success: Ordering,
        failure: Ordering,
    ) -> Result<Self, Self>;
}

macro_rules! word {
    ($T:ty, $Atomic:ty, $to:expr, $from:expr) => {
        const _: () = assert!(
            size_of::<$T>() == size_of::<$Atomic>() && align_of::<$T>() == align_of::<$Atomic>()
        );
        impl sealed::Sealed for $T {}
        impl Word for $T {
            type Atomic = $Atomic;
            #[inline(always)]
            fn load(word: &$Atomic, order: Ordering) -> $T {
                $from(word.load(order))
            }
            #[inline(always)]
            fn store(word: &$Atomic, value: $T, order: Ordering) {
                word.store($to(value), order);
            }
            #[inline(always)]
            fn swap(word: &$Atomic, value: $T, order: Ordering) -> $T {
                $from(word.swap($to(value), order))
            }
            #[inline(always)]
            fn compare_exchange(
                word: &$Atomic,
                current: $T,
                new: $T,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$T, $T> {
                word.compare_exchange($to(current), $to(new), success, failure)
                    .map($from)
                    .map_err($from)
            }
        }
    };
}

macro_rules! integers {
    ($($T:ty, $Atomic:ty;)*) => {
        /// A whole number of 1, 2, 4 or 8 bytes.
        pub trait Integer: Word {
            integers!(@declare fetch_add fetch_sub fetch_and fetch_or fetch_xor fetch_max fetch_min);
        }
        $(
            word!($T, $Atomic, std::convert::identity, std::convert::identity);
            impl Integer for $T {
                integers!(@define $T, $Atomic,
                    fetch_add fetch_sub fetch_and fetch_or fetch_xor fetch_max fetch_min);
            }
        )*
    };
    (@declare $($name:ident)*) => {$(
        #[doc(hidden)]
        fn $name(word: &Self::Atomic, value: Self, order: Ordering) -> Self;
    )*};
    (@define $T:ty, $Atomic:ty, $($name:ident)*) => {$(
        #[inline(always)]
        fn $name(word: &$Atomic, value: $T, order: Ordering) -> $T {
            word.$name(value, order)
        }
    )*};
}

integers! {
    u8, AtomicU8;
    u16, AtomicU16;
    u32, AtomicU32;
    u64, AtomicU64;
    i8, AtomicI8;
    i16, AtomicI16;
    i32, AtomicI32;
    i64, AtomicI64;
}
word!(f32, AtomicU32, f32::to_bits, f32::from_bits);
word!(f64, AtomicU64, f64::to_bits, f64::from_bits);

impl sealed::Sealed for bool {}

/// How often a `compare_exchange` of a `bool` tries again.
///
/// It does so if a peer has written another byte that is read as `true`.
const TRIES: usize = 3;

/// Works as `AtomicBool`. A byte other than 0 and 1, which only a peer that breaks the protocol
/// writes, is `true` ([`Stored`]).
impl Word for bool {
    type Atomic = AtomicU8;
    #[inline(always)]
    fn load(word: &AtomicU8, order: Ordering) -> bool {
        word.load(order).read_as()
    }
    #[inline(always)]
    fn store(word: &AtomicU8, value: bool, order: Ordering) {
        word.store(value.into(), order);
    }
    #[inline(always)]
    fn swap(word: &AtomicU8, value: bool, order: Ordering) -> bool {
        word.swap(value.into(), order).read_as()
    }
    #[inline(always)]
    fn compare_exchange(
        word: &AtomicU8,
        current: bool,
        new: bool,
        success: Ordering,
        failure: Ordering,
    ) -> Result<bool, bool> {
        let mut expected = u8::from(current);
        for _ in 0..TRIES {
            match word.compare_exchange(expected, new.into(), success, failure) {
                Ok(_) => return Ok(current),
                Err(found) if ReadAs::<bool>::read_as(found) == current => expected = found,
                Err(found) => return Err(found.read_as()),
            }
        }
        Err(!current)
    }
}
