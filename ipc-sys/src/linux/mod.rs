//! Linux.

pub(crate) mod fork;
