//! Why a route did not send a message that the caller still has.

use crate::error::{SendTimeoutError, Unsendable};

/// Why a message was not sent. The caller still has the message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendFailure {
    /// There was no room as long as one was to wait.
    Timeout,
    /// No receiver is left, and none can come.
    Disconnected,
    /// This message can never be sent on this channel.
    Unsendable(Unsendable),
}

impl SendFailure {
    /// Makes the error that returns `message` to the caller.
    #[cold]
    pub fn with<T>(self, message: T) -> SendTimeoutError<T> {
        match self {
            SendFailure::Timeout => SendTimeoutError::Timeout(message),
            SendFailure::Disconnected => SendTimeoutError::Disconnected(message),
            SendFailure::Unsendable(cause) => SendTimeoutError::Unsendable(message, cause),
        }
    }
}
