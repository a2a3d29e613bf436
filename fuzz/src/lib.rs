//! What each fuzz target does with an input, and what must hold.
//!
//! The models are in the libraries only where `cfg(fuzzing)` or `cfg(test)` is set, so this builds by `cargo fuzz`.

pub mod input;
pub mod ring_model;
