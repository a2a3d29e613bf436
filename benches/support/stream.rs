//! Senders and receivers of one flow, timed.
//!
//! The time is from the moment at which the first sender is about to send its first message to that
//! at which the last receiver has its last one, each read by that peer itself on the clock that
//! processes share. So starting peers, telling them to go and hearing that they are done are in no
//! figure; the one thing that is, beside the messages, is that receivers may sleep when the first
//! message comes, and senders start one after the other: some ten microseconds in some ten
//! milliseconds, for threads and processes alike.

use std::fmt;
use std::time::Duration;

use multiprocess::Route;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::flow::{Flow, Share};
use super::job::{Job, Timed};
use super::machine::{Place, Side, Spent, now};
use super::team::{Answer, Post, Task, Team};

/// How many senders and receivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub senders: u64,
    pub receivers: u64,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.senders, self.receivers)
    }
}

/// Peers that stream.
pub struct Stream {
    team: Team,
    shape: Shape,
    next: u64,
}

/// More messages than a channel holds.
const PROOF: u64 = 4096;

impl Stream {
    /// Between threads.
    pub fn threads<F: Flow<Tx: Send, Rx: Send>>(shape: Shape, place: Place) -> Box<dyn Job> {
        let (tx, rx) = F::channel();
        let mut team = Team::new(Route::Thread, place);
        (0..shape.receivers).for_each(|_| team.thread(Side::Second, sink::<F>, rx.clone()));
        (0..shape.senders).for_each(|_| team.thread(Side::First, source::<F>, tx.clone()));
        Box::new(Stream { team, shape, next: 0 })
    }

    /// Between processes, one for each end.
    pub fn processes<F>(shape: Shape, place: Place) -> Box<dyn Job>
    where
        F: Flow<Tx: Serialize + DeserializeOwned, Rx: Serialize + DeserializeOwned>,
    {
        let (tx, rx) = F::channel();
        let mut team = Team::new(Route::Shm, place);
        (0..shape.receivers).for_each(|_| team.process(Side::Second, sink::<F>, rx.clone()));
        (0..shape.senders).for_each(|_| team.process(Side::First, source::<F>, tx.clone()));
        Box::new(Stream { team, shape, next: 0 })
    }

    fn go(&mut self, count: u64, prove: bool) -> Timed {
        let Shape { senders, receivers } = self.shape;
        assert!(
            count % senders == 0 && count % receivers == 0,
            "{count} messages for {}",
            self.shape
        );
        let first = self.next;
        self.next += count;
        let task = Task { first, count: 0, prove, rest: Duration::ZERO };
        let take = (0..receivers).map(|_| Task { count: count / receivers, ..task });
        let give = (0..senders).map(|i| Task {
            first: first + i * (count / senders),
            count: count / senders,
            ..task
        });
        let answers = self.team.work(take.chain(give));

        let (taken, given) = answers.split_at(receivers as usize);
        let total = |of: fn(&Answer) -> u64| {
            taken.iter().fold(0, |sum: u64, seen| sum.wrapping_add(of(seen)))
        };
        assert_eq!(total(|seen| seen.count), count, "messages");
        assert_eq!(total(|seen| seen.damaged), 0, "damaged messages");
        let sum = (first..self.next).fold(0, |sum: u64, id| sum.wrapping_add(id));
        assert_eq!(total(|seen| seen.sum), sum, "the sum of the numbers");
        if (senders, receivers) == (1, 1) {
            assert_eq!(total(|seen| seen.disordered), 0, "messages out of order");
        }
        let begin = given.iter().map(|sent| sent.begin).min().expect("a sender");
        let end = taken.iter().map(|seen| seen.end).max().expect("a receiver");
        let mut spent = Spent::default();
        answers.iter().for_each(|answer| spent += answer.spent);
        Timed { nanos: end.saturating_sub(begin) as f64, spent, trips: None }
    }
}

impl Job for Stream {
    /// Sends messages, and checks every byte that arrives.
    fn prove(&mut self, most: u64) {
        self.go(self.round(PROOF.min(most)), true);
    }

    /// Their number, the sum of their numbers and, with one sender and one receiver, their order
    /// are looked at here too.
    fn time(&mut self, messages: u64) -> Timed {
        self.go(messages, false)
    }

    fn round(&self, messages: u64) -> u64 {
        messages.next_multiple_of(self.shape.senders * self.shape.receivers).max(1)
    }

    fn finish(self: Box<Self>) {
        self.team.finish();
    }
}

fn source<F: Flow>((tx, post): (F::Tx, Post)) {
    post.take_place();
    let mut send = F::source(tx);
    post.serve(|task| {
        let begin = now();
        send(Share { count: task.count, first: task.first, prove: task.prove });
        Answer { begin, end: now(), ..Answer::default() }
    });
}

fn sink<F: Flow>((rx, post): (F::Rx, Post)) {
    post.take_place();
    let mut recv = F::sink(rx);
    post.serve(|task| {
        let begin = now();
        let seen = recv(Share { count: task.count, first: task.first, prove: task.prove });
        Answer {
            begin,
            end: now(),
            count: seen.count,
            sum: seen.sum,
            disordered: seen.disordered,
            damaged: seen.damaged,
            ..Answer::default()
        }
    });
}
