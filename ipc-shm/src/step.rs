//! Errors that say of what, and in which step.

use std::fmt;
use std::io;

/// Adds to an error what it is about and what was being done.
pub(crate) fn step<T>(subject: impl fmt::Display, what: &str, result: io::Result<T>) -> io::Result<T> {
    result.map_err(|error| io::Error::new(error.kind(), Step { what: format!("{subject}: {what}"), error }))
}

/// Which step of making or attaching failed.
#[derive(Debug)]
struct Step {
    what: String,
    error: io::Error,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.error)
    }
}

impl std::error::Error for Step {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}
