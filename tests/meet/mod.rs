//! Processes that meet by name, and what becomes of names when they are killed.
//!
//! `MEET_ROUNDS` says how often the races bind; with `--cfg killpoints` processes also die at each
//! named point of taking and giving up a name.

mod support;

mod names;
mod one_shot;
mod peers;
#[cfg(killpoints)]
mod points;
mod takeover;
mod waiting;
