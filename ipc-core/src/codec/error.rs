//! Errors between a message and its bytes.

use std::fmt;

use serde::{de, ser};

use super::MAX_DEPTH;
use crate::error::Unsendable;

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

pub(super) type Result<T> = std::result::Result<T, Error>;

/// The reason why a serializer or a deserializer stopped. It is one word, so that a result is
/// returned in registers.
#[derive(Debug)]
pub(super) struct Error(Box<Cause>);

#[derive(Debug)]
pub(super) enum Cause {
    /// There is no room for the message.
    TooLarge,
    /// The compact form cannot hold this value; the described form can.
    NotCompact,
    /// The sink takes no more.
    Unsendable(Unsendable),
    /// The type's code is not to run any further, because the result is known.
    Known,
    Codec(CodecError),
}

impl From<Cause> for Error {
    #[cold]
    #[inline(never)]
    fn from(cause: Cause) -> Self {
        Error(Box::new(cause))
    }
}

impl From<CodecError> for Error {
    #[cold]
    #[inline(never)]
    fn from(error: CodecError) -> Self {
        Cause::Codec(error).into()
    }
}

impl Error {
    pub(super) fn cause(self) -> Cause {
        *self.0
    }
}

impl From<Error> for CodecError {
    #[cold]
    #[inline(never)]
    fn from(error: Error) -> Self {
        match error.cause() {
            Cause::Codec(error) => error,
            // Those that cannot come from where they are not seen to.
            Cause::TooLarge | Cause::NotCompact | Cause::Known | Cause::Unsendable(_) => {
                CodecError::Invalid
            }
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Cause::TooLarge => f.write_str("the message is too large"),
            Cause::NotCompact => f.write_str("the compact form cannot hold the value"),
            Cause::Unsendable(cause) => cause.fmt(f),
            Cause::Known => f.write_str("nothing more is to be found out"),
            Cause::Codec(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

impl ser::Error for Error {
    #[cold]
    fn custom<T: fmt::Display>(text: T) -> Self {
        CodecError::Refused(text.to_string().into()).into()
    }
}

impl de::Error for Error {
    #[cold]
    fn custom<T: fmt::Display>(text: T) -> Self {
        CodecError::Refused(text.to_string().into()).into()
    }
}
