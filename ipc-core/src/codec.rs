//! Messages as bytes: serde through postcard.
//!
//! Plain data needs no codec: `bytemuck`'s marker traits say that its bytes are the message, and the routes
//! copy them as they lie.

use std::fmt;

use postcard::ser_flavors::Flavor;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Unsendable;
use crate::handle;

/// What went wrong between a message and its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CodecError {
    /// The bytes end before the message does.
    Truncated,
    /// The bytes go on after the message has ended.
    Trailing,
    /// A value has no meaning in its type: a `bool` of 2, an unknown variant, text that is not UTF-8.
    Invalid,
    /// The type cannot be written in this format (a sequence of unknown length, say), or its own
    /// `Serialize` or `Deserialize` implementation refused.
    Unsupported,
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CodecError::Truncated => "its bytes end too early",
            CodecError::Trailing => "bytes are left over",
            CodecError::Invalid => "a value has no meaning in its type",
            CodecError::Unsupported => "its type cannot be written in the postcard format, or refused to be",
        })
    }
}

impl std::error::Error for CodecError {}

/// Appends to a `Vec`, up to a limit.
struct Bounded<'a> {
    bytes: &'a mut Vec<u8>,
    limit: usize,
}

impl Bounded<'_> {
    fn room(&self, more: usize) -> postcard::Result<()> {
        if more > self.limit - self.bytes.len() {
            return Err(postcard::Error::SerializeBufferFull);
        }
        Ok(())
    }
}

impl Flavor for Bounded<'_> {
    type Output = ();

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.room(1)?;
        self.bytes.push(byte);
        Ok(())
    }

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.room(bytes.len())?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// Encodes `message` into `bytes`, which is cleared first; at most `limit` bytes, no handles.
///
/// # Errors
///
/// [`Unsendable::TooLarge`], [`Unsendable::Handles`] if the message holds a handle, and
/// [`Unsendable::Encode`] for anything else.
pub fn encode<T: Serialize>(message: &T, bytes: &mut Vec<u8>, limit: usize) -> Result<(), Unsendable> {
    bytes.clear();
    let result = handle::refuse(|| {
        let result = postcard::serialize_with_flavor(message, Bounded { bytes, limit });
        (result, handle::refused())
    });
    match result {
        (Ok(()), _) => Ok(()),
        (Err(_), true) => Err(Unsendable::Handles(handle::NotCarried::BytesOnly)),
        (Err(postcard::Error::SerializeBufferFull), _) => Err(Unsendable::TooLarge { limit }),
        (Err(_), _) => Err(Unsendable::Encode(CodecError::Unsupported)),
    }
}

/// Decodes a message from exactly these bytes.
///
/// # Errors
///
/// Any bytes at all are safe to decode. A length that the bytes cannot hold is refused before memory
/// is allocated for it.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    handle::refuse(|| match postcard::take_from_bytes(bytes) {
        Ok((message, [])) => Ok(message),
        Ok(_) => Err(CodecError::Trailing),
        Err(postcard::Error::DeserializeUnexpectedEnd) => Err(CodecError::Truncated),
        Err(postcard::Error::SerdeDeCustom | postcard::Error::WontImplement) => Err(CodecError::Unsupported),
        Err(_) => Err(CodecError::Invalid),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_decodes_to_the_same() {
        let message = (7u64, "seven".to_owned(), vec![Some(1.5f32), None]);
        let mut bytes = vec![1, 2, 3];
        encode(&message, &mut bytes, 1 << 20).unwrap();
        assert_eq!(decode(&bytes), Ok(message));
    }

    #[test]
    fn the_limit_is_exact() {
        let mut bytes = Vec::new();
        assert_eq!(encode(&[7u8; 16], &mut bytes, 16), Ok(()));
        let refused = encode(&[7u8; 17], &mut bytes, 16);
        assert_eq!(refused, Err(Unsendable::TooLarge { limit: 16 }));
    }

    // faults 78: garbage to the deserialiser.
    #[test]
    fn garbage_is_an_error() {
        assert_eq!(decode::<bool>(&[2]), Err(CodecError::Invalid));
        assert_eq!(decode::<Option<u8>>(&[9, 9]), Err(CodecError::Invalid));
        assert_eq!(decode::<u64>(&[0x80]), Err(CodecError::Truncated));
        assert_eq!(decode::<u8>(&[1, 2]), Err(CodecError::Trailing));
        assert_eq!(decode::<String>(&[2, 0xff, 0xff]), Err(CodecError::Invalid));
        let length_2_63 = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1];
        assert_eq!(decode::<Vec<u64>>(&length_2_63), Err(CodecError::Truncated));
    }
}
