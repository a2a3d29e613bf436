//! The errors of receiving.

use std::error::Error;
use std::fmt;

use super::cause::Unreadable;

/// The error of [`recv`](crate::Receiver::recv).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecvError {
    /// The channel is empty, no sender is left, and none can come.
    Disconnected,
    /// A message arrived that cannot be read.
    Unreadable(Unreadable),
}

/// The error of [`try_recv`](crate::Receiver::try_recv).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TryRecvError {
    /// The channel is empty, or its next message is not finished yet.
    Empty,
    /// The channel is empty, no sender is left, and none can come.
    Disconnected,
    /// A message arrived that cannot be read.
    Unreadable(Unreadable),
}

/// The error of [`recv_timeout`](crate::Receiver::recv_timeout) and
/// [`recv_deadline`](crate::Receiver::recv_deadline).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecvTimeoutError {
    /// No message arrived before the deadline.
    Timeout,
    /// The channel is empty, no sender is left, and none can come.
    Disconnected,
    /// A message arrived that cannot be read.
    Unreadable(Unreadable),
}

impl RecvError {
    /// Returns whether no sender is left and the channel is empty.
    #[must_use]
    pub fn is_disconnected(&self) -> bool {
        matches!(self, RecvError::Disconnected)
    }

    /// Returns whether a message arrived that cannot be read.
    #[must_use]
    pub fn is_unreadable(&self) -> bool {
        matches!(self, RecvError::Unreadable(_))
    }
}

impl TryRecvError {
    /// Returns whether there was no message.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self, TryRecvError::Empty)
    }

    /// Returns whether no sender is left and the channel is empty.
    #[must_use]
    pub fn is_disconnected(&self) -> bool {
        matches!(self, TryRecvError::Disconnected)
    }

    /// Returns whether a message arrived that cannot be read.
    #[must_use]
    pub fn is_unreadable(&self) -> bool {
        matches!(self, TryRecvError::Unreadable(_))
    }
}

impl RecvTimeoutError {
    /// Returns whether no message arrived before the deadline.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(self, RecvTimeoutError::Timeout)
    }

    /// Returns whether no sender is left and the channel is empty.
    #[must_use]
    pub fn is_disconnected(&self) -> bool {
        matches!(self, RecvTimeoutError::Disconnected)
    }

    /// Returns whether a message arrived that cannot be read.
    #[must_use]
    pub fn is_unreadable(&self) -> bool {
        matches!(self, RecvTimeoutError::Unreadable(_))
    }
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecvError::Disconnected => {
                f.write_str("receiving on an empty and disconnected channel")
            }
            RecvError::Unreadable(cause) => cause.fmt(f),
        }
    }
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TryRecvError::Empty => f.write_str("receiving on an empty channel"),
            TryRecvError::Disconnected => {
                f.write_str("receiving on an empty and disconnected channel")
            }
            TryRecvError::Unreadable(cause) => cause.fmt(f),
        }
    }
}

impl fmt::Display for RecvTimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecvTimeoutError::Timeout => f.write_str("timed out waiting on receive operation"),
            RecvTimeoutError::Disconnected => f.write_str("channel is empty and disconnected"),
            RecvTimeoutError::Unreadable(cause) => cause.fmt(f),
        }
    }
}

impl Error for RecvError {}
impl Error for TryRecvError {}
impl Error for RecvTimeoutError {}

impl From<RecvError> for TryRecvError {
    fn from(error: RecvError) -> Self {
        match error {
            RecvError::Disconnected => TryRecvError::Disconnected,
            RecvError::Unreadable(cause) => TryRecvError::Unreadable(cause),
        }
    }
}

impl From<RecvError> for RecvTimeoutError {
    fn from(error: RecvError) -> Self {
        match error {
            RecvError::Disconnected => RecvTimeoutError::Disconnected,
            RecvError::Unreadable(cause) => RecvTimeoutError::Unreadable(cause),
        }
    }
}
