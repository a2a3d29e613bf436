//! Linux.
//!
//! Descriptors are opened close-on-exec. Interrupted calls are repeated, except where a contract
//! says that a function may return early.

pub(crate) mod barrier;
pub(crate) mod descriptor;
#[cfg_attr(not(target_pointer_width = "64"), path = "../unsupported/file.rs")]
pub(crate) mod file;
pub(crate) mod fork;
pub(crate) mod futex;
pub(crate) mod lease;
#[cfg_attr(not(target_pointer_width = "64"), path = "../unsupported/memory.rs")]
pub(crate) mod memory;
pub(crate) mod process;
pub(crate) mod unforked;
pub(crate) mod wake_pair;
