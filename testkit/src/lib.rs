//! What tests with real processes need again and again.
//!
//! | module | contents |
//! |---|---|
//! | [`watchdog`](mod@watchdog) | bounds a test's time, on a busy machine as well |
//! | [`wait`] | waits until a condition holds, with a deadline |
//! | [`random`] | random numbers, from a seed that is printed |
//! | [`directory`] | directories of a test's own |
//! | [`load`] | a busy machine |
//! | [`proc`] | descriptors, mappings, threads and states, from `/proc` |
//! | [`rights`] | limits of resources, forbidden system calls, namespaces, users |
//! | [`signals`] | storms of signals, stopped processes |
//! | [`fork`] | forks without exec |
//! | [`hostile`] | a peer that writes into a channel's segment as it likes |
//! | [`fuzz`] | the input of a fuzz target, and the committed corpus |

#[cfg(unix)]
pub mod directory;
#[cfg(target_os = "linux")]
pub mod fork;
pub mod fuzz;
#[cfg(all(target_os = "linux", not(loom)))]
pub mod hostile;
// The offsets of a channel's segment: those of the library, so that they cannot differ.
#[cfg(all(target_os = "linux", not(loom)))]
#[path = "../../ipc-shm/src/layout/mod.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "hostile peers use a small part of it"
)]
mod layout;
pub mod load;
#[cfg(target_os = "linux")]
pub mod proc;
pub mod random;
#[cfg(target_os = "linux")]
pub mod rights;
#[cfg(target_os = "linux")]
pub mod signals;
#[cfg(all(target_os = "linux", not(loom)))]
mod sync {
    // What `layout` takes from the module of this name in its own crate.
    pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
}
pub mod wait;
pub mod watchdog;

#[cfg(unix)]
pub use directory::Directory;
#[cfg(target_os = "linux")]
pub use fork::{fork, forked, reap};
#[cfg(target_os = "linux")]
pub use proc::{channel_descriptors, channel_mappings, descriptors, held};
pub use random::{Random, seed};
#[cfg(target_os = "linux")]
pub use rights::{forbid, inside, limit};
#[cfg(target_os = "linux")]
pub use signals::{stop, storm};
pub use wait::{in_time, until};
pub use watchdog::{Watchdog, busy, watchdog, watchdog_of};

/// FNV-1a of 64 bits over these bytes, which the descriptions of segments use as their checksum.
pub fn checksum(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, |sum: u64, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
