//! Channels over sockets and pipes: what travels, which processes die, and what is left behind
//! (nothing); in `meet`, processes that meet by name; in `fuzz`, the corpus of the fuzz targets
//! that read bytes.
//!
//! Tests that count descriptors, set limits, fork or change their user do so in a child: the tests
//! of this file share one process.
#![cfg(target_os = "linux")]

#[path = "pipes/again.rs"]
mod again;
#[path = "pipes/fuzz.rs"]
mod fuzz;
#[path = "pipes/hostile.rs"]
mod hostile;
#[path = "pipes/limits.rs"]
mod limits;
mod meet;
#[path = "pipes/processes.rs"]
mod processes;
#[path = "pipes/support.rs"]
mod support;
#[path = "pipes/travel.rs"]
mod travel;
