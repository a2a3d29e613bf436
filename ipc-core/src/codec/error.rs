//! Errors between a message and its bytes.

use std::fmt;

use serde::{de, ser};

/// What went wrong between a message and its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CodecError {
    /// The bytes end before the message does.
    Truncated,
    /// The bytes go on after the message has ended.
    Trailing,
    /// A value has no meaning in its type: a `bool` of 2, a `char` that is none, text that is not UTF-8.
    Invalid,
    /// The type asks for what the encoding does not have.
    Unsupported,
    /// The type's own `Serialize` or `Deserialize` implementation refused, with this text.
    Refused(Box<str>),
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CodecError::Truncated => "its bytes end too early",
            CodecError::Trailing => "bytes are left over",
            CodecError::Invalid => "a value has no meaning in its type",
            CodecError::Unsupported => "its type asks for what the encoding does not have",
            CodecError::Refused(text) => text,
        })
    }
}

impl std::error::Error for CodecError {}

pub(super) type Result<T> = std::result::Result<T, Error>;

/// Why the serializer or the deserializer stopped. One word, so that a result is returned in registers.
#[derive(Debug)]
pub(super) struct Error(Box<Cause>);

#[derive(Debug)]
pub(super) enum Cause {
    /// There is no room for the message.
    TooLarge,
    Truncated,
    Invalid,
    Unsupported,
    /// The type's own implementation says so.
    Refused(Box<str>),
}

impl From<Cause> for Error {
    #[cold]
    fn from(cause: Cause) -> Self {
        Error(Box::new(cause))
    }
}

impl From<postcard::Error> for Error {
    #[cold]
    fn from(error: postcard::Error) -> Self {
        let cause = match error {
            postcard::Error::SerializeBufferFull => Cause::TooLarge,
            postcard::Error::SerializeSeqLengthUnknown | postcard::Error::WontImplement => Cause::Unsupported,
            postcard::Error::DeserializeUnexpectedEnd => Cause::Truncated,
            _ => Cause::Invalid,
        };
        cause.into()
    }
}

impl Error {
    /// Whether there was no room for the message.
    pub(super) fn is_too_large(&self) -> bool {
        matches!(*self.0, Cause::TooLarge)
    }
}

impl From<Error> for CodecError {
    #[cold]
    fn from(error: Error) -> Self {
        match *error.0 {
            Cause::Truncated => CodecError::Truncated,
            Cause::Invalid => CodecError::Invalid,
            // There is always room to read.
            Cause::Unsupported | Cause::TooLarge => CodecError::Unsupported,
            Cause::Refused(text) => CodecError::Refused(text),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &*self.0 {
            Cause::TooLarge => "the message is too large",
            Cause::Truncated => "its bytes end too early",
            Cause::Invalid => "a value has no meaning in its type",
            Cause::Unsupported => "its type asks for what the encoding does not have",
            Cause::Refused(text) => text,
        })
    }
}

impl std::error::Error for Error {}

impl ser::Error for Error {
    #[cold]
    fn custom<T: fmt::Display>(text: T) -> Self {
        Cause::Refused(text.to_string().into()).into()
    }
}

impl de::Error for Error {
    #[cold]
    fn custom<T: fmt::Display>(text: T) -> Self {
        Cause::Refused(text.to_string().into()).into()
    }
}
