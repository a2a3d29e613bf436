//! Where a segment is to be found.

use std::fmt;
use std::io;
use std::path::PathBuf;

use ipc_sys as sys;
use serde::{Deserialize, Serialize};

/// Where a segment is to be found, and how it is called in errors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Origin {
    Anonymous,
    /// In the shared-memory file system.
    Name(String),
    File(PathBuf),
}

impl Origin {
    /// Its path, if it has one.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        match self {
            Origin::Anonymous => None,
            Origin::Name(name) => Some(sys::file::directory().join(name)),
            Origin::File(path) => Some(path.clone()),
        }
    }

    /// Whether it can be one: a name, or a path, that comes in a message is another process' word.
    pub(crate) fn check(&self) -> io::Result<()> {
        match self {
            Origin::Anonymous => Ok(()),
            Origin::Name(name) => check_name(name),
            Origin::File(path) if path.is_absolute() && path.file_name().is_some() => Ok(()),
            Origin::File(path) => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("segment file {path:?}: not the absolute path of a file"),
            )),
        }
    }
}

/// The most bytes of a name: what file systems take.
const LONGEST: usize = 255;

/// The same names on every system, whatever that system would take: one component of a path, and
/// printable.
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

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Anonymous => f.write_str("anonymous segment"),
            Origin::Name(name) => write!(f, "segment {name:?}"),
            Origin::File(path) => write!(f, "segment file {path:?}"),
        }
    }
}
