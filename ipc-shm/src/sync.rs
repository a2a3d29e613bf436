//! The atomics of the protocol: the processor's, or loom's.

#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicU64, Ordering, fence};

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU64, Ordering, fence};

#[cfg(not(target_has_atomic = "64"))]
compile_error!("ipc-shm needs 64-bit atomics: every word of its protocol is one");
