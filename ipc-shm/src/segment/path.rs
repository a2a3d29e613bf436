//! The place where a segment is found.

use std::fmt;
use std::io;
use std::path::PathBuf;

use ipc_sys as sys;
use serde::{Deserialize, Serialize};

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
