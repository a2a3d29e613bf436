//! Why a serializer or a deserializer stops.

use std::fmt;

use serde::{de, ser};

use super::error::CodecError;
use crate::error::Unsendable;

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
