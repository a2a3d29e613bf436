//! A channel that takes no more, whatever bounds it.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use ipc_core::{SendError, SendTimeoutError, TryRecvError, TrySendError};
use testkit::wait::takes;

use crate::conformance::routes::{Message, Route, Tx, msg};

/// Long enough to fall asleep in. No test's outcome depends on whether that happened.
const NAP: Duration = Duration::from_millis(30);
const WAIT: Duration = Duration::from_millis(60);

/// A capacity, for routes that have one.
const ROOM: usize = 9;

/// Sends until no more is taken; returns how many messages were, numbered from 0.
fn fill<R: Route>(tx: &Tx<R>) -> u64 {
    let mut n = 0;
    loop {
        match tx.try_send(msg::<R>(n)) {
            Ok(()) => n += 1,
            Err(TrySendError::Full(back)) => {
                assert_eq!(back.number(), n);
                return n;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

pub(crate) fn there_is_no_capacity<R: Route>() {
    let (tx, rx) = R::bounded(ROOM);
    assert_eq!((tx.capacity(), rx.capacity()), (None, None));
    assert!(!tx.is_full());
    fill::<R>(&tx);
    assert_eq!((tx.capacity(), rx.capacity()), (None, None));
    assert!(tx.is_full());
    while rx.try_recv().is_ok() {}
    assert!(!tx.is_full());
}

pub(crate) fn what_was_sent_is_inside<R: Route>() {
    let (tx, rx) = R::bounded(ROOM);
    let holds = |n: usize| {
        assert_eq!((tx.len(), rx.len()), (n, n));
        assert_eq!((tx.is_empty(), rx.is_empty()), (n == 0, n == 0));
    };
    for round in 0..5 {
        for n in 0..ROOM {
            holds(n);
            tx.send(msg::<R>(n as u64)).unwrap();
        }
        let mut some = Vec::new();
        assert_eq!(rx.recv_many(&mut some, 1 + round), Ok(1 + round));
        for left in (0..ROOM - 1 - round).rev() {
            rx.recv().unwrap();
            holds(left);
        }
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    }
    // Also in batches, and if only some of a batch is taken.
    for max in [ROOM, 2, 4, ROOM] {
        let mut some = Vec::new();
        tx.send_many((0..ROOM as u64).map(msg::<R>)).unwrap();
        holds(ROOM);
        while some.len() < ROOM {
            rx.recv_many(&mut some, max).unwrap();
            holds(ROOM - some.len());
        }
        assert!(some.iter().map(Message::number).eq(0..ROOM as u64));
    }
}

pub(crate) fn a_full_channel_gives_the_message_back<R: Route>() {
    let (tx, rx) = R::bounded(ROOM);
    for _ in 0..3 {
        let n = fill::<R>(&tx);
        assert!(n > 0);
        assert_eq!(tx.len() as u64, n);
        assert_eq!(tx.try_send(msg::<R>(n)), Err(TrySendError::Full(msg::<R>(n))));
        for i in 0..n {
            assert_eq!(rx.recv().unwrap().number(), i);
        }
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    }
}

pub(crate) fn send_waits_for_room<R: Route>() {
    let (tx, rx) = R::bounded(ROOM);
    let n = fill::<R>(&tx);
    let (ready, is_ready) = mpsc::channel();
    let waiting = thread::spawn(move || {
        ready.send(()).unwrap();
        tx.send(msg::<R>(n)).unwrap();
        tx.send_timeout(msg::<R>(n + 1), Duration::MAX).unwrap();
    });
    is_ready.recv().unwrap();
    thread::sleep(NAP);
    assert!(!waiting.is_finished());
    for i in 0..n + 2 {
        assert_eq!(rx.recv().unwrap().number(), i);
    }
    waiting.join().unwrap();
}

pub(crate) fn send_times_out_in_time<R: Route>() {
    let (tx, rx) = R::bounded(ROOM);
    let n = fill::<R>(&tx);
    let late = takes(WAIT, || tx.send_timeout(msg::<R>(n), WAIT));
    assert_eq!(late, Err(SendTimeoutError::Timeout(msg::<R>(n))));
    let late = takes(WAIT, || tx.send_deadline(msg::<R>(n), Instant::now() + WAIT));
    assert_eq!(late.unwrap_err().into_inner(), msg::<R>(n));
    (0..n).for_each(|i| assert_eq!(rx.recv().unwrap().number(), i));
    tx.send_timeout(msg::<R>(n), WAIT).unwrap();
    assert_eq!(rx.recv().unwrap().number(), n, "what timed out was not sent");
    drop(rx);
    let gone = tx.send_timeout(msg::<R>(n), Duration::MAX);
    assert_eq!(gone, Err(SendTimeoutError::Disconnected(msg::<R>(n))));
}

// fault 31
pub(crate) fn a_full_channel_has_no_time_at_all<R: Route>() {
    let (tx, rx) = R::bounded(ROOM);
    let n = fill::<R>(&tx);
    for timeout in [Duration::ZERO, Duration::from_nanos(1)] {
        assert!(tx.send_timeout(msg::<R>(n), timeout).unwrap_err().is_timeout());
    }
    assert!(tx.send_deadline(msg::<R>(n), Instant::now()).unwrap_err().is_timeout());
    (0..n).for_each(|i| assert_eq!(rx.recv_timeout(Duration::ZERO).unwrap().number(), i));
    assert_eq!(tx.send_timeout(msg::<R>(1), Duration::ZERO), Ok(()));
    assert_eq!(rx.recv_deadline(Instant::now()), Ok(msg::<R>(1)));
}

// fault 83
pub(crate) fn blocked_senders_get_their_messages_back<R: Route>() {
    let (tx, rx) = R::bounded(ROOM);
    let n = fill::<R>(&tx);
    let waiting: Vec<_> = (n..n + 4)
        .map(|n| {
            let tx = tx.clone();
            thread::spawn(move || match n % 2 {
                0 => assert_eq!(tx.send(msg::<R>(n)), Err(SendError::Disconnected(msg::<R>(n)))),
                _ => {
                    let gone = tx.send_timeout(msg::<R>(n), Duration::from_secs(25)).unwrap_err();
                    assert!(gone.is_disconnected());
                }
            })
        })
        .collect();
    thread::sleep(NAP);
    assert!(waiting.iter().all(|waiting| !waiting.is_finished()));
    drop(rx);
    waiting.into_iter().for_each(|waiting| waiting.join().unwrap());
}

pub(crate) fn a_blocked_batch_comes_back<R: Route>() {
    const MORE: u64 = 300;
    let (tx, rx) = R::bounded(ROOM);
    let n = fill::<R>(&tx);
    let (ready, is_ready) = mpsc::channel();
    let sender = thread::spawn(move || {
        ready.send(()).unwrap();
        let mut numbers = n..n + 10_000 + MORE;
        let error = tx.send_many(numbers.by_ref().map(msg::<R>)).unwrap_err();
        assert!(error.is_disconnected() && error.unsendable.is_none());
        // What was sent, what came back and what is still in the iterator are all there is, in this
        // order.
        let sent = error.sent as u64;
        let unsent: Vec<_> = error.into_inner().iter().map(Message::number).collect();
        assert!(!unsent.is_empty(), "what could not be sent comes back");
        assert!(unsent.into_iter().chain(numbers).eq(n + sent..n + 10_000 + MORE));
        sent
    });
    is_ready.recv().unwrap();
    let mut got = Vec::new();
    while (got.len() as u64) < n + MORE {
        rx.recv_many(&mut got, 40).unwrap();
    }
    assert!(got.iter().map(Message::number).eq(0..got.len() as u64));
    thread::sleep(NAP);
    drop(rx);
    let sent = sender.join().unwrap();
    assert!(sent >= got.len() as u64 - n && sent < 10_000 + MORE, "{sent} were sent");
}
