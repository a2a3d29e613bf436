//! The errors of a child that was not started, or gave no result.

use std::error::Error;
use std::fmt;
use std::io;

use ipc_core::{Unreadable, Unsendable};

use super::causes::{text_of_unreadable, text_of_unsendable};

/// The content of an error of [`spawn`](super::spawn): its text and its cause.
#[derive(Debug)]
struct NotStarted {
    text: String,
    cause: Box<dyn Error + Send + Sync>,
}

impl fmt::Display for NotStarted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for NotStarted {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.cause)
    }
}

/// Makes an error with this text, whose source is its cause.
pub(super) fn caused(
    kind: io::ErrorKind,
    text: String,
    cause: impl Into<Box<dyn Error + Send + Sync>>,
) -> io::Error {
    io::Error::new(kind, NotStarted { text, cause: cause.into() })
}

/// Adds to an error what was being done when it occurred. Its kind and its cause stay.
pub(super) fn context(what: &str, error: io::Error) -> io::Error {
    let (kind, text) = (error.kind(), format!("{what}: {error}"));
    match error.downcast::<NotStarted>() {
        Ok(inner) => caused(kind, text, inner.cause),
        Err(error) => caused(kind, text, error),
    }
}

/// The error of [`JoinHandle::join`](super::JoinHandle::join): how a child without a result ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum JoinError {
    /// The function panicked, with this message. The panic hook prints to the child's stderr.
    ///
    /// In a program built with `panic = "abort"`, a panic kills the child, and the error is
    /// `Killed`.
    Panicked(String),
    /// The process exited with this status before it had sent a result, by `std::process::exit`,
    /// for example.
    Exited(i32),
    /// The process was killed by this signal (9 is SIGKILL) before it had sent a result.
    Killed(i32),
    /// The function returned, but the child could not encode or send the result, for this reason.
    ///
    /// For a result of more than 1 TiB, encoded, the reason is [`TooLarge`](Unsendable::TooLarge).
    /// For a panic in the result's `Serialize`, it is [`Refused`](ipc_core::CodecError::Refused)
    /// with the panic's message.
    Unsendable(Unsendable),
    /// A result arrived that cannot be read, for this reason.
    Unreadable(Unreadable),
    /// The child gave no result, and the operating system does not report how it ended. The text
    /// says why.
    ///
    /// On Linux before 6.15, this happens if the program ignores SIGCHLD, or another part of it
    /// reaps all children (`waitpid(-1)`), unless [`JoinHandle::kill`](super::JoinHandle::kill)
    /// killed the child.
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
                let cause = text_of_unsendable(cause);
                write!(f, "the result of the child process does not encode: {cause}")
            }
            JoinError::Unreadable(cause) => {
                let cause = text_of_unreadable(cause);
                write!(f, "the result of the child process does not decode: {cause}")
            }
            JoinError::Unknown(error) => {
                write!(f, "how the child process ended is not known: {error}")
            }
        }
    }
}

impl Error for JoinError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            JoinError::Unsendable(cause) => Some(cause),
            JoinError::Unreadable(cause) => Some(cause),
            JoinError::Unknown(error) => Some(error),
            _ => None,
        }
    }
}
