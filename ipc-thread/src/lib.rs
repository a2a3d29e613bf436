//! Channels between the threads of one process, for
//! [`multiprocess`](https://docs.rs/multiprocess).
//!
//! Messages are moved, never encoded. This crate is an implementation detail of `multiprocess`,
//! whose `thread` module has the API: [`Sender`](ipc_core::Sender) and
//! [`Receiver`](ipc_core::Receiver). Its interface may change with every version.
//!
//! | file | what it holds |
//! |---|---|
//! | `array` | a ring of slots, for channels with a capacity |
//! | `list` | a list of blocks, for channels without one |
//! | `meet` | calls that wait for each other, for channels without room |
//! | `shared` | what the ends share: one of these, the words to sleep on, and the count of ends |
//! | `handle`, `ends` | an end, how it waits, and the traits of a route |
//! | `claims`, `select` | ends as members of a selection |
//! | `poll`, `meet/task` | ends for tasks |
//!
//! # Edges
//!
//! | edge | from | to | over | orderings | carries |
//! |---|---|---|---|---|---|
//! | THREAD-E4 | dropping the last end of a side | the other side, which finds it gone | the count of ends | AcqRel, Acquire | all that this side did |
//!
//! # After `fork`
//!
//! A forked child has a copy of each channel, as of all memory: its ends and those of the parent
//! know nothing of each other. Messages that are in the channel exist twice. The other threads of
//! the parent do not exist in the child. An operation that one of them was in the middle of is
//! never finished there, and a call that waits for it waits for ever.

#![deny(unsafe_code)]
#![cfg_attr(loom, allow(dead_code))] // A model uses only a part.

mod array;
mod claims;
mod ends;
mod handle;
mod list;
mod meet;
#[cfg(loom)]
#[doc(hidden)]
pub mod model;
#[cfg(not(loom))]
mod poll;
#[cfg(not(loom))]
mod select;
mod shared;
mod sync;

pub use ends::{Rx, Tx, bounded, unbounded};
#[cfg(not(loom))]
pub use poll::TaskWait;
