//! Shared memory between real processes: names and who may have them, values, arrays, and kill -9.
#![cfg(target_os = "linux")]

#[path = "segments/abandoned.rs"]
mod abandoned;
#[path = "segments/alive.rs"]
mod alive;
#[path = "segments/data.rs"]
mod data;
#[path = "segments/foreign.rs"]
mod foreign;
#[path = "segments/image.rs"]
mod image;
#[path = "segments/limits.rs"]
mod limits;
#[path = "segments/names.rs"]
mod names;
#[cfg(killpoints)]
#[path = "segments/points.rs"]
mod points;
#[path = "segments/race.rs"]
mod race;
#[path = "segments/support.rs"]
mod support;
