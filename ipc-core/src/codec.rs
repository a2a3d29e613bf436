//! Messages as bytes: serde through postcard.
//!
//! Plain data needs no codec: `bytemuck`'s marker traits say that its bytes are the message, and the routes
//! copy them as they lie.

use std::{fmt, mem, slice};

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

/// Writes over the bytes of a buffer, and what does not fit there into another one, up to a limit.
struct Over<'a> {
    /// What is left of the buffer.
    room: slice::IterMut<'a, u8>,
    more: Vec<u8>,
    /// What `more` may grow to.
    most: usize,
}

impl Over<'_> {
    #[cold]
    fn spill(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        // Up to the buffer's end first: the message is read as a whole.
        let room = self.room.len();
        let (here, more) = bytes.split_at(room.min(bytes.len()));
        for (to, from) in self.room.by_ref().zip(here) {
            *to = *from;
        }
        if more.len() > self.most - self.more.len() {
            return Err(postcard::Error::SerializeBufferFull);
        }
        self.more.extend_from_slice(more);
        Ok(())
    }
}

impl Flavor for Over<'_> {
    /// What did not fit, and how much of the buffer is left over.
    type Output = (Vec<u8>, usize);

    #[inline(always)]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        match self.room.next() {
            Some(to) => *to = byte,
            None => self.spill(&[byte])?,
        }
        Ok(())
    }

    #[inline(always)]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        if bytes.len() > self.room.len() {
            return self.spill(bytes);
        }
        let (to, room) = mem::take(&mut self.room).into_slice().split_at_mut(bytes.len());
        to.copy_from_slice(bytes);
        self.room = room.iter_mut();
        Ok(())
    }

    fn finalize(self) -> postcard::Result<(Vec<u8>, usize)> {
        Ok((self.more, self.room.len()))
    }
}

/// Bytes that a buffer has at least.
const LEAST: usize = 512;

/// Encodes `message` over the first bytes of `bytes` and returns how many; at most `limit`, no handles.
///
/// `bytes` is grown as needed and never shortened: what is behind the message means nothing. Kept from one
/// message to the next it costs no allocation.
///
/// # Errors
///
/// [`Unsendable::TooLarge`], [`Unsendable::Handles`] if the message holds a handle, and
/// [`Unsendable::Encode`] for anything else.
pub fn encode<T: Serialize>(message: &T, bytes: &mut Vec<u8>, limit: usize) -> Result<usize, Unsendable> {
    if bytes.len() < LEAST {
        bytes.resize(LEAST, 0);
    }
    let most = bytes.len().min(limit);
    let over = Over { room: bytes[..most].iter_mut(), more: Vec::new(), most: limit - most };
    let (result, refused) = handle::refuse(|| {
        let result = postcard::serialize_with_flavor(message, over);
        (result, handle::refused())
    });
    match result {
        Ok((more, left)) if more.is_empty() => Ok(most - left),
        Ok((more, _)) => {
            bytes.truncate(most);
            bytes.extend_from_slice(&more);
            Ok(bytes.len())
        }
        Err(_) if refused => Err(Unsendable::Handles(handle::NotCarried::BytesOnly)),
        Err(postcard::Error::SerializeBufferFull) => Err(Unsendable::TooLarge { limit }),
        Err(_) => Err(Unsendable::Encode(CodecError::Unsupported)),
    }
}

/// Decodes a message from exactly these bytes.
///
/// # Errors
///
/// Any bytes at all are safe to decode. A length that the bytes cannot hold is refused before memory
/// is allocated for it.
#[inline]
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    handle::refuse(|| {
        let mut decoder = postcard::Deserializer::from_bytes(bytes);
        match T::deserialize(&mut decoder) {
            Ok(message) if decoder.finalize().is_ok_and(<[u8]>::is_empty) => Ok(message),
            Ok(_) => Err(CodecError::Trailing),
            Err(error) => Err(cause(&error)),
        }
    })
}

#[cold]
fn cause(error: &postcard::Error) -> CodecError {
    match error {
        postcard::Error::DeserializeUnexpectedEnd => CodecError::Truncated,
        postcard::Error::SerdeDeCustom | postcard::Error::WontImplement => CodecError::Unsupported,
        _ => CodecError::Invalid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_decodes_to_the_same() {
        let message = (7u64, "seven".to_owned(), vec![Some(1.5f32), None]);
        let mut bytes = vec![1, 2, 3];
        let len = encode(&message, &mut bytes, 1 << 20).unwrap();
        assert_eq!(decode(&bytes[..len]), Ok(message));
    }

    #[test]
    fn what_is_larger_than_the_buffer_is_whole() {
        let mut bytes = Vec::new();
        for size in [0, 100, 510, 511, 512, 600, 5000, 100] {
            let message: Vec<u32> = (0..size).map(|i| i * 77).collect();
            let len = encode(&message, &mut bytes, 1 << 20).unwrap();
            assert_eq!(decode(&bytes[..len]), Ok(message));
        }
    }

    #[test]
    fn the_limit_is_exact() {
        for mut bytes in [Vec::new(), vec![0; 16], vec![0; 100]] {
            assert_eq!(encode(&[7u8; 16], &mut bytes, 16), Ok(16));
            let refused = encode(&[7u8; 17], &mut bytes, 16);
            assert_eq!(refused, Err(Unsendable::TooLarge { limit: 16 }));
        }
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
