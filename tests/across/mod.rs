//! The truths of a channel with its other end in another process.

mod drops;
mod ends;
mod fairness;
mod messages;
mod promptly;
mod resources;
