//! Batches: several messages in one datagram.
//!
//! The cost of a message in a socket or a pipe is the kernel's work for one datagram, so a batch
//! travels as one datagram. A receiver that takes a datagram out takes all of it. So a sender makes
//! a batch only while there is exactly one receiver, and that receiver takes batches. The receiver
//! says so in the shared counters when it calls `recv_many`, and takes it back when it calls
//! `recv`. The messages of a batch that it did not ask for yet are parked in its process, for it
//! and its clones.
//!
//! | when | what |
//! |---|---|
//! | the only receiver is killed with messages parked | the channel is disconnected: no receiver would have got them |
//! | the receiver is cloned | clones find what is parked; no further batches are made |
//! | the receiver goes to another process while batches are under way | refused: what one process has parked, another cannot take |
//! | a sender looked just before a receiver came, and sends just after | that batch goes to one of them as a whole; if it is killed, what it had not received of it is gone |

use ipc_core::__private::codec::{self, Form};
use ipc_core::Unreadable;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::message::HEADER;

/// The most messages of a batch.
pub(crate) const BATCH: usize = 63;

/// Writes as many of these messages into one datagram as fit there; returns `None` if fewer than
/// two fit. A message that cannot travel with others, or not at all, ends the batch. It is handled
/// when it is the first one.
pub(crate) fn pack<'a, T: Serialize + DeserializeOwned + 'a>(
    batch: impl Iterator<Item = &'a T>,
    bytes: &mut Vec<u8>,
    limit: usize,
    form: &Form,
) -> Option<(u16, usize)> {
    let (mut end, mut count) = (HEADER, 0);
    for message in batch {
        // Each behind its length.
        let begin = end + 4;
        let room = limit.saturating_sub(begin);
        match codec::encode_behind(message, bytes, begin, room, form) {
            Ok((to, handles)) if handles.is_empty() => {
                let len = (to - begin) as u32;
                bytes[end..begin].copy_from_slice(&len.to_le_bytes());
                end = to;
                count += 1;
            }
            _ => break,
        }
    }
    (count > 1).then_some((count, end))
}

/// The messages of a batch.
pub(crate) struct Packed<'a> {
    /// So many are left.
    pub(crate) count: u16,
    pub(crate) bytes: &'a [u8],
}

impl<'a> Iterator for Packed<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.count = self.count.checked_sub(1)?;
        let (len, rest) = self.bytes.split_first_chunk()?;
        let (message, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
        self.bytes = rest;
        Some(message)
    }
}

impl<'a> Packed<'a> {
    /// Checks that there are as many messages as it says, and nothing else.
    pub(crate) fn new(count: u16, bytes: &'a [u8]) -> Result<Packed<'a>, Unreadable> {
        let mut all = Packed { count, bytes };
        if all.by_ref().count() == usize::from(count) && all.bytes.is_empty() {
            Ok(Packed { count, bytes })
        } else {
            Err(Unreadable::Malformed("the lengths in a batch do not add up"))
        }
    }
}
