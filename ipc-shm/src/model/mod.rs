//! A ring on the heap, for loom, shuttle and fuzzing.
//!
//! The words of a segment lie in boxes, and leases are words of their own. The processes are
//! threads of a model, or take turns in one thread. Each can be killed at any kill point of the
//! protocol.
//!
//! The protocol is the crate's own, on `Memory::parts`. The replacements of the kernel and of the
//! layers above are small: leases (`Parts::life`), the waiting loop ([`Peer::waiting`]), and how
//! a borrowed inline message moves into a block ([`Peer::borrow`]).
//!
//! The module is for internal use only, and nothing here is stable.

#![allow(missing_docs)]

mod payload;
mod peer;
mod ring;

pub use payload::Held;
pub use peer::{BOTH, NotYet, Peer, RECEIVER, Registered, SENDER, Side};
pub use ring::Ring;
