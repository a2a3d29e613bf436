//! Calls that do not wait say Empty or Full only where it is so, though peers are in the middle of
//! something.

use std::thread;

use crate::conformance::routes::{Message, Route, Rx, Tx, msg};

const THREADS: u64 = 4;
const ROUNDS: u64 = if cfg!(debug_assertions) { 10_000 } else { 100_000 };

/// Receives one message without waiting, each time by another call.
fn take<R: Route>(rx: &Rx<R>, round: u64) -> u64 {
    let mut got = Vec::new();
    match round % 4 {
        0 => return rx.try_recv().unwrap().number(),
        1 => return R::lend(rx, |number, _| number).unwrap(),
        2 => got.extend(rx.try_iter().take(1)),
        _ => assert_eq!(rx.try_recv_many(&mut got, 1).unwrap(), 1),
    }
    assert_eq!(got.len(), 1, "a thread that has sent one more than it has received finds nothing");
    got.remove(0).number()
}

/// The sum of what `f` returns in each of some threads, each with its own ends.
fn in_threads<R: Route>(tx: &Tx<R>, rx: &Rx<R>, f: fn(&Tx<R>, &Rx<R>, u64) -> u64) -> u64 {
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let (tx, rx) = (tx.clone(), rx.clone());
            thread::spawn(move || (0..ROUNDS).map(|round| f(&tx, &rx, round)).sum::<u64>())
        })
        .collect();
    threads.into_iter().map(|thread| thread.join().unwrap()).sum()
}

// fault 108
pub(crate) fn what_a_thread_has_sent_can_be_received_at_once<R: Route>() {
    let (tx, rx) = R::bounded(THREADS as usize);
    let sum = in_threads::<R>(&tx, &rx, |tx, rx, round| {
        tx.send(msg::<R>(round)).unwrap();
        take::<R>(rx, round)
    });
    assert_eq!(sum, THREADS * (0..ROUNDS).sum::<u64>());
    assert!(rx.is_empty());
}

// fault 108
pub(crate) fn what_a_thread_has_received_leaves_room_at_once<R: Route>() {
    let (tx, rx) = R::bounded(THREADS as usize);
    (0..THREADS).for_each(|n| tx.send(msg::<R>(n)).unwrap());
    let sum = in_threads::<R>(&tx, &rx, |tx, rx, round| {
        let number = rx.recv().unwrap().number();
        tx.try_send(msg::<R>(round)).unwrap();
        number
    });
    let left: u64 = rx.drain().map(|message| message.number()).sum();
    assert_eq!(sum + left, THREADS * (0..ROUNDS).sum::<u64>() + (0..THREADS).sum::<u64>());
}

// fault 108
pub(crate) fn what_len_counts_the_only_receiver_gets_at_once<R: Route>() {
    let (tx, rx) = R::bounded(64);
    let sending = thread::spawn(move || (0..ROUNDS).for_each(|n| tx.send(msg::<R>(n)).unwrap()));
    let mut next = 0;
    while next < ROUNDS {
        let len = rx.len() as u64;
        for _ in 0..len {
            assert_eq!(rx.try_recv().unwrap().number(), next);
            next += 1;
        }
        let len = rx.len() as u64;
        let before = next;
        for message in rx.drain() {
            assert_eq!(message.number(), next);
            next += 1;
        }
        assert!(next - before >= len, "{} of {len} were drained", next - before);
    }
    sending.join().unwrap();
}
