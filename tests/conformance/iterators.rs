//! Receiving by iterating.

use std::thread;

use ipc_core::TryRecvError;

use crate::conformance::routes::{Message, Route, msg};

pub(crate) fn iter_ends_with_the_senders<R: Route>() {
    let (tx, rx) = R::bounded(2);
    let sender = thread::spawn(move || (0..100).for_each(|n| tx.send(msg::<R>(n)).unwrap()));
    let got: Vec<_> = rx.iter().map(|m| m.number()).collect();
    assert!(got.into_iter().eq(0..100));
    assert_eq!(rx.iter().next(), None, "and stays ended");
    sender.join().unwrap();
}

pub(crate) fn a_borrowed_receiver_iterates<R: Route>() {
    let (tx, rx) = R::bounded(10);
    (0..10).for_each(|n| tx.send(msg::<R>(n)).unwrap());
    drop(tx);
    let mut expected = 0;
    for message in &rx {
        assert_eq!(message.number(), expected);
        expected += 1;
    }
    assert_eq!(expected, 10);
    assert_eq!(rx.try_recv(), Err(TryRecvError::Disconnected));
}

pub(crate) fn an_owned_receiver_iterates<R: Route>() {
    let (tx, rx) = R::bounded(10);
    (0..10).for_each(|n| tx.send(msg::<R>(n)).unwrap());
    let mut iter = rx.into_iter();
    assert_eq!(iter.next().unwrap().number(), 0);
    assert!(!tx.is_disconnected(), "the iterator holds the receiver");
    drop(iter);
    assert!(tx.is_disconnected());
}

pub(crate) fn try_iter_takes_what_is_there<R: Route>() {
    let (tx, rx) = R::bounded(4);
    assert_eq!(rx.try_iter().next(), None);
    (0..3).for_each(|n| tx.send(msg::<R>(n)).unwrap());
    let mut iter = rx.try_iter();
    assert_eq!(iter.by_ref().map(|m| m.number()).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(iter.next(), None);
    tx.send(msg::<R>(3)).unwrap();
    assert_eq!(iter.next().unwrap().number(), 3, "it goes on when more has come");
}

pub(crate) fn drain_takes_what_is_there_and_no_more<R: Route>() {
    let n = R::ROOM / 2;
    let (tx, rx) = R::bounded(n as usize);
    assert_eq!(rx.drain().count(), 0);
    (0..n).for_each(|n| tx.send(msg::<R>(n)).unwrap());
    let mut drain = rx.drain();
    assert_eq!(drain.next().unwrap().number(), 0);
    tx.send(msg::<R>(n)).unwrap();
    let rest: Vec<_> = drain.map(|m| m.number()).collect();
    assert!(rest.into_iter().eq(1..n), "what comes meanwhile is for the next");
    assert_eq!(rx.drain().map(|m| m.number()).collect::<Vec<_>>(), [n]);
    drop(tx);
    assert_eq!(rx.drain().next(), None);
}

pub(crate) fn a_drain_that_is_dropped_ends<R: Route>() {
    let (tx, rx) = R::bounded(4);
    (0..4).for_each(|n| tx.send(msg::<R>(n)).unwrap());
    assert_eq!(rx.drain().next().unwrap().number(), 0);
    // What was in its batch is gone with it; the channel has room, and works.
    let left = rx.len() as u64;
    for n in 0..4 - left {
        tx.try_send(msg::<R>(10 + n)).unwrap();
    }
    assert!(tx.is_full());
    let got: Vec<_> = rx.try_iter().map(|m| m.number()).collect();
    assert_eq!(got.len(), 4);
    assert!(got.is_sorted());
}
