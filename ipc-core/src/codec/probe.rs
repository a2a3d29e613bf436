//! The questions that a type asks when it is decoded, found without a message.
//!
//! A message shows only the questions of its own values, and not those of the variants that it does
//! not have. So the type's `Deserialize` is run on made-up values, often enough to reach every
//! variant. Numbers are 1, texts "1", every option is there, every sequence has one element. If a
//! type nests in itself, the inner one is empty. A value that is invalid for the type ends the
//! probe without a result. So the value of a real message at such a place
//! ([`Trial`](super::described::Trial)) is preferred.

use std::any::TypeId;
use std::collections::BTreeMap;

use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess,
    SeqAccess, VariantAccess, Visitor,
};

use super::cause::{Cause, Error, Result};
use super::depth::Depth;
use super::described::{Decoder, Tag};

/// At most this many values are made up for one type.
const MOST_VALUES: usize = 20_000;

/// Returns whether every value of a type can have the compact form, or `None` if that cannot be
/// found out.
pub(super) fn probe<T: DeserializeOwned>(samples: &[(TypeId, &[u8])]) -> Option<bool> {
    let mut probe =
        Probe { samples, enums: BTreeMap::new(), open: Vec::new(), values: 0, described: false };
    let mut visited = 0;
    loop {
        let read = T::deserialize(Value { probe: &mut probe, depth: Depth::TOP });
        if probe.described {
            return Some(false);
        }
        drop(read.ok()?);
        let variants = || probe.enums.values().flat_map(|found| &found.variants);
        if variants().all(|variant| variant.visited) {
            return Some(true);
        }
        // If none is new, some cannot be reached.
        let now = variants().filter(|variant| variant.visited).count();
        if now == std::mem::replace(&mut visited, now) {
            return None;
        }
    }
}

struct Probe<'de> {
    samples: &'de [(TypeId, &'de [u8])],
    /// The enums that were found, by their visitors.
    enums: BTreeMap<TypeId, Enum>,
    /// The visitors of the values that are being decoded, from the outside in, and the variant for
    /// an enum.
    open: Vec<(TypeId, Option<usize>)>,
    /// Values made up so far.
    values: usize,
    /// The type asked for something that only the described form has.
    described: bool,
}

struct Enum {
    variants: Vec<Variant>,
}

#[derive(Clone, Default)]
struct Variant {
    visited: bool,
    /// When it was first read to its end. The first of an enum to be has no other one of it inside.
    complete: Option<usize>,
    /// The enums in it.
    inner: Vec<TypeId>,
}

impl Probe<'_> {
    fn is_open(&self, visitor: TypeId) -> bool {
        self.open.iter().any(|(open, _)| *open == visitor)
    }

    /// Returns the variant to decode: a new one, or one that contains new ones, or the one that
    /// ends soonest.
    fn choose(&self, this: TypeId) -> Option<usize> {
        let variants = &self.enums.get(&this)?.variants;
        if let Some(new) = variants.iter().position(|variant| !variant.visited) {
            return Some(new);
        }
        let is_new = |id: &TypeId| {
            self.enums.get(id).is_some_and(|inner| inner.variants.iter().any(|v| !v.visited))
        };
        let mut each = variants.iter().enumerate();
        let leads_on = each.position(|(index, variant)| {
            variant.inner.iter().any(is_new) && !self.open.contains(&(this, Some(index)))
        });
        let soonest = || {
            let complete =
                variants.iter().enumerate().filter_map(|(index, v)| Some((v.complete?, index)));
            complete.min().map(|(_, index)| index)
        };
        leads_on.or_else(soonest)
    }

    /// Stops the type's code: it asked for something that the compact form does not have.
    fn describe<T>(&mut self) -> Result<T> {
        self.described = true;
        Err(Cause::Known.into())
    }
}

/// One made-up value.
struct Value<'a, 'de> {
    probe: &'a mut Probe<'de>,
    depth: Depth,
}

impl<'a, 'de> Value<'a, 'de> {
    fn again(&mut self) -> Value<'_, 'de> {
        Value { probe: self.probe, depth: self.depth }
    }

    fn count(&mut self) -> Result<()> {
        self.probe.values += 1;
        if self.probe.values <= MOST_VALUES { Ok(()) } else { Err(Cause::Known.into()) }
    }

    /// Decodes a leaf: a described sample, or else the made-up value.
    fn leaf<V: Visitor<'de>>(mut self, made_up: &'static [u8], visitor: V) -> Result<V::Value> {
        self.count()?;
        let this = typeid::of::<V>();
        let sample = self.probe.samples.iter().find(|(visitor, _)| *visitor == this);
        let mut bytes = sample.map_or(made_up, |(_, bytes)| *bytes);
        Decoder::new(&mut bytes, None).deserialize_any(visitor)
    }

    /// Decodes the content of this value, which may be a value of the same kind.
    fn open<R>(
        mut self,
        this: TypeId,
        read: impl FnOnce(Value<'_, 'de>) -> Result<R>,
    ) -> Result<R> {
        self.count()?;
        self.probe.open.push((this, None));
        let result = read(self.again());
        self.probe.open.pop();
        result
    }

    fn inside(self) -> Result<Value<'a, 'de>> {
        Ok(Value { depth: self.depth.inside()?, probe: self.probe })
    }

    fn wrapped(self) -> Result<Value<'a, 'de>> {
        Ok(Value { depth: self.depth.wrapped()?, probe: self.probe })
    }

    /// Decodes one value in a row, or none if it would nest in itself.
    fn some<V: Visitor<'de>>(
        self,
        visitor: V,
        visit: impl FnOnce(V, &mut Row<'_, 'de>) -> Result<V::Value>,
    ) -> Result<V::Value> {
        let this = typeid::of::<V>();
        let len = usize::from(!self.probe.is_open(this));
        self.open(this, |value| value.row(len, |row| visit(visitor, row)))
    }

    /// Decodes a row of exactly this many values.
    fn row<R>(self, len: usize, visit: impl FnOnce(&mut Row<'_, 'de>) -> Result<R>) -> Result<R> {
        let mut row = Row { value: self.inside()?, left: len };
        let value = visit(&mut row)?;
        // In the compact form, values that are left over would be taken for the next ones.
        if row.left == 0 { Ok(value) } else { Err(Cause::Known.into()) }
    }

    fn tuple<V: Visitor<'de>>(mut self, len: usize, visitor: V) -> Result<V::Value> {
        self.count()?;
        self.row(len, |row| visitor.visit_seq(row))
    }
}

macro_rules! leaves {
    ($($method:ident: $TAG:ident [$($byte:literal),*];)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            self.leaf(&[Tag::$TAG.0 $(, $byte)*], visitor)
        })*
    };
}

macro_rules! described {
    ($($method:ident;)*) => {
        $(fn $method<V: Visitor<'de>>(self, _: V) -> Result<V::Value> {
            self.probe.describe()
        })*
    };
}

impl<'de> Deserializer<'de> for Value<'_, 'de> {
    type Error = Error;

    leaves! {
        deserialize_bool: TRUE [];
        deserialize_i8: I8 [1];
        deserialize_i16: I16 [1, 0];
        deserialize_i32: I32 [1, 0, 0, 0];
        deserialize_i64: I64 [1, 0, 0, 0, 0, 0, 0, 0];
        deserialize_i128: I128 [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        deserialize_u8: U8 [1];
        deserialize_u16: U16 [1, 0];
        deserialize_u32: U32 [1, 0, 0, 0];
        deserialize_u64: U64 [1, 0, 0, 0, 0, 0, 0, 0];
        deserialize_u128: U128 [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        deserialize_f32: F32 [0, 0, 128, 63];
        deserialize_f64: F64 [0, 0, 0, 0, 0, 0, 240, 63];
        deserialize_char: CHAR [49, 0, 0, 0];
        deserialize_str: TEXT [1, 0, 0, 0, 0, 0, 0, 0, 49];
        deserialize_string: TEXT [1, 0, 0, 0, 0, 0, 0, 0, 49];
        deserialize_bytes: BYTES [1, 0, 0, 0, 0, 0, 0, 0, 49];
        deserialize_byte_buf: BYTES [1, 0, 0, 0, 0, 0, 0, 0, 49];
        deserialize_unit: UNIT [];
    }

    described! {
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

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let this = typeid::of::<V>();
        if self.probe.is_open(this) {
            return visitor.visit_none();
        }
        self.open(this, |value| visitor.visit_some(value.wrapped()?))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        mut self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        self.count()?;
        visitor.visit_newtype_struct(self.wrapped()?)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.some(visitor, |visitor, row| visitor.visit_seq(row))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value> {
        self.tuple(len, visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value> {
        self.tuple(len, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.some(visitor, |visitor, row| visitor.visit_map(row))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.tuple(fields.len(), visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        mut self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.count()?;
        let (this, probe) = (typeid::of::<V>(), &mut *self.probe);
        let new = || Enum { variants: vec![Variant::default(); variants.len()] };
        probe.enums.entry(this).or_insert_with(new);
        let index = probe.choose(this).ok_or(Cause::Known)?;
        for (around, variant) in &probe.open {
            let around = probe.enums.get_mut(around).zip(*variant);
            if let Some(variant) =
                around.and_then(|(found, variant)| found.variants.get_mut(variant))
            {
                if !variant.inner.contains(&this) {
                    variant.inner.push(this);
                }
            }
        }
        probe.mark(this, index, |variant| variant.visited = true);
        probe.open.push((this, Some(index)));
        let result = visitor.visit_enum(Chosen { index: index as u32, value: self.again() });
        self.probe.open.pop();
        if result.is_ok() {
            self.probe.values += 1;
            let now = self.probe.values;
            self.probe
                .mark(this, index, |variant| variant.complete = variant.complete.or(Some(now)));
        }
        result
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

impl Probe<'_> {
    fn mark(&mut self, this: TypeId, index: usize, mark: impl FnOnce(&mut Variant)) {
        if let Some(variant) =
            self.enums.get_mut(&this).and_then(|found| found.variants.get_mut(index))
        {
            mark(variant);
        }
    }
}

/// Values in a row.
struct Row<'a, 'de> {
    value: Value<'a, 'de>,
    left: usize,
}

impl<'de> Row<'_, 'de> {
    fn next<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        seed.deserialize(self.value.again()).map(Some)
    }
}

impl<'de> SeqAccess<'de> for &mut Row<'_, 'de> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        self.next(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

impl<'de> MapAccess<'de> for &mut Row<'_, 'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        self.next(seed)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        seed.deserialize(self.value.again())
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// A variant, and what is in it.
struct Chosen<'a, 'de> {
    index: u32,
    value: Value<'a, 'de>,
}

impl<'de> EnumAccess<'de> for Chosen<'_, 'de> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self)> {
        let variant = seed.deserialize(IntoDeserializer::<Error>::into_deserializer(self.index))?;
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for Chosen<'_, 'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<()> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value> {
        seed.deserialize(self.value.inside()?)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value> {
        self.value.tuple(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.value.tuple(fields.len(), visitor)
    }
}
