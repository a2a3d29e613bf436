//! The reasons inside the errors of the calls.

use std::error::Error;
use std::fmt;

use crate::codec::CodecError;
use crate::handle::NotCarried;
use crate::shape::Mismatch;

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
