//! The API of a channel, written once.
#![forbid(unsafe_code)]

pub mod handle;
