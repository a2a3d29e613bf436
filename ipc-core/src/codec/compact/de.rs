//! Reads the compact form.

use std::str;

use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess,
    SeqAccess, VariantAccess, Visitor,
};

use super::super::cause::{Cause, Error, Result};
use super::super::depth::Depth;
use super::super::error::CodecError;
use super::super::format::MOST_EMPTY;
use super::super::number::{made, numbers};
use super::super::text::text;
use super::{LONG, sum};

/// Reads a message from exactly these bytes.
#[inline(always)]
pub(in super::super) fn decode<T: DeserializeOwned>(mut bytes: &[u8]) -> Result<T> {
    let message = T::deserialize(Decoder { bytes: &mut bytes, depth: Depth::TOP })?;
    if bytes.is_empty() { Ok(message) } else { Err(CodecError::Trailing.into()) }
}

/// Reads one value.
struct Decoder<'a, 'de> {
    /// What is not read yet.
    bytes: &'a mut &'de [u8],
    depth: Depth,
}

impl<'a, 'de> Decoder<'a, 'de> {
    #[inline(always)]
    fn fixed<const N: usize>(&mut self) -> Result<[u8; N]> {
        let Some((fixed, rest)) = self.bytes.split_first_chunk() else {
            return Err(CodecError::Truncated.into());
        };
        *self.bytes = rest;
        Ok(*fixed)
    }

    #[inline(always)]
    fn take(&mut self, len: usize) -> Result<&'de [u8]> {
        let Some((taken, rest)) = self.bytes.split_at_checked(len) else {
            return Err(CodecError::Truncated.into());
        };
        *self.bytes = rest;
        Ok(taken)
    }

    #[inline(always)]
    fn len(&mut self) -> Result<usize> {
        match u32::from_le_bytes(self.fixed()?) {
            LONG => {
                let len = u64::from_le_bytes(self.fixed()?);
                usize::try_from(len).map_err(|_| CodecError::Truncated.into())
            }
            len => Ok(len as usize),
        }
    }

    /// The number of values that follow, of a byte or more, or of not too many that take none.
    #[inline(always)]
    fn count(&mut self) -> Result<usize> {
        let len = self.len()?;
        if len <= self.bytes.len().max(MOST_EMPTY) {
            Ok(len)
        } else {
            Err(CodecError::Truncated.into())
        }
    }

    #[inline(always)]
    fn bytes(&mut self) -> Result<&'de [u8]> {
        let len = self.len()?;
        self.take(len)
    }

    #[inline(always)]
    fn text(&mut self) -> Result<&'de str> {
        text(self.bytes()?)
    }

    #[inline(always)]
    fn inside(self) -> Result<Decoder<'a, 'de>> {
        Ok(Decoder { depth: self.depth.inside()?, bytes: self.bytes })
    }

    #[inline(always)]
    fn wrapped(self) -> Result<Decoder<'a, 'de>> {
        Ok(Decoder { depth: self.depth.wrapped()?, bytes: self.bytes })
    }

    /// So many values in a row.
    #[inline(always)]
    fn row<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value> {
        visitor.visit_seq(Row { decoder: self.inside()?, len })
    }
}

macro_rules! plain {
    ($($method:ident => $visit:ident: $Number:ty;)*) => {
        $(#[inline(always)]
        fn $method<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
            visitor.$visit(<$Number>::from_le_bytes(self.fixed()?))
        })*
    };
}

/// What needs a description of the value.
macro_rules! described {
    ($($method:ident;)*) => {
        $(fn $method<V: Visitor<'de>>(self, _: V) -> Result<V::Value> {
            Err(Cause::NotCompact.into())
        })*
    };
}

impl<'de> Deserializer<'de> for Decoder<'_, 'de> {
    type Error = Error;

    plain! {
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
    }

    described! {
        deserialize_any;
        deserialize_identifier;
        deserialize_ignored_any;
    }

    #[inline(always)]
    fn deserialize_bool<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
        match self.fixed()? {
            [0] => visitor.visit_bool(false),
            [1] => visitor.visit_bool(true),
            _ => Err(CodecError::Invalid.into()),
        }
    }

    #[inline(always)]
    fn deserialize_char<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
        match char::from_u32(u32::from_le_bytes(self.fixed()?)) {
            Some(value) => visitor.visit_char(value),
            None => Err(CodecError::Invalid.into()),
        }
    }

    #[inline(always)]
    fn deserialize_str<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
        visitor.visit_borrowed_str(self.text()?)
    }

    #[inline(always)]
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_str(visitor)
    }

    #[inline(always)]
    fn deserialize_bytes<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
        visitor.visit_borrowed_bytes(self.bytes()?)
    }

    #[inline(always)]
    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_bytes(visitor)
    }

    #[inline(always)]
    fn deserialize_option<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
        match self.fixed()? {
            [0] => visitor.visit_none(),
            [1] => visitor.visit_some(self.wrapped()?),
            _ => Err(CodecError::Invalid.into()),
        }
    }

    #[inline(always)]
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_unit()
    }

    #[inline(always)]
    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_unit()
    }

    #[inline(always)]
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_newtype_struct(self.wrapped()?)
    }

    #[inline(always)]
    fn deserialize_seq<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
        macro_rules! copy {
            ($($Number:ty: $size:literal),*) => {
                $(if let Some(numbers) = made::<V::Value, Vec<$Number>, Error>(|| {
                    let len = self.len()?.checked_mul($size).ok_or(CodecError::Truncated)?;
                    let number = |bytes: &[u8]| <$Number>::from_le_bytes(bytes.try_into().unwrap_or_default());
                    Ok(self.take(len)?.chunks_exact($size).map(number).collect())
                })? {
                    return Ok(numbers);
                })*
            };
        }
        numbers!(copy);
        let len = self.count()?;
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
        let len = self.count()?;
        visitor.visit_map(Row { decoder: self.inside()?, len })
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
        mut self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        let [index, fields, low, high] = self.fixed()?;
        let (mut index, sum) = (usize::from(index), u16::from_le_bytes([low, high]));
        if variants.get(index).is_none_or(|name| self::sum(name) != sum) {
            index = by_name(sum, variants)?;
        }
        visitor.visit_enum(Variant {
            index: index as u32,
            fields: usize::from(fields),
            decoder: self,
        })
    }

    #[inline(always)]
    fn is_human_readable(&self) -> bool {
        false
    }
}

/// The variant with this sum of its name, if no other has it: the writer counts variants that the
/// reader skips.
#[cold]
fn by_name(sum: u16, variants: &[&str]) -> Result<usize> {
    let mut found = variants.iter().enumerate().filter(|(_, name)| self::sum(name) == sum);
    match (found.next(), found.next()) {
        (Some((index, _)), None) => Ok(index),
        _ => Err(CodecError::Invalid.into()),
    }
}

/// Values in a row: nothing stands between them.
struct Row<'a, 'de> {
    decoder: Decoder<'a, 'de>,
    /// How many there are still, as the message says.
    len: usize,
}

impl<'de> Row<'_, 'de> {
    #[inline(always)]
    fn next<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        if self.len == 0 {
            return Ok(None);
        }
        self.len -= 1;
        self.value(seed).map(Some)
    }

    #[inline(always)]
    fn value<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value> {
        seed.deserialize(Decoder { bytes: self.decoder.bytes, depth: self.decoder.depth })
    }

    /// How many there are still, for those that allocate memory for them: not on the message's word
    /// alone.
    #[inline(always)]
    fn credible(&self) -> Option<usize> {
        Some(self.len).filter(|len| *len <= self.decoder.bytes.len())
    }
}

impl<'de> SeqAccess<'de> for Row<'_, 'de> {
    type Error = Error;

    #[inline(always)]
    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        self.next(seed)
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
        self.next(seed)
    }

    #[inline(always)]
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        self.value(seed)
    }

    #[inline(always)]
    fn size_hint(&self) -> Option<usize> {
        self.credible()
    }
}

/// A variant of an enum, and its fields.
struct Variant<'a, 'de> {
    index: u32,
    fields: usize,
    decoder: Decoder<'a, 'de>,
}

impl<'a, 'de> Variant<'a, 'de> {
    /// The fields, which must be as many.
    #[inline(always)]
    fn fields(self, len: usize) -> Result<Decoder<'a, 'de>> {
        if self.fields == len { Ok(self.decoder) } else { Err(CodecError::Invalid.into()) }
    }
}

impl<'de> EnumAccess<'de> for Variant<'_, 'de> {
    type Error = Error;
    type Variant = Self;

    #[inline(always)]
    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self)> {
        let variant = seed.deserialize(IntoDeserializer::<Error>::into_deserializer(self.index))?;
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, 'de> {
    type Error = Error;

    #[inline(always)]
    fn unit_variant(self) -> Result<()> {
        self.fields(0).map(|_| ())
    }

    #[inline(always)]
    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value> {
        seed.deserialize(self.fields(1)?.inside()?)
    }

    #[inline(always)]
    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value> {
        self.fields(len)?.row(len, visitor)
    }

    #[inline(always)]
    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.fields(fields.len())?.row(fields.len(), visitor)
    }
}
