//! Where a segment is to be found.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where a segment is to be found, and how it is called in errors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Origin {
    Anonymous,
    /// In the shared-memory file system.
    Name(String),
    File(PathBuf),
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
