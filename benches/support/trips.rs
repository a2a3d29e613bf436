//! Round trips between two peers: one calls, the other answers with the same message.
//!
//! Hot trips are timed from one to the next: one reading of the clock each, which is in the
//! figures. A trip after a rest is timed from the end of the rest.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use multiprocess::Route;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::job::{Job, Timed};
use super::machine::{Place, Side, Spent};
use super::message::Message;
use super::team::{Answer, Post, Task, Team};
use super::wire::Wire;

/// The caller and the responder.
pub struct Trips {
    team: Team,
    rest: Duration,
    next: u64,
}

/// Round trips at the start in which every byte is checked.
const PROOF: u64 = 3000;

impl Trips {
    /// Between threads, with a rest of this length before each round trip.
    pub fn threads<W: Wire<Tx: Send, Rx: Send>>(rest: Duration, place: Place) -> Box<dyn Job> {
        let (here, there) = W::both();
        let mut team = Team::new(Route::Thread, place);
        team.thread(Side::Second, answer::<W>, there);
        team.thread(Side::First, call::<W>, here);
        Box::new(Trips { team, rest, next: 0 })
    }

    /// Between processes.
    pub fn processes<W>(rest: Duration, place: Place) -> Box<dyn Job>
    where
        W: Wire<Tx: Serialize + DeserializeOwned, Rx: Serialize + DeserializeOwned>,
    {
        let (here, there) = W::both();
        let mut team = Team::new(Route::Shm, place);
        team.process(Side::Second, answer::<W>, there);
        team.process(Side::First, call::<W>, here);
        Box::new(Trips { team, rest, next: 0 })
    }

    fn go(&mut self, count: u64, rest: Duration, prove: bool) -> (Answer, Spent) {
        let task = Task { first: self.next, count, prove, rest };
        self.next += count;
        let [answered, called] = self.team.work([task, task]).try_into().expect("two peers");
        for peer in [&answered, &called] {
            assert_eq!(
                (peer.count, peer.disordered, peer.damaged),
                (count, 0, 0),
                "count, order, content"
            );
        }
        let mut spent = answered.spent;
        spent += called.spent;
        (called, spent)
    }
}

impl Job for Trips {
    /// Checks every byte that comes back.
    fn prove(&mut self, most: u64) {
        self.go(PROOF.min(most), Duration::ZERO, true);
    }

    fn time(&mut self, count: u64) -> Timed {
        let (called, spent) = self.go(count, self.rest, false);
        let mut times = histogram();
        for (nanos, trips) in called.trips {
            times.record_n(nanos, trips).expect("resizes");
        }
        assert_eq!(times.len(), count, "round trips");
        Timed { nanos: times.mean() * count as f64, spent, trips: Some(times) }
    }

    fn finish(self: Box<Self>) {
        self.team.finish();
    }
}

pub fn histogram() -> Histogram<u64> {
    Histogram::new(3).expect("three digits")
}

fn call<W: Wire>(((tx, rx), post): ((W::Tx, W::Rx), Post)) {
    post.take_place();
    let (mut send, mut recv) = (W::sender(tx), W::receiver(rx));
    let mut times = histogram();
    post.serve(|task| {
        times.reset();
        let mut answer = Answer::default();
        let mut since = Instant::now();
        for id in task.first..task.first + task.count {
            if !task.rest.is_zero() {
                std::thread::sleep(task.rest);
                since = Instant::now();
            }
            send(W::Message::new(id));
            let back = recv();
            let now = Instant::now();
            times.record((now - since).as_nanos() as u64).expect("resizes");
            since = now;
            answer.count += 1;
            answer.disordered += u64::from(back.id() != id);
            answer.damaged += u64::from(task.prove && !back.intact());
        }
        answer.trips = times
            .iter_recorded()
            .map(|step| (step.value_iterated_to(), step.count_at_value()))
            .collect();
        answer
    });
}

fn answer<W: Wire>(((tx, rx), post): ((W::Tx, W::Rx), Post)) {
    post.take_place();
    let (mut recv, mut send) = (W::receiver(rx), W::sender(tx));
    post.serve(|task| {
        let mut answer = Answer::default();
        for id in task.first..task.first + task.count {
            let message = recv();
            answer.count += 1;
            answer.disordered += u64::from(message.id() != id);
            answer.damaged += u64::from(task.prove && !message.intact());
            send(message);
        }
        answer
    });
}
