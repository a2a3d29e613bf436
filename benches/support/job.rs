//! What a row measures: some peers that are ready, and do something again and again.

use std::time::Instant;

use hdrhistogram::Histogram;

use super::machine::Spent;

/// The time for some messages, round trips or steps.
pub struct Timed {
    /// The nanoseconds for all of them.
    pub nanos: f64,
    /// The processor time of all peers, if it is known.
    pub spent: Spent,
    /// The time of each round trip.
    pub trips: Option<Histogram<u64>>,
}

pub trait Job {
    /// Checks every byte of some messages, at most this many. Must be called first.
    fn prove(&mut self, most: u64);
    /// Times so many; what they are, [`round`](Job::round) says.
    fn time(&mut self, count: u64) -> Timed;
    /// The next number that divides evenly among the peers.
    fn round(&self, count: u64) -> u64 {
        count.max(1)
    }
    fn finish(self: Box<Self>);
}

/// A step that this process does by itself, again and again.
pub struct Steps<F>(pub F);

impl<T, F: FnMut() -> T> Job for Steps<F> {
    fn prove(&mut self, _most: u64) {
        (self.0)();
    }
    fn time(&mut self, count: u64) -> Timed {
        let begin = Instant::now();
        for _ in 0..count {
            drop(std::hint::black_box((self.0)()));
        }
        Timed { nanos: begin.elapsed().as_nanos() as f64, spent: Spent::default(), trips: None }
    }
    fn finish(self: Box<Self>) {}
}

/// An operation that times itself: repetitions in, nanoseconds out.
pub struct TimesItself(pub fn(u64) -> f64);

impl Job for TimesItself {
    fn prove(&mut self, _most: u64) {}
    fn time(&mut self, count: u64) -> Timed {
        Timed { nanos: (self.0)(count), spent: Spent::default(), trips: None }
    }
    fn finish(self: Box<Self>) {}
}
