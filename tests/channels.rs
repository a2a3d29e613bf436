//! Channels across processes: what they accept, how soon they notice deaths, and programs as they
//! are written for crossbeam-channel.
//!
//! Tests that count descriptors, set limits or close everything do so in a child: the tests of
//! this file share one process.

#![allow(clippy::duplicate_mod, reason = "`drop_in` compiles the same statements for each route")]

#[cfg(target_os = "linux")]
mod across;
mod drop_in;
#[cfg(target_os = "linux")]
mod types;
#[cfg(target_os = "linux")]
mod watch;
