//! Limits, signals and forks: what a process does to itself must not harm its channels silently.
//!
//! Each test does it in a child of its own.

mod after_fork;
mod bare;
mod deaths;
mod dumps;
mod forbidden;
mod fork;
mod polling;
mod resources;
mod signals;
mod starvation;
mod strangers;
