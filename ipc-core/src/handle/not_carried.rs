//! The error of giving a handle to a message.

use std::fmt;

use super::os::MAX_HANDLES;

/// The reason why a handle could not be given to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotCarried {
    /// The route of the message carries bytes only, or the message does not travel at all.
    BytesOnly,
    /// The message carries [`MAX_HANDLES`] already.
    TooMany,
    /// Sending the message needs a further handle, and this process may open no more.
    Exhausted,
    /// The object of the handle has its maximum of attached processes.
    Participants {
        /// That maximum.
        most: usize,
    },
}

impl fmt::Display for NotCarried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotCarried::BytesOnly => f.write_str(
                "a handle or channel end can only travel in the arguments or the result of a spawned \
                 process, or over a route that carries handles",
            ),
            NotCarried::TooMany => write!(f, "a message carries at most {MAX_HANDLES} handles"),
            NotCarried::Exhausted => f.write_str(
                "it takes a further handle to send the message; raise the limit on open files (RLIMIT_NOFILE)",
            ),
            NotCarried::Participants { most } => write!(
                f,
                "all {most} participants are taken (processes that are attached, and handles on their way); \
                 make the channel, or the segment in which it lies, with more `participants`"
            ),
        }
    }
}

impl std::error::Error for NotCarried {}
