//! Processes that meet by name, and what becomes of names when they are killed.
//!
//! `MEET_ROUNDS` says how often the races bind; with `--cfg killpoints` processes also die at each
//! named point of taking and giving up a name.
#![cfg(target_os = "linux")]

#[path = "meet/support.rs"]
mod support;

#[path = "meet/names.rs"]
mod names;
#[path = "meet/one_shot.rs"]
mod one_shot;
#[path = "meet/peers.rs"]
mod peers;
#[cfg(killpoints)]
#[path = "meet/points.rs"]
mod points;
#[path = "meet/takeover.rs"]
mod takeover;
#[path = "meet/waiting.rs"]
mod waiting;
