//! The causes why arguments or a result do not travel, as a child sends them to its parent.
//!
//! An error of a channel is made for the process in which it occurs. A child sends it as one of
//! these types, and the parent makes the same error from it.

use ipc_core::{CodecError, NotCarried, SizeLimit, Unreadable, Unsendable};
use serde::{Deserialize, Serialize};

use super::protocol::MAX_MESSAGE;

/// The reason why the child does not start its function.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Refusal {
    /// The arguments do not decode.
    Arguments(Codec),
    /// Anything else, as text.
    Other(String),
}

/// An [`Unsendable`] of a result.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum NotSent {
    Encode(Codec),
    TooLarge { size: u64 },
    BytesOnly,
    TooMany,
    Exhausted,
    Participants { most: u64 },
    OutOfMemory,
    Forked,
}

/// A [`CodecError`].
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Codec {
    Truncated,
    Trailing,
    Invalid,
    TooDeep,
    Refused(String),
}

impl From<CodecError> for Codec {
    fn from(error: CodecError) -> Self {
        match error {
            CodecError::Truncated => Codec::Truncated,
            CodecError::Trailing => Codec::Trailing,
            CodecError::Invalid => Codec::Invalid,
            CodecError::TooDeep => Codec::TooDeep,
            CodecError::Refused(text) => Codec::Refused(text.into()),
            // Of a later version: its text.
            other => Codec::Refused(other.to_string()),
        }
    }
}

impl From<Codec> for CodecError {
    fn from(error: Codec) -> Self {
        match error {
            Codec::Truncated => CodecError::Truncated,
            Codec::Trailing => CodecError::Trailing,
            Codec::Invalid => CodecError::Invalid,
            Codec::TooDeep => CodecError::TooDeep,
            Codec::Refused(text) => CodecError::Refused(text.into()),
        }
    }
}

impl From<Unsendable> for NotSent {
    fn from(cause: Unsendable) -> Self {
        match cause {
            Unsendable::Encode(cause) => NotSent::Encode(cause.into()),
            Unsendable::TooLarge { size, .. } => NotSent::TooLarge { size: size as u64 },
            Unsendable::Handles(NotCarried::BytesOnly) => NotSent::BytesOnly,
            Unsendable::Handles(NotCarried::TooMany) => NotSent::TooMany,
            Unsendable::Handles(NotCarried::Exhausted) => NotSent::Exhausted,
            Unsendable::Handles(NotCarried::Participants { most }) => {
                NotSent::Participants { most: most as u64 }
            }
            Unsendable::OutOfMemory => NotSent::OutOfMemory,
            Unsendable::Forked => NotSent::Forked,
            // Of a later version, or of a channel: its text.
            other => NotSent::Encode(Codec::Refused(other.to_string())),
        }
    }
}

impl From<NotSent> for Unsendable {
    fn from(cause: NotSent) -> Self {
        let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        match cause {
            NotSent::Encode(cause) => Unsendable::Encode(cause.into()),
            NotSent::TooLarge { size } => Unsendable::TooLarge {
                size: number(size),
                limit: MAX_MESSAGE,
                set_by: SizeLimit::Spawn,
            },
            NotSent::BytesOnly => Unsendable::Handles(NotCarried::BytesOnly),
            NotSent::TooMany => Unsendable::Handles(NotCarried::TooMany),
            NotSent::Exhausted => Unsendable::Handles(NotCarried::Exhausted),
            NotSent::Participants { most } => {
                Unsendable::Handles(NotCarried::Participants { most: number(most) })
            }
            NotSent::OutOfMemory => Unsendable::OutOfMemory,
            NotSent::Forked => Unsendable::Forked,
        }
    }
}

/// Returns the cause of an [`Unsendable`], without the words that its reader has seen already.
pub(super) fn text_of_unsendable(cause: &Unsendable) -> String {
    match cause {
        Unsendable::Encode(cause) => cause.to_string(),
        cause => cause.to_string(),
    }
}

/// Returns the cause of an [`Unreadable`], as [`text_of_unsendable`] does.
pub(super) fn text_of_unreadable(cause: &Unreadable) -> String {
    match cause {
        Unreadable::Decode(cause) => cause.to_string(),
        cause => cause.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_the_same_in_the_other_process() {
        let limit = SizeLimit::Spawn;
        let causes = [
            Unsendable::Encode(CodecError::Truncated),
            Unsendable::Encode(CodecError::Trailing),
            Unsendable::Encode(CodecError::Invalid),
            Unsendable::Encode(CodecError::TooDeep),
            Unsendable::Encode(CodecError::Refused("awkward".into())),
            Unsendable::TooLarge { size: MAX_MESSAGE + 1, limit: MAX_MESSAGE, set_by: limit },
            Unsendable::Handles(NotCarried::BytesOnly),
            Unsendable::Handles(NotCarried::TooMany),
            Unsendable::Handles(NotCarried::Exhausted),
            Unsendable::Handles(NotCarried::Participants { most: 7 }),
            Unsendable::OutOfMemory,
            Unsendable::Forked,
        ];
        for cause in causes {
            let bytes = postcard::to_stdvec(&NotSent::from(cause.clone())).unwrap();
            assert_eq!(Unsendable::from(postcard::from_bytes::<NotSent>(&bytes).unwrap()), cause);
        }
        // What only channels answer stays readable.
        let bytes = postcard::to_stdvec(&NotSent::from(Unsendable::Corrupt("a word"))).unwrap();
        let cause = Unsendable::from(postcard::from_bytes::<NotSent>(&bytes).unwrap());
        assert!(text_of_unsendable(&cause).contains("a word"), "{cause}");
    }
}
