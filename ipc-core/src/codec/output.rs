//! Where encoded bytes go.

use std::mem;

use super::cause::{Cause, Result};
use crate::error::Unsendable;

/// Takes an encoded message piece by piece, so that a large one need not lie in memory as a whole.
pub trait Sink {
    /// Takes the bytes that follow those before.
    ///
    /// # Errors
    ///
    /// Why it cannot. The message is then not encoded any further.
    fn write(&mut self, bytes: &[u8]) -> std::result::Result<(), Unsendable>;

    /// Replaces bytes that it has taken, from the offset `at` on: a length that was not known.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    fn overwrite(&mut self, at: usize, bytes: &[u8]) -> std::result::Result<(), Unsendable>;
}

impl Sink for Vec<u8> {
    fn write(&mut self, bytes: &[u8]) -> std::result::Result<(), Unsendable> {
        self.try_reserve(bytes.len()).map_err(|_| Unsendable::OutOfMemory)?;
        self.extend_from_slice(bytes);
        Ok(())
    }

    fn overwrite(&mut self, at: usize, bytes: &[u8]) -> std::result::Result<(), Unsendable> {
        self[at..at + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }
}

/// Takes the bytes of a message, in order.
pub(super) trait Output {
    /// Writes a few bytes, whose number is known when the program is compiled.
    fn push<const N: usize>(&mut self, bytes: [u8; N]) -> Result<()>;

    /// Writes bytes.
    fn extend(&mut self, bytes: &[u8]) -> Result<()>;

    /// Writes exactly `len` values of `N` bytes each. Of values that lie in a slice the compiler
    /// makes a `memcpy`.
    fn extend_with<const N: usize>(
        &mut self,
        len: usize,
        values: impl Iterator<Item = [u8; N]>,
    ) -> Result<()>;
}

/// Copies values to where as many have room.
#[inline(always)]
fn copy<const N: usize>(to: &mut [u8], values: impl Iterator<Item = [u8; N]>) -> Result<()> {
    let len = to.len() / N;
    let mut copied = 0;
    for (to, value) in to.chunks_exact_mut(N).zip(values) {
        to.copy_from_slice(&value);
        copied += 1;
    }
    // Their number was the iterator's own word.
    if copied == len { Ok(()) } else { Err(Cause::NotCompact.into()) }
}

/// Writes over the bytes of a buffer, and what does not fit there into another one, up to a limit.
pub(super) struct Buffer<'a> {
    /// What of the buffer is not written yet.
    room: &'a mut [u8],
    more: Vec<u8>,
    /// Bytes at the end of the buffer that were not written when it was full.
    unused: usize,
    /// Bytes that may be written until it is full, and how many `more` may grow to if it is.
    len: usize,
    limit: usize,
}

impl<'a> Buffer<'a> {
    /// Writes over `buffer`, and may grow beyond it up to `limit` bytes.
    #[inline(always)]
    pub(super) fn new(buffer: &'a mut [u8], limit: usize) -> Self {
        let len = buffer.len().min(limit);
        Buffer { room: &mut buffer[..len], more: Vec::new(), unused: 0, len, limit }
    }

    /// How many bytes of the buffer are written, and what did not fit there.
    #[inline(always)]
    pub(super) fn finish(self) -> (usize, Vec<u8>) {
        (self.len - self.unused - self.room.len(), self.more)
    }

    /// Room for so many more bytes behind those that did not fit.
    fn spill(&mut self, len: usize) -> Result<&mut [u8]> {
        self.unused += mem::take(&mut self.room).len();
        let most = self.limit - (self.len - self.unused);
        let begin = self.more.len();
        let end = begin.checked_add(len).filter(|end| *end <= most).ok_or(Cause::TooLarge)?;
        self.more.resize(end, 0);
        Ok(&mut self.more[begin..])
    }

    /// By value, and not by reference: else the compiler would keep the buffer in memory and not in
    /// registers.
    #[cold]
    #[inline(never)]
    fn spilled(mut self, bytes: &[u8]) -> (Self, Result<()>) {
        let result = self.spill(bytes.len()).map(|room| room.copy_from_slice(bytes));
        (self, result)
    }

    #[inline(always)]
    fn overflow(&mut self, bytes: &[u8]) -> Result<()> {
        let empty = Buffer { room: &mut [], more: Vec::new(), unused: 0, len: 0, limit: 0 };
        let (buffer, result) = mem::replace(self, empty).spilled(bytes);
        *self = buffer;
        result
    }
}

impl Output for Buffer<'_> {
    #[inline(always)]
    fn push<const N: usize>(&mut self, bytes: [u8; N]) -> Result<()> {
        if self.room.len() < N {
            return self.overflow(&bytes);
        }
        let (room, rest) = mem::take(&mut self.room).split_at_mut(N);
        room.copy_from_slice(&bytes);
        self.room = rest;
        Ok(())
    }

    #[inline(always)]
    fn extend(&mut self, bytes: &[u8]) -> Result<()> {
        if self.room.len() < bytes.len() {
            return self.overflow(bytes);
        }
        let (room, rest) = mem::take(&mut self.room).split_at_mut(bytes.len());
        room.copy_from_slice(bytes);
        self.room = rest;
        Ok(())
    }

    #[inline(always)]
    fn extend_with<const N: usize>(
        &mut self,
        len: usize,
        values: impl Iterator<Item = [u8; N]>,
    ) -> Result<()> {
        let bytes = len.checked_mul(N).ok_or(Cause::TooLarge)?;
        if self.room.len() < bytes {
            return copy(self.spill(bytes)?, values);
        }
        let (room, rest) = mem::take(&mut self.room).split_at_mut(bytes);
        self.room = rest;
        copy(room, values)
    }
}

/// Counts bytes and keeps none.
pub(super) struct Count(pub(super) usize);

impl Sink for Count {
    fn write(&mut self, bytes: &[u8]) -> std::result::Result<(), Unsendable> {
        self.0 = self.0.saturating_add(bytes.len());
        Ok(())
    }

    fn overwrite(&mut self, _: usize, _: &[u8]) -> std::result::Result<(), Unsendable> {
        Ok(())
    }
}

impl Count {
    fn add(&mut self, bytes: usize) -> Result<()> {
        self.0 = self.0.saturating_add(bytes);
        Ok(())
    }
}

impl Output for Count {
    fn push<const N: usize>(&mut self, _: [u8; N]) -> Result<()> {
        self.add(N)
    }

    fn extend(&mut self, bytes: &[u8]) -> Result<()> {
        self.add(bytes.len())
    }

    fn extend_with<const N: usize>(
        &mut self,
        len: usize,
        _: impl Iterator<Item = [u8; N]>,
    ) -> Result<()> {
        self.add(len.saturating_mul(N))
    }
}
