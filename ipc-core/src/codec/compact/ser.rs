//! Writes the compact form.

use std::fmt::{self, Write};

use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::super::cause::{Cause, Error, Result};
use super::super::depth::Depth;
use super::super::number::{bytes_of, is_ref, numbers};
use super::super::output::Output;
use super::{LONG, tag};

/// Writes a message.
#[inline(always)]
pub(in super::super) fn encode<T: Serialize, O: Output>(message: &T, out: &mut O) -> Result<()> {
    message.serialize(Encoder { out, depth: Depth::TOP })
}

/// Writes one value.
struct Encoder<'a, O> {
    out: &'a mut O,
    depth: Depth,
}

impl<'a, O: Output> Encoder<'a, O> {
    #[inline(always)]
    fn len(&mut self, len: usize) -> Result<()> {
        match u32::try_from(len) {
            Ok(len) if len != LONG => self.out.push(len.to_le_bytes()),
            _ => {
                self.out.push(LONG.to_le_bytes())?;
                self.out.push((len as u64).to_le_bytes())
            }
        }
    }

    /// As many values, which follow.
    #[inline(always)]
    fn values(self, len: usize) -> Result<Values<'a, O>> {
        Ok(Values { depth: self.depth.inside()?, out: self.out, left: len })
    }

    #[inline(always)]
    fn variant(&mut self, index: u32, name: &str, fields: usize) -> Result<()> {
        let tag = tag(index, name, fields).ok_or(Cause::NotCompact)?;
        self.out.push(tag.to_le_bytes())
    }
}

macro_rules! plain {
    ($($method:ident($Value:ty);)*) => {
        $(#[inline(always)]
        fn $method(self, value: $Value) -> Result<()> {
            self.out.push(value.to_le_bytes())
        })*
    };
}

impl<'a, O: Output> Serializer for Encoder<'a, O> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Values<'a, O>;
    type SerializeTuple = Values<'a, O>;
    type SerializeTupleStruct = Values<'a, O>;
    type SerializeTupleVariant = Values<'a, O>;
    type SerializeMap = Values<'a, O>;
    type SerializeStruct = Values<'a, O>;
    type SerializeStructVariant = Values<'a, O>;

    plain! {
        serialize_i8(i8);
        serialize_i16(i16);
        serialize_i32(i32);
        serialize_i64(i64);
        serialize_i128(i128);
        serialize_u8(u8);
        serialize_u16(u16);
        serialize_u32(u32);
        serialize_u64(u64);
        serialize_u128(u128);
        serialize_f32(f32);
        serialize_f64(f64);
    }

    #[inline(always)]
    fn serialize_bool(self, value: bool) -> Result<()> {
        self.out.push([u8::from(value)])
    }

    #[inline(always)]
    fn serialize_char(self, value: char) -> Result<()> {
        self.out.push(u32::from(value).to_le_bytes())
    }

    #[inline(always)]
    fn serialize_str(self, value: &str) -> Result<()> {
        self.serialize_bytes(value.as_bytes())
    }

    #[inline(always)]
    fn serialize_bytes(mut self, value: &[u8]) -> Result<()> {
        self.len(value.len())?;
        self.out.extend(value)
    }

    #[inline(always)]
    fn serialize_none(self) -> Result<()> {
        self.out.push([0])
    }

    #[inline(always)]
    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Result<()> {
        self.out.push([1])?;
        value.serialize(Encoder { depth: self.depth.wrapped()?, out: self.out })
    }

    #[inline(always)]
    fn serialize_unit(self) -> Result<()> {
        Ok(())
    }

    #[inline(always)]
    fn serialize_unit_struct(self, _: &'static str) -> Result<()> {
        Ok(())
    }

    #[inline(always)]
    fn serialize_unit_variant(
        mut self,
        _: &'static str,
        index: u32,
        name: &'static str,
    ) -> Result<()> {
        self.variant(index, name, 0)
    }

    #[inline(always)]
    fn serialize_newtype_struct<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<()> {
        value.serialize(Encoder { depth: self.depth.wrapped()?, out: self.out })
    }

    #[inline(always)]
    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        mut self,
        _: &'static str,
        index: u32,
        name: &'static str,
        value: &T,
    ) -> Result<()> {
        self.variant(index, name, 1)?;
        value.serialize(Encoder { depth: self.depth.inside()?, out: self.out })
    }

    #[inline(always)]
    fn serialize_seq(mut self, len: Option<usize>) -> Result<Values<'a, O>> {
        let len = len.ok_or(Cause::NotCompact)?;
        self.len(len)?;
        self.values(len)
    }

    #[inline(always)]
    fn serialize_tuple(self, len: usize) -> Result<Values<'a, O>> {
        self.values(len)
    }

    #[inline(always)]
    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Result<Values<'a, O>> {
        self.values(len)
    }

    #[inline(always)]
    fn serialize_tuple_variant(
        mut self,
        _: &'static str,
        index: u32,
        name: &'static str,
        len: usize,
    ) -> Result<Values<'a, O>> {
        self.variant(index, name, len)?;
        self.values(len)
    }

    #[inline(always)]
    fn serialize_map(self, len: Option<usize>) -> Result<Values<'a, O>> {
        self.serialize_seq(len)
    }

    #[inline(always)]
    fn serialize_struct(self, _: &'static str, len: usize) -> Result<Values<'a, O>> {
        self.values(len)
    }

    #[inline(always)]
    fn serialize_struct_variant(
        self,
        enumeration: &'static str,
        index: u32,
        name: &'static str,
        len: usize,
    ) -> Result<Values<'a, O>> {
        self.serialize_tuple_variant(enumeration, index, name, len)
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
        let mut values = self.serialize_seq(len)?;
        macro_rules! copy {
            ($($Number:ty: $size:literal),*) => {
                $(if is_ref::<I::Item, $Number>() {
                    let numbers = items.map(|number| bytes_of::<$size, _>(&number));
                    return values.out.extend_with(values.left, numbers);
                })*
            };
        }
        numbers!(copy);
        for item in items {
            values.value(&item)?;
        }
        values.finish()
    }

    /// Counts first, since the length stands before the text.
    fn collect_str<T: ?Sized + fmt::Display>(mut self, value: &T) -> Result<()> {
        let mut text = Text::<O> { out: None, len: 0, error: None };
        write!(text, "{value}").map_err(|_| Cause::NotCompact)?;
        let len = text.len;
        self.len(len)?;
        let mut text = Text { out: Some(self.out), len: 0, error: None };
        let written = write!(text, "{value}");
        if let Some(error) = text.error {
            return Err(error);
        }
        // It says something else each time.
        if written.is_ok() && text.len == len { Ok(()) } else { Err(Cause::NotCompact.into()) }
    }

    #[inline(always)]
    fn is_human_readable(&self) -> bool {
        false
    }
}

/// Text that is only counted, or counted and written.
struct Text<'a, O> {
    out: Option<&'a mut O>,
    len: usize,
    error: Option<Error>,
}

impl<O: Output> Write for Text<'_, O> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.len += text.len();
        let written = self.out.as_mut().map_or(Ok(()), |out| out.extend(text.as_bytes()));
        self.error = written.err();
        if self.error.is_none() { Ok(()) } else { Err(fmt::Error) }
    }
}

/// Values in a row: nothing stands between them.
pub(super) struct Values<'a, O> {
    out: &'a mut O,
    depth: Depth,
    /// How many were announced and have not come yet.
    left: usize,
}

impl<O: Output> Values<'_, O> {
    #[inline(always)]
    fn value<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<()> {
        self.left = self.left.wrapping_sub(1);
        value.serialize(Encoder { out: self.out, depth: self.depth })
    }

    #[inline(always)]
    fn finish(self) -> Result<()> {
        if self.left == 0 { Ok(()) } else { Err(Cause::NotCompact.into()) }
    }
}

macro_rules! values {
    ($($Trait:ident: $method:ident($($name:ty)?) $($skip:ident)?;)*) => {
        $(impl<O: Output> $Trait for Values<'_, O> {
            type Ok = ();
            type Error = Error;

            #[inline(always)]
            fn $method<T: ?Sized + Serialize>(&mut self, $(_: $name,)? value: &T) -> Result<()> {
                self.value(value)
            }

            $(#[inline(always)]
            fn $skip(&mut self, _: &'static str) -> Result<()> {
                Err(Cause::NotCompact.into())
            })?

            #[inline(always)]
            fn end(self) -> Result<()> {
                self.finish()
            }
        })*
    };
}

values! {
    SerializeSeq: serialize_element();
    SerializeTuple: serialize_element();
    SerializeTupleStruct: serialize_field();
    SerializeTupleVariant: serialize_field();
    SerializeStruct: serialize_field(&'static str) skip_field;
    SerializeStructVariant: serialize_field(&'static str) skip_field;
}

impl<O: Output> SerializeMap for Values<'_, O> {
    type Ok = ();
    type Error = Error;

    #[inline(always)]
    fn serialize_key<T: ?Sized + Serialize>(&mut self, key: &T) -> Result<()> {
        self.value(key)
    }
    #[inline(always)]
    fn serialize_value<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<()> {
        value.serialize(Encoder { out: self.out, depth: self.depth })
    }
    #[inline(always)]
    fn end(self) -> Result<()> {
        self.finish()
    }
}
