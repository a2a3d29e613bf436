//! postcard's deserializer, but for sequences of bytes: those are copied as a whole.
//!
//! The other side of [`ser`](super::ser): what is to become a `Vec<u8>` is taken out of the message at once,
//! wherever in it it is.

use std::any::TypeId;

use castaway::cast;
use postcard::de_flavors::Slice;
use serde::Deserialize;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use super::error::{Cause, Error, Result};

/// How many values that take no bytes, such as `()`, a sequence may have: a length is a few bytes of a message, and
/// whoever made it up would keep us counting for years.
const MOST_EMPTY: usize = 1 << 20;

/// Reads a value with postcard.
pub(super) struct Decoder<'a, 'de> {
    pub(super) inner: &'a mut postcard::Deserializer<'de, Slice<'de>>,
    /// Bytes of the whole message: it says nothing of more values than these.
    pub(super) size: usize,
}

impl<'de> Decoder<'_, 'de> {
    #[inline(always)]
    fn again(&mut self) -> Decoder<'_, 'de> {
        Decoder { inner: self.inner, size: self.size }
    }

    #[inline(always)]
    fn read<T: Deserialize<'de>>(&mut self) -> Result<T> {
        Ok(T::deserialize(&mut *self.inner)?)
    }

    /// A length that the message says: of values of a byte or more, or of not too many that take none.
    #[inline(always)]
    fn len(&mut self) -> Result<usize> {
        let len = self.read()?;
        if len <= self.size.max(MOST_EMPTY) { Ok(len) } else { Err(Cause::Truncated.into()) }
    }

    /// So many values in a row.
    #[inline(always)]
    fn row<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value> {
        visitor.visit_seq(Row { decoder: self, len })
    }
}

/// Reads a value with postcard and gives it to the visitor, whose errors are kept.
macro_rules! read {
    ($($method:ident => $visit:ident: $Value:ty;)*) => {
        $(#[inline(always)]
        fn $method<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
            visitor.$visit(self.read::<$Value>()?)
        })*
    };
}

macro_rules! unsupported {
    ($($method:ident;)*) => {
        $(fn $method<V: Visitor<'de>>(self, _: V) -> Result<V::Value> {
            Err(Cause::Unsupported.into())
        })*
    };
}

impl<'de> Deserializer<'de> for Decoder<'_, 'de> {
    type Error = Error;

    read! {
        deserialize_bool => visit_bool: bool;
        deserialize_i8 => visit_i8: i8;
        deserialize_i16 => visit_i16: i16;
        deserialize_i32 => visit_i32: i32;
        deserialize_i64 => visit_i64: i64;
        deserialize_i128 => visit_i128: i128;
        deserialize_u8 => visit_u8: u8;
        deserialize_u16 => visit_u16: u16;
        deserialize_u32 => visit_u32: u32;
        deserialize_u64 => visit_u64: u64;
        deserialize_u128 => visit_u128: u128;
        deserialize_f32 => visit_f32: f32;
        deserialize_f64 => visit_f64: f64;
        deserialize_char => visit_char: char;
        deserialize_str => visit_borrowed_str: &'de str;
        deserialize_string => visit_borrowed_str: &'de str;
        deserialize_bytes => visit_borrowed_bytes: &'de [u8];
        deserialize_byte_buf => visit_borrowed_bytes: &'de [u8];
    }

    unsupported! {
        deserialize_any;
        deserialize_identifier;
        deserialize_ignored_any;
    }

    #[inline(always)]
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_unit()
    }

    #[inline(always)]
    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value> {
        visitor.visit_unit()
    }

    #[inline(always)]
    fn deserialize_option<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
        match self.read::<u8>()? {
            0 => visitor.visit_none(),
            1 => visitor.visit_some(self),
            _ => Err(Cause::Invalid.into()),
        }
    }

    #[inline(always)]
    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    #[inline(always)]
    fn deserialize_seq<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
        let mut value: Option<V::Value> = None;
        if typeid::of::<V::Value>() == TypeId::of::<Vec<u8>>() {
            if let Ok(value) = cast!(&mut value, &mut Option<Vec<u8>>) {
                *value = Some(self.read::<&[u8]>()?.to_vec());
            }
        }
        if let Some(value) = value {
            return Ok(value);
        }
        let len = self.len()?;
        self.row(len, visitor)
    }

    #[inline(always)]
    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value> {
        self.row(len, visitor)
    }

    #[inline(always)]
    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value> {
        self.row(len, visitor)
    }

    #[inline(always)]
    fn deserialize_map<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
        let len = self.len()?;
        visitor.visit_map(Row { decoder: self, len })
    }

    #[inline(always)]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.row(fields.len(), visitor)
    }

    #[inline(always)]
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_enum(self)
    }

    #[inline(always)]
    fn is_human_readable(&self) -> bool {
        false
    }
}

/// Values in a row: nothing stands between them.
struct Row<'a, 'de> {
    decoder: Decoder<'a, 'de>,
    /// How many there are still, as the message says.
    len: usize,
}

impl Row<'_, '_> {
    #[inline(always)]
    fn next(&mut self) -> bool {
        let more = self.len > 0;
        self.len -= usize::from(more);
        more
    }

    /// How many there are still, for whoever allocates memory for them: not on the message's word alone.
    #[inline(always)]
    fn credible(&self) -> Option<usize> {
        Some(self.len).filter(|len| *len <= self.decoder.size)
    }
}

impl<'de> SeqAccess<'de> for Row<'_, 'de> {
    type Error = Error;

    #[inline(always)]
    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        if self.next() { seed.deserialize(self.decoder.again()).map(Some) } else { Ok(None) }
    }

    #[inline(always)]
    fn size_hint(&self) -> Option<usize> {
        self.credible()
    }
}

impl<'de> MapAccess<'de> for Row<'_, 'de> {
    type Error = Error;

    #[inline(always)]
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        if self.next() { seed.deserialize(self.decoder.again()).map(Some) } else { Ok(None) }
    }

    #[inline(always)]
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        seed.deserialize(self.decoder.again())
    }

    #[inline(always)]
    fn size_hint(&self) -> Option<usize> {
        self.credible()
    }
}

impl<'de> EnumAccess<'de> for Decoder<'_, 'de> {
    type Error = Error;
    type Variant = Self;

    #[inline(always)]
    fn variant_seed<V: DeserializeSeed<'de>>(mut self, seed: V) -> Result<(V::Value, Self)> {
        let index: u32 = self.read()?;
        let variant = seed.deserialize(IntoDeserializer::<Error>::into_deserializer(index))?;
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for Decoder<'_, 'de> {
    type Error = Error;

    #[inline(always)]
    fn unit_variant(self) -> Result<()> {
        Ok(())
    }

    #[inline(always)]
    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value> {
        seed.deserialize(self)
    }

    #[inline(always)]
    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value> {
        self.row(len, visitor)
    }

    #[inline(always)]
    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.row(fields.len(), visitor)
    }
}
