//! The encoder of the described form.

use std::fmt;

use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::super::cause::{Cause, Error, Result};
use super::super::depth::Depth;
use super::super::error::CodecError;
use super::super::number::{bytes_of, is_ref, numbers};
use super::super::output::Sink;
use super::{LONG_NAME, Number, Tag};

/// Encodes a message behind the content of `bytes`, which may grow to `limit` bytes.
///
/// `readable` makes types encode themselves for people: an address becomes a text, for example.
/// serde decodes flattened and untagged values as if `readable` were always set.
pub(in super::super) fn encode<T: Serialize>(
    message: &T,
    bytes: &mut Vec<u8>,
    limit: usize,
    readable: bool,
) -> Result<()> {
    let mut out = Out { bytes, room: limit, readable, drain: None };
    message.serialize(Encoder { out: &mut out, depth: Depth::TOP })
}

/// Writes a message and the byte `last` into `sink`, piece by piece; at most `limit` bytes.
pub(in super::super) fn encode_into<T: Serialize>(
    message: &T,
    last: u8,
    sink: &mut dyn Sink,
    limit: usize,
) -> Result<()> {
    let drain = Some(Drain { sink, taken: 0, limit });
    let mut out = Out { bytes: &mut Vec::new(), room: BUFFER, readable: true, drain };
    message.serialize(Encoder { out: &mut out, depth: Depth::TOP })?;
    out.put(&[last])?;
    out.flush()
}

/// How many bytes are collected before a sink gets them. They fit in a processor's second cache.
const BUFFER: usize = 128 * 1024;

pub(in super::super) struct Out<'a> {
    bytes: &'a mut Vec<u8>,
    /// The most bytes that `bytes` may hold.
    room: usize,
    readable: bool,
    /// The sink of `bytes` when it is full.
    drain: Option<Drain<'a>>,
}

struct Drain<'a> {
    sink: &'a mut dyn Sink,
    /// Bytes that the sink has.
    taken: usize,
    limit: usize,
}

impl Drain<'_> {
    fn take(&mut self, bytes: &[u8]) -> Result<()> {
        if bytes.len() > self.limit - self.taken {
            return Err(Cause::TooLarge.into());
        }
        self.sink.write(bytes).map_err(Cause::Unsendable)?;
        self.taken += bytes.len();
        Ok(())
    }
}

impl Out<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        if bytes.len() > self.room.saturating_sub(self.bytes.len()) {
            return self.overflow(bytes);
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// Writes what has no room in `bytes`.
    #[cold]
    fn overflow(&mut self, bytes: &[u8]) -> Result<()> {
        self.flush()?;
        match &mut self.drain {
            Some(drain) if bytes.len() > self.room => drain.take(bytes),
            _ => {
                self.bytes.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    /// Makes room, if there is a sink.
    fn flush(&mut self) -> Result<()> {
        let drain = self.drain.as_mut().ok_or(Cause::TooLarge)?;
        drain.take(self.bytes)?;
        self.bytes.clear();
        Ok(())
    }

    /// Returns how many bytes have been written.
    fn position(&self) -> usize {
        self.drain.as_ref().map_or(0, |drain| drain.taken) + self.bytes.len()
    }

    /// Overwrites bytes that one call of [`put`](Self::put) has written at this position.
    fn overwrite(&mut self, at: usize, bytes: &[u8]) -> Result<()> {
        let taken = self.drain.as_ref().map_or(0, |drain| drain.taken);
        match (at.checked_sub(taken), &mut self.drain) {
            (None, Some(drain)) => drain.sink.overwrite(at, bytes).map_err(Cause::Unsendable)?,
            (from, _) => {
                let from = from.unwrap_or(0);
                self.bytes[from..from + bytes.len()].copy_from_slice(bytes);
            }
        }
        Ok(())
    }

    fn tag(&mut self, tag: Tag) -> Result<()> {
        self.put(&[tag.0])
    }

    fn name(&mut self, name: &str) -> Result<()> {
        match u8::try_from(name.len()) {
            Ok(len) if len != LONG_NAME => self.put(&[len])?,
            _ => {
                self.put(&[LONG_NAME, Tag::TEXT.0])?;
                self.put(&(name.len() as u64).to_le_bytes())?;
            }
        }
        self.put(name.as_bytes())
    }

    /// Writes numbers of `N` bytes, until there are no more.
    #[inline]
    fn numbers<const N: usize>(
        &mut self,
        tag: Tag,
        mut numbers: impl Iterator<Item = [u8; N]>,
    ) -> Result<()> {
        self.put(&[Tag::NUMBERS.0, tag.0])?;
        let at = self.position();
        self.put(&[0; 8])?;
        let begin = self.position();
        loop {
            // In pieces, because only the iterator says how many there are.
            let piece = numbers.size_hint().0.clamp(256, 1 << 16);
            let from = self.bytes.len();
            let room = self.room.saturating_sub(from).min(piece * N) / N * N;
            self.bytes.resize(from + room, 0);
            let mut copied = 0;
            for (to, number) in self.bytes[from..].chunks_exact_mut(N).zip(numbers.by_ref()) {
                to.copy_from_slice(&number);
                copied += N;
            }
            self.bytes.truncate(from + copied);
            if copied < room {
                break;
            }
            if self.room.saturating_sub(self.bytes.len()) < N {
                match &self.drain {
                    Some(_) => self.flush()?,
                    None if numbers.next().is_some() => return Err(Cause::TooLarge.into()),
                    None => break,
                }
            }
        }
        let len = (self.position() - begin) as u64;
        self.overwrite(at, &len.to_le_bytes())
    }
}

/// Writes one value.
struct Encoder<'a, 'o> {
    out: &'a mut Out<'o>,
    depth: Depth,
}

impl<'a, 'o> Encoder<'a, 'o> {
    /// Begins a row of values that are counted.
    fn values(self, tag: Tag) -> Result<Values<'a, 'o>> {
        self.out.tag(tag)?;
        self.fields()
    }

    fn fields(self) -> Result<Values<'a, 'o>> {
        let at = self.out.position();
        self.out.put(&[0; 4])?;
        Ok(Values { depth: self.depth.inside()?, out: self.out, at, count: 0 })
    }

    fn variant(&mut self, tag: Tag, index: u32, name: &str) -> Result<()> {
        self.out.tag(tag)?;
        self.out.put(&index.to_le_bytes())?;
        self.out.name(name)
    }

    fn wrapped<T: ?Sized + Serialize>(self, value: &T) -> Result<()> {
        value.serialize(Encoder { depth: self.depth.wrapped()?, out: self.out })
    }
}

macro_rules! plain {
    ($($method:ident($Number:ty);)*) => {
        $(fn $method(self, value: $Number) -> Result<()> {
            self.out.tag(<$Number>::TAG)?;
            self.out.put(&value.to_le_bytes())
        })*
    };
}

impl<'a, 'o> Serializer for Encoder<'a, 'o> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Values<'a, 'o>;
    type SerializeTuple = Values<'a, 'o>;
    type SerializeTupleStruct = Values<'a, 'o>;
    type SerializeTupleVariant = Values<'a, 'o>;
    type SerializeMap = Values<'a, 'o>;
    type SerializeStruct = Values<'a, 'o>;
    type SerializeStructVariant = Values<'a, 'o>;

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

    fn serialize_bool(self, value: bool) -> Result<()> {
        self.out.tag(if value { Tag::TRUE } else { Tag::FALSE })
    }

    fn serialize_char(self, value: char) -> Result<()> {
        self.out.tag(Tag::CHAR)?;
        self.out.put(&u32::from(value).to_le_bytes())
    }

    fn serialize_str(self, value: &str) -> Result<()> {
        self.out.tag(Tag::TEXT)?;
        self.out.put(&(value.len() as u64).to_le_bytes())?;
        self.out.put(value.as_bytes())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<()> {
        self.out.tag(Tag::BYTES)?;
        self.out.put(&(value.len() as u64).to_le_bytes())?;
        self.out.put(value)
    }

    fn serialize_none(self) -> Result<()> {
        self.out.tag(Tag::NONE)
    }

    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Result<()> {
        self.out.tag(Tag::SOME)?;
        self.wrapped(value)
    }

    fn serialize_unit(self) -> Result<()> {
        self.out.tag(Tag::UNIT)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<()> {
        self.out.tag(Tag::UNIT)
    }

    fn serialize_unit_variant(
        mut self,
        _: &'static str,
        index: u32,
        name: &'static str,
    ) -> Result<()> {
        self.variant(Tag::UNIT_VARIANT, index, name)
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<()> {
        self.wrapped(value)
    }

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        mut self,
        _: &'static str,
        index: u32,
        name: &'static str,
        value: &T,
    ) -> Result<()> {
        self.variant(Tag::NEWTYPE_VARIANT, index, name)?;
        value.serialize(Encoder { depth: self.depth.inside()?, out: self.out })
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Values<'a, 'o>> {
        self.values(Tag::SEQUENCE)
    }

    fn serialize_tuple(self, _: usize) -> Result<Values<'a, 'o>> {
        self.values(Tag::TUPLE)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Values<'a, 'o>> {
        self.values(Tag::TUPLE)
    }

    fn serialize_tuple_variant(
        mut self,
        _: &'static str,
        index: u32,
        name: &'static str,
        _: usize,
    ) -> Result<Values<'a, 'o>> {
        self.variant(Tag::TUPLE_VARIANT, index, name)?;
        self.fields()
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Values<'a, 'o>> {
        self.values(Tag::MAP)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Values<'a, 'o>> {
        self.values(Tag::STRUCT)
    }

    fn serialize_struct_variant(
        mut self,
        _: &'static str,
        index: u32,
        name: &'static str,
        _: usize,
    ) -> Result<Values<'a, 'o>> {
        self.variant(Tag::STRUCT_VARIANT, index, name)?;
        self.fields()
    }

    /// `Vec`, slices and similar types call this.
    fn collect_seq<I>(self, items: I) -> Result<()>
    where
        I: IntoIterator<Item: Serialize>,
    {
        let items = items.into_iter();
        macro_rules! copy {
            ($($Number:ty: $size:literal),*) => {
                $(if is_ref::<I::Item, $Number>() {
                    return self.out.numbers::<$size>(<$Number>::TAG, items.map(|number| bytes_of(&number)));
                })*
            };
        }
        numbers!(copy);
        let mut values = self.serialize_seq(None)?;
        for item in items {
            values.value(&item)?;
        }
        values.finish()
    }

    fn collect_str<T: ?Sized + fmt::Display>(self, value: &T) -> Result<()> {
        self.serialize_str(&value.to_string())
    }

    fn is_human_readable(&self) -> bool {
        self.out.readable
    }
}

/// Values in a row, whose number is written in front of them when it is known.
pub(in super::super) struct Values<'a, 'o> {
    out: &'a mut Out<'o>,
    depth: Depth,
    /// Where their number is to be written.
    at: usize,
    count: usize,
}

impl Values<'_, '_> {
    fn value<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<()> {
        self.count += 1;
        value.serialize(Encoder { out: self.out, depth: self.depth })
    }

    fn field<T: ?Sized + Serialize>(&mut self, name: &str, value: &T) -> Result<()> {
        self.out.name(name)?;
        self.value(value)
    }

    fn finish(self) -> Result<()> {
        let too_many =
            |_| CodecError::Refused("more than 4,294,967,295 values in one sequence".into());
        let count = u32::try_from(self.count).map_err(too_many)?;
        self.out.overwrite(self.at, &count.to_le_bytes())
    }
}

macro_rules! values {
    ($($Trait:ident: $method:ident -> $to:ident($($name:ident)?);)*) => {
        $(impl $Trait for Values<'_, '_> {
            type Ok = ();
            type Error = Error;

            fn $method<T: ?Sized + Serialize>(&mut self, $($name: &'static str,)? value: &T) -> Result<()> {
                self.$to($($name,)? value)
            }

            fn end(self) -> Result<()> {
                self.finish()
            }
        })*
    };
}

values! {
    SerializeSeq: serialize_element -> value();
    SerializeTuple: serialize_element -> value();
    SerializeTupleStruct: serialize_field -> value();
    SerializeTupleVariant: serialize_field -> value();
    SerializeStruct: serialize_field -> field(name);
    SerializeStructVariant: serialize_field -> field(name);
}

impl SerializeMap for Values<'_, '_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: ?Sized + Serialize>(&mut self, key: &T) -> Result<()> {
        self.value(key)
    }

    fn serialize_value<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<()> {
        value.serialize(Encoder { out: self.out, depth: self.depth })
    }

    fn end(self) -> Result<()> {
        self.finish()
    }
}
