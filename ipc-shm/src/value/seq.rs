//! A value with one writer, which any number of readers read without notifying the writer.
//!
//! ```text
//! offset 0     8       64       64+stride
//!        ┌─────┬───────┬────────┬────────┬────────┬────────┐
//!        │ seq │ owner │ copy 0 │ copy 1 │ copy 2 │ copy 3 │
//!        └─────┴───────┴────────┴────────┴────────┴────────┘
//! ```
//!
//! Value number *s* lies in copy *s* mod 4, and `seq` is the number of the last complete one. The
//! writer fills the copy of *s* + 1, which is the oldest, and then increments `seq`. A reader
//! copies the last complete one, and then checks whether it was filled anew meanwhile. That would
//! be for *s* + 4, which begins when *s* + 3 is complete.
//!
//! It is a Linux `seqcount_latch` with four copies instead of two. With two, a reader is overtaken
//! by any value that is completed while it copies, and a quick writer keeps it from ever reading
//! one. With four, it takes three values.
//! <https://docs.kernel.org/locking/seqlock.html#latch-sequence-counters-seqcount-latch-t>
//!
//! # Edges
//!
//! | edge | from → to | over | order | what it carries |
//! |---|---|---|---|---|
//! | SEQLOCK-E1 | complete → read | `seq` | Release / Acquire | the bytes of the copy |
//! | SEQLOCK-E2 | overtaken → seen | `seq` | fences | that copy *s* + 3 is complete |
//!
//! SEQLOCK-E2: the writer stores `seq` = *s* + 3, executes a fence, and writes bytes of *s* + 4.
//! The reader reads bytes, executes a fence, and loads `seq`. So a reader that has read a byte of
//! *s* + 4 sees *s* + 3, and discards its copy.
//!
//! # If the writer dies
//!
//! If it dies while it fills a copy, no reader uses that copy. If it dies before or after it
//! increments `seq`, the value is the previous or the new one. Readers do not notice. The next
//! writer fills the same copy again.

use crate::copy;
use crate::killpoint::kill_point;
use crate::sync::{AtomicU64, Ordering, fence};

/// The number of copies.
pub(crate) const COPIES: u64 = 4;

/// The words of a value, wherever they lie.
#[derive(Clone, Copy)]
pub(crate) struct Copies<'a> {
    pub(crate) seq: &'a AtomicU64,
    /// All copies, each as long as `stride`.
    pub(crate) words: &'a [AtomicU64],
    pub(crate) stride: usize,
}

impl Copies<'_> {
    /// Returns the copy for the value with this number, whatever number it is.
    #[inline(always)]
    fn copy(&self, number: u64) -> &[AtomicU64] {
        let first = (number % COPIES) as usize * self.stride;
        &self.words[first..first + self.stride]
    }

    /// Reads the last complete value. Returns false if it was overtaken, and `to` is then any
    /// mixture.
    #[inline(always)]
    pub(crate) fn read(&self, to: &mut [u8]) -> bool {
        // Acquire: SEQLOCK-E1.
        let number = self.seq.load(Ordering::Acquire);
        copy::read_bytes(self.copy(number), to);
        // Acquire: SEQLOCK-E2.
        fence(Ordering::Acquire);
        // Relaxed: ordered by the fence.
        let now = self.seq.load(Ordering::Relaxed);
        now.wrapping_sub(number) < COPIES - 1
    }

    /// Returns the number of the last complete value, for the next writer.
    pub(crate) fn last(&self) -> u64 {
        // Acquire: the previous writer has filled no copy after this.
        self.seq.load(Ordering::Acquire)
    }

    /// Writes the value after number `last`, alone.
    #[inline(always)]
    pub(crate) fn write(&self, last: u64, bytes: &[u8]) -> u64 {
        let number = last.wrapping_add(1);
        // Release: SEQLOCK-E2, `last` is published before any byte of the value three numbers
        // later.
        fence(Ordering::Release);
        kill_point!("seq.fill");
        copy::write_bytes(self.copy(number), bytes);
        kill_point!("seq.filled");
        // Release: SEQLOCK-E1.
        self.seq.store(number, Ordering::Release);
        kill_point!("seq.complete");
        number
    }
}

/// Two words on the heap, for loom. For internal use only; nothing here is stable.
#[cfg(loom)]
#[allow(missing_docs)]
pub mod model {
    use super::{AtomicU64, COPIES, Copies};

    const STRIDE: usize = 2;

    pub struct Latch {
        seq: AtomicU64,
        words: Vec<AtomicU64>,
    }

    impl Latch {
        /// Value number 0 is two zeros.
        #[allow(clippy::new_without_default)]
        pub fn new() -> Latch {
            let words = (0..COPIES as usize * STRIDE).map(|_| AtomicU64::new(0)).collect();
            Latch { seq: AtomicU64::new(0), words }
        }

        fn copies(&self) -> Copies<'_> {
            Copies { seq: &self.seq, words: &self.words, stride: STRIDE }
        }

        /// Writes values of these numbers, and is killed at the point.
        ///
        /// That happens the `n`-th time that it reaches the point, counted from 0.
        pub fn killed_at(
            &self,
            point: &'static str,
            n: u32,
            numbers: std::ops::RangeInclusive<u64>,
        ) -> bool {
            let write = || numbers.fold(self.last(), |last, number| self.write(last, [number; 2]));
            crate::killpoint::killed_at(point, n, write).is_none()
        }

        /// Returns the number of the last value.
        pub fn last(&self) -> u64 {
            self.copies().last()
        }

        /// Writes the value after number `last`, and returns its number.
        pub fn write(&self, last: u64, value: [u64; 2]) -> u64 {
            self.copies().write(last, bytemuck::bytes_of(&value))
        }

        /// Reads the last value. Returns `None` if it was overtaken.
        pub fn read(&self) -> Option<[u64; 2]> {
            let mut value = [0; 2];
            self.copies().read(bytemuck::bytes_of_mut(&mut value)).then_some(value)
        }
    }
}
