//! Channels in shared memory between processes, with the API of crossbeam-channel.
//!
//! They are as fast as channels between threads, and a kill -9 of any process at any instruction is
//! an ordinary event.
//!
//! ```
//! let (tx, rx) = ipc_shm::bounded::<(u32, String)>(64)?;
//! tx.send((1, "hello".to_owned()))?;
//! assert_eq!(rx.recv()?, (1, "hello".to_owned()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A program sends an end to another process in the arguments of `multiprocess::spawn`. The end is
//! `Serialize`, and its descriptor travels with the message.
//!
//! - [`bounded`]: messages of any serde type.
//! - [`pod`]: plain data, copied as it lies, or lent in place.
//! - [`mod@slice`]: slices of plain data of any length, copied or lent. [`bytes`] is the same for
//!   `u8`.
//! - [`Builder`]: sets how large messages may be, and how many processes may attach.
//! - [`Segment`]: the memory itself, with or without a name.
//! - [`Shared`], [`SharedSlice`], [`SeqLock`]: values in a segment, which stay there and which
//!   several processes use.
//! - Channels of this crate are statically typed. `multiprocess` has one pair of types for every
//!   route.
//!
//! The processes must trust each other. A peer that writes garbage causes only an error in other
//! processes ([`Unreadable`](Unreadable::Corrupt)), but it can break the channel. The processes
//! must run on the same machine.
//!
//! Signal handlers must not use these channels. A call that waits, or that recovers dead peers,
//! takes locks of this process. Only `try_send` of plain data ([`pod`]) into a channel with room
//! takes none.
//!
//! # When a process dies
//!
//! - Messages that it had sent stay in the channel.
//! - A message that it was sending arrives whole or not at all.
//! - A message that it was receiving, or had borrowed by `recv_ref`, goes to another receiver.
//! - Processes that wait for the dead process are notified within 50 ms.
//! - The segment is freed with the last process that uses it. No name is left, because it has none.
//!
//! # How it works
//!
//! `ipc_sys` makes the system calls, so no module here depends on an operating system. `ipc_wait`
//! puts waiters to sleep, wakes them, and decides how long they spin. The folders, from the top
//! down:
//!
//! | folder | what it holds |
//! |---|---|
//! | `lock/` | the public locks; `lock/raw/` contains the protocol of each |
//! | `value/` | values in a segment: `Shared`, `SharedSlice`, `SeqLock`, and `object`, which finds them at an offset |
//! | `message/` | the kinds of messages: `typed`, `pod`, `slice`, `bytes`; `wire` encodes them, `lend` lends them in place |
//! | `channel/` | `ring` is the queue, `pool` and `places` hold its large messages, `attachment` is a process's part of a channel, `peer_monitor` wakes the waiters of a peer that died, `membership` says which sides have participants, `recovery` runs after a death, `prefetch` decides how a peer reads ahead; `endpoint` is the part of a handle |
//! | `segment/` | `handle` is a segment, `open` finds or makes one; `mapped` is a process's part of it, `footer` its description; `names`, `lookup` and `name_lock` are about its name |
//! | `attach/` | how a process attaches to any of them: `attachments` has the steps, `mapped_file` the mapping; `lease` decides which processes are alive, `participants` are the processes of a segment |
//! | `copy/` | copies between shared memory and private memory |
//! | files | `throttle` limits how often a process checks; `layout` defines every byte of a channel; `sync` and `killpoint` take the atomics, and the points at which tests kill a process, from `ipc_wait` |
//!
//! `model` runs the protocols of channels and locks without a kernel.

#![cfg_attr(loom, allow(dead_code))] // A model uses only a part.

// The fuzz targets use this name.
#[cfg(all(test, not(loom), target_os = "linux"))]
extern crate self as ipc_shm;

// Everything above the protocol needs a kernel, which loom does not have. Its models run on `model`
// instead.
mod attach;
mod channel;
mod copy;
#[cfg(all(test, not(loom), target_os = "linux"))]
mod fuzz;
mod killpoint;
mod layout;
pub mod lock;
#[cfg(not(loom))]
mod message;
#[cfg(any(loom, fuzzing, test))]
#[doc(hidden)]
pub mod model;
#[cfg(not(loom))]
#[allow(dead_code, reason = "words of 32 bits are for the tests")]
mod segment;
mod value;
#[cfg(loom)]
#[doc(hidden)]
pub use value::seq::model as latch;
mod sync;
#[cfg(not(loom))]
mod throttle;

#[cfg(not(loom))]
pub use channel::builder::Builder;
#[cfg(not(loom))]
pub use channel::ends::Codec;
pub use ipc_core::error::*;
#[cfg(not(loom))]
pub use message::typed::{Receiver, Ref, Sender, Typed, bounded};
#[cfg(not(loom))]
pub use message::{bytes, pod, slice};
#[cfg(not(loom))]
pub use segment::footer::Lifetime;
#[cfg(not(loom))]
pub use segment::{Segment, SegmentBuilder, SegmentInfo, View};
#[cfg(not(loom))]
pub use value::checked::{Checked, Stored};
#[cfg(not(loom))]
pub use value::seqlock::{SeqLock, SeqWriter};
#[cfg(not(loom))]
pub use value::shared::Shared;
#[cfg(not(loom))]
pub use value::shared_slice::SharedSlice;
#[cfg(not(loom))]
pub use value::word::{Integer, Word};

/// The items that the facade uses. They are no part of the public API: any release may change them.
#[cfg(not(loom))]
#[doc(hidden)]
pub mod __private {
    pub use crate::channel::ends::{Rx, Tx};
    pub use crate::lock::ready::{EventWait, LockWait, WriteTurn};
}
