//! Processes, for real: what they return, how they die, and what they leave behind (nothing); and,
//! in `limits`, what limits, signals and forks do to channels.
//!
//! Tests that count descriptors, set limits, fork or close everything do so in a child: the tests
//! of this file share one process.
#![cfg(target_os = "linux")]

#[path = "process/support.rs"]
mod support;
#[path = "process/types.rs"]
mod types;

#[path = "process/active.rs"]
mod active;
#[path = "process/func.rs"]
mod func;
#[path = "process/life.rs"]
mod life;
mod limits;
#[path = "process/names.rs"]
mod names;
#[path = "process/options.rs"]
mod options;
#[path = "process/parent.rs"]
mod parent;
#[path = "process/reaped.rs"]
mod reaped;
#[path = "process/results.rs"]
mod results;
#[path = "process/start.rs"]
mod start;
