//! Waiting for one of several ends, and claims that are kept: the loop of `ipc-core` over bells
//! whose lost wake-ups are deadlocks, and the ring while a process keeps what it has claimed.

use std::cell::Cell;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use ipc_core::__private::ready::{Outcome, Pace, Ready, Registration, Source, Tasks, Ticket};
use ipc_core::__private::select::{Sleeper, wait};
use ipc_core::Deadline;
use ipc_shm::model::{NotYet, RECEIVER, Ring, SENDER, Side};
use ipc_wait::killpoint::killed_at;
use ipc_wait::model_futex::ModelFutex;
use ipc_wait::sync::AtomicU64;
use ipc_wait::sync::Ordering::{AcqRel, Acquire, Relaxed, Release};
use ipc_wait::{Barrier, Bell};

use crate::{both, drain, model, sorted};

/// A channel for one message without contents.
struct End {
    message: AtomicU64,
    word: AtomicU64,
    futex: ModelFutex,
}

impl End {
    fn two() -> Arc<[End; 2]> {
        let word = || AtomicU64::new(0);
        Arc::new(ModelFutex::pair().map(|futex| End { message: word(), word: word(), futex }))
    }

    fn bell(&self) -> Bell<'_> {
        Bell::private(&self.word, &self.futex)
    }

    /// Sends, when the message before was received.
    fn send(&self) {
        self.message.store(1, Release);
        self.bell().ring(1, Barrier::Ours);
    }

    fn is_ready(&self) -> bool {
        self.message.load(Acquire) == 1
    }

    fn receive(&self) -> Option<()> {
        let received =
            self.is_ready() && self.message.compare_exchange(1, 0, AcqRel, Relaxed).is_ok();
        received.then_some(())
    }
}

/// A thread that waits for an end, as a receiver of shared memory does.
struct Waiter<'a> {
    end: &'a End,
    /// The low half of its word when it registered.
    seen: Cell<u32>,
}

impl Pace for Waiter<'_> {}

impl Ready for Waiter<'_> {
    fn tasks(&self) -> &'static dyn Tasks {
        unreachable!("no task waits here")
    }

    fn is_ready(&self) -> bool {
        self.end.is_ready()
    }

    fn register(&self, _waker: &Waker) -> Registration<'_> {
        let ticket = Ticket::from(self.end.bell().announce());
        self.seen.set(ticket.0 as u32);
        Registration { source: Source::Waker, ticket, barrier: true }
    }

    fn unregister(&self, ticket: Ticket, outcome: Outcome) {
        self.end.bell().leave(&ticket.into(), outcome, Barrier::Ours);
    }

    fn notified(&self, ticket: Ticket) -> bool {
        self.end.bell().notified(&ticket.into())
    }
}

/// Sleeps on the words of all ends.
struct OnAll<'a>(&'a [Waiter<'a>]);

impl Sleeper for OnAll<'_> {
    fn with_waker<R>(&self, with: impl FnOnce(&Waker) -> R) -> R {
        with(Waker::noop())
    }

    fn poll(&self, _files: &[Source<'_>]) -> bool {
        unreachable!("there are no files")
    }

    fn barrier(&self) -> bool {
        Bell::barrier()
    }

    fn sleep(&self, sources: &[Source<'_>], _timeout: Duration) -> bool {
        assert_eq!(sources.len(), self.0.len(), "it is registered with all");
        let words: Vec<_> = self
            .0
            .iter()
            .map(|waiter| (&waiter.end.futex, &waiter.end.word, waiter.seen.get()))
            .collect();
        ModelFutex::wait_any(&words);
        true
    }
}

/// Receives from one of these, and returns which.
fn select(ends: &[&End]) -> usize {
    let waiters: Vec<_> = ends.iter().map(|end| Waiter { end, seen: Cell::new(0) }).collect();
    let attempt = |i: usize| waiters[i].end.receive();
    let end = |i: usize| &waiters[i];
    let now = |i| attempt(i).into();
    let done = wait(ends.len(), end, Deadline::Never, &OnAll(&waiters), now, attempt);
    done.expect("for ever").0
}

#[test]
fn a_selector_is_woken_by_either_end() {
    for sends in [0, 1] {
        model(3, move || {
            let ends = End::two();
            let theirs = ends.clone();
            let (won, ()) = both(move || select(&[&theirs[0], &theirs[1]]), || ends[sends].send());
            assert_eq!(won, sends);
        });
    }
}

#[test]
fn two_selectors_share_what_two_senders_send() {
    model(1, || {
        let ends = End::two();
        let selectors = [(); 2].map(|()| {
            let ends = ends.clone();
            loom::thread::spawn(move || select(&[&ends[0], &ends[1]]) as u64)
        });
        let theirs = ends.clone();
        let sender = loom::thread::spawn(move || theirs[1].send());
        ends[0].send();
        let won = selectors.map(|selector| selector.join().expect("woken"));
        assert_eq!(sorted(won), [0, 1]);
        sender.join().expect("it does not wait");
    });
}

/// The selector may be woken by one end, and have used up the only wake-up of the other.
#[test]
fn a_selector_passes_on_the_wake_up_that_it_does_not_use() {
    model(2, || {
        let ends = End::two();
        let (theirs, of_one) = (ends.clone(), ends.clone());
        let selector = loom::thread::spawn(move || select(&[&theirs[0], &theirs[1]]));
        let receiver = loom::thread::spawn(move || select(&[&of_one[1]]));
        ends[0].send();
        ends[1].send();
        if selector.join().expect("woken") == 1 {
            ends[1].send();
        }
        receiver.join().expect("woken");
    });
}

/// A killed process leaves a token with each end, which keeps no wake-up from the others.
#[test]
fn the_tokens_of_a_killed_selector_keep_no_wake_up_from_others() {
    for (point, n) in [("sleep.announced", 0), ("sleep.announce", 1), ("sleep.announced", 1)] {
        model(2, move || {
            let ends = End::two();
            let (theirs, others) = (ends.clone(), ends.clone());
            let dead = loom::thread::spawn(move || {
                killed_at(point, n, || select(&[&theirs[0], &theirs[1]]))
            });
            let other = loom::thread::spawn(move || select(&[&others[0], &others[1]]));
            ends[1].send();
            if dead.join().expect("it is killed or woken").is_some() {
                ends[0].send();
            }
            other.join().expect("woken");
        });
    }
}

/// While one recovers a process that kept a place, another sends behind it.
#[test]
fn a_kept_place_of_a_dead_process_is_voided_while_others_send() {
    for point in ["send.claim", "send.written_late", "send.published_late"] {
        model(3, move || {
            let (ring, [dead, a, b]) = Ring::new(2, 0, [SENDER, SENDER, RECEIVER]);
            let send = || {
                let place = dead.claim_place().expect("there is room");
                dead.publish(place, 1);
            };
            assert!(dead.killed_at(point, 0, send).is_none());
            let (b, ()) = both(
                move || {
                    assert!(b.recover(1));
                    b
                },
                || a.send(2).expect("there is room for it"),
            );
            ring.check();
            let published = point == "send.published_late";
            assert_eq!(drain(&b), if published { vec![1, 2] } else { vec![2] });
            ring.check();
        });
    }
}

/// A place is kept while the same handle sends behind it, beside another sender, and its process is
/// killed then.
#[test]
fn a_place_that_is_kept_while_its_process_sends_is_found() {
    model(2, || {
        let (ring, [dead, a, b]) = Ring::new(3, 0, [SENDER, SENDER, RECEIVER]);
        let place = dead.claim_place().expect("there is room");
        let (dead, ()) = both(
            move || {
                dead.send(1).expect("there is room");
                dead
            },
            || a.send(2).expect("there is room"),
        );
        ring.check();
        assert_eq!(b.receive(), Err(NotYet::Busy), "place {place} is in the way");
        dead.die();
        assert!(b.recover(1));
        ring.check();
        assert_eq!(sorted(drain(&b)), [1, 2]);
        ring.check();
    });
}

#[test]
fn a_message_in_a_kept_place_arrives_whole() {
    model(3, || {
        let (ring, [a, b]) = Ring::new(1, 0, [SENDER, RECEIVER]);
        let place = a.claim_place().expect("there is room");
        let ((), got) = both(
            move || {
                a.publish(place, 1);
                a.ring(Side::Receivers, 1);
            },
            || b.waiting(Side::Receivers, || b.receive().ok()),
        );
        assert_eq!(got, 1);
        ring.check();
    });
}

/// Its living owner gives a place up while another process claims behind it, and signs it.
#[test]
fn a_place_that_is_given_up_beside_a_claim_is_skipped() {
    model(3, || {
        let (ring, [x, a, b]) = Ring::new(2, 0, [SENDER, SENDER, RECEIVER]);
        let place = x.claim_place().expect("there is room");
        both(move || x.give_up(place), || a.send(2).expect("there is room"));
        ring.check();
        assert_eq!(drain(&b), [2]);
        assert_eq!(a.send_all(&[3, 4]), Ok(2), "both slots are free");
        assert_eq!(drain(&b), [3, 4]);
    });
}

#[test]
fn a_receiver_that_sleeps_before_a_kept_place_is_woken_when_it_is_given_up() {
    model(3, || {
        let (ring, [x, a, b]) = Ring::new(2, 0, [SENDER, SENDER, RECEIVER]);
        let place = x.claim_place().expect("there is room");
        a.send(2).expect("there is room");
        a.ring(Side::Receivers, 1);
        let ((), got) =
            both(move || x.give_up(place), || b.waiting(Side::Receivers, || b.receive().ok()));
        assert_eq!(got, 2);
        ring.check();
    });
}

/// Its living owner gives a message back: a receiver that sleeps gets it, in a slot and in a block.
#[test]
fn a_message_that_is_given_back_wakes_a_receiver() {
    for blocks in [0, 1] {
        model(3, move || {
            let (ring, [a, x, b]) = Ring::new(1, blocks, [SENDER, RECEIVER, RECEIVER]);
            match a.loan(1) {
                Some(block) => a.send_block(block).expect("there is room"),
                None => a.send(1).expect("there is room"),
            }
            let kept = x.claim_message().expect("it is there");
            let ((), got) =
                both(move || x.give_back(kept), || b.waiting(Side::Receivers, || b.receive().ok()));
            assert_eq!(got, 1);
            ring.check();
            assert_eq!(ring.blocks_free(), blocks);
        });
    }
}

/// A process keeps two messages that it claimed through one handle, and is killed, while another
/// receives behind them.
#[test]
fn messages_that_a_dead_process_kept_are_redelivered_while_others_receive() {
    model(2, || {
        let (ring, [a, dead, b, c]) = Ring::new(3, 0, [SENDER, RECEIVER, RECEIVER, RECEIVER]);
        assert_eq!(a.send_all(&[1, 2, 3]), Ok(3));
        let (dead, got) = both(
            move || {
                for _ in 0..2 {
                    let _ = dead.claim_message();
                }
                dead
            },
            || b.receive(),
        );
        ring.check();
        dead.die();
        assert!(c.recover(2));
        ring.check();
        assert_eq!(sorted(got.into_iter().chain(drain(&c))), [1, 2, 3]);
        ring.check();
    });
}
