//! Positions count modulo 2^47: nothing happens when they start again.
//!
//! No channel lives so long that a test could wait for it, so the words are set to shortly before,
//! while no process uses them.

use std::thread;

use ipc_shm::pod;
use testkit::hostile::{Peer, at, word};
use testkit::watchdog;

/// A channel whose positions have this many laps to go.
fn old(capacity: usize, laps: u64) -> (pod::Sender<u64>, pod::Receiver<u64>) {
    let (tx, rx) = pod::bounded(capacity).unwrap();
    let peer = Peer::of(&tx);
    let start = word::POSITIONS - laps * (capacity as u64).next_power_of_two();
    peer.set(at::TAIL, word::claimed(start));
    peer.set(at::HEAD, word::claimed(start));
    (0..capacity).for_each(|i| peer.set(peer.slot(i), word::free(start + i as u64)));
    (tx, rx)
}

// fault 71
#[test]
fn order_and_capacity_hold_across_the_wrap() {
    let _watchdog = watchdog();
    for capacity in [1, 2, 3, 5, 8, 100] {
        for laps in 1..4 {
            let (tx, rx) = old(capacity, laps);
            let mut sent = 0;
            for got in 0..8 * capacity as u64 {
                while tx.try_send(sent).is_ok() {
                    sent += 1;
                }
                assert_eq!(sent - got, capacity as u64);
                assert!(tx.is_full() && tx.len() == capacity);
                assert_eq!(rx.try_recv(), Ok(got));
            }
            drop(tx);
            assert_eq!(rx.iter().count(), capacity - 1);
        }
    }
}

// fault 71
#[test]
fn batches_guards_and_threads_hold_across_the_wrap() {
    let _watchdog = watchdog();
    for capacity in [3, 8, 70] {
        let (tx, rx) = old(capacity, 2);
        let sender = thread::spawn(move || tx.send_many(0..5000).unwrap());
        let mut got = Vec::new();
        while rx.recv_many(&mut got, 7).is_ok() {
            if let Ok(lent) = rx.recv_ref() {
                got.push(*lent);
            }
        }
        assert!(got.into_iter().eq(0..5000));
        sender.join().unwrap();
        let (tx, rx) = old(capacity, 2);
        let all: u64 = thread::scope(|scope| {
            for s in 0..2 {
                let tx = tx.clone();
                scope.spawn(move || (0..2000).for_each(|n| tx.send(s * 2000 + n).unwrap()));
            }
            drop(tx);
            let sum = |rx: pod::Receiver<u64>| rx.iter().sum::<u64>();
            let (one, two) = (rx.clone(), rx);
            let other = scope.spawn(move || sum(one));
            sum(two) + other.join().unwrap()
        });
        assert_eq!(all, (0..4000).sum());
    }
}
