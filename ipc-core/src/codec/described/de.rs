//! The decoder of the described form.

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{
    Deserialize, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, IgnoredAny,
    IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use super::super::cause::{Cause, Error, Result};
use super::super::depth::Depth;
use super::super::error::CodecError;
use super::super::number::{made, numbers};
use super::super::text::text;
use super::trial::Trial;
use super::{LONG_NAME, Number, Tag};

/// Decodes a message from exactly these bytes.
#[inline(never)]
pub(in super::super) fn decode<T: DeserializeOwned>(mut bytes: &[u8]) -> Result<T> {
    let message = T::deserialize(Decoder::new(&mut bytes, None))?;
    if bytes.is_empty() { Ok(message) } else { Err(CodecError::Trailing.into()) }
}

impl<'de> Trial<'de> {
    /// Runs the trial. Returns whether the type asks for what was encoded, if the trial came to the
    /// end.
    pub(in super::super) fn run<T: DeserializeOwned>(&self, mut bytes: &'de [u8]) -> Option<bool> {
        let read = T::deserialize(Decoder::new(&mut bytes, Some(self)));
        self.verdict(read.is_ok() && bytes.is_empty())
    }
}

/// Reads one value.
pub(in super::super) struct Decoder<'a, 'de> {
    /// The bytes that are not decoded yet.
    bytes: &'a mut &'de [u8],
    /// The tag of the value, if it is not in front of the value.
    tag: Option<Tag>,
    depth: Depth,
    trial: Option<&'a Trial<'de>>,
}

impl<'a, 'de> Decoder<'a, 'de> {
    pub(in super::super) fn new(bytes: &'a mut &'de [u8], trial: Option<&'a Trial<'de>>) -> Self {
        Decoder { bytes, tag: None, depth: Depth::TOP, trial }
    }

    fn again(&mut self) -> Decoder<'_, 'de> {
        Decoder { bytes: self.bytes, tag: self.tag, depth: self.depth, trial: self.trial }
    }

    fn with_tag(self, tag: Tag) -> Self {
        Decoder { tag: Some(tag), ..self }
    }

    fn inside(self) -> Result<Self> {
        Ok(Decoder { depth: self.depth.inside()?, ..self })
    }

    fn wrapped(self) -> Result<Self> {
        Ok(Decoder { depth: self.depth.wrapped()?, ..self })
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (fixed, rest) = self.bytes.split_first_chunk().ok_or(CodecError::Truncated)?;
        *self.bytes = rest;
        Ok(*fixed)
    }

    fn take(&mut self, len: usize) -> Result<&'de [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(len).ok_or(CodecError::Truncated)?;
        *self.bytes = rest;
        Ok(taken)
    }

    /// Returns the kind of the next value, without taking it.
    fn peek(&self) -> Result<Tag> {
        match (self.tag, self.bytes.first()) {
            (Some(tag), _) => Ok(tag),
            (None, Some(tag)) => Ok(Tag(*tag)),
            (None, None) => Err(CodecError::Truncated.into()),
        }
    }

    fn tag(&mut self) -> Result<Tag> {
        match self.tag.take() {
            Some(tag) => Ok(tag),
            None => self.fixed().map(|[tag]| Tag(tag)),
        }
    }

    fn bytes(&mut self) -> Result<&'de [u8]> {
        let len = u64::from_le_bytes(self.fixed()?);
        self.take(usize::try_from(len).map_err(|_| CodecError::Truncated)?)
    }

    fn name(&mut self) -> Result<&'de str> {
        match self.fixed()? {
            [LONG_NAME] => match self.fixed().map(|[tag]| Tag(tag))? {
                Tag::TEXT => text(self.bytes()?),
                _ => Err(CodecError::Invalid.into()),
            },
            [len] => text(self.take(len.into())?),
        }
    }

    /// Returns the number of values that follow, each of at least one byte.
    fn count(&mut self) -> Result<usize> {
        let count = u32::from_le_bytes(self.fixed()?) as usize;
        if count <= self.bytes.len() { Ok(count) } else { Err(CodecError::Truncated.into()) }
    }

    /// Returns the values of a sequence, a tuple, a map or a struct with this tag.
    fn row(mut self, tag: Tag) -> Result<Row<'a, 'de>> {
        let (len, kind) = match tag {
            Tag::NUMBERS => {
                let [tag] = self.fixed()?;
                let size = size(Tag(tag)).ok_or(CodecError::Invalid)?;
                let len = u64::from_le_bytes(self.fixed()?);
                let len = usize::try_from(len).map_err(|_| CodecError::Truncated)?;
                if len > self.bytes.len() {
                    return Err(CodecError::Truncated.into());
                }
                if len % size != 0 {
                    return Err(CodecError::Invalid.into());
                }
                (len / size, Values::Numbers(Tag(tag)))
            }
            Tag::STRUCT => (self.count()?, Values::Fields(None)),
            _ => (self.count()?, Values::Plain),
        };
        Ok(Row { decoder: self.inside()?, len, kind })
    }

    /// Gives all values in a row to a visitor that takes a sequence.
    fn seq<V: Visitor<'de>>(self, tag: Tag, visitor: V) -> Result<V::Value> {
        let mut row = self.row(tag)?;
        row.begin()?;
        let value = visitor.visit_seq(&mut row)?;
        row.end(value)
    }

    /// Gives all entries to a visitor that takes a map.
    fn map<V: Visitor<'de>>(self, tag: Tag, visitor: V) -> Result<V::Value> {
        let mut row = self.row(tag)?;
        row.begin()?;
        let value = visitor.visit_map(&mut row)?;
        row.end(value)
    }

    /// Passes a value of any kind to a visitor.
    fn any<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
        let tag = self.tag()?;
        macro_rules! number {
            ($Number:ty) => {
                <$Number>::from_le_bytes(self.fixed()?)
            };
        }
        match tag {
            Tag::UNIT => visitor.visit_unit(),
            Tag::NONE => visitor.visit_none(),
            Tag::SOME => visitor.visit_some(self.wrapped()?),
            Tag::FALSE => visitor.visit_bool(false),
            Tag::TRUE => visitor.visit_bool(true),
            Tag::U8 => visitor.visit_u8(number!(u8)),
            Tag::U16 => visitor.visit_u16(number!(u16)),
            Tag::U32 => visitor.visit_u32(number!(u32)),
            Tag::U64 => visitor.visit_u64(number!(u64)),
            // Many visitors that take anything take no 128 bits.
            Tag::U128 => {
                let value = number!(u128);
                match u64::try_from(value) {
                    Ok(value) => visitor.visit_u64(value),
                    Err(_) => visitor.visit_u128(value),
                }
            }
            Tag::I8 => visitor.visit_i8(number!(i8)),
            Tag::I16 => visitor.visit_i16(number!(i16)),
            Tag::I32 => visitor.visit_i32(number!(i32)),
            Tag::I64 => visitor.visit_i64(number!(i64)),
            Tag::I128 => {
                let value = number!(i128);
                match i64::try_from(value) {
                    Ok(value) => visitor.visit_i64(value),
                    Err(_) => visitor.visit_i128(value),
                }
            }
            Tag::F32 => visitor.visit_f32(number!(f32)),
            Tag::F64 => visitor.visit_f64(number!(f64)),
            Tag::CHAR => match char::from_u32(number!(u32)) {
                Some(value) => visitor.visit_char(value),
                None => Err(CodecError::Invalid.into()),
            },
            Tag::TEXT => visitor.visit_borrowed_str(text(self.bytes()?)?),
            Tag::BYTES => visitor.visit_borrowed_bytes(self.bytes()?),
            Tag::SEQUENCE | Tag::TUPLE | Tag::NUMBERS => self.seq(tag, visitor),
            Tag::MAP | Tag::STRUCT => self.map(tag, visitor),
            Tag::UNIT_VARIANT => visitor.visit_borrowed_str(self.variant(tag)?.name),
            Tag::NEWTYPE_VARIANT | Tag::TUPLE_VARIANT | Tag::STRUCT_VARIANT => {
                // As in JSON: a map with one entry.
                let mut entry = self.variant(tag)?.into_entry()?;
                let value = visitor.visit_map(&mut entry)?;
                if entry.body.is_none() { Ok(value) } else { Err(CodecError::Trailing.into()) }
            }
            _ => Err(CodecError::Invalid.into()),
        }
    }

    /// Decodes a leaf. In a trial, its kind must be one of those that were asked for.
    fn leaf<V: Visitor<'de>>(self, asked: &[Tag], visitor: V) -> Result<V::Value> {
        let Some(trial) = self.trial else { return self.any(visitor) };
        let tag = self.peek()?;
        if !asked.contains(&tag) {
            return trial.differ();
        }
        if self.tag.is_none() {
            let mut after = *self.bytes;
            Decoder::new(&mut after, None).any(IgnoredAny)?;
            let len = self.bytes.len() - after.len();
            trial.sample(typeid::of::<V>(), &self.bytes[..len]);
            trial.end_of(after)?;
        }
        self.any(visitor)
    }

    /// Returns the variant with this tag.
    fn variant(mut self, tag: Tag) -> Result<Variant<'a, 'de>> {
        let index = u32::from_le_bytes(self.fixed()?);
        let name = self.name()?;
        Ok(Variant { name, index, tag, decoder: self })
    }
}

/// Returns the number of bytes of a number.
fn size(tag: Tag) -> Option<usize> {
    macro_rules! size {
        ($($Number:ty: $size:literal),*) => {
            $(if tag == <$Number>::TAG {
                return Some($size);
            })*
        };
    }
    numbers!(size);
    None
}

macro_rules! leaves {
    ($($method:ident: $($TAG:ident)|*;)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            self.leaf(&[$(Tag::$TAG),*], visitor)
        })*
    };
}

/// A question for any kind of value, which the compact form cannot answer.
macro_rules! anything {
    ($($method:ident;)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            match self.trial {
                Some(trial) => trial.differ(),
                None => self.any(visitor),
            }
        })*
    };
}

impl<'de> Deserializer<'de> for Decoder<'_, 'de> {
    type Error = Error;

    leaves! {
        deserialize_bool: FALSE | TRUE;
        deserialize_i8: I8;
        deserialize_i16: I16;
        deserialize_i32: I32;
        deserialize_i64: I64;
        deserialize_i128: I128;
        deserialize_u8: U8;
        deserialize_u16: U16;
        deserialize_u32: U32;
        deserialize_u64: U64;
        deserialize_u128: U128;
        deserialize_f32: F32;
        deserialize_f64: F64;
        deserialize_char: CHAR;
        deserialize_str: TEXT;
        deserialize_string: TEXT;
        deserialize_bytes: BYTES;
        deserialize_byte_buf: BYTES;
        deserialize_unit: UNIT;
    }

    anything! {
        deserialize_any;
        deserialize_identifier;
        deserialize_ignored_any;
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
        match (self.peek()?, self.trial) {
            (Tag::NONE, trial) => {
                self.tag()?;
                if let Some(trial) = trial {
                    trial.end_of(self.bytes)?;
                }
                visitor.visit_none()
            }
            (Tag::SOME, _) => {
                self.tag()?;
                visitor.visit_some(self.wrapped()?)
            }
            (_, Some(trial)) => trial.differ(),
            (Tag::UNIT, None) => {
                self.tag()?;
                visitor.visit_none()
            }
            (_, None) => visitor.visit_some(self.wrapped()?),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        // serde_json writes this one as a struct, and asks for it as a newtype, which only its own
        // format knows.
        if name == "$serde_json::private::RawValue" && self.trial.is_none() {
            return self.any(visitor);
        }
        visitor.visit_newtype_struct(self.wrapped()?)
    }

    fn deserialize_seq<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
        let tag = self.peek()?;
        macro_rules! copy {
            ($($Number:ty: $size:literal),*) => {
                $(if tag == Tag::NUMBERS {
                    // The tag of the numbers is behind the other one, unless that one was taken
                    // already.
                    let behind = usize::from(self.tag.is_none());
                    let same = self.bytes.get(behind) == Some(&<$Number>::TAG.0);
                    let numbers = made::<V::Value, Vec<$Number>, Error>(|| {
                        if !same {
                            return Ok(Vec::new());
                        }
                        self.tag()?;
                        let [_] = self.fixed()?;
                        let bytes = self.bytes()?;
                        if let Some(trial) = self.trial {
                            trial.end_of(self.bytes)?;
                        }
                        if !bytes.chunks_exact($size).remainder().is_empty() {
                            return Err(CodecError::Invalid.into());
                        }
                        let number =
                            |bytes: &[u8]| <$Number>::from_le_bytes(bytes.try_into().unwrap_or_default());
                        Ok(bytes.chunks_exact($size).map(number).collect())
                    })?;
                    if let Some(numbers) = numbers.filter(|_| same) {
                        return Ok(numbers);
                    }
                })*
            };
        }
        numbers!(copy);
        match (tag, self.trial) {
            (Tag::SEQUENCE | Tag::NUMBERS, Some(_)) => {
                self.tag()?;
                self.seq(tag, visitor)
            }
            (_, Some(trial)) => trial.differ(),
            (_, None) => self.any(visitor),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(mut self, len: usize, visitor: V) -> Result<V::Value> {
        let Some(trial) = self.trial else { return self.any(visitor) };
        if self.tag()? != Tag::TUPLE {
            return trial.differ();
        }
        self.exactly(Tag::TUPLE, len, visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value> {
        self.deserialize_tuple(len, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
        let Some(trial) = self.trial else { return self.any(visitor) };
        if self.tag()? != Tag::MAP {
            return trial.differ();
        }
        self.map(Tag::MAP, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        mut self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        let Some(trial) = self.trial else { return self.any(visitor) };
        if self.tag()? != Tag::STRUCT {
            return trial.differ();
        }
        self.named(fields, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        mut self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        let tag = self.tag()?;
        match tag {
            Tag::UNIT_VARIANT | Tag::NEWTYPE_VARIANT | Tag::TUPLE_VARIANT | Tag::STRUCT_VARIANT => {
                let variant = self.variant(tag)?;
                if let Some(trial) = variant.decoder.trial {
                    // The compact form knows it by its index only.
                    if variants.get(variant.index as usize) != Some(&variant.name) {
                        return trial.differ();
                    }
                }
                visitor.visit_enum(variant)
            }
            _ if self.trial.is_some() => self.trial.map_or(Err(Cause::Known.into()), Trial::differ),
            // As in JSON: a type may write something itself that looks like an enum.
            Tag::TEXT => {
                let name = text(self.bytes()?)?;
                visitor.visit_enum(Variant {
                    name,
                    index: 0,
                    tag: Tag::UNIT_VARIANT,
                    decoder: self,
                })
            }
            Tag::MAP => {
                let row = self.row(tag)?;
                if row.len != 1 {
                    return Err(CodecError::Invalid.into());
                }
                visitor.visit_enum(Entry { name: None, body: Some(row.decoder) })
            }
            _ => Err(CodecError::Invalid.into()),
        }
    }

    fn is_human_readable(&self) -> bool {
        // Content that serde keeps for later, for untagged enums for example, is always readable.
        // Content for the compact form is not.
        self.trial.is_none()
    }
}

impl<'de> Decoder<'_, 'de> {
    /// In a trial: a tuple of just so many values.
    fn exactly<V: Visitor<'de>>(self, tag: Tag, len: usize, visitor: V) -> Result<V::Value> {
        let trial = self.trial;
        let mut row = self.row(tag)?;
        if let Some(trial) = trial.filter(|_| row.len != len) {
            return trial.differ();
        }
        row.begin()?;
        let value = visitor.visit_seq(&mut row)?;
        row.end(value)
    }

    /// In a trial: a struct of just these fields, in this order, as the compact form gives it to
    /// the visitor.
    fn named<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        let trial = self.trial;
        let mut row = self.row(Tag::STRUCT)?;
        row.kind = Values::Fields(Some(fields));
        if let Some(trial) = trial.filter(|_| row.len != fields.len()) {
            return trial.differ();
        }
        row.begin()?;
        let value = visitor.visit_seq(&mut row)?;
        row.end(value)
    }
}

/// The elements of a row.
#[derive(Clone, Copy)]
enum Values {
    Plain,
    Numbers(Tag),
    /// Each behind its name; in a trial these must be the names.
    Fields(Option<&'static [&'static str]>),
}

/// Values in a row.
struct Row<'a, 'de> {
    decoder: Decoder<'a, 'de>,
    /// The number of elements that are left.
    len: usize,
    kind: Values,
}

impl<'de> Row<'_, 'de> {
    /// In a trial: ends it if there is nothing in the row, nor behind it.
    fn begin(&self) -> Result<()> {
        match self.decoder.trial {
            Some(trial) if self.len == 0 => trial.end_of(self.decoder.bytes),
            _ => Ok(()),
        }
    }

    /// Checks that all elements were taken.
    fn end<T>(self, value: T) -> Result<T> {
        match (self.len, self.decoder.trial) {
            (0, _) => Ok(value),
            (_, Some(trial)) => trial.differ(),
            (_, None) => Err(CodecError::Trailing.into()),
        }
    }

    fn value<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value> {
        let mut decoder = self.decoder.again();
        if let Values::Numbers(tag) = self.kind {
            decoder = decoder.with_tag(tag);
        }
        seed.deserialize(decoder)
    }
}

impl<'de> SeqAccess<'de> for &mut Row<'_, 'de> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        if self.len == 0 {
            return Ok(None);
        }
        if let Values::Fields(fields) = self.kind {
            let name = self.decoder.name()?;
            if let (Some(fields), Some(trial)) = (fields, self.decoder.trial) {
                if fields.get(fields.len().wrapping_sub(self.len)) != Some(&name) {
                    return trial.differ();
                }
            }
        }
        self.len -= 1;
        self.value(seed).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.len)
    }
}

impl<'de> MapAccess<'de> for &mut Row<'_, 'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        if self.len == 0 {
            return Ok(None);
        }
        self.len -= 1;
        match self.kind {
            Values::Fields(_) => {
                let name = BorrowedStrDeserializer::<Error>::new(self.decoder.name()?);
                seed.deserialize(name).map(Some)
            }
            _ => self.value(seed).map(Some),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        self.value(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.len)
    }
}

/// A variant of an enum, and what is in it.
struct Variant<'a, 'de> {
    name: &'de str,
    index: u32,
    tag: Tag,
    decoder: Decoder<'a, 'de>,
}

impl<'a, 'de> Variant<'a, 'de> {
    /// Returns the content of the variant, as a value.
    fn body(self) -> Result<Decoder<'a, 'de>> {
        Ok(match self.tag {
            Tag::NEWTYPE_VARIANT => self.decoder.inside()?,
            Tag::TUPLE_VARIANT => self.decoder.with_tag(Tag::TUPLE),
            Tag::STRUCT_VARIANT => self.decoder.with_tag(Tag::STRUCT),
            _ => self.decoder.with_tag(Tag::UNIT),
        })
    }

    fn into_entry(self) -> Result<Entry<'a, 'de>> {
        Ok(Entry { name: Some(self.name), body: Some(self.body()?) })
    }

    /// Checks in a trial that the variant is of this kind.
    fn asked(&self, tag: Tag) -> Result<Option<&'a Trial<'de>>> {
        match self.decoder.trial {
            Some(trial) if self.tag != tag => trial.differ(),
            trial => Ok(trial),
        }
    }
}

impl<'de> EnumAccess<'de> for Variant<'_, 'de> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self)> {
        let variant = match self.decoder.trial {
            Some(_) => {
                seed.deserialize(IntoDeserializer::<Error>::into_deserializer(self.index))?
            }
            None => seed.deserialize(BorrowedStrDeserializer::<Error>::new(self.name))?,
        };
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, 'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<()> {
        match self.asked(Tag::UNIT_VARIANT)? {
            Some(trial) => trial.end_of(self.decoder.bytes),
            None => IgnoredAny::deserialize(self.body()?).map(|_| ()),
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value> {
        self.asked(Tag::NEWTYPE_VARIANT)?;
        seed.deserialize(self.body()?)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value> {
        match self.asked(Tag::TUPLE_VARIANT)? {
            Some(_) => self.decoder.exactly(Tag::TUPLE, len, visitor),
            None => self.body()?.any(visitor),
        }
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        match self.asked(Tag::STRUCT_VARIANT)? {
            Some(_) => self.decoder.named(fields, visitor),
            None => self.body()?.any(visitor),
        }
    }
}

/// A map of one entry, which is a variant of an enum.
struct Entry<'a, 'de> {
    /// `None` if it is a value that is still to be decoded.
    name: Option<&'de str>,
    body: Option<Decoder<'a, 'de>>,
}

impl<'a, 'de> Entry<'a, 'de> {
    fn body(&mut self) -> Result<Decoder<'a, 'de>> {
        self.body.take().ok_or_else(|| CodecError::Invalid.into())
    }
}

impl<'de> MapAccess<'de> for &mut Entry<'_, 'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        match self.name.take() {
            Some(name) => seed.deserialize(BorrowedStrDeserializer::<Error>::new(name)).map(Some),
            None => Ok(None),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        seed.deserialize(self.body()?)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(usize::from(self.name.is_some()))
    }
}

impl<'de> EnumAccess<'de> for Entry<'_, 'de> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(mut self, seed: V) -> Result<(V::Value, Self)> {
        let mut body = self.body()?;
        let variant = seed.deserialize(body.again())?;
        Ok((variant, Entry { name: None, body: Some(body) }))
    }
}

impl<'de> VariantAccess<'de> for Entry<'_, 'de> {
    type Error = Error;

    fn unit_variant(mut self) -> Result<()> {
        IgnoredAny::deserialize(self.body()?).map(|_| ())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(mut self, seed: S) -> Result<S::Value> {
        seed.deserialize(self.body()?)
    }

    fn tuple_variant<V: Visitor<'de>>(mut self, _: usize, visitor: V) -> Result<V::Value> {
        self.body()?.any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        mut self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.body()?.any(visitor)
    }
}
