//! The described form: each value after a byte with its kind, fields and variants with their names.
//!
//! A type may ask "what comes next?" (`deserialize_any`), leave out fields, or decode its fields by
//! name. Flattened structs, tagged and untagged enums and values of JSON do so. This form has the
//! answers. Unlike MessagePack and JSON it distinguishes `Some(None)` from `None`, and holds
//! integers of 128 bits.
//!
//! | tag | bytes behind it |
//! |---|---|
//! | `UNIT`, `NONE`, `FALSE`, `TRUE` | none |
//! | `SOME` | the value |
//! | numbers, `CHAR` | as in memory, little-endian |
//! | `TEXT`, `BYTES` | length, then the bytes |
//! | `SEQUENCE`, `TUPLE` | count, then the values |
//! | `NUMBERS` | the tag of all its numbers, length in bytes, then the numbers |
//! | `MAP` | count, then each key before its value |
//! | `STRUCT` | count, then each field: name, value |
//! | `UNIT_VARIANT`, `NEWTYPE_VARIANT`, `TUPLE_VARIANT`, `STRUCT_VARIANT` | index of 32 bits and name; then nothing, the value, or as `TUPLE` and `STRUCT` |
//!
//! Lengths are 64 bits, counts 32. A name is its length in one byte, and its bytes; if the length
//! is 255, the name is a value of its own, `TEXT`.

mod de;
mod ser;
mod trial;

pub(super) use de::{Decoder, decode};
pub(super) use ser::{encode, encode_into};
pub(super) use trial::Trial;

/// The kind of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tag(pub(super) u8);

macro_rules! tags {
    ($($TAG:ident = $value:literal),*) => {
        impl Tag {
            $(pub(super) const $TAG: Tag = Tag($value);)*
        }
    };
}

tags! {
    UNIT = 0, NONE = 1, SOME = 2, FALSE = 3, TRUE = 4,
    U8 = 5, U16 = 6, U32 = 7, U64 = 8, U128 = 9, I8 = 10, I16 = 11, I32 = 12, I64 = 13, I128 = 14, F32 = 15, F64 = 16,
    CHAR = 17, TEXT = 18, BYTES = 19, SEQUENCE = 20, TUPLE = 21, NUMBERS = 22, MAP = 23, STRUCT = 24,
    UNIT_VARIANT = 25, NEWTYPE_VARIANT = 26, TUPLE_VARIANT = 27, STRUCT_VARIANT = 28
}

/// The tag of a type of number.
pub(super) trait Number {
    const TAG: Tag;
}

macro_rules! number {
    ($($Number:ty: $TAG:ident),*) => {
        $(impl Number for $Number {
            const TAG: Tag = Tag::$TAG;
        })*
    };
}

number! {
    u8: U8, u16: U16, u32: U32, u64: U64, u128: U128, i8: I8, i16: I16, i32: I32, i64: I64, i128: I128, f32: F32, f64: F64
}

/// The length of a name that is a text of its own.
const LONG_NAME: u8 = u8::MAX;
