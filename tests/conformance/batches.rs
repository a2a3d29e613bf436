//! Many messages with one call.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use ipc_core::TryRecvError;

use crate::conformance::routes::{Message, Route, msg};

pub(crate) fn send_many_keeps_order_through_a_small_channel<R: Route>() {
    for capacity in [1, 2, 5, 64, 200] {
        let (tx, rx) = R::bounded(capacity);
        let sender = thread::spawn(move || tx.send_many((0..500).map(msg::<R>)).unwrap());
        let mut got = Vec::new();
        while rx.recv_many(&mut got, 70).is_ok() {}
        assert!(got.iter().map(Message::number).eq(0..500));
        assert_eq!(sender.join().unwrap(), 500);
    }
}

pub(crate) fn send_many_of_nothing_is_nothing<R: Route>() {
    let (tx, rx) = R::bounded(1);
    assert_eq!(tx.send_many([]), Ok(0));
    assert!(rx.is_empty());
    tx.send(msg::<R>(1)).unwrap();
    assert_eq!(tx.send_many([]), Ok(0), "also on a full channel");
    drop(rx);
    assert_eq!(tx.send_many([]), Ok(0), "also on a disconnected one");
}

pub(crate) fn recv_many_takes_at_most_max<R: Route>() {
    let room = R::ROOM as usize;
    let (tx, rx) = R::bounded(room);
    assert_eq!(tx.send_many((0..R::ROOM).map(msg::<R>)), Ok(room));
    let mut got = Vec::new();
    let most = room * 13 / 20;
    for (max, expected) in [(1, 1), (2, 2), (most, most), (1000, room - 3 - most)] {
        assert_eq!(rx.recv_many(&mut got, max), Ok(expected));
    }
    assert!(got.iter().map(Message::number).eq(0..R::ROOM));
    assert!(rx.is_empty());
}

pub(crate) fn recv_many_of_nothing_waits_for_nothing<R: Route>() {
    let (tx, rx) = R::bounded(1);
    let mut got = Vec::new();
    assert_eq!(rx.recv_many(&mut got, 0), Ok(0));
    assert_eq!(rx.try_recv_many(&mut got, 0), Ok(0));
    tx.send(msg::<R>(1)).unwrap();
    assert_eq!(rx.recv_many(&mut got, 0), Ok(0));
    assert_eq!(rx.len(), 1);
    assert!(got.is_empty());
}

pub(crate) fn try_recv_many_never_waits<R: Route>() {
    let (tx, rx) = R::bounded(3);
    let mut got = Vec::new();
    assert_eq!(rx.try_recv_many(&mut got, 5), Err(TryRecvError::Empty));
    tx.send_many((0..3).map(msg::<R>)).unwrap();
    assert_eq!(rx.try_recv_many(&mut got, 5), Ok(3));
    assert_eq!(rx.try_recv_many(&mut got, 5), Err(TryRecvError::Empty));
    assert_eq!(got.len(), 3);
}

pub(crate) fn recv_many_appends<R: Route>() {
    let (tx, rx) = R::bounded(3);
    let mut got = vec![msg::<R>(100), msg::<R>(101)];
    tx.send_many((0..3).map(msg::<R>)).unwrap();
    assert_eq!(rx.recv_many(&mut got, 3), Ok(3));
    assert!(got.iter().map(Message::number).eq([100, 101, 0, 1, 2]));
}

/// What was sent, what came back and what is still in the iterator are all there is, in this order.
fn check<R: Route>(
    error: ipc_core::SendManyError<R::Message>,
    rest: impl Iterator<Item = u64>,
    n: u64,
) {
    assert!(error.is_disconnected() && error.unsendable.is_none());
    let sent = error.sent as u64;
    let unsent: Vec<_> = error.into_inner().iter().map(Message::number).collect();
    assert!(!unsent.is_empty(), "what could not be sent comes back");
    assert!(unsent.into_iter().chain(rest).eq(sent..n));
}

pub(crate) fn unsent_messages_come_back<R: Route>() {
    const N: u64 = 300;
    let (tx, rx) = R::bounded(10);
    drop(rx);
    let mut numbers = 0..N;
    let error = tx.send_many(numbers.by_ref().map(msg::<R>)).unwrap_err();
    assert_eq!(error.sent, 0);
    check::<R>(error, numbers, N);
}

pub(crate) fn a_blocked_batch_comes_back<R: Route>() {
    const N: u64 = 300;
    let (tx, rx) = R::bounded(10);
    let (ready, is_ready) = mpsc::channel();
    let sender = thread::spawn(move || {
        let mut numbers = 0..N;
        let error = tx.send_many(numbers.by_ref().map(msg::<R>)).unwrap_err();
        ready.send(error.sent).unwrap();
        check::<R>(error, numbers, N);
    });
    for n in 0..25 {
        assert_eq!(rx.recv().unwrap().number(), n);
    }
    while !rx.is_full() {
        thread::sleep(Duration::from_millis(1));
    }
    drop(rx);
    let sent = is_ready.recv().unwrap();
    assert!((35..N as usize).contains(&sent), "{sent} were sent: 25 received, 10 queued");
    sender.join().unwrap();
}
