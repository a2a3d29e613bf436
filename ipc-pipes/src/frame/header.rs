//! The header of a frame.

use std::io;

use ipc_core::Unreadable;

pub(super) const MAGIC: u32 = u32::from_le_bytes(*b"mpf1");
pub(super) const HEADER: usize = 24;

/// The body is behind the header.
pub(super) const HERE: u32 = 0;
/// The body is in a sealed memory file.
pub(super) const SEALED: u32 = 1;

/// The longest body; a longer one is refused before anything is allocated for it.
pub const MAX_BODY: u64 = 1 << 40;

/// The contents of the header, after it is complete and checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) kind: u32,
    pub(super) handles: usize,
    pub(super) place: u32,
    pub(super) length: u64,
}

impl Head {
    /// Reads a complete header.
    pub(super) fn read(header: &[u8; HEADER]) -> io::Result<Head> {
        let word = |at: usize| {
            let mut bytes = [0; 4];
            bytes.copy_from_slice(&header[at..at + 4]);
            u32::from_le_bytes(bytes)
        };
        let length = u64::from(word(16)) | u64::from(word(20)) << 32;
        if word(0) != MAGIC || !matches!(word(12), HERE | SEALED) {
            return Err(malformed("these bytes are no frame of this crate"));
        }
        if length > MAX_BODY || usize::try_from(length).is_err() {
            return Err(malformed("its body is longer than any of this crate (1 TiB)"));
        }
        Ok(Head { kind: word(4), handles: word(8) as usize, place: word(12), length })
    }
}

pub(super) fn header(kind: u32, place: u32, handles: usize, len: usize) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[0..4].copy_from_slice(&MAGIC.to_le_bytes());
    header[4..8].copy_from_slice(&kind.to_le_bytes());
    header[8..12].copy_from_slice(&(handles as u32).to_le_bytes());
    header[12..16].copy_from_slice(&place.to_le_bytes());
    header[16..24].copy_from_slice(&(len as u64).to_le_bytes());
    header
}

pub(super) fn unreadable(cause: Unreadable) -> io::Error {
    let kind = match cause {
        Unreadable::OutOfMemory => io::ErrorKind::OutOfMemory,
        _ => io::ErrorKind::InvalidData,
    };
    io::Error::new(kind, cause)
}

pub(super) fn malformed(what: &'static str) -> io::Error {
    unreadable(Unreadable::Malformed(what))
}
