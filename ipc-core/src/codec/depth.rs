//! How deep values are nested.

use super::cause::Result;
use super::error::CodecError;
use super::format::MAX_DEPTH;

/// How deep a value lies in its message, in halves of a level.
#[derive(Clone, Copy)]
pub(super) struct Depth(usize);

impl Depth {
    /// The message itself.
    pub(super) const TOP: Depth = Depth(0);

    /// Inside a struct, tuple, sequence, map or variant: one level deeper.
    #[inline(always)]
    pub(super) fn inside(self) -> Result<Depth> {
        // A wrapper around it has taken the first half.
        Depth((self.0 | 1) + 1).checked()
    }

    /// Inside an option or a newtype: not a level yet, since most wrap something that is one. But
    /// many of them, one in the other, take stack too.
    #[inline(always)]
    pub(super) fn wrapped(self) -> Result<Depth> {
        Depth(self.0 + 1).checked()
    }

    #[inline(always)]
    fn checked(self) -> Result<Depth> {
        if self.0 <= 2 * MAX_DEPTH { Ok(self) } else { Err(CodecError::TooDeep.into()) }
    }
}
