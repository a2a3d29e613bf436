//! facade
#![deny(unsafe_code)]

pub mod process;

pub use process::{JoinError, JoinHandle, init, spawn};
