//! Messages as bytes: serde through postcard, with sequences of bytes copied as a whole.
//!
//! Plain data needs no codec: `bytemuck`'s marker traits say that its bytes are the message, and the routes
//! copy them as they lie.

use std::mem;

use postcard::ser_flavors::Flavor;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{SizeLimit, Unsendable};
use crate::handle;

/// The version of what [`encode`] writes: messages of two processes mean the same only if theirs is the same.
pub const VERSION: u32 = 1;

mod de;
mod error;
mod ser;

pub use error::CodecError;

use de::Decoder;
use error::{Cause, Error};
use ser::{Encoder, Extend};

/// Writes over the bytes of a buffer, and what does not fit there into another one, up to a limit.
struct Over<'a> {
    buffer: &'a mut [u8],
    /// So many bytes of the buffer are written.
    at: usize,
    more: Vec<u8>,
    /// What `more` may grow to.
    most: usize,
}

impl Over<'_> {
    #[cold]
    #[inline(never)]
    fn spill_byte(&mut self, byte: u8) -> postcard::Result<()> {
        self.spill(&[byte])
    }

    #[cold]
    #[inline(never)]
    fn spill(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        // Up to the buffer's end first: the message is read as a whole.
        let room = &mut self.buffer[self.at..];
        let (here, more) = bytes.split_at(room.len().min(bytes.len()));
        room[..here.len()].copy_from_slice(here);
        self.at += here.len();
        if more.len() > self.most - self.more.len() {
            return Err(postcard::Error::SerializeBufferFull);
        }
        self.more.extend_from_slice(more);
        Ok(())
    }
}

impl Flavor for Over<'_> {
    /// What did not fit, and how much of the buffer is written.
    type Output = (Vec<u8>, usize);

    #[inline(always)]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        match self.buffer.get_mut(self.at) {
            Some(to) => {
                *to = byte;
                self.at += 1;
                Ok(())
            }
            None => self.spill_byte(byte),
        }
    }

    #[inline(always)]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        let room = self.buffer.get_mut(self.at..).unwrap_or_default();
        if let Some(room) = room.first_chunk_mut::<NUMBER>().filter(|_| bytes.len() <= NUMBER) {
            copy_number(room, bytes);
        } else if let Some(room) = room.get_mut(..bytes.len()) {
            room.copy_from_slice(bytes);
        } else {
            return self.spill(bytes);
        }
        self.at += bytes.len();
        Ok(())
    }

    fn finalize(self) -> postcard::Result<(Vec<u8>, usize)> {
        Ok((self.more, self.at))
    }
}

impl Extend for Over<'_> {
    #[inline(always)]
    fn extend_from(&mut self, len: usize, bytes: impl Iterator<Item = u8>) -> Result<(), Error> {
        let room = self.buffer.len() - self.at;
        if len > room {
            if len - room > self.most - self.more.len() {
                return Err(Cause::TooLarge.into());
            }
            let mut all = vec![0; len];
            ser::copy(&mut all, bytes)?;
            return Ok(self.spill(&all)?);
        }
        ser::copy(&mut self.buffer[self.at..self.at + len], bytes)?;
        self.at += len;
        Ok(())
    }
}

/// Writes `message` with what `flavor` makes of its bytes.
#[inline(always)]
fn serialize<T: Serialize, F: Extend>(message: &T, flavor: F) -> Result<F::Output, Error> {
    let mut serializer = postcard::Serializer { output: flavor };
    message.serialize(Encoder(&mut serializer))?;
    Ok(serializer.output.finalize()?)
}

/// Counts bytes and keeps none.
struct Count(usize);

impl Flavor for Count {
    type Output = usize;

    fn try_push(&mut self, _: u8) -> postcard::Result<()> {
        self.0 = self.0.saturating_add(1);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0 = self.0.saturating_add(bytes.len());
        Ok(())
    }

    fn finalize(self) -> postcard::Result<usize> {
        Ok(self.0)
    }
}

impl Extend for Count {
    fn extend_from(&mut self, len: usize, _: impl Iterator<Item = u8>) -> Result<(), Error> {
        self.0 = self.0.saturating_add(len);
        Ok(())
    }
}

/// Describes a message that did not fit into `limit` bytes. To count its bytes, it is encoded once more.
///
/// If it does not encode to its end, which the first attempt did not reach, the size is the least that it can be.
#[cold]
#[inline(never)]
fn too_large<T: Serialize>(message: &T, limit: usize) -> Unsendable {
    let least = limit.saturating_add(1);
    let size = serialize(message, Count(0)).map_or(least, |size| size.max(least));
    Unsendable::TooLarge { size, limit, set_by: SizeLimit::MaxMessage }
}

/// Bytes of a number at most.
const NUMBER: usize = 10;

/// Copies a few bytes to the beginning of `to`; what is behind them there may change, too.
///
/// Such are a number's, which were written a moment ago one by one: read as one word they would have to wait
/// until they have left the store buffer.
#[inline(always)]
fn copy_number(to: &mut [u8; NUMBER], from: &[u8]) {
    let (low, high) = from.split_at(from.len().min(8));
    to[..8].copy_from_slice(&word(low).to_le_bytes());
    for (to, from) in to[8..].iter_mut().zip(high) {
        *to = *from;
    }
}

#[inline(always)]
fn word(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte))
}

/// The format of messages and its version: ends that write another one are refused.
pub const FORMAT: &str = "postcard 1";

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
    let over = Over { buffer: &mut bytes[..most], at: 0, more: Vec::new(), most: limit - most };
    let (result, refused) = handle::refuse(|| {
        let result = serialize(message, over);
        (result, handle::refused())
    });
    match result {
        Ok((more, len)) if more.is_empty() => Ok(len),
        Ok((more, _)) => {
            bytes.truncate(most);
            bytes.extend_from_slice(&more);
            Ok(bytes.len())
        }
        Err(_) if refused => Err(Unsendable::Handles(handle::NotCarried::BytesOnly)),
        Err(error) if error.is_too_large() => Err(handle::refuse(|| too_large(message, limit))),
        Err(error) => Err(Unsendable::Encode(error.into())),
    }
}

/// As [`encode`] for a route that carries handles, behind the first `begin` bytes, which are kept. Returns
/// where the message ends, and the handles in it.
///
/// # Errors
///
/// As [`encode`]; [`Unsendable::Handles`] if there are more than [`handle::MAX_HANDLES`]. What was in `bytes`
/// is gone then.
pub fn encode_carrying<T: Serialize>(
    message: &T,
    bytes: &mut Vec<u8>,
    begin: usize,
    limit: usize,
) -> Result<(usize, Vec<handle::OsHandle>), Unsendable> {
    encode_behind(message, bytes, begin, limit).map_err(|cause| {
        // The handles that the second attempt collects are closed here.
        cause.unwrap_or_else(|| handle::collect(|| too_large(message, limit)).0)
    })
}

/// As [`encode_carrying`], but answers `None` if the message is larger than `limit`, and does not count by how
/// much: for those who try whether it fits.
///
/// # Errors
///
/// As [`encode_carrying`], and `None`.
pub fn encode_behind<T: Serialize>(
    message: &T,
    bytes: &mut Vec<u8>,
    begin: usize,
    limit: usize,
) -> Result<(usize, Vec<handle::OsHandle>), Option<Unsendable>> {
    if bytes.len() < begin + LEAST {
        bytes.resize(begin + LEAST, 0);
    }
    let most = limit.saturating_add(begin);
    // So many bytes may be written: the buffer's length is what the hot path looks at.
    bytes.truncate(most);
    let buffer = mem::take(bytes);
    let ((result, refused), handles) = handle::collect(|| {
        let result = serialize(message, Behind { buffer, at: begin, most });
        (result, handle::not_collected())
    });
    match (result, refused) {
        (Ok((buffer, end)), _) => {
            *bytes = buffer;
            Ok((end, handles))
        }
        (Err(_), Some(cause)) => Err(Some(Unsendable::Handles(cause))),
        (Err(error), None) if error.is_too_large() => Err(None),
        (Err(error), None) => Err(Some(Unsendable::Encode(error.into()))),
    }
}

/// As [`encode_carrying`], into bytes of their own: for one message, of any length.
///
/// # Errors
///
/// As [`encode_carrying`].
pub fn to_bytes<T: Serialize>(message: &T) -> Result<(Vec<u8>, Vec<handle::OsHandle>), Unsendable> {
    let mut bytes = Vec::new();
    let (end, handles) = encode_carrying(message, &mut bytes, 0, isize::MAX as usize)?;
    bytes.truncate(end);
    Ok((bytes, handles))
}

/// Writes over the bytes of a buffer that grows, up to a limit.
struct Behind {
    buffer: Vec<u8>,
    /// So many bytes of the buffer are written.
    at: usize,
    /// What that may grow to.
    most: usize,
}

impl Behind {
    /// Room for `more` bytes, and for what may come after them.
    fn grow(&mut self, more: usize) -> postcard::Result<()> {
        let end = self.at.checked_add(more).filter(|end| *end <= self.most);
        let end = end.ok_or(postcard::Error::SerializeBufferFull)?;
        let len = end.max(self.buffer.len().saturating_mul(2)).max(self.buffer.capacity());
        self.buffer.resize(len.min(self.most), 0);
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn spill_byte(&mut self, byte: u8) -> postcard::Result<()> {
        self.spill(&[byte])
    }

    #[cold]
    #[inline(never)]
    fn spill(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.grow(bytes.len())?;
        self.buffer[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
        Ok(())
    }
}

impl Flavor for Behind {
    /// The buffer, and how many bytes of it are written.
    type Output = (Vec<u8>, usize);

    #[inline(always)]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        match self.buffer.get_mut(self.at) {
            Some(to) => {
                *to = byte;
                self.at += 1;
                Ok(())
            }
            None => self.spill_byte(byte),
        }
    }

    #[inline(always)]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        let room = self.buffer.get_mut(self.at..).unwrap_or_default();
        if let Some(room) = room.first_chunk_mut::<NUMBER>().filter(|_| bytes.len() <= NUMBER) {
            copy_number(room, bytes);
        } else if let Some(room) = room.get_mut(..bytes.len()) {
            room.copy_from_slice(bytes);
        } else {
            return self.spill(bytes);
        }
        self.at += bytes.len();
        Ok(())
    }

    fn finalize(self) -> postcard::Result<(Vec<u8>, usize)> {
        Ok((self.buffer, self.at))
    }
}

impl Extend for Behind {
    #[inline(always)]
    fn extend_from(&mut self, len: usize, bytes: impl Iterator<Item = u8>) -> Result<(), Error> {
        if self.buffer.len() - self.at < len {
            self.grow(len)?;
        }
        ser::copy(&mut self.buffer[self.at..self.at + len], bytes)?;
        self.at += len;
        Ok(())
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
    handle::refuse(|| decode_here(bytes))
}

/// As [`decode`], with the handles that came with the message; those that it does not take are closed.
///
/// # Errors
///
/// As [`decode`].
pub fn decode_carrying<T: DeserializeOwned>(
    bytes: &[u8],
    handles: Vec<handle::OsHandle>,
) -> Result<T, CodecError> {
    if handles.is_empty() { decode(bytes) } else { handle::provide(handles, || decode_here(bytes)) }
}

#[inline]
fn decode_here<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    let mut decoder = postcard::Deserializer::from_bytes(bytes);
    match T::deserialize(Decoder { inner: &mut decoder, size: bytes.len() }) {
        Ok(message) if decoder.finalize().is_ok_and(<[u8]>::is_empty) => Ok(message),
        Ok(_) => Err(CodecError::Trailing),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
