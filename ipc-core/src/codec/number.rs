//! Sequences of numbers, which are copied as a whole.
//!
//! serde hands a `Vec<u8>` or a `Vec<f64>` over one element after the other, like any other
//! sequence. The types of the elements tell them apart; the compiler makes copies of whole slices
//! of what follows.

use std::any::TypeId;
use std::fmt;

use castaway::{LifetimeFree, cast};
use serde::ser::{Impossible, Serialize, Serializer};

/// Calls a macro with every type of number, and how many bytes it has.
macro_rules! numbers {
    ($mac:ident) => {
        $mac! { u8: 1, u16: 2, u32: 4, u64: 8, u128: 16, i8: 1, i16: 2, i32: 4, i64: 8, i128: 16, f32: 4, f64: 8 }
    };
}
pub(super) use numbers;

/// Whether these are references to a number of type `N`.
#[inline(always)]
pub(super) fn is_ref<I, N: 'static>() -> bool {
    typeid::of::<I>() == TypeId::of::<&'static N>()
}

/// The value, if it is one of type `V`.
#[inline(always)]
pub(super) fn is_value<T, V: 'static>() -> bool {
    typeid::of::<T>() == TypeId::of::<V>()
}

/// What `make` makes, as the type `T` that it is.
#[inline(always)]
pub(super) fn made<T, V: LifetimeFree + 'static, E>(
    make: impl FnOnce() -> Result<V, E>,
) -> Result<Option<T>, E> {
    let mut made: Option<T> = None;
    if is_value::<T, V>() {
        if let Ok(place) = cast!(&mut made, &mut Option<V>) {
            *place = Some(make()?);
        }
    }
    Ok(made)
}

/// The bytes of this number of `N` bytes.
#[inline(always)]
pub(super) fn bytes_of<const N: usize, T: Serialize>(value: &T) -> [u8; N] {
    value.serialize(Bytes::<N>).unwrap_or([0; N])
}

/// Serializes a number of `N` bytes into these; nothing else is asked of it.
struct Bytes<const N: usize>;

type Never<const N: usize> = Impossible<[u8; N], fmt::Error>;

macro_rules! numbers_of {
    ($($method:ident($Number:ty);)*) => {
        $(#[inline(always)]
        fn $method(self, value: $Number) -> Result<[u8; N], fmt::Error> {
            value.to_le_bytes().as_slice().try_into().map_err(|_| fmt::Error)
        })*
    };
}

macro_rules! never {
    ($($method:ident($($Arg:ty),*) -> $Ok:ty;)*) => {
        $(#[inline(always)]
        fn $method(self $(, _: $Arg)*) -> Result<$Ok, fmt::Error> {
            Err(fmt::Error)
        })*
    };
}

impl<const N: usize> Serializer for Bytes<N> {
    type Ok = [u8; N];
    type Error = fmt::Error;
    type SerializeSeq = Never<N>;
    type SerializeTuple = Never<N>;
    type SerializeTupleStruct = Never<N>;
    type SerializeTupleVariant = Never<N>;
    type SerializeMap = Never<N>;
    type SerializeStruct = Never<N>;
    type SerializeStructVariant = Never<N>;

    numbers_of! {
        serialize_u8(u8);
        serialize_u16(u16);
        serialize_u32(u32);
        serialize_u64(u64);
        serialize_u128(u128);
        serialize_i8(i8);
        serialize_i16(i16);
        serialize_i32(i32);
        serialize_i64(i64);
        serialize_i128(i128);
        serialize_f32(f32);
        serialize_f64(f64);
    }

    never! {
        serialize_bool(bool) -> [u8; N];
        serialize_char(char) -> [u8; N];
        serialize_str(&str) -> [u8; N];
        serialize_bytes(&[u8]) -> [u8; N];
        serialize_none() -> [u8; N];
        serialize_unit() -> [u8; N];
        serialize_unit_struct(&'static str) -> [u8; N];
        serialize_unit_variant(&'static str, u32, &'static str) -> [u8; N];
        serialize_seq(Option<usize>) -> Never<N>;
        serialize_tuple(usize) -> Never<N>;
        serialize_tuple_struct(&'static str, usize) -> Never<N>;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Never<N>;
        serialize_map(Option<usize>) -> Never<N>;
        serialize_struct(&'static str, usize) -> Never<N>;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Never<N>;
    }

    fn serialize_some<T: ?Sized + Serialize>(self, _: &T) -> Result<[u8; N], fmt::Error> {
        Err(fmt::Error)
    }
    fn serialize_newtype_struct<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        _: &T,
    ) -> Result<[u8; N], fmt::Error> {
        Err(fmt::Error)
    }
    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<[u8; N], fmt::Error> {
        Err(fmt::Error)
    }
}
