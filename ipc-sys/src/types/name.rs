//! What look-ups of names return.

/// The kind of the entry at a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A socket.
    Socket,
    /// Anything else, with a word for it.
    Other(&'static str),
}
