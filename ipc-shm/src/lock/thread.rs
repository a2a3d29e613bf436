//! Numbers the threads of this process, so that a lock word can distinguish them.
//!
//! Participants are processes: all threads of one process share an id. A thread gets the lowest
//! free number when it first locks something.
//!
//! # A number names one holder
//!
//! A guard that is forgotten ([`std::mem::forget`]) leaves the number of its thread in the lock
//! word, also after the thread has ended. A new thread with that number would be mistaken for the
//! holder. So each thread counts the locks that it holds. When a thread ends, it returns its number
//! if it holds no lock. If it still holds locks, the number is never used again in this process.
//!
//! A thread has no number in two cases:
//!
//! - More than [`THREADS`] threads hold locks or have ended with locks held.
//! - A destructor runs after the number was returned.
//!
//! Then its number is 0, which is no thread's. Such a thread that locks twice waits for itself, as
//! it does in `std`, and mistakes no lock for its own.

use crate::sync::unmodelled::AtomicU64;
use crate::sync::unmodelled::Ordering::{Acquire, Relaxed, Release};
use std::cell::{Cell, RefCell};

use super::word::THREADS;

/// The numbers in use: bit n of the whole is set while number n + 1 is assigned.
///
/// It is not behind a lock, because a fork could leave a lock locked for ever.
static GIVEN: [AtomicU64; THREADS.div_ceil(64) as usize] =
    [const { AtomicU64::new(0) }; THREADS.div_ceil(64) as usize];

fn take() -> u64 {
    for (word, first) in GIVEN.iter().zip((1..).step_by(64)) {
        let mut given = word.load(Relaxed); // Relaxed: the CAS decides.
        while given != u64::MAX {
            let bit = given.trailing_ones();
            // Acquire: pairs with the Release in `give_back`, so no lock word that this thread sees
            // still has the number.
            match word.compare_exchange_weak(given, given | 1 << bit, Acquire, Relaxed) {
                Ok(_) => {
                    return Some(first + u64::from(bit))
                        .filter(|number| *number <= THREADS)
                        .unwrap_or(NONE);
                }
                Err(now) => given = now,
            }
        }
    }
    NONE
}

fn give_back(number: u64) {
    if number != NONE {
        let index = number - 1;
        // Release: pairs with the Acquire in `take`, so that the unlocking is visible before the
        // number is used again.
        GIVEN[index as usize / 64].fetch_and(!(1 << (index % 64)), Release);
    }
}

/// Returns the number when the thread ends, unless a lock word still has it.
struct Number(u64);

impl Drop for Number {
    fn drop(&mut self) {
        NUMBER.set(NONE);
        if HELD.get() == 0 {
            give_back(self.0);
        }
    }
}

const UNASKED: u64 = u64::MAX;
const NONE: u64 = 0;

thread_local! {
    // Has no destructor, so it can be read at any time, for the price of a load.
    static NUMBER: Cell<u64> = const { Cell::new(UNASKED) };
    static OURS: Number = Number(take());
    /// How many lock words have this thread's number.
    static HELD: Cell<u64> = const { Cell::new(0) };
    /// The locks that this thread holds for reading.
    static READS: RefCell<Vec<Read>> = const { RefCell::new(Vec::new()) };
}

/// Returns the number of the calling thread.
#[inline]
pub(crate) fn number() -> u64 {
    match NUMBER.get() {
        UNASKED => ask(),
        number => number,
    }
}

#[cold]
fn ask() -> u64 {
    let number = OURS.try_with(|ours| ours.0).unwrap_or(NONE);
    NUMBER.set(number);
    number
}

/// Counts a lock that the calling thread has acquired as its holder.
#[inline(always)]
pub(crate) fn took() {
    HELD.set(HELD.get().wrapping_add(1));
}

/// Counts a lock that the calling thread has released.
#[inline(always)]
pub(crate) fn returned() {
    HELD.set(HELD.get().wrapping_sub(1));
}

/// A lock that is held for reading: its address, and the number of its mapping.
///
/// The number ([`Participants::mapping`](crate::attach::participants::Participants::mapping)) is
/// needed because another lock may later lie at the same address.
pub(crate) type Read = (usize, u64);

/// Records that the calling thread holds `read`.
#[inline]
pub(crate) fn reads(read: Read) {
    // `READS` is missing only while the last destructors of the thread run. Then nothing is
    // recorded.
    let _ = READS.try_with(|reads| reads.borrow_mut().push(read));
}

/// Records that the calling thread holds `read` once less.
#[inline]
pub(crate) fn has_read(read: Read) {
    let _ = READS.try_with(|reads| {
        let mut reads = reads.borrow_mut();
        // Most often the last one. To swap it with itself would load what was stored just before.
        if reads.last() == Some(&read) {
            reads.pop();
        } else if let Some(index) = reads.iter().rposition(|other| *other == read) {
            reads.swap_remove(index);
        }
    });
}

/// Returns whether the calling thread holds `read`.
#[inline]
pub(crate) fn is_reading(read: Read) -> bool {
    READS.try_with(|reads| reads.borrow().contains(&read)).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_differ_and_are_used_again() {
        let mine = number();
        assert!(mine != 0 && mine == number());
        let theirs: Vec<u64> =
            (0..100).map(|_| std::thread::spawn(number).join().unwrap()).collect();
        assert!(theirs.iter().all(|number| *number != mine && *number != 0));
        assert!(theirs.iter().all(|number| *number < 90), "{theirs:?}");
    }

    // fault 112
    #[test]
    fn the_number_of_a_thread_that_ended_with_a_lock_held_never_comes_again() {
        let forgets = || {
            took();
            number()
        };
        let forgotten: Vec<u64> =
            (0..3).map(|_| std::thread::spawn(forgets).join().unwrap()).collect();
        let orderly = || {
            took();
            returned();
            number()
        };
        // Many more than there are numbers.
        for _ in 0..THREADS + 100 {
            let number = std::thread::spawn(orderly).join().unwrap();
            assert!(number != 0 && !forgotten.contains(&number), "{number} of {forgotten:?}");
        }
    }

    #[test]
    fn reads_are_counted() {
        reads((8, 1));
        reads((8, 1));
        has_read((8, 1));
        assert!(is_reading((8, 1)) && !is_reading((8, 2)));
        has_read((8, 1));
        assert!(!is_reading((8, 1)));
    }
}
