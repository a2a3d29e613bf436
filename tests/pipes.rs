//! Channels over sockets and pipes: what travels, who dies, and what is left behind (nothing).
#![cfg(target_os = "linux")]

#[path = "pipes/again.rs"]
mod again;
#[path = "pipes/hostile.rs"]
mod hostile;
#[path = "pipes/limits.rs"]
mod limits;
#[path = "pipes/processes.rs"]
mod processes;
#[path = "pipes/support.rs"]
mod support;
#[path = "pipes/travel.rs"]
mod travel;
