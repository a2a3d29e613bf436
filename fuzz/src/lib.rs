//! What each fuzz target does with an input, and what must hold.
//!
//! The libraries contain the models only where `cfg(fuzzing)` or `cfg(test)` is set, so `cargo
//! fuzz` builds this crate.

pub mod codec;
pub mod frame;
mod input;
pub mod locks;
pub mod names;
#[allow(dead_code)] // Some of it is for the tests.
#[path = "../../ipc-shm/tests/hostile/peer.rs"]
mod peer;
pub mod ring_hostile;
pub mod ring_model;
pub mod segment_image;
