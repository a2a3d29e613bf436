//! Channels between threads: nothing is lost, nothing is dropped twice, and the counts are exact.

#![cfg(not(loom))]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use ipc_core::__private::ready::{Claim, ClaimRecv, ClaimSend, Outcome, Ready, Selectable, Source};
use ipc_core::Deadline;
use ipc_core::error::{RecvTimeoutError, SendTimeoutError};
use ipc_core::route::{End, Receive, Transmit};
use ipc_thread::{Rx, Tx, bounded, unbounded};
use testkit::watchdog;

/// The capacities that the tests try. `None` is a channel without one.
const KINDS: [Option<usize>; 6] = [Some(0), Some(1), Some(2), Some(3), Some(64), None];

fn channel<T>(capacity: Option<usize>) -> (Tx<T>, Rx<T>) {
    match capacity {
        Some(capacity) => bounded(capacity),
        None => unbounded(),
    }
}

/// How many messages were dropped, and which.
#[derive(Clone, Default)]
struct Drops(Arc<[AtomicUsize; 16]>);

struct Counted(Drops, usize);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0[self.1 % 16].fetch_add(1, SeqCst);
    }
}

impl Drops {
    fn message(&self, number: usize) -> Counted {
        Counted(self.clone(), number)
    }

    fn counts(&self, n: usize) -> Vec<usize> {
        self.0[..n].iter().map(|count| count.load(SeqCst)).collect()
    }
}

/// Random messages of many threads: each one arrives once, and those of a sender in order.
fn stress(capacity: Option<usize>, senders: u64, receivers: u64, each: u64, batches: bool) {
    let (tx, rx) = channel::<Box<(u64, u64)>>(capacity);
    let sending: Vec<_> = (0..senders)
        .map(|sender| {
            let tx = tx.clone();
            thread::spawn(move || {
                let mut next = 0;
                while next < each {
                    if batches && next % 3 == 0 {
                        let batch = (next..each.min(next + 7)).map(|n| Box::new((sender, n)));
                        next += tx.send_many(batch).expect("there are receivers") as u64;
                    } else {
                        tx.send(Box::new((sender, next)), Deadline::Never).expect("as above");
                        next += 1;
                    }
                }
            })
        })
        .collect();
    let receiving: Vec<_> = (0..receivers)
        .map(|receiver| {
            let rx = rx.clone();
            thread::spawn(move || {
                let mut got: Vec<Vec<u64>> = vec![Vec::new(); senders as usize];
                let mut many = Vec::new();
                loop {
                    let done = match receiver % 3 {
                        0 => rx.recv(Deadline::Never).map(|message| many.push(message)),
                        1 => rx.recv_many(&mut many, 5, Deadline::Never).map(|_| ()),
                        _ => match rx.recv(Deadline::after(Duration::from_micros(50))) {
                            Err(RecvTimeoutError::Timeout) => Ok(()),
                            other => other.map(|message| many.push(message)),
                        },
                    };
                    many.drain(..).for_each(|message| got[message.0 as usize].push(message.1));
                    match done {
                        Ok(()) => {}
                        Err(RecvTimeoutError::Disconnected) => return got,
                        Err(error) => panic!("{error}"),
                    }
                }
            })
        })
        .collect();
    drop((tx, rx));
    sending.into_iter().for_each(|sender| sender.join().expect("sent"));
    let got: Vec<_> = receiving.into_iter().map(|r| r.join().expect("received")).collect();
    for sender in 0..senders as usize {
        let mut all: Vec<u64> = Vec::new();
        for of_one in &got {
            assert!(of_one[sender].is_sorted(), "{capacity:?}: messages overtook each other");
            all.extend(&of_one[sender]);
        }
        all.sort_unstable();
        assert!(all.into_iter().eq(0..each), "{capacity:?}: a message is lost or came twice");
    }
}

#[test]
fn each_message_of_many_threads_arrives_once_and_in_order() {
    let _watchdog = watchdog();
    for capacity in KINDS {
        // Where each message needs a thread to wake up, which takes long on a busy machine.
        let count = if capacity.is_some_and(|capacity| capacity < 4) { 300 } else { 3_000 };
        for (senders, receivers) in [(1, 1), (4, 1), (1, 4), (4, 4)] {
            stress(capacity, senders, receivers, count, false);
            stress(capacity, senders, receivers, count, true);
        }
    }
}

/// Receivers leave, one after the other, while senders send: each message is received, given back
/// to its sender, or dropped.
#[test]
fn each_message_is_dropped_once_whichever_side_leaves_first() {
    let _watchdog = watchdog();
    for capacity in KINDS {
        for round in 0..100 {
            let drops = Drops::default();
            let (tx, rx) = channel(capacity);
            let made = Arc::new(AtomicUsize::new(0));
            let senders: Vec<_> = (0..3)
                .map(|_| {
                    let (tx, drops, made) = (tx.clone(), drops.clone(), made.clone());
                    thread::spawn(move || {
                        loop {
                            made.fetch_add(1, SeqCst);
                            if tx.send(drops.message(0), Deadline::Never).is_err() {
                                return;
                            }
                        }
                    })
                })
                .collect();
            drop(tx);
            let receivers: Vec<_> = (0..2)
                .map(|i| {
                    let rx = rx.clone();
                    thread::spawn(move || {
                        for _ in 0..(round % 10) * (i + 1) {
                            drop(rx.recv(Deadline::Never));
                        }
                    })
                })
                .collect();
            drop(rx);
            senders.into_iter().chain(receivers).for_each(|t| t.join().expect("done"));
            assert_eq!(drops.counts(1), [made.load(SeqCst)], "{capacity:?}");
        }
    }
}

/// A message whose destructor panics.
struct Panics(#[allow(dead_code, reason = "its destructor counts")] Counted, bool);

impl Drop for Panics {
    fn drop(&mut self) {
        assert!(!self.1, "a destructor panics");
    }
}

#[test]
fn a_destructor_that_panics_costs_no_other_message_its_own() {
    let _watchdog = watchdog();
    for capacity in [Some(8), Some(40), None] {
        for at in 0..8 {
            let drops = Drops::default();
            let (tx, rx) = channel(capacity);
            for n in 0..8 {
                let message = Panics(drops.message(n), n == at);
                assert!(tx.send(message, Deadline::Now).is_ok());
            }
            let waiter = tx.clone();
            let dropped = catch_unwind(AssertUnwindSafe(move || drop(rx)));
            assert!(dropped.is_err(), "the panic does not come out");
            assert_eq!(drops.counts(8), [1; 8], "{capacity:?}");
            assert!(waiter.is_disconnected());
            let late = waiter.send(Panics(drops.message(8), false), Deadline::Never);
            assert!(matches!(late, Err(SendTimeoutError::Disconnected(_))));
        }
    }
}

#[test]
fn counts_and_lengths_are_exact() {
    for capacity in KINDS {
        let (tx, rx) = channel::<u8>(capacity);
        let (tx2, rx2) = (tx.clone(), rx.clone());
        assert_eq!((tx.sender_count(), rx.receiver_count()), (Some(2), Some(2)));
        drop(tx2);
        assert_eq!((rx.sender_count(), tx.receiver_count()), (Some(1), Some(2)));
        assert_eq!(tx.capacity(), capacity);
        for n in 0..capacity.unwrap_or(200) {
            assert_eq!((tx.len(), rx.len(), tx.is_full()), (n, n, false), "{capacity:?}");
            assert_eq!(tx.send(0, Deadline::Now), Ok(()));
        }
        if let Some(capacity) = capacity {
            assert!(tx.is_full());
            assert_eq!(tx.send(0, Deadline::Now), Err(SendTimeoutError::Timeout(0)));
            assert_eq!(rx.len(), capacity);
        }
        drop((rx, rx2));
        assert!(tx.is_disconnected());
        assert_eq!((tx.receiver_count(), tx.len()), (Some(0), 0));
        assert_eq!(tx.send(0, Deadline::Now), Err(SendTimeoutError::Disconnected(0)));
    }
}

#[test]
fn without_room_a_call_that_does_not_wait_needs_a_partner() {
    let _watchdog = watchdog();
    let (tx, rx) = bounded::<u8>(0);
    assert_eq!(tx.send(1, Deadline::Now), Err(SendTimeoutError::Timeout(1)));
    assert_eq!(rx.recv(Deadline::Now), Err(RecvTimeoutError::Timeout));
    let soon = Deadline::after(Duration::from_millis(5));
    assert_eq!(tx.send(2, soon), Err(SendTimeoutError::Timeout(2)));
    // The offer was taken back.
    assert_eq!(rx.recv(Deadline::Now), Err(RecvTimeoutError::Timeout));
    let receiver = thread::spawn(move || rx.recv(Deadline::Never));
    let mut sent = tx.send(3, Deadline::Now);
    while sent.is_err() {
        thread::yield_now();
        sent = tx.send(3, Deadline::Now);
    }
    assert_eq!(receiver.join().expect("received"), Ok(3));
}

#[test]
fn an_unbounded_channel_gives_blocks_back() {
    let (tx, rx) = unbounded();
    let drops = Drops::default();
    for round in 0..3 {
        for n in 0..1000 {
            assert!(tx.send(drops.message(n), Deadline::Now).is_ok());
        }
        for n in 0..1000 {
            assert_eq!(rx.recv(Deadline::Now).expect("it is there").1, n);
        }
        assert_eq!(rx.len(), 0);
        assert_eq!(drops.counts(16).iter().sum::<usize>(), 1000 * (round + 1));
    }
}

fn claimed<E: Selectable>(end: &E) -> Claim {
    end.claim().expect("it can be claimed")
}

#[test]
fn a_claimed_message_is_received_or_given_back_to_the_front() {
    for capacity in [Some(2), Some(3), None] {
        let (tx, rx) = channel(capacity);
        for n in [1, 2] {
            assert_eq!(tx.send(n, Deadline::Now), Ok(()));
        }
        let (first, second) = (claimed(&rx), claimed(&rx));
        assert!(rx.claim().is_none());
        assert_eq!(rx.recv(Deadline::Now), Err(RecvTimeoutError::Timeout));
        rx.give_back(second);
        rx.give_back(first);
        assert_eq!(rx.len(), 2, "{capacity:?}");
        if capacity == Some(2) {
            assert_eq!(tx.send(3, Deadline::Now), Err(SendTimeoutError::Timeout(3)));
        }
        let first = claimed(&rx);
        assert_eq!(rx.recv_claimed(first), Ok(1));
        assert_eq!(rx.recv(Deadline::Now), Ok(2));
        drop(tx);
        assert!(matches!(rx.claim(), Some(Claim::Disconnected)));
    }
}

#[test]
fn a_claimed_place_takes_a_message_or_becomes_free() {
    for capacity in 1..4 {
        let (tx, rx) = bounded(capacity);
        for round in 0..10 {
            let claims: Vec<Claim> = (0..capacity).map(|_| claimed(&tx)).collect();
            assert!(tx.claim().is_none());
            assert_eq!(tx.send(9, Deadline::Now), Err(SendTimeoutError::Timeout(9)));
            let mut expected = Vec::new();
            for (n, claim) in claims.into_iter().enumerate() {
                if (round + n) % 3 == 0 {
                    tx.give_back(claim);
                } else {
                    assert_eq!(tx.send_claimed(claim, n), Ok(()));
                    expected.push(n);
                }
            }
            for n in expected {
                assert_eq!(rx.recv(Deadline::Now), Ok(n), "capacity {capacity}, round {round}");
            }
            assert_eq!(rx.recv(Deadline::Now), Err(RecvTimeoutError::Timeout));
        }
        let claim = claimed(&tx);
        drop(rx);
        assert_eq!(tx.send_claimed(claim, 7), Err(SendTimeoutError::Disconnected(7)));
        assert!(matches!(tx.claim(), Some(Claim::Disconnected)));
    }
}

#[test]
fn a_partner_that_is_claimed_and_given_back_waits_on() {
    let _watchdog = watchdog();
    let (tx, rx) = bounded(0);
    let sender = thread::spawn(move || tx.send(5, Deadline::Never));
    let claim = loop {
        match rx.claim() {
            Some(claim) => break claim,
            None => thread::yield_now(),
        }
    };
    rx.give_back(claim);
    let claim = claimed(&rx);
    assert_eq!(rx.recv_claimed(claim), Ok(5));
    assert_eq!(sender.join().expect("sent"), Ok(()));
}

#[test]
fn a_registration_is_notified_of_what_comes_and_passed_on_if_it_is_not_used() {
    let waker = std::task::Waker::noop();
    for capacity in [Some(1), None] {
        let (tx, rx) = channel(capacity);
        assert!(!rx.is_ready() && tx.is_ready());
        let (one, two) = (rx.register(waker), rx.register(waker));
        assert!(matches!(one.source, Source::Word { shared: false, .. }));
        assert!(!rx.notified(one.ticket));
        assert_eq!(tx.send(1, Deadline::Now), Ok(()));
        assert!(rx.is_ready() && rx.notified(one.ticket));
        rx.unregister(one.ticket, Outcome::Unused);
        rx.unregister(two.ticket, Outcome::Used);
        assert_eq!(rx.recv(Deadline::Now), Ok(1));
        drop(tx);
        assert!(rx.is_ready());
    }
}

#[test]
fn time_limits_are_kept_and_not_exceeded_by_much() {
    let _watchdog = watchdog();
    for capacity in [Some(0), Some(1)] {
        let (tx, rx) = channel::<u8>(capacity);
        let start = Instant::now();
        let limit = Duration::from_millis(20);
        assert_eq!(rx.recv(Deadline::after(limit)), Err(RecvTimeoutError::Timeout));
        assert!(start.elapsed() >= limit);
        if capacity == Some(1) {
            assert_eq!(tx.send(0, Deadline::Now), Ok(()));
        }
        let start = Instant::now();
        assert_eq!(tx.send(1, Deadline::after(limit)), Err(SendTimeoutError::Timeout(1)));
        assert!(start.elapsed() >= limit);
    }
}
