//! What a channel accepts: messages up to its limit, and ends of its own type.
#![cfg(target_os = "linux")]

#[path = "types/apart.rs"]
mod apart;
#[path = "types/size.rs"]
mod size;
