//! A value with one writer: what is read is one value, whatever he does meanwhile.

use std::ops::RangeInclusive;
use std::sync::Arc;

use ipc_shm::latch::Latch;

use crate::{both, model};

/// Writes these numbers, each of them twice.
fn write(latch: &Latch, numbers: RangeInclusive<u64>) {
    numbers.fold(latch.last(), |last, number| latch.write(last, [number; 2]));
}

#[test]
fn a_reading_is_one_value_or_none_and_never_older_than_the_last() {
    model(2, || {
        let latch = Arc::new(Latch::new());
        let written = latch.clone();
        let ((), (first, second)) =
            both(move || write(&written, 1..=5), || (latch.read(), latch.read()));
        for value in [first, second].into_iter().flatten() {
            assert_eq!(value[0], value[1], "torn");
        }
        if let (Some(first), Some(second)) = (first, second) {
            assert!(first[0] <= second[0], "back in time");
        }
        assert_eq!(latch.read(), Some([5; 2]));
    });
}

#[test]
fn a_killed_writer_leaves_a_whole_value_and_the_next_goes_on() {
    for point in ["seq.fill", "seq.filled", "seq.complete"] {
        model(2, move || {
            let latch = Arc::new(Latch::new());
            let written = latch.clone();
            let (killed, seen) = both(move || written.killed_at(point, 2, 1..=5), || latch.read());
            assert!(killed);
            if let Some(seen) = seen {
                assert_eq!(seen[0], seen[1], "torn");
            }
            let left = latch.read().expect("no process writes");
            assert_eq!(left, [if point == "seq.complete" { 3 } else { 2 }; 2]);
            write(&latch, 7..=7);
            assert_eq!(latch.read(), Some([7; 2]));
        });
    }
}
