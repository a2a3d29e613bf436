//! How threads and processes of [`multiprocess`](https://docs.rs/multiprocess) sleep and wake each
//! other.
//!
//! This crate is an implementation detail of `ipc-shm` and `multiprocess`. Its interface may change
//! with every version.
//!
//! - [`bell`]: an eventcount in one word, on which waiters sleep. It may lie in memory that
//!   processes share, or in that of one process.
//! - [`sockets`]: waiters of that word that a datagram wakes.
//! - [`sync`]: the atomics of the protocols, which models replace.
//! - [`spin_policy`]: how a side spins before it sleeps.
//! - [`cached_number`]: a number that a process measures once.
//! - [`killpoint`]: the places at which tests kill a process.

pub mod bell;
pub mod cached_number;
pub mod killpoint;
#[cfg(loom)]
pub mod model_futex;
#[cfg(loom)]
pub mod model_sockets;
pub mod sockets;
pub mod spin_policy;
pub mod sync;

pub use bell::{Barrier, Bell, Ticket};
pub use sockets::{Address, SocketBell, Sockets};
