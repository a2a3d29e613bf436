//! Why a child gave no result.

use std::fmt;
use std::io;

/// Why [`JoinHandle::join`](super::JoinHandle::join) has no result: how the child ended instead.
#[derive(Debug)]
#[non_exhaustive]
pub enum JoinError {
    /// The function panicked, with this message. What the panic hook prints is on the child's
    /// stderr.
    ///
    /// In a program built with `panic = "abort"` a panic kills the child, and the answer is
    /// `Killed`.
    Panicked(String),
    /// The process exited with this status before it had sent a result: `std::process::exit`, say.
    Exited(i32),
    /// The process was killed by this signal (9 is SIGKILL) before it had sent a result.
    Killed(i32),
    /// The function returned, but the child could not encode what it returned, for this reason.
    Unsendable(String),
    /// A result came, but it does not decode, for this reason.
    Unreadable(String),
    /// The child gave no result, and the operating system does not tell how it ended; the text says
    /// why.
    ///
    /// On Linux before 6.15 this is so if the program ignores SIGCHLD, or another part of it reaps
    /// all children (`waitpid(-1)`), unless the child was killed by
    /// [`JoinHandle::kill`](super::JoinHandle::kill).
    Unknown(io::Error),
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JoinError::Panicked(message) => write!(f, "the child process panicked: {message}"),
            JoinError::Exited(code) => {
                write!(f, "the child process exited with status {code} and without a result")
            }
            JoinError::Killed(signal) => {
                write!(f, "the child process was killed by signal {signal}")
            }
            JoinError::Unsendable(cause) => {
                write!(f, "the result of the child process does not encode: {cause}")
            }
            JoinError::Unreadable(cause) => {
                write!(f, "the result of the child process does not decode: {cause}")
            }
            JoinError::Unknown(error) => {
                write!(f, "how the child process ended is not known: {error}")
            }
        }
    }
}

impl std::error::Error for JoinError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            JoinError::Unknown(error) => Some(error),
            _ => None,
        }
    }
}
