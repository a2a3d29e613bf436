//! Bad input and hostile peers: a process that can write the segment can make a channel useless,
//! and nothing worse.
//!
//! No panic, no endless loop, no call that outlives its deadline. The peer here is a second mapping
//! of the segment in the same process: to the memory it makes no difference who writes.
#![cfg(all(target_os = "linux", target_pointer_width = "64"))]

#[path = "hostile/fuzz.rs"]
mod fuzz;
#[path = "hostile/header.rs"]
mod header;
#[path = "hostile/live.rs"]
mod live;
#[path = "hostile/participants.rs"]
mod participant_limit;
#[path = "hostile/wrap.rs"]
mod wrap;
