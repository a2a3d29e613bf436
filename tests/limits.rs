//! Limits, signals and forks: what a process does to itself must not harm its channels silently.
//!
//! Each test does it in a child of its own.
#![cfg(target_os = "linux")]

mod harness;

#[path = "limits/after_fork.rs"]
mod after_fork;
#[path = "limits/bare.rs"]
mod bare;
#[path = "limits/deaths.rs"]
mod deaths;
#[path = "limits/dumps.rs"]
mod dumps;
#[path = "harness/forbid.rs"]
mod forbid;
#[path = "limits/forbidden.rs"]
mod forbidden;
#[path = "limits/fork.rs"]
mod fork;
#[path = "harness/forks.rs"]
mod forks;
#[path = "harness/namespaces.rs"]
mod namespaces;
#[path = "limits/polling.rs"]
mod polling;
#[path = "limits/resources.rs"]
mod resources;
#[path = "limits/signals.rs"]
mod signals;
#[path = "limits/starvation.rs"]
mod starvation;
#[path = "limits/strangers.rs"]
mod strangers;
