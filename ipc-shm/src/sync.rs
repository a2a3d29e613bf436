//! The atomics of the protocols, either the processor's or those of a model: see `ipc-wait`.

#[cfg(any(loom, fuzzing, test))]
pub(crate) use ipc_wait::sync::models;
#[cfg(loom)]
pub(crate) use ipc_wait::sync::scheduler;
#[cfg(not(loom))]
pub(crate) use ipc_wait::sync::unmodelled;
pub(crate) use ipc_wait::sync::{AtomicU64, Ordering, fence, model_fence};
