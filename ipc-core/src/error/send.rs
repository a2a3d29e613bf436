//! The errors of sending, which return the message.

use std::error::Error;
use std::fmt;

use super::cause::Unsendable;

/// The error of [`send`](crate::Sender::send). It holds the message.
#[derive(Clone, PartialEq, Eq)]
pub enum SendError<T> {
    /// No receiver is left, and none can come.
    Disconnected(T),
    /// This message can never be sent on this channel.
    Unsendable(T, Unsendable),
}

/// The error of [`try_send`](crate::Sender::try_send). It holds the message.
#[derive(Clone, PartialEq, Eq)]
pub enum TrySendError<T> {
    /// The channel is full, or another process has not finished with its next slot.
    Full(T),
    /// No receiver is left, and none can come.
    Disconnected(T),
    /// This message can never be sent on this channel.
    Unsendable(T, Unsendable),
}

/// The error of [`send_timeout`](crate::Sender::send_timeout) and
/// [`send_deadline`](crate::Sender::send_deadline). It holds the message.
#[derive(Clone, PartialEq, Eq)]
pub enum SendTimeoutError<T> {
    /// There was no room until the deadline.
    Timeout(T),
    /// No receiver is left, and none can come.
    Disconnected(T),
    /// This message can never be sent on this channel.
    Unsendable(T, Unsendable),
}

/// The error of [`send_many`](crate::Sender::send_many). It holds the messages that were taken from
/// the iterator and not sent.
///
/// The messages before them are sent. Those after them are still in the iterator.
#[derive(Clone, PartialEq, Eq)]
pub struct SendManyError<T> {
    /// The number of messages that were sent.
    pub sent: usize,
    /// The messages that were taken from the iterator and not sent, in order.
    pub unsent: Vec<T>,
    /// Why the first of `unsent` can never be sent on this channel; `None` if the channel is
    /// disconnected.
    pub unsendable: Option<Unsendable>,
}

impl<T> SendManyError<T> {
    /// Returns the messages that were taken from the iterator and not sent, in order.
    #[must_use]
    pub fn into_inner(self) -> Vec<T> {
        self.unsent
    }

    /// Returns whether no receiver is left.
    #[must_use]
    pub fn is_disconnected(&self) -> bool {
        self.unsendable.is_none()
    }
}

impl<T> fmt::Debug for SendManyError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendManyError")
            .field("sent", &self.sent)
            .field("unsent", &self.unsent.len())
            .field("unsendable", &self.unsendable)
            .finish()
    }
}

impl<T> fmt::Display for SendManyError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.unsendable {
            None => write!(f, "sending on a disconnected channel, after {} messages", self.sent),
            Some(cause) => write!(f, "sending message {} of many: {cause}", self.sent),
        }
    }
}

impl<T> Error for SendManyError<T> {}

impl<T> SendError<T> {
    /// Returns the message.
    #[must_use]
    pub fn into_inner(self) -> T {
        match self {
            SendError::Disconnected(message) | SendError::Unsendable(message, _) => message,
        }
    }

    /// Returns whether no receiver is left.
    #[must_use]
    pub fn is_disconnected(&self) -> bool {
        matches!(self, SendError::Disconnected(_))
    }

    /// Returns whether this message can never be sent on this channel.
    #[must_use]
    pub fn is_unsendable(&self) -> bool {
        matches!(self, SendError::Unsendable(..))
    }
}

impl<T> TrySendError<T> {
    /// Returns the message.
    #[must_use]
    pub fn into_inner(self) -> T {
        match self {
            TrySendError::Full(message)
            | TrySendError::Disconnected(message)
            | TrySendError::Unsendable(message, _) => message,
        }
    }

    /// Returns whether there was no room.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, TrySendError::Full(_))
    }

    /// Returns whether no receiver is left.
    #[must_use]
    pub fn is_disconnected(&self) -> bool {
        matches!(self, TrySendError::Disconnected(_))
    }

    /// Returns whether this message can never be sent on this channel.
    #[must_use]
    pub fn is_unsendable(&self) -> bool {
        matches!(self, TrySendError::Unsendable(..))
    }
}

impl<T> SendTimeoutError<T> {
    /// Returns the message.
    #[must_use]
    pub fn into_inner(self) -> T {
        match self {
            SendTimeoutError::Timeout(message)
            | SendTimeoutError::Disconnected(message)
            | SendTimeoutError::Unsendable(message, _) => message,
        }
    }

    /// Returns whether there was no room until the deadline.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(self, SendTimeoutError::Timeout(_))
    }

    /// Returns whether no receiver is left.
    #[must_use]
    pub fn is_disconnected(&self) -> bool {
        matches!(self, SendTimeoutError::Disconnected(_))
    }

    /// Returns whether this message can never be sent on this channel.
    #[must_use]
    pub fn is_unsendable(&self) -> bool {
        matches!(self, SendTimeoutError::Unsendable(..))
    }
}

// Without `T: Debug`, as in crossbeam-channel: the message is shown as `..`.
impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SendError::Disconnected(_) => f.write_str("Disconnected(..)"),
            SendError::Unsendable(_, cause) => write!(f, "Unsendable(.., {cause:?})"),
        }
    }
}

impl<T> fmt::Debug for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TrySendError::Full(_) => f.write_str("Full(..)"),
            TrySendError::Disconnected(_) => f.write_str("Disconnected(..)"),
            TrySendError::Unsendable(_, cause) => write!(f, "Unsendable(.., {cause:?})"),
        }
    }
}

impl<T> fmt::Debug for SendTimeoutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SendTimeoutError::Timeout(_) => f.write_str("Timeout(..)"),
            SendTimeoutError::Disconnected(_) => f.write_str("Disconnected(..)"),
            SendTimeoutError::Unsendable(_, cause) => write!(f, "Unsendable(.., {cause:?})"),
        }
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SendError::Disconnected(_) => f.write_str("sending on a disconnected channel"),
            SendError::Unsendable(_, cause) => cause.fmt(f),
        }
    }
}

impl<T> fmt::Display for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TrySendError::Full(_) => f.write_str("sending on a full channel"),
            TrySendError::Disconnected(_) => f.write_str("sending on a disconnected channel"),
            TrySendError::Unsendable(_, cause) => cause.fmt(f),
        }
    }
}

impl<T> fmt::Display for SendTimeoutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SendTimeoutError::Timeout(_) => f.write_str("timed out waiting on send operation"),
            SendTimeoutError::Disconnected(_) => f.write_str("sending on a disconnected channel"),
            SendTimeoutError::Unsendable(_, cause) => cause.fmt(f),
        }
    }
}

impl<T> Error for SendError<T> {}
impl<T> Error for TrySendError<T> {}
impl<T> Error for SendTimeoutError<T> {}

impl<T> From<SendError<T>> for TrySendError<T> {
    fn from(error: SendError<T>) -> Self {
        match error {
            SendError::Disconnected(message) => TrySendError::Disconnected(message),
            SendError::Unsendable(message, cause) => TrySendError::Unsendable(message, cause),
        }
    }
}

impl<T> From<SendError<T>> for SendTimeoutError<T> {
    fn from(error: SendError<T>) -> Self {
        match error {
            SendError::Disconnected(message) => SendTimeoutError::Disconnected(message),
            SendError::Unsendable(message, cause) => SendTimeoutError::Unsendable(message, cause),
        }
    }
}
