//! The same truths for every route, in one process.
//!
//! No test of this file starts a process: until a new process executes its program, it holds a copy
//! of every descriptor, and the other side of a pipe is not gone.

#![cfg(target_os = "linux")]

#[path = "conformance/mod.rs"]
mod conformance;
