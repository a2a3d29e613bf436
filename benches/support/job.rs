//! What a row measures: some peers that are ready, and do something again and again.

use std::time::Instant;

use hdrhistogram::Histogram;

use super::machine::Spent;

/// Some messages, round trips or steps, timed.
pub struct Timed {
    /// All of them.
    pub nanos: f64,
    /// By all peers; nothing where it is not known.
    pub spent: Spent,
    /// Each round trip.
    pub trips: Option<Histogram<u64>>,
}

pub trait Job {
    /// Looks at every byte of some messages, at most so many. The first thing to do with a job.
    fn prove(&mut self, most: u64);
    /// Times so many; what they are, [`round`](Job::round) says.
    fn time(&mut self, count: u64) -> Timed;
    /// The next number that all peers can share.
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

/// Something that times itself: so often, in so many nanoseconds.
pub struct TimesItself(pub fn(u64) -> f64);

impl Job for TimesItself {
    fn prove(&mut self, _most: u64) {}
    fn time(&mut self, count: u64) -> Timed {
        Timed { nanos: (self.0)(count), spent: Spent::default(), trips: None }
    }
    fn finish(self: Box<Self>) {}
}
