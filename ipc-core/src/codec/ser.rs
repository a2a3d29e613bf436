//! postcard's serializer, but for sequences of bytes: those are written as a whole.
//!
//! serde knows a `Vec<u8>` as a sequence like any other, and hands over one byte after the other; what is written
//! is the same as for `serde_bytes`, its length and its bytes. Here they are copied at once, wherever in a message
//! they are.

use std::any::TypeId;
use std::fmt;

use postcard::ser_flavors::Flavor;
use serde::ser::{
    Impossible, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
    SerializeTuple, SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::error::{Cause, Error, Result};

/// Where bytes can be written as a whole.
pub(super) trait Extend: Flavor {
    /// Writes exactly `len` of these bytes.
    fn extend_from(&mut self, len: usize, bytes: impl Iterator<Item = u8>) -> Result<()>;
}

/// Copies bytes to where as many have room. Of bytes that lie in a slice the compiler makes a `memcpy`.
#[inline]
pub(super) fn copy(to: &mut [u8], from: impl Iterator<Item = u8>) -> Result<()> {
    let len = to.len();
    let mut copied = 0;
    for (to, byte) in to.iter_mut().zip(from) {
        *to = byte;
        copied += 1;
    }
    // Their number was the iterator's own word.
    if copied == len { Ok(()) } else { Err(Cause::Unsupported.into()) }
}

/// Writes a value with postcard.
pub(super) struct Encoder<'a, F: Flavor>(pub(super) &'a mut postcard::Serializer<F>);

impl<F: Extend> Encoder<'_, F> {
    #[inline(always)]
    fn again(&mut self) -> Encoder<'_, F> {
        Encoder(self.0)
    }
}

macro_rules! forward {
    ($($method:ident($($arg:ident: $Arg:ty),*);)*) => {
        $(#[inline(always)]
        fn $method(self $(, $arg: $Arg)*) -> Result<()> {
            Ok(self.0.$method($($arg),*)?)
        })*
    };
}

/// What begins with something of postcard's, and goes on with values.
macro_rules! begin {
    ($($method:ident($($arg:ident: $Arg:ty),*);)*) => {
        $(#[inline(always)]
        fn $method(self $(, $arg: $Arg)*) -> Result<Self> {
            self.0.$method($($arg),*)?;
            Ok(self)
        })*
    };
}

impl<F: Extend> Serializer for Encoder<'_, F> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    forward! {
        serialize_bool(v: bool);
        serialize_i8(v: i8);
        serialize_i16(v: i16);
        serialize_i32(v: i32);
        serialize_i64(v: i64);
        serialize_i128(v: i128);
        serialize_u8(v: u8);
        serialize_u16(v: u16);
        serialize_u32(v: u32);
        serialize_u64(v: u64);
        serialize_u128(v: u128);
        serialize_f32(v: f32);
        serialize_f64(v: f64);
        serialize_char(v: char);
        serialize_str(v: &str);
        serialize_bytes(v: &[u8]);
        serialize_none();
        serialize_unit();
        serialize_unit_struct(name: &'static str);
        serialize_unit_variant(name: &'static str, index: u32, variant: &'static str);
    }

    begin! {
        serialize_seq(len: Option<usize>);
        serialize_tuple(len: usize);
        serialize_tuple_struct(name: &'static str, len: usize);
        serialize_tuple_variant(name: &'static str, index: u32, variant: &'static str, len: usize);
        serialize_map(len: Option<usize>);
        serialize_struct(name: &'static str, len: usize);
        serialize_struct_variant(name: &'static str, index: u32, variant: &'static str, len: usize);
    }

    #[inline(always)]
    fn serialize_some<T: ?Sized + Serialize>(mut self, value: &T) -> Result<()> {
        self.again().serialize_u8(1)?;
        value.serialize(self)
    }

    #[inline(always)]
    fn serialize_newtype_struct<T: ?Sized + Serialize>(self, _: &'static str, value: &T) -> Result<()> {
        value.serialize(self)
    }

    #[inline(always)]
    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        mut self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<()> {
        self.again().serialize_unit_variant(name, index, variant)?;
        value.serialize(self)
    }

    /// What `Vec`, slices and the like come through.
    #[inline(always)]
    fn collect_seq<I>(self, items: I) -> Result<()>
    where
        I: IntoIterator<Item: Serialize>,
    {
        let items = items.into_iter();
        let len = match items.size_hint() {
            (low, Some(high)) if low == high => Some(low),
            _ => None,
        };
        let mut seq = self.serialize_seq(len)?;
        if let Some(len) = len.filter(|_| typeid::of::<I::Item>() == TypeId::of::<&u8>()) {
            return seq.0.output.extend_from(len, items.map(|item| byte(&item)));
        }
        for item in items {
            item.serialize(seq.again())?;
        }
        Ok(())
    }

    fn collect_str<T: ?Sized + fmt::Display>(self, value: &T) -> Result<()> {
        Ok(self.0.collect_str(value)?)
    }

    #[inline(always)]
    fn is_human_readable(&self) -> bool {
        false
    }
}

/// Values in a row: nothing stands between them.
macro_rules! values {
    ($($Trait:ident: $method:ident($($name:ty)?);)*) => {
        $(impl<F: Extend> $Trait for Encoder<'_, F> {
            type Ok = ();
            type Error = Error;

            #[inline(always)]
            fn $method<T: ?Sized + Serialize>(&mut self, $(_: $name,)? value: &T) -> Result<()> {
                value.serialize(self.again())
            }
            #[inline(always)]
            fn end(self) -> Result<()> {
                Ok(())
            }
        })*
    };
}

values! {
    SerializeSeq: serialize_element();
    SerializeTuple: serialize_element();
    SerializeTupleStruct: serialize_field();
    SerializeTupleVariant: serialize_field();
    SerializeStruct: serialize_field(&'static str);
    SerializeStructVariant: serialize_field(&'static str);
}

impl<F: Extend> SerializeMap for Encoder<'_, F> {
    type Ok = ();
    type Error = Error;

    #[inline(always)]
    fn serialize_key<T: ?Sized + Serialize>(&mut self, key: &T) -> Result<()> {
        key.serialize(self.again())
    }
    #[inline(always)]
    fn serialize_value<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<()> {
        value.serialize(self.again())
    }
    #[inline(always)]
    fn end(self) -> Result<()> {
        Ok(())
    }
}

/// The byte that this value is.
#[inline(always)]
fn byte<T: Serialize>(value: &T) -> u8 {
    value.serialize(Byte).unwrap_or_default()
}

/// Serializes a byte, into itself; nothing else is asked of it.
struct Byte;

macro_rules! never {
    ($($method:ident($($Arg:ty),*) -> $Ok:ty;)*) => {
        $(#[inline(always)]
        fn $method(self $(, _: $Arg)*) -> std::result::Result<$Ok, fmt::Error> {
            Err(fmt::Error)
        })*
    };
}

type Never = Impossible<u8, fmt::Error>;

impl Serializer for Byte {
    type Ok = u8;
    type Error = fmt::Error;
    type SerializeSeq = Never;
    type SerializeTuple = Never;
    type SerializeTupleStruct = Never;
    type SerializeTupleVariant = Never;
    type SerializeMap = Never;
    type SerializeStruct = Never;
    type SerializeStructVariant = Never;

    #[inline(always)]
    fn serialize_u8(self, v: u8) -> std::result::Result<u8, fmt::Error> {
        Ok(v)
    }

    never! {
        serialize_bool(bool) -> u8;
        serialize_i8(i8) -> u8;
        serialize_i16(i16) -> u8;
        serialize_i32(i32) -> u8;
        serialize_i64(i64) -> u8;
        serialize_u16(u16) -> u8;
        serialize_u32(u32) -> u8;
        serialize_u64(u64) -> u8;
        serialize_f32(f32) -> u8;
        serialize_f64(f64) -> u8;
        serialize_char(char) -> u8;
        serialize_str(&str) -> u8;
        serialize_bytes(&[u8]) -> u8;
        serialize_none() -> u8;
        serialize_unit() -> u8;
        serialize_unit_struct(&'static str) -> u8;
        serialize_unit_variant(&'static str, u32, &'static str) -> u8;
        serialize_seq(Option<usize>) -> Never;
        serialize_tuple(usize) -> Never;
        serialize_tuple_struct(&'static str, usize) -> Never;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Never;
        serialize_map(Option<usize>) -> Never;
        serialize_struct(&'static str, usize) -> Never;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Never;
    }

    fn serialize_some<T: ?Sized + Serialize>(self, _: &T) -> std::result::Result<u8, fmt::Error> {
        Err(fmt::Error)
    }
    fn serialize_newtype_struct<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        _: &T,
    ) -> std::result::Result<u8, fmt::Error> {
        Err(fmt::Error)
    }
    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> std::result::Result<u8, fmt::Error> {
        Err(fmt::Error)
    }
}
