//! What each fuzz target does with an input, and what must hold.
//!
//! The libraries contain the models only where `cfg(fuzzing)` or `cfg(test)` is set, so `cargo
//! fuzz` builds this crate.

pub mod codec;
pub mod frame;
pub mod locks;
pub mod names;
pub mod ring_hostile;
pub mod ring_model;
pub mod segment_image;
