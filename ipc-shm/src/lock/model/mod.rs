//! Locks on the heap, for loom, shuttle and fuzzing.
//!
//! The words lie in vectors. The processes are threads of a model, or take turns in one thread. A
//! model of the kernel knows which processes are alive and which sleep. For internal use only:
//! nothing here is stable.
//!
//! A sleep ends with a wake. It also ends once for each value of a word after each death, as if a
//! slice had elapsed. So a wake that is lost without a death is a deadlock, which the scheduler
//! reports. Where processes take turns, some slices elapse. A process that still waits after that
//! is killed while it sleeps: see `killed_after`.

#![allow(missing_docs)]

mod kernel;
mod locks;

pub use kernel::{Peer, Protected, Shared, processes, with};
pub use locks::Entered;
