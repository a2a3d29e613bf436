//! The compact form: values one after the other, without their types.
//!
//! | value | bytes |
//! |---|---|
//! | `bool`, integers, floats | as in memory, little-endian; `bool` is 0 or 1 |
//! | `char` | its number, 32 bits |
//! | text, bytes | length, then the bytes |
//! | `None`, `Some(value)` | 0; 1, then the value |
//! | unit, unit struct | none |
//! | sequence, map | length, then the elements, or each key before its value |
//! | tuple, struct, newtype | the fields |
//! | variant of an enum | 32 bits, then the fields: its index, the number of fields, and 16 bits made of its name |
//!
//! A length is 32 bits; if all of them are set, 64 bits follow that are the length.
//!
//! The receiver must ask for what the sender wrote, in the same order. So [`form`](super::form)
//! finds out whether a type does so before it uses this form. The serializer returns
//! [`NotCompact`](super::cause::Cause::NotCompact) for values that the form cannot hold: fields
//! that are skipped, sequences of unknown length, and very large enums. The name finds the variant
//! of an enum that skips some variants on one side only.

mod de;
mod ser;

pub(super) use de::decode;
pub(super) use ser::encode;

/// A length of this or more is followed by 64 bits.
const LONG: u32 = u32::MAX;

/// Returns the identification of a variant, or `None` for the 257th, or for one of more than 255
/// fields.
#[inline(always)]
fn tag(index: u32, name: &str, fields: usize) -> Option<u32> {
    let (index, fields) = (u8::try_from(index).ok()?, u8::try_from(fields).ok()?);
    let [low, high] = sum(name).to_le_bytes();
    Some(u32::from_le_bytes([index, fields, low, high]))
}

/// Returns a check sum of a few bytes of a name. It is computed for each message.
#[inline(always)]
fn sum(name: &str) -> u16 {
    let bytes = name.as_bytes();
    let byte = |at: usize| u16::from(bytes.get(at).copied().unwrap_or(0));
    let all = [byte(0), byte(bytes.len() / 2), byte(bytes.len().wrapping_sub(1))];
    all.iter().fold(bytes.len() as u16, |sum, byte| sum.wrapping_mul(41).wrapping_add(*byte))
}
