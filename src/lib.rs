//! Channels between processes that feel like channels between threads, and survive kill -9.

#![deny(unsafe_code)]

mod any;
pub mod process;
pub mod shm;
pub mod thread;

pub use any::{Any, AnyRx, AnyTx, Ref, Route, UnknownRoute};
pub use ipc_core::error::*;
pub use process::{JoinError, JoinHandle, init, spawn};
pub use shm::bounded;

/// The sending end of a channel, whatever its route.
pub type Sender<T> = ipc_core::Sender<T, Any>;
/// The receiving end of a channel, whatever its route.
pub type Receiver<T> = ipc_core::Receiver<T, Any>;
