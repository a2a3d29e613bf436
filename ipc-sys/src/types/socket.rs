//! What calls on sockets take and return.

/// The event to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// There is something to receive.
    Receive,
    /// There is room to send.
    Send,
    /// Only the other end is closed.
    End,
}

/// The reason why a datagram was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSent {
    /// There is no room now.
    Full,
    /// There are too many handles on their way now. The kernel does not notify when there are
    /// fewer.
    TooManyInFlight,
    /// The other end is closed.
    Gone,
    /// It is larger than the socket's buffer.
    TooLarge,
    /// There is no memory for it.
    OutOfMemory,
}

/// The reason why no datagram was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotReceived {
    /// There is none now.
    Empty,
    /// There is none, and the other end is closed.
    Gone,
    /// There is no memory for it.
    OutOfMemory,
}

/// A datagram that was received.
#[derive(Clone, Copy, Debug)]
pub struct ReceivedDatagram {
    /// Bytes of it that are in the buffer.
    pub len: usize,
    /// Whether it was longer than the buffer.
    pub cut: bool,
    /// Whether handles of it are lost.
    pub lost: bool,
}

/// The process at the other end of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Credentials {
    /// Its number, or 0 if its namespace is not visible to this process.
    pub pid: u32,
    /// Its effective user.
    pub uid: u32,
    /// Its effective group.
    pub gid: u32,
}
