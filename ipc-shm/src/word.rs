//! Numbers that the processor moves and changes at once.

use std::sync::atomic::{
    AtomicI8, AtomicI16, AtomicI32, AtomicI64, AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering,
};

use crate::pod::Plain;

mod sealed {
    pub trait Sealed {}
}

/// A number of 1, 2, 4 or 8 bytes: `u8` to `u64`, `i8` to `i64`, `f32`, `f64`. Not `usize`, whose size is not
/// the same in every program.
pub trait Word: Plain + sealed::Sealed {
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
        const _: () =
            assert!(size_of::<$T>() == size_of::<$Atomic>() && align_of::<$T>() == align_of::<$Atomic>());
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
                word.compare_exchange($to(current), $to(new), success, failure).map($from).map_err($from)
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
