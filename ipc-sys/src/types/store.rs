//! What calls on files in memory take and return.

/// The number of shared counters of a channel.
pub const WORDS: usize = 10;

/// The reason why bytes were not put into a file in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotStored {
    /// There is no descriptor left.
    OutOfHandles,
    /// There is no memory for them.
    OutOfMemory,
    /// They are longer than this, the longest that a file of this process may be.
    TooLarge(usize),
}
