//! Channels of bytes: [`slice`](mod@crate::message::slice) for `u8`.

use std::io;

pub use crate::message::slice::Slices;

/// The sending end of a channel of bytes.
pub type Sender = crate::message::slice::Sender<u8>;
/// The receiving end of a channel of bytes.
pub type Receiver = crate::message::slice::Receiver<u8>;

/// Makes a channel of bytes with room for `capacity` messages of any length.
///
/// # Errors
///
/// As [`Builder::slices`](crate::Builder::slices).
pub fn bounded(capacity: usize) -> io::Result<(Sender, Receiver)> {
    crate::message::slice::bounded(capacity)
}
