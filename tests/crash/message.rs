//! Messages that say who sent them, in which order, and whether they are whole.

use serde::{Deserialize, Serialize};

/// A message of a channel under test.
pub(crate) trait Message: Sized + 'static {
    fn new(sender: u64, seq: u64) -> Self;
    fn sender(&self) -> u64;
    fn seq(&self) -> u64;
    /// Whether each byte is as [`new`](Message::new) made it.
    fn intact(&self) -> bool;
    /// Whether this message takes a block, if only while it is lent.
    fn takes_block(_sender: u64, _seq: u64) -> bool {
        true
    }
}

/// A number that looks like none before.
fn mix(sender: u64, seq: u64, i: u64) -> u64 {
    let x = (sender << 40 ^ seq << 8 ^ i).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (x ^ x >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

/// Senders with this bit send messages of more than a megabyte.
pub(crate) const HUGE: u64 = 1 << 30;

/// Senders with this bit send messages that take a block each.
pub(crate) const LARGE: u64 = 1 << 29;

/// Of any size: most lie in their slots, the others in blocks.
#[derive(Serialize, Deserialize, PartialEq, Debug)]
pub(crate) struct Text {
    sender: u64,
    seq: u64,
    words: Vec<u64>,
    sum: u64,
}

impl Message for Text {
    fn new(sender: u64, seq: u64) -> Self {
        let len = match mix(sender, seq, 1) % 8 {
            // More than all free blocks keep, where processes are killed.
            _ if sender & HUGE != 0 && sender & LARGE != 0 => 170_000,
            // More than a free block keeps by itself.
            _ if sender & HUGE != 0 => 140_000,
            _ if sender & LARGE != 0 => 100,
            // Some 400 bytes at least.
            0 => 40 + mix(sender, seq, 2) % 200,
            1 => 0,
            _ => mix(sender, seq, 2) % 20,
        };
        let words: Vec<u64> = (0..len).map(|i| mix(sender, seq, i)).collect();
        let sum =
            words.iter().fold(sender ^ seq, |sum, word| sum.rotate_left(5).wrapping_add(*word));
        Text { sender, seq, words, sum }
    }
    fn sender(&self) -> u64 {
        self.sender
    }
    fn seq(&self) -> u64 {
        self.seq
    }
    fn intact(&self) -> bool {
        *self == Text::new(self.sender, self.seq)
    }
    fn takes_block(sender: u64, seq: u64) -> bool {
        mix(sender, seq, 1) % 8 == 0
    }
}

/// Plain data of `N` words: in a slot up to 128, in a block above.
impl<const N: usize> Message for [u64; N] {
    fn new(sender: u64, seq: u64) -> Self {
        std::array::from_fn(|i| match i {
            0 => sender,
            1 => seq,
            _ => mix(sender, seq, i as u64),
        })
    }
    fn sender(&self) -> u64 {
        self[0]
    }
    fn seq(&self) -> u64 {
        self[1]
    }
    fn intact(&self) -> bool {
        *self == Self::new(self[0], self[1])
    }
}

/// Bytes of any length: who, which, and as many as that makes.
impl Message for Vec<u8> {
    fn new(sender: u64, seq: u64) -> Self {
        let len = match mix(sender, seq, 1) % 8 {
            0 => 400 + mix(sender, seq, 2) % 5000,
            _ => mix(sender, seq, 2) % 150,
        };
        let head = [sender.to_le_bytes(), seq.to_le_bytes()].concat();
        head.into_iter().chain((0..len).map(|i| mix(sender, seq, i) as u8)).collect()
    }
    fn sender(&self) -> u64 {
        u64::from_le_bytes(self[..8].try_into().expect("eight bytes"))
    }
    fn seq(&self) -> u64 {
        u64::from_le_bytes(self[8..16].try_into().expect("eight bytes"))
    }
    fn intact(&self) -> bool {
        self.len() >= 16 && *self == <Self as Message>::new(self.sender(), self.seq())
    }
    fn takes_block(sender: u64, seq: u64) -> bool {
        mix(sender, seq, 1) % 8 == 0
    }
}
