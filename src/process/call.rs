//! The first message to a child: which function to run.

use serde::{Deserialize, Serialize};

use super::entry::Entry;

/// The function to run, and options that the child applies before.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Call {
    pub(super) entry: Entry,
    /// The first handle of the frame is the parent's process: the child ends with it.
    pub(super) end_with_parent: bool,
    /// The child's name, if it has one of its own.
    pub(super) name: Option<String>,
}
