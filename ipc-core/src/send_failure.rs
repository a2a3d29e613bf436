//! The reason why a route did not send a message that the caller still has.

use crate::error::{SendManyError, SendTimeoutError, Unsendable};

/// The reason why a message was not sent. The caller still has the message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendFailure {
    /// There was no room before the deadline.
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

    /// Makes the error that returns `unsent`, the rest of many messages, to the caller.
    #[cold]
    pub fn with_many<T>(self, sent: usize, unsent: Vec<T>) -> SendManyError<T> {
        let unsendable = match self {
            SendFailure::Unsendable(cause) => Some(cause),
            SendFailure::Timeout | SendFailure::Disconnected => None,
        };
        SendManyError { sent, unsent, unsendable }
    }

    /// Splits an error of [`with`](SendFailure::with) into its parts.
    pub fn of<T>(error: SendTimeoutError<T>) -> (SendFailure, T) {
        match error {
            SendTimeoutError::Timeout(message) => (SendFailure::Timeout, message),
            SendTimeoutError::Disconnected(message) => (SendFailure::Disconnected, message),
            SendTimeoutError::Unsendable(message, cause) => {
                (SendFailure::Unsendable(cause), message)
            }
        }
    }
}
