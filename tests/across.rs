//! The truths of a channel with its other end in another process.
#![cfg(target_os = "linux")]

#[path = "across/drops.rs"]
mod drops;
#[path = "across/ends.rs"]
mod ends;
#[path = "across/fairness.rs"]
mod fairness;
#[path = "across/messages.rs"]
mod messages;
#[path = "across/promptly.rs"]
mod promptly;
#[path = "across/resources.rs"]
mod resources;
