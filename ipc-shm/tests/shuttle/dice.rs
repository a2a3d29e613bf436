//! What is left to chance: shuttle's, so that a seed plays it again.

use std::ops::Range;

use shuttle::rand::{Rng, thread_rng};

pub(crate) fn one_of(numbers: Range<u64>) -> u64 {
    thread_rng().gen_range(numbers)
}

/// In one of `n` cases.
pub(crate) fn once_in(n: u64) -> bool {
    one_of(0..n) == 0
}

/// After how many of the protocol's points a process is killed. Every third dies of nothing.
pub(crate) fn fate(points: u64) -> u32 {
    if once_in(3) { u32::MAX } else { one_of(0..points) as u32 }
}
