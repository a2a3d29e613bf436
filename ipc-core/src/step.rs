//! Errors that name their object and the step that failed.

use std::fmt;
use std::io;

/// Adds to an error its object and the step that failed. For routes, which make many system calls.
///
/// The kind stays. The [`source`](std::error::Error::source) of the inner error is the error of the
/// system.
///
/// # Errors
///
/// The error of `result`, with `subject` and `what` in front.
pub fn step<T>(subject: impl fmt::Display, what: &str, result: io::Result<T>) -> io::Result<T> {
    result.map_err(|error| {
        io::Error::new(error.kind(), Step { what: format!("{subject}: {what}"), error })
    })
}

/// The step that failed.
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

#[cfg(test)]
mod tests {
    use std::io;

    use super::step;

    #[test]
    fn an_error_names_the_object_and_the_step_and_keeps_its_kind_and_its_cause() {
        let failed: io::Result<()> = Err(io::Error::from_raw_os_error(2));
        let error = step("a file", "opening it", failed).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(error.to_string().starts_with("a file: opening it: "), "{error}");
        let cause = std::error::Error::source(error.get_ref().unwrap()).unwrap();
        assert_eq!(cause.downcast_ref::<io::Error>().unwrap().raw_os_error(), Some(2));
    }
}
