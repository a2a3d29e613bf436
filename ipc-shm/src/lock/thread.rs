//! Numbers for the threads of this process, so that a lock word tells them apart.
//!
//! Participants are processes: all threads of one share an id. A thread gets the lowest free number when it
//! first locks something, and gives it back when it ends. It may have none (more threads than numbers, or a
//! destructor that runs after the number was given back): then it is 0, and a thread that locks twice waits for
//! itself, as it does in `std`.

use std::cell::{Cell, RefCell};
use std::sync::{Mutex, PoisonError};

use super::word::THREADS;
use crate::sys;

/// Bit n of the whole is set while number n + 1 is given out.
static GIVEN: Mutex<Vec<u64>> = Mutex::new(Vec::new());

fn take() -> u64 {
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    let index = match given.iter().position(|word| *word != u64::MAX) {
        Some(index) => index,
        None => {
            given.push(0);
            given.len() - 1
        }
    };
    let bit = u64::from(given[index].trailing_ones());
    let number = index as u64 * 64 + bit + 1;
    if number > THREADS {
        return 0;
    }
    given[index] |= 1 << bit;
    number
}

fn give_back(number: u64) {
    if number != 0 {
        let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
        given[(number as usize - 1) / 64] &= !(1 << ((number - 1) % 64));
    }
}

/// Gives the number back when the thread ends.
struct Number(u64);

impl Drop for Number {
    fn drop(&mut self) {
        NUMBER.with(|number| number.set(NONE));
        give_back(self.0);
    }
}

const UNASKED: u64 = u64::MAX;
const NONE: u64 = 0;

thread_local! {
    // Has no destructor, so it can be asked at any time, for the price of a load.
    static NUMBER: Cell<u64> = const { Cell::new(UNASKED) };
    static OURS: Number = Number(take());
    /// What this thread holds for reading: the lock's address and the owner it is held by.
    static READS: RefCell<Reads> = const { RefCell::new(Reads { process: None, held: Vec::new() }) };
}

/// The number of the calling thread.
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

/// A lock that is held for reading, by an owner: at the same address another may lie one day.
pub(crate) type Read = (usize, u64);

struct Reads {
    /// The process that they are of. A forked child holds none of them, and may have other locks at the same
    /// addresses.
    process: Option<sys::ForkCheck>,
    held: Vec<Read>,
}

impl Reads {
    /// What this process holds.
    #[inline]
    fn here(&mut self) -> &mut Vec<Read> {
        if self.process.is_none_or(sys::ForkCheck::forked) {
            self.held.clear();
            self.process = Some(sys::ForkCheck::new());
        }
        &mut self.held
    }
}

/// Notes that the calling thread holds `read`.
#[inline]
pub(crate) fn reads(read: Read) {
    // Only in a destructor of the thread's last moments is it gone: then nothing is known.
    let _ = READS.try_with(|reads| reads.borrow_mut().here().push(read));
}

/// Notes that it does so once less.
#[inline]
pub(crate) fn has_read(read: Read) {
    let _ = READS.try_with(|reads| {
        let mut reads = reads.borrow_mut();
        let reads = reads.here();
        if let Some(index) = reads.iter().rposition(|other| *other == read) {
            reads.swap_remove(index);
        }
    });
}

/// Whether the calling thread holds `read`.
#[inline]
pub(crate) fn is_reading(read: Read) -> bool {
    READS.try_with(|reads| reads.borrow_mut().here().contains(&read)).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_differ_and_are_used_again() {
        let mine = number();
        assert!(mine != 0 && mine == number());
        let theirs: Vec<u64> = (0..100).map(|_| std::thread::spawn(number).join().unwrap()).collect();
        assert!(theirs.iter().all(|number| *number != mine && *number != 0));
        assert!(theirs.iter().all(|number| *number < 90), "{theirs:?}");
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
