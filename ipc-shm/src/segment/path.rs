//! The place where a segment is found.

use std::fmt;
use std::io;
use std::path::PathBuf;

use ipc_core::__private::step;
use ipc_sys as sys;
use ipc_sys::fork::ForkCheck;
use serde::{Deserialize, Serialize};

use crate::attach::descriptor::Descriptor;

/// Where a segment is found, and its name in errors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum SegmentPath {
    Anonymous,
    /// A name in the shared-memory file system.
    Name(String),
    File(PathBuf),
}

impl SegmentPath {
    /// Returns the segment's path, if it has one.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        match self {
            SegmentPath::Anonymous => None,
            SegmentPath::Name(name) => Some(sys::file::directory().join(name)),
            SegmentPath::File(path) => Some(path.clone()),
        }
    }

    /// Checks that it can be the place of a segment. A name or path that arrives in a message is
    /// another process' claim.
    pub(crate) fn check(&self) -> io::Result<()> {
        match self {
            SegmentPath::Anonymous => Ok(()),
            SegmentPath::Name(name) => check_name(name),
            SegmentPath::File(path) if path.is_absolute() && path.file_name().is_some() => Ok(()),
            SegmentPath::File(path) => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("segment file {path:?}: not the absolute path of a file"),
            )),
        }
    }

    /// Adds to an error the segment and the step that failed.
    pub(crate) fn step<T>(&self, what: &str, result: io::Result<T>) -> io::Result<T> {
        step(self, what, result)
    }

    pub(crate) fn error(&self, kind: io::ErrorKind, what: &str) -> io::Error {
        io::Error::new(kind, format!("{self}: {what}"))
    }

    /// Returns the error if it is not what it must be.
    pub(crate) fn refuse(&self, what: &str) -> io::Error {
        self.error(io::ErrorKind::InvalidData, &format!("refused: {what}"))
    }

    /// Returns the segment's descriptor, or an error if the program has closed it.
    pub(crate) fn open<'a>(&self, descriptor: &'a Descriptor) -> io::Result<sys::Borrowed<'a>> {
        let closed = "this program has closed the segment's descriptor";
        descriptor.get().ok_or_else(|| self.error(io::ErrorKind::Other, closed))
    }

    /// Checks that this process has the mapping.
    ///
    /// It has it unless it was forked from the one that `process` is.
    #[inline]
    pub(crate) fn not_forked(&self, process: ForkCheck) -> io::Result<()> {
        if process.forked() { Err(self.forked()) } else { Ok(()) }
    }

    #[cold]
    fn forked(&self) -> io::Error {
        let text = "this process was forked, without exec, from the one that attached to it, and has no \
                    part in it; open it or receive it here";
        self.error(io::ErrorKind::Unsupported, text)
    }
}

/// The most bytes of a name that file systems accept.
const LONGEST: usize = 255;

/// Checks a name. Every system allows the same names: one component of a path, and printable.
fn check_name(name: &str) -> io::Result<()> {
    let what = if name.is_empty() {
        "it is empty"
    } else if name == "." || name == ".." {
        "it is a directory's"
    } else if name.contains(['/', '\\']) {
        "there is a slash in it (a name has none in front, either)"
    } else if name.contains(char::is_control) {
        "there is a control character in it"
    } else if name.len() > LONGEST {
        "it is longer than 255 bytes"
    } else {
        return Ok(());
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("segment name {name:?}: {what}")))
}

impl fmt::Display for SegmentPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SegmentPath::Anonymous => f.write_str("anonymous segment"),
            SegmentPath::Name(name) => write!(f, "segment {name:?}"),
            SegmentPath::File(path) => write!(f, "segment file {path:?}"),
        }
    }
}
