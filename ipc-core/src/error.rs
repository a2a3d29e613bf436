//! The errors of a channel.
//!
//! Their names and shapes are those of crossbeam-channel, and the errors of sending return the
//! message. Between processes, each side has one error more: [`Unsendable`] and [`Unreadable`].
//!
//! The errors of the calls are not `#[non_exhaustive]`: programs match them exhaustively, as they
//! match those of crossbeam-channel, and no further variants will come. The reasons inside them can
//! get further variants: [`Unsendable`], [`Unreadable`], [`DisconnectCause`], [`SizeLimit`],
//! [`NotCarried`] and [`CodecError`].

use std::error::Error;
use std::fmt;

pub use crate::codec::CodecError;
pub use crate::handle::NotCarried;
pub use crate::shape::Mismatch;

/// What may keep the system from having memory for a message.
const LIMITS: &str = "look at the limits on address space (RLIMIT_AS, `ulimit -v`), on mappings (sysctl \
    vm.max_map_count) and on the memory of a control group, or use smaller messages or a smaller `capacity`";

/// The reason why a message can never be sent on this channel.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unsendable {
    /// The message does not encode.
    Encode(CodecError),
    /// The encoded message is larger than the channel can ever hold.
    TooLarge {
        /// The number of bytes of the encoded message.
        size: usize,
        /// The most bytes that an encoded message may have on this channel.
        limit: usize,
        /// Which limit that is, and so what to raise.
        set_by: SizeLimit,
    },
    /// The message owns a handle or a channel end, and this route carries bytes only, or not that
    /// many handles.
    Handles(NotCarried),
    /// The system has no memory left for the message, or this process may use no more.
    OutOfMemory,
    /// This process was forked from the one that the endpoint belongs to. It may make endpoints of
    /// its own, and receive some in messages.
    Forked,
    /// The shared memory of the channel holds a value that the protocol cannot have written.
    Corrupt(&'static str),
}

impl fmt::Display for Unsendable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unsendable::Encode(cause) => write!(f, "the message does not encode: {cause}"),
            Unsendable::TooLarge { size, limit, set_by: set_by @ SizeLimit::Spawn } => write!(
                f,
                "{size} bytes, encoded, and a process takes and returns at most {limit} bytes; {set_by}"
            ),
            Unsendable::TooLarge { size, limit, set_by } => write!(
                f,
                "the message has {size} bytes, encoded, and this channel takes at most {limit} bytes; {set_by}"
            ),
            Unsendable::Handles(cause) => cause.fmt(f),
            Unsendable::OutOfMemory => write!(f, "no memory left to share the message; {LIMITS}"),
            Unsendable::Forked => FORKED.fmt(f),
            Unsendable::Corrupt(what) => {
                write!(f, "the channel's shared memory is corrupt: {what}")
            }
        }
    }
}

impl Error for Unsendable {}

/// The limit on the size of messages. Its text says how to raise it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SizeLimit {
    /// `max_message` of the channel's builder.
    MaxMessage,
    /// The length that this process may give to a file (RLIMIT_FSIZE).
    FileSize,
    /// The send buffer of the socket.
    SocketBuffer,
    /// The limit on the arguments and on the result of a process.
    Spawn,
}

impl fmt::Display for SizeLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SizeLimit::MaxMessage => "make the channel with a larger `max_message`",
            SizeLimit::FileSize => "raise the limit on the size of files (RLIMIT_FSIZE)",
            SizeLimit::Spawn => "send it in parts over a channel, or share it in a `Segment`",
            SizeLimit::SocketBuffer => "give the socket a larger send buffer (SO_SNDBUF)",
        })
    }
}

/// The reason why a message that arrived cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unreadable {
    /// The message does not decode to the channel's type. It is removed from the channel.
    Decode(CodecError),
    /// Handles of the message did not arrive, because this process may open no more. The message is
    /// removed from the channel, and the handles that did arrive are closed.
    HandlesLost,
    /// What arrived is not a complete message of this crate. It is removed from the channel.
    Malformed(&'static str),
    /// The other end of the connection sends messages of another type than this end receives. This
    /// message is removed from the connection, and so is each later one.
    OtherType(Mismatch),
    /// There is no memory for the message, or this process may use no more. A message in shared
    /// memory stays in its channel: this receiver or another one can receive it later.
    OutOfMemory,
    /// This process was forked from the one that the endpoint belongs to. It may make endpoints of
    /// its own, and receive some in messages.
    Forked,
    /// The shared memory of the channel holds a value that the protocol cannot have written.
    Corrupt(&'static str),
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unreadable::Decode(cause) => write!(f, "the message does not decode: {cause}"),
            Unreadable::HandlesLost => f.write_str(
                "handles of the message are lost; raise the limit on open files (RLIMIT_NOFILE)",
            ),
            Unreadable::Malformed(what) => write!(f, "what arrived is no message: {what}"),
            Unreadable::OtherType(types) => write!(
                f,
                "the message is of another type: {types} (what one end of a connection sends, the other \
                 receives: the other end of a `Duplex<A, B>` is a `Duplex<B, A>`)"
            ),
            Unreadable::OutOfMemory => write!(f, "no memory left for the message; {LIMITS}"),
            Unreadable::Forked => FORKED.fmt(f),
            Unreadable::Corrupt(what) => {
                write!(f, "the channel's shared memory is corrupt: {what}")
            }
        }
    }
}

impl Error for Unreadable {}

const FORKED: &str = "this channel end belongs to the process that this one was forked from; \
                      make a channel here, or hand the end over in a message or in the arguments of `spawn`";

/// The reason why a channel is disconnected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DisconnectCause {
    /// The last endpoint of the other side was dropped.
    Dropped,
    /// The process that held the last endpoint of the other side died.
    Died,
}

impl fmt::Display for DisconnectCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DisconnectCause::Dropped => "the last endpoint of the other side was dropped",
            DisconnectCause::Died => "the last process on the other side died",
        })
    }
}

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

impl<T> Error for SendError<T> {}
impl<T> Error for TrySendError<T> {}
impl<T> Error for SendTimeoutError<T> {}
impl Error for RecvError {}
impl Error for TryRecvError {}
impl Error for RecvTimeoutError {}

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::send_failure::SendFailure;

    #[test]
    fn results_stay_small() {
        assert_eq!(size_of::<Result<u64, RecvTimeoutError>>(), 24);
        assert_eq!(size_of::<Result<(), SendFailure>>(), 32);
        assert_eq!(size_of::<Option<Result<(), SendFailure>>>(), 32);
    }
}
