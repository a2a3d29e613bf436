//! The messages. Every byte follows from the message's number, so a receiver can tell whether it is
//! intact.

use serde::{Deserialize, Serialize};

pub trait Message: PartialEq + Send + 'static {
    fn new(id: u64) -> Self;
    fn id(&self) -> u64;
    fn intact(&self) -> bool;
}

/// Plain words: as 8 bytes and as 64.
impl<const N: usize> Message for [u64; N] {
    #[inline]
    fn new(id: u64) -> Self {
        std::array::from_fn(|k| id.wrapping_add(k as u64))
    }
    #[inline]
    fn id(&self) -> u64 {
        self[0]
    }
    fn intact(&self) -> bool {
        *self == Self::new(self[0])
    }
}

/// A typical message: 64 bytes in memory, about 45 encoded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    id: u64,
    at: u64,
    price: f64,
    quantity: u32,
    symbol: [u8; 16],
    tag: u16,
    buy: bool,
    hidden: bool,
    venue: u8,
    account: u64,
}

const _: () = assert!(size_of::<Order>() == 64);

impl Message for Order {
    #[inline]
    fn new(id: u64) -> Self {
        Order {
            id,
            at: 1_764_000_000_000_000_000 + id * 1000,
            price: (id & 0xffff) as f64 * 0.01,
            quantity: id as u32 & 0xfff,
            symbol: *b"EXAMPLE/USD.2026",
            tag: id as u16,
            buy: id & 1 == 0,
            hidden: id & 2 == 0,
            venue: id as u8 & 7,
            account: id >> 4 & 0xffff,
        }
    }
    #[inline]
    fn id(&self) -> u64 {
        self.id
    }
    fn intact(&self) -> bool {
        *self == Self::new(self.id)
    }
}

/// Eight bytes, and a serde type.
#[derive(PartialEq, Serialize, Deserialize)]
pub struct Number(u64);

impl Message for Number {
    #[inline]
    fn new(id: u64) -> Self {
        Number(id << 8 | 0xa5)
    }
    #[inline]
    fn id(&self) -> u64 {
        self.0 >> 8
    }
    fn intact(&self) -> bool {
        *self == Number::new(self.id())
    }
}

/// A number and bytes, as a typical message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Blob<const N: usize> {
    id: u64,
    bytes: Vec<u8>,
}

impl<const N: usize> Message for Blob<N> {
    fn new(id: u64) -> Self {
        Blob { id, bytes: vec![id as u8; N] }
    }
    fn id(&self) -> u64 {
        self.id
    }
    fn intact(&self) -> bool {
        *self == Self::new(self.id)
    }
}

/// A number and a text, which is encoded byte by byte.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Text<const N: usize> {
    id: u64,
    text: String,
}

impl<const N: usize> Message for Text<N> {
    fn new(id: u64) -> Self {
        Text { id, text: ["a", "b", "c"][id as usize % 3].repeat(N) }
    }
    fn id(&self) -> u64 {
        self.id
    }
    fn intact(&self) -> bool {
        *self == Self::new(self.id)
    }
}
