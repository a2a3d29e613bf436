//! kill -9, again and again: what the survivors get, what they do not get, and how soon they know.
//!
//! `CRASH_KILLS` says how many processes the random tests kill; with `--cfg killpoints` processes
//! also die at each named point of the library's sources in turn.
#![cfg(target_os = "linux")]
#![cfg_attr(not(killpoints), allow(dead_code, reason = "some of it is for the named points only"))]

#[path = "harness/fork_server.rs"]
mod fork_server;

#[path = "crash/flavour.rs"]
mod flavour;
#[path = "crash/message.rs"]
mod message;
#[path = "crash/oracle.rs"]
mod oracle;
#[path = "crash/roles.rs"]
mod roles;
#[path = "crash/support.rs"]
mod support;

#[path = "crash/notice.rs"]
mod notice;
#[path = "crash/pipes.rs"]
mod pipes;
#[path = "crash/random.rs"]
mod random;
#[path = "crash/selectors.rs"]
mod selectors;
#[path = "crash/stops.rs"]
mod stops;

#[cfg(killpoints)]
#[path = "crash/points.rs"]
mod points;
#[cfg(killpoints)]
#[path = "crash/stage.rs"]
mod stage;
