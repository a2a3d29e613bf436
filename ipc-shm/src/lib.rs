//! Channels in shared memory, between processes: crossbeam-channel's API, at the speed of threads, and
//! kill -9 of any process at any instruction is an ordinary event.

mod attachment;
mod builder;
mod copy;
mod doorbell;
mod endpoint;
mod ends;
mod hold;
mod killpoint;
mod layout;
mod lease;
mod memory;
mod pace;
pub mod pod;
mod pool;
mod repair;
mod ring;
mod sync;
mod sys;
mod typed;

pub use builder::Builder;
pub use ends::{Codec, Rx, Tx};
pub use ipc_core::error::*;
pub use typed::{Receiver, Ref, Sender, Typed, bounded};
