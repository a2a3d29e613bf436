//! Limits, signals and forks: what a process does to itself must not harm its channels silently.
//!
//! Each test does it in a child of its own.
#![cfg(target_os = "linux")]

#[path = "limits/after_fork.rs"]
mod after_fork;
#[path = "limits/bare.rs"]
mod bare;
#[path = "limits/deaths.rs"]
mod deaths;
#[path = "limits/dumps.rs"]
mod dumps;
#[path = "limits/forbidden.rs"]
mod forbidden;
#[path = "limits/fork.rs"]
mod fork;
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
