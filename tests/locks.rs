//! Locks between processes: what they share with `std::sync`, and what is left when their holders
//! die.
//!
//! `LOCK_KILLS` says how many processes the random tests kill; with `--cfg killpoints` processes
//! also die at each named point of the locks' sources in turn.
#![cfg(target_os = "linux")]

#[path = "harness/fork_server.rs"]
mod fork_server;

#[path = "locks/as_parking_lot.rs"]
mod as_parking_lot;
#[path = "locks/as_std.rs"]
mod as_std;
#[path = "locks/deaths.rs"]
mod deaths;
#[path = "locks/forgotten.rs"]
mod forgotten;
#[path = "locks/fork.rs"]
mod fork;
#[path = "locks/hostile.rs"]
mod hostile;
#[path = "locks/kit.rs"]
mod kit;
#[path = "locks/named.rs"]
mod named;
#[path = "locks/patience.rs"]
mod patience;
#[cfg(killpoints)]
#[path = "locks/points.rs"]
mod points;
#[path = "locks/random.rs"]
mod random;
#[path = "locks/support.rs"]
mod support;
#[path = "locks/values.rs"]
mod values;
