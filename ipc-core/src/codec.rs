//! Messages as bytes: every serde type, in one of two forms.
//!
//! | form | what it is | which types |
//! |---|---|---|
//! | compact | values one after the other, integers as in memory | types that, when they are decoded, ask exactly for what was encoded |
//! | described | each value behind a byte that says what it is, with names | all others |
//!
//! The sender finds out once for each type which form it needs, and keeps that in the endpoint
//! ([`Form`]). The last byte of a message names its form, so the receiver need not know.
//!
//! | what | how it travels |
//! |---|---|
//! | derived structs and enums, std's types, numbers of 128 bits, options in options, maps with any keys | compact |
//! | `skip_serializing_if`, `tag`, `tag` with `content`, `untagged`, `flatten`, `serde_json::Value`, sequences of unknown length | described |
//! | types that a made-up value does not satisfy, unless a message shows one; types that hold handles | described |
//! | a path or text that is not UTF-8, where its type refuses it; integers of 128 bits in tagged, untagged or flattened types, which serde does not keep; more than [`MAX_DEPTH`] levels | not: `send` refuses |
//! | fields that are renamed for one direction only; a field of a tuple struct with `skip_serializing_if` | not: no form carries them |
//!
//! Neither form nests deeper than [`MAX_DEPTH`], nor allocates memory for more than the bytes hold.
//! Decoding is safe for all bytes.
//!
//! Plain data needs no codec. `bytemuck`'s marker traits guarantee that its bytes are the message,
//! and the routes copy them as they are.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{SizeLimit, Unsendable};
use crate::handle;

mod cause;
mod compact;
mod depth;
mod described;
mod error;
mod form;
mod format;
mod number;
mod output;
mod probe;
mod text;

pub use error::CodecError;
pub use form::Form;
pub use format::{FORMAT, MAX_DEPTH};
pub use output::Sink;

use cause::{Cause, Error};
use format::{COMPACT, DESCRIBED};
use output::{Buffer, Count, Output};

/// Encodes in the compact form over the bytes of a buffer. Returns how many bytes were written, and
/// what did not fit.
#[inline(always)]
fn compact<T: Serialize>(
    message: &T,
    buffer: &mut [u8],
    limit: usize,
) -> Result<(usize, Vec<u8>), Error> {
    let mut out = Buffer::new(buffer, limit);
    compact::encode(message, &mut out)?;
    out.push([COMPACT])?;
    Ok(out.finish())
}

/// Encodes in the described form behind what is in `bytes`, by at most `limit` bytes.
fn described<T: Serialize>(message: &T, bytes: &mut Vec<u8>, limit: usize) -> Result<(), Error> {
    let limit = limit.saturating_add(bytes.len());
    described::encode(message, bytes, limit, true)?;
    if bytes.len() >= limit {
        return Err(Cause::TooLarge.into());
    }
    bytes.push(DESCRIBED);
    Ok(())
}

/// Describes a message that did not fit into `limit` bytes. The message is encoded once more, to
/// count its bytes.
///
/// If it does not encode to its end, which the first attempt did not reach, the size is a lower
/// bound.
#[cold]
#[inline(never)]
fn too_large<T: Serialize>(message: &T, limit: usize, form: &Form) -> Unsendable {
    let size = if form.is_compact() {
        let mut count = Count(1);
        compact::encode(message, &mut count).map(|()| count.0)
    } else {
        counted(message)
    };
    let least = limit.saturating_add(1);
    let size = size.map_or(least, |size| size.max(least));
    Unsendable::TooLarge { size, limit, set_by: SizeLimit::MaxMessage }
}

/// Counts the bytes of the described form.
fn counted<T: Serialize>(message: &T) -> Result<usize, Error> {
    let mut count = Count(0);
    described::encode_into(message, DESCRIBED, &mut count, usize::MAX).map(|()| count.0)
}

/// Returns why a message does not encode, or `None` if it is too large.
#[cold]
#[inline(never)]
fn not_encoded(error: Error) -> Option<Unsendable> {
    match error.cause() {
        Cause::TooLarge => None,
        Cause::Unsendable(cause) => Some(cause),
        cause => Some(Unsendable::Encode(Error::from(cause).into())),
    }
}

/// The least number of bytes of a buffer.
const LEAST: usize = 512;

/// Encodes `message` over the first bytes of `bytes` and returns how many: at most `limit`, without
/// handles.
///
/// `bytes` is grown as needed, and the bytes after the message mean nothing. If it is kept from one
/// message to the next, encoding allocates nothing. `form` must be that of this type of messages.
/// The type's `Serialize` is called once, except for the first messages of a type, which show its
/// form.
///
/// # Errors
///
/// [`Unsendable::TooLarge`], [`Unsendable::Handles`] if the message holds a handle, and
/// [`Unsendable::Encode`] for anything else.
#[inline]
pub fn encode<T: Serialize + DeserializeOwned>(
    message: &T,
    bytes: &mut Vec<u8>,
    limit: usize,
    form: &Form,
) -> Result<usize, Unsendable> {
    if form.is_compact() || form.find_out(message).map_err(Unsendable::Encode)? {
        if bytes.len() < LEAST {
            bytes.resize(LEAST, 0);
        }
        let (result, refused) = handle::refuse(|| {
            let result = compact(message, bytes, limit);
            (result, handle::refused())
        });
        match result {
            Ok((len, more)) if more.is_empty() => return Ok(len),
            Ok((len, more)) => {
                bytes.truncate(len);
                bytes.extend_from_slice(&more);
                return Ok(bytes.len());
            }
            Err(error) => match error.cause() {
                // Never again, because such types often need the other form.
                Cause::NotCompact => form.describe::<T>(),
                _ if refused => return Err(Unsendable::Handles(handle::NotCarried::BytesOnly)),
                cause => {
                    let cause = not_encoded(cause.into());
                    return Err(
                        cause.unwrap_or_else(|| handle::refuse(|| too_large(message, limit, form)))
                    );
                }
            },
        }
    }
    encode_described(message, bytes, limit, form)
}

#[inline(never)]
fn encode_described<T: Serialize>(
    message: &T,
    bytes: &mut Vec<u8>,
    limit: usize,
    form: &Form,
) -> Result<usize, Unsendable> {
    bytes.clear();
    let (result, refused) = handle::refuse(|| {
        let result = described(message, bytes, limit);
        (result, handle::refused())
    });
    match result {
        Ok(()) => Ok(bytes.len()),
        Err(_) if refused => Err(Unsendable::Handles(handle::NotCarried::BytesOnly)),
        Err(error) => Err(not_encoded(error)
            .unwrap_or_else(|| handle::refuse(|| too_large(message, limit, form)))),
    }
}

/// Encodes `message` for a route that carries handles, as [`encode`] does. The first `begin` bytes
/// are kept. Returns where the message ends, and its handles.
///
/// # Errors
///
/// As [`encode`]; [`Unsendable::Handles`] if there are more than [`handle::MAX_HANDLES`].
pub fn encode_carrying<T: Serialize + DeserializeOwned>(
    message: &T,
    bytes: &mut Vec<u8>,
    begin: usize,
    limit: usize,
    form: &Form,
) -> Result<(usize, Vec<handle::OsHandle>), Unsendable> {
    encode_behind(message, bytes, begin, limit, form).map_err(|cause| {
        // The handles that the second attempt collects are closed here.
        cause.unwrap_or_else(|| handle::collect(|| too_large(message, limit, form)).0)
    })
}

/// Encodes `message` as [`encode_carrying`] does, but returns `None` if it is larger than `limit`.
/// Then it does not count by how much. For callers that try whether a message fits.
///
/// # Errors
///
/// As [`encode_carrying`].
pub fn encode_behind<T: Serialize + DeserializeOwned>(
    message: &T,
    bytes: &mut Vec<u8>,
    begin: usize,
    limit: usize,
    form: &Form,
) -> Result<(usize, Vec<handle::OsHandle>), Option<Unsendable>> {
    if form.is_unknown() {
        // A type may give its handles away instead of copies of them. So it is encoded once only,
        // in the form in which it is sent.
        let described = described_behind(message, bytes, begin, limit);
        match &described {
            Ok((_, handles)) if !handles.is_empty() => {
                form.describe::<T>();
                return described;
            }
            Err(Some(_)) => return described,
            _ => {}
        }
        let compact = form.find_out(message).map_err(|cause| Some(Unsendable::Encode(cause)))?;
        if !compact {
            return described;
        }
    }
    if form.is_compact() {
        if bytes.len() < begin + LEAST {
            bytes.resize(begin + LEAST, 0);
        }
        let ((result, refused), handles) = handle::collect(|| {
            let result = compact(message, &mut bytes[begin..], limit);
            (result, handle::not_collected())
        });
        match result {
            Ok((len, more)) => {
                if !more.is_empty() {
                    bytes.truncate(begin + len);
                    bytes.extend_from_slice(&more);
                }
                return Ok((begin + len + more.len(), handles));
            }
            Err(error) => match (error.cause(), refused) {
                (Cause::NotCompact, None) => form.describe::<T>(),
                (_, Some(cause)) => return Err(Some(Unsendable::Handles(cause))),
                (cause, None) => return Err(not_encoded(cause.into())),
            },
        }
    }
    described_behind(message, bytes, begin, limit)
}

#[inline(never)]
fn described_behind<T: Serialize>(
    message: &T,
    bytes: &mut Vec<u8>,
    begin: usize,
    limit: usize,
) -> Result<(usize, Vec<handle::OsHandle>), Option<Unsendable>> {
    bytes.resize(begin, 0);
    let ((result, refused), handles) = handle::collect(|| {
        let result = described(message, bytes, limit);
        (result, handle::not_collected())
    });
    match (result, refused) {
        (Ok(()), _) => Ok((bytes.len(), handles)),
        (Err(_), Some(cause)) => Err(Some(Unsendable::Handles(cause))),
        (Err(error), None) => Err(not_encoded(error)),
    }
}

/// Encodes `message` into a sink as [`encode_carrying`] does, and returns its handles. The form is
/// always the described one: for one message that is large or the only one of its type.
///
/// A sequence of numbers is copied as a whole, through a buffer that stays in the processor's
/// cache. Texts and bytes go directly to the sink.
///
/// # Errors
///
/// As [`encode_carrying`], and the errors of the sink. If the message has more than `limit` bytes,
/// [`Unsendable::TooLarge`] with `set_by`.
pub fn encode_into<T: Serialize>(
    message: &T,
    sink: &mut dyn Sink,
    limit: usize,
    set_by: SizeLimit,
) -> Result<Vec<handle::OsHandle>, Unsendable> {
    let ((result, refused), handles) = handle::collect(|| {
        let result = described::encode_into(message, DESCRIBED, sink, limit);
        (result, handle::not_collected())
    });
    match (result, refused) {
        (Ok(()), _) => Ok(handles),
        (Err(_), Some(cause)) => Err(Unsendable::Handles(cause)),
        (Err(error), None) => Err(not_encoded(error).unwrap_or_else(|| {
            // The handles that this attempt collects are closed here.
            let (size, _) = handle::collect(|| counted(message));
            let least = limit.saturating_add(1);
            let size = size.map_or(least, |size| size.max(least));
            Unsendable::TooLarge { size, limit, set_by }
        })),
    }
}

/// Encodes `message` as [`encode_into`] does, into bytes of their own, of any length.
///
/// # Errors
///
/// As [`encode_into`].
pub fn to_bytes<T: Serialize>(message: &T) -> Result<(Vec<u8>, Vec<handle::OsHandle>), Unsendable> {
    let mut bytes = Vec::new();
    let limit = isize::MAX as usize;
    let handles = encode_into(message, &mut bytes, limit, SizeLimit::MaxMessage)?;
    Ok((bytes, handles))
}

/// Decodes a message from exactly these bytes.
///
/// # Errors
///
/// A [`CodecError`] if they are not a message of this type. Decoding is safe for all bytes. A
/// length that the bytes cannot hold is refused before memory is allocated for it.
#[inline]
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    handle::refuse(|| decode_here(bytes))
}

/// Decodes a message as [`decode`] does, with the handles that came with it. Handles that it does
/// not take are closed.
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
    let decoded = match bytes.split_last() {
        Some((&COMPACT, bytes)) => compact::decode(bytes),
        Some((&DESCRIBED, bytes)) => described::decode(bytes),
        Some(_) => return Err(CodecError::Invalid),
        None => return Err(CodecError::Truncated),
    };
    decoded.map_err(CodecError::from)
}

#[cfg(test)]
mod tests;
