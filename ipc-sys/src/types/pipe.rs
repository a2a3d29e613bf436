//! The limits of pipes.

/// The longest packet of a pipe: what POSIX calls PIPE_BUF.
pub const PACKET: usize = 4096;
