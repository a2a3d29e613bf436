//! The error between a message and its bytes.

use std::fmt;

use super::format::MAX_DEPTH;

/// The reason why a message does not encode or decode.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CodecError {
    /// The bytes end before the message does.
    Truncated,
    /// The bytes continue after the message has ended.
    Trailing,
    /// A value has no meaning in its type: a `bool` of 2, a `char` that is not a character, text
    /// that is not UTF-8.
    Invalid,
    /// Values are nested deeper than [`MAX_DEPTH`].
    TooDeep,
    /// The type's own `Serialize` or `Deserialize` implementation refused, with this text.
    Refused(Box<str>),
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CodecError::Truncated => f.write_str("its bytes end too early"),
            CodecError::Trailing => f.write_str("bytes are left over"),
            CodecError::Invalid => f.write_str("a value has no meaning in its type"),
            CodecError::TooDeep => write!(
                f,
                "values are nested deeper than {MAX_DEPTH} levels, which is the limit; send a flat structure, \
                 such as a list with indices"
            ),
            CodecError::Refused(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for CodecError {}
