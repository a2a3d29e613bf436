//! Random numbers: good enough to find mistakes, not for secrets.

use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

/// Returns the environment's `SEED`, or another number each time.
///
/// It is printed with the test's name, so that a failure can be looked for again. What the kernel
/// does meanwhile cannot be repeated.
pub fn seed() -> u64 {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        (now.as_nanos() as u64 ^ u64::from(std::process::id()) << 40) >> 1
    });
    println!("{}: SEED={seed}", thread::current().name().unwrap_or("?"));
    seed
}

/// A generator of random numbers: xorshift64*, <https://doi.org/10.1145/2845077>.
pub struct Random(u64);

impl Random {
    /// Makes a generator whose numbers depend on `seed` only.
    pub fn new(seed: u64) -> Random {
        // Its state is never 0, and neighbouring seeds are far from each other.
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Returns any number.
    pub fn number(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Returns a number below `n`, which is at most 2^31.
    pub fn below(&mut self, n: u64) -> u64 {
        (self.number() >> 33) % n
    }

    /// Returns an index into a list of `len` elements.
    pub fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// Returns a word to put in the place of `old`: any number, or one that could be there.
    pub fn scribble(&mut self, old: u64) -> u64 {
        match self.below(8) {
            0 => 0,
            1 => u64::MAX,
            2 => self.number(),
            3 => old ^ (1 << self.below(64)),
            4 => old.wrapping_add(1 << 17),
            5 => old.wrapping_sub(1 << 17),
            // The same position, another kind and owner.
            6 => (old >> 17 << 17) | self.number() & 0x1ffff,
            _ => (self.number() % 64) << 17 | self.number() & 0x1ffff,
        }
    }
}
