//! The lock protocols, over words that lie in a segment or in a model.

pub(crate) mod barrier;
pub(crate) mod condvar;
pub(crate) mod event;
pub(crate) mod mutex;
pub(crate) mod once;
pub(crate) mod rwlock;
pub(crate) mod semaphore;

use crate::sync::AtomicU64;

/// Words in a cache line.
const LINE: usize = 8;

/// Returns how many words to keep for participants with ids from 1 on: a power of two.
pub(crate) const fn words_for(participants: usize) -> usize {
    let words = participants.next_power_of_two();
    if words < LINE { LINE } else { words }
}

/// Returns the index of a participant's word among `words` many ([`words_for`]).
///
/// Consecutive ids lie in different lines as long as there are lines, because the lowest ids are
/// used most. Without a word for the id, the index is behind the end.
#[inline(always)]
pub(crate) const fn index_of(words: usize, id: u16) -> usize {
    debug_assert!(words.is_power_of_two() && words >= LINE);
    let (lines, nth) = (words / LINE, (id as usize).wrapping_sub(1));
    if nth >= words {
        usize::MAX
    } else {
        ((nth & (lines - 1)) * LINE) | (nth >> lines.trailing_zeros())
    }
}

/// Returns the word of a participant.
#[inline(always)]
pub(crate) fn of_id(words: &[AtomicU64], id: u16) -> Option<&AtomicU64> {
    words.get(index_of(words.len(), id))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn each_participant_has_a_word_and_neighbours_have_lines() {
        for participants in [1, 7, 8, 63, 64, 200] {
            let words: Vec<AtomicU64> =
                (0..words_for(participants)).map(|_| AtomicU64::new(0)).collect();
            let mut seen = std::collections::HashSet::new();
            for id in 1..=participants as u16 {
                let word = of_id(&words, id).unwrap();
                assert!(seen.insert(std::ptr::from_ref(word)));
            }
            assert!(of_id(&words, 0).is_none() && of_id(&words, words.len() as u16 + 1).is_none());
        }
        let words: Vec<AtomicU64> = (0..words_for(64)).map(|_| AtomicU64::new(0)).collect();
        let line = |id| std::ptr::from_ref(of_id(&words, id).unwrap()).addr() / 64;
        assert!((1..64).all(|id| line(id) != line(id + 1)));
    }
}
