//! Linux.
//!
//! Descriptors are opened close-on-exec. Interrupted calls are repeated, except where a contract
//! says that a function may return early.

pub(crate) mod barrier;
pub(crate) mod bell_socket;
pub(crate) mod descriptor;
pub(crate) mod exit_info;
pub(crate) mod file;
pub(crate) mod fork;
pub(crate) mod futex;
// Leases lie beyond the offsets of 32 bits. Without them there is no shared memory.
#[cfg_attr(not(target_pointer_width = "64"), path = "../unsupported/lease.rs")]
pub(crate) mod lease;
mod limits;
pub(crate) mod memory;
pub(crate) mod name;
pub(crate) mod pipe;
pub(crate) mod process;
pub(crate) mod reactor;
pub(crate) mod sleep;
pub(crate) mod socket;
pub(crate) mod spawn;
pub(crate) mod store;
pub(crate) mod unforked;
pub(crate) mod wake_pair;
