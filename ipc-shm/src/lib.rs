//! Channels in shared memory, between processes: crossbeam-channel's API, at the speed of threads, and
//! kill -9 of any process at any instruction is an ordinary event.

#![cfg_attr(loom, allow(dead_code))] // A model uses a part.

// Everything above the protocol needs a kernel, which loom has not: its models run on `model` instead.
#[cfg(not(loom))]
mod attachment;
#[cfg(not(loom))]
mod builder;
#[cfg(not(loom))]
mod copy;
mod doorbell;
#[cfg(not(loom))]
mod endpoint;
#[cfg(not(loom))]
mod ends;
#[cfg(not(loom))]
mod hold;
mod killpoint;
mod layout;
mod lease;
mod memory;
#[cfg(loom)]
#[doc(hidden)]
pub mod model;
#[cfg(not(loom))]
mod pace;
#[cfg(not(loom))]
pub mod pod;
mod pool;
mod repair;
mod ring;
mod sync;
mod sys;
#[cfg(not(loom))]
mod typed;
#[cfg(not(loom))]
mod watch;

#[cfg(not(loom))]
pub use builder::Builder;
#[cfg(not(loom))]
pub use ends::{Codec, Rx, Tx};
pub use ipc_core::error::*;
#[cfg(not(loom))]
pub use typed::{Receiver, Ref, Sender, Typed, bounded};
