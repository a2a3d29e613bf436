//! Text in encoded messages.

use std::str;

use super::cause::Result;
use super::error::CodecError;

/// Returns bytes of a message as text.
pub(super) fn text(bytes: &[u8]) -> Result<&str> {
    str::from_utf8(bytes).map_err(|_| CodecError::Invalid.into())
}
