//! What became of a datagram to a bell socket.

/// What became of a datagram to a bell socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The datagram waits in the socket's queue.
    Delivered,
    /// The socket's queue is full, so its owner is woken already.
    Pending,
    /// No socket has this name: its owner has closed it, or has ended.
    Refused,
    /// This process cannot send datagrams, or not to this socket.
    Failed,
}
