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
static IN_USE: [AtomicU64; THREADS.div_ceil(64) as usize] =
    [const { AtomicU64::new(0) }; THREADS.div_ceil(64) as usize];

fn lowest_free() -> u64 {
    for (word, first) in IN_USE.iter().zip((1..).step_by(64)) {
        let mut in_use = word.load(Relaxed); // Relaxed: the CAS decides.
        while in_use != u64::MAX {
            let bit = in_use.trailing_ones();
            // Acquire: pairs with the Release in `free`, so no lock word that this thread sees
            // still has the number.
            match word.compare_exchange_weak(in_use, in_use | 1 << bit, Acquire, Relaxed) {
                Ok(_) => {
                    return Some(first + u64::from(bit))
                        .filter(|number| *number <= THREADS)
                        .unwrap_or(NONE);
                }
                Err(now) => in_use = now,
            }
        }
    }
    NONE
}

fn free(number: u64) {
    if number != NONE {
        let index = number - 1;
        // Release: pairs with the Acquire in `lowest_free`, so that the unlocking is visible before
        // the number is used again.
        IN_USE[index as usize / 64].fetch_and(!(1 << (index % 64)), Release);
    }
}

/// Returns the number when the thread ends, unless a lock word still has it.
struct Number(u64);

impl Drop for Number {
    fn drop(&mut self) {
        NUMBER.set(NONE);
        if HELD.get() == 0 {
            free(self.0);
        }
    }
}

const UNASSIGNED: u64 = u64::MAX;
const NONE: u64 = 0;

thread_local! {
    // Has no destructor, so it can be read at any time, for the price of a load.
    static NUMBER: Cell<u64> = const { Cell::new(UNASSIGNED) };
    static ASSIGNED: Number = Number(lowest_free());
    /// How many lock words have this thread's number.
    static HELD: Cell<u64> = const { Cell::new(0) };
    /// The locks that this thread holds for reading.
    static READS: RefCell<Vec<Read>> = const { RefCell::new(Vec::new()) };
}

/// Returns the number of the calling thread.
#[inline]
pub(crate) fn number() -> u64 {
    match NUMBER.get() {
        UNASSIGNED => assign(),
        number => number,
    }
}

#[cold]
fn assign() -> u64 {
    let number = ASSIGNED.try_with(|number| number.0).unwrap_or(NONE);
    NUMBER.set(number);
    number
}

/// Counts a lock that the calling thread has acquired as its holder.
#[inline(always)]
pub(crate) fn count_acquired() {
    HELD.set(HELD.get().wrapping_add(1));
}

/// Counts a lock that the calling thread has released.
#[inline(always)]
pub(crate) fn count_released() {
    HELD.set(HELD.get().wrapping_sub(1));
}

/// A lock that is held for reading: its address, and the number of its mapping.
///
/// The number ([`Participants::mapping`](crate::attach::participants::Participants::mapping)) is
/// needed because another lock may later lie at the same address.
pub(crate) type Read = (usize, u64);

/// Records that the calling thread holds `read`.
#[inline]
pub(crate) fn record_read(read: Read) {
    // `READS` is missing only while the last destructors of the thread run. Then nothing is
    // recorded.
    let _ = READS.try_with(|reads| reads.borrow_mut().push(read));
}

/// Records that the calling thread holds `read` once less.
#[inline]
pub(crate) fn forget_read(read: Read) {
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
            count_acquired();
            number()
        };
        let forgotten: Vec<u64> =
            (0..3).map(|_| std::thread::spawn(forgets).join().unwrap()).collect();
        let orderly = || {
            count_acquired();
            count_released();
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
        record_read((8, 1));
        record_read((8, 1));
        forget_read((8, 1));
        assert!(is_reading((8, 1)) && !is_reading((8, 2)));
        forget_read((8, 1));
        assert!(!is_reading((8, 1)));
    }
}
