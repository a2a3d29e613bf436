//! The body of a frame, while it is written.

use std::fmt;

use ipc_core::__private::codec::Sink;
use ipc_core::{OsHandle, Unsendable};
use ipc_sys as sys;

use crate::message::HERE_LIMIT;

/// A body to be sent, while it is written: `codec::encode_into`
/// writes a message into it.
///
/// It moves to a memory file as soon as it has more than 96 KiB.
pub struct Payload(pub(super) Written);

pub(super) enum Written {
    Here {
        bytes: Vec<u8>,
        /// Whether the bytes may move to a file: no attempt has failed yet.
        may_move: bool,
    },
    File {
        file: OsHandle,
        len: usize,
    },
}

impl Default for Payload {
    fn default() -> Self {
        Payload::new()
    }
}

impl Payload {
    /// Makes an empty body.
    #[must_use]
    pub const fn new() -> Self {
        Payload(Written::Here { bytes: Vec::new(), may_move: true })
    }

    fn add(&mut self, bytes: &[u8]) -> Result<(), Unsendable> {
        if let Written::Here { bytes: have, may_move } = &mut self.0 {
            if have.len() + bytes.len() <= HERE_LIMIT || !*may_move {
                return have.write(bytes);
            }
            match file_of(have) {
                Some(file) => self.0 = Written::File { file, len: have.len() },
                None => {
                    *may_move = false;
                    return have.write(bytes);
                }
            }
        }
        if let Written::File { file, len } = &mut self.0 {
            if sys::store::put(sys::borrow(file), *len as u64, bytes).is_ok() {
                *len += bytes.len();
                return Ok(());
            }
            // The file may grow no more; memory of this process' own may.
            let mut have = taken_back(file, *len)?;
            have.write(bytes)?;
            self.0 = Written::Here { bytes: have, may_move: false };
        }
        Ok(())
    }
}

impl Sink for Payload {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Unsendable> {
        self.add(bytes)
    }

    fn overwrite(&mut self, at: usize, bytes: &[u8]) -> Result<(), Unsendable> {
        match &mut self.0 {
            Written::Here { bytes: have, .. } => have.overwrite(at, bytes),
            Written::File { file, .. } => sys::store::put(sys::borrow(file), at as u64, bytes)
                .map_err(|_| Unsendable::OutOfMemory),
        }
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let len = match &self.0 {
            Written::Here { bytes, .. } => bytes.len(),
            Written::File { len, .. } => *len,
        };
        f.debug_struct("Payload").field("len", &len).finish()
    }
}

/// Makes a file with these bytes, to which more can be added. Returns `None` if this process can
/// make none.
fn file_of(bytes: &[u8]) -> Option<OsHandle> {
    let file = sys::store::message_memfd().ok()?;
    sys::store::put(sys::borrow(&file), 0, bytes).ok()?;
    Some(file)
}

/// Returns the bytes of such a file.
pub(super) fn taken_back(file: &OsHandle, len: usize) -> Result<Vec<u8>, Unsendable> {
    let mut bytes = Vec::new();
    match sys::store::get(sys::borrow(file), 0, len as u64, &mut bytes) {
        Ok(()) => Ok(bytes),
        Err(_) => Err(Unsendable::OutOfMemory),
    }
}
